#include "http/detail/session.hpp"

#include "base/text.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace postferry::http::detail {

namespace {

namespace wire = beast::http;
constexpr auto token = asio::as_tuple(asio::use_awaitable);

std::string_view view_of(beast::string_view v) noexcept { return {v.data(), v.size()}; }

std::optional<method> method_of(wire::verb v) noexcept {
    switch (v) {
    case wire::verb::get: return method::get;
    case wire::verb::head: return method::head;
    case wire::verb::post: return method::post;
    case wire::verb::put: return method::put;
    case wire::verb::patch: return method::patch;
    case wire::verb::delete_: return method::del;
    default: return std::nullopt;
    }
}

reply problem(unsigned status, std::string_view title) {
    return {.status = status,
            .type = "application/problem+json",
            .body = fmt::format(R"({{"type":"about:blank","title":"{}","status":{}}})", title, status)};
}

std::string_view reason_of(unsigned status) {
    return view_of(wire::obsolete_reason(static_cast<wire::status>(status)));
}

bool is_clean(std::string_view text) noexcept { return text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos; }

std::string head_of(const reply& r, std::string_view length, bool keep) {
    std::string head = fmt::format("HTTP/1.1 {} {}\r\n{}", r.status, reason_of(r.status), length);
    if (!r.type.empty()) head += fmt::format("Content-Type: {}\r\n", r.type);
    for (const auto& [name, value] : r.fields) head += fmt::format("{}: {}\r\n", name, value);
    head += keep ? "\r\n" : "Connection: close\r\n\r\n";
    return head;
}

std::unexpected<error> gone() {
    return fail(retry_class::transient, phase::usage, "The client went away before its request was whole");
}

std::unexpected<error> too_large(std::uint64_t most) {
    error e{.cls = retry_class::permanent,
            .where = phase::usage,
            .what = fmt::format("The body is longer than {} octets", most),
            .server_said = {},
            .advice = {},
            .response_code = "413"};
    return std::unexpected(std::move(e));
}

unsigned bits_of(std::string_view text, bool v4) noexcept {
    const auto n = parse_u32(text);
    return n && *n <= (v4 ? 32U : 128U) ? *n + (v4 ? 96U : 0U) : 999U;
}

asio::ip::address_v6 as_v6(const asio::ip::address& a) {
    return a.is_v6() ? a.to_v6() : asio::ip::make_address_v6(asio::ip::v4_mapped, a.to_v4());
}

/// A new file of ours that goes away unless it is kept.
class new_file {
  public:
    explicit new_file(std::filesystem::path path)
        : path_(std::move(path)), fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) {}
    new_file(const new_file&) = delete;
    new_file& operator=(const new_file&) = delete;
    ~new_file() {
        if (fd_ < 0) return;
        ::close(fd_);
        if (!kept_) ::unlink(path_.c_str());
    }
    [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
    [[nodiscard]] bool write(std::string_view octets) const noexcept {
        while (!octets.empty()) {
            const ssize_t n = ::write(fd_, octets.data(), octets.size());
            if (n < 0 && errno != EINTR) return false;
            if (n > 0) octets.remove_prefix(static_cast<std::size_t>(n));
        }
        return true;
    }
    void keep() noexcept { kept_ = true; }

  private:
    std::filesystem::path path_;
    int fd_;
    bool kept_ = false;
};

std::unexpected<error> local_trouble(const std::filesystem::path& file) {
    return fail(retry_class::local, phase::usage,
                fmt::format("{} cannot be written: {}", file.string(), std::strerror(errno)));
}

} // namespace

bool asio_network::has(const std::string& text) const {
    beast::error_code ec;
    const auto parsed = asio::ip::make_address(text, ec);
    if (ec) return false;
    const auto a = address.to_bytes(), b = as_v6(parsed).to_bytes();
    for (unsigned bit = 0; bit < bits; ++bit) {
        const unsigned mask = 0x80U >> bit % 8;
        if (((a[bit / 8] ^ b[bit / 8]) & mask) != 0) return false;
    }
    return true;
}

std::optional<asio_network> parse_network(std::string_view text) {
    const std::size_t slash = text.find('/');
    beast::error_code ec;
    const auto parsed = asio::ip::make_address(std::string(text.substr(0, slash)), ec);
    if (ec) return std::nullopt;
    asio_network n{.address = as_v6(parsed)};
    if (slash != std::string_view::npos) n.bits = bits_of(text.substr(slash + 1), parsed.is_v4());
    if (n.bits > 128) return std::nullopt;
    return n;
}

template <class Stream> task<bool> session<Stream>::handshake() {
    if constexpr (std::is_same_v<Stream, tls_stream>) {
        allow(shared_->limits.head);
        const auto [ec] = co_await stream_.async_handshake(asio::ssl::stream_base::server, token);
        allow_anything();
        co_return !ec;
    }
    co_return true;
}

template <class Stream> void session<Stream>::allow_until(clock::time_point end) {
    until_ = end;
    if (end < alarm_at_) watch();
}

/// At `until_` as it is now; when it is later by then, once more. On the strand, as whatever it closes.
template <class Stream> void session<Stream>::watch() {
    alarm_at_ = until_;
    if (until_ == clock::time_point::max()) return;
    alarm_.expires_at(until_);
    alarm_.async_wait([weak = this->weak_from_this()](const beast::error_code& ec) {
        const auto self = weak.lock();
        if (ec || !self) return;
        if (self->until_ > clock::now()) return self->watch();
        self->abort();
    });
}

template <class Stream> task<> session<Stream>::run() {
    if (co_await handshake()) {
        while (keep_ && co_await read_head()) co_await serve_one();
        co_await close();
    }
    beast::error_code ignored;
    lowest().socket().close(ignored);
}

template <class Stream> void session<Stream>::stop() {
    keep_ = false;
    if (waiting_) lowest().cancel();
}

template <class Stream> void session<Stream>::abort() {
    keep_ = false;
    beast::error_code ignored;
    lowest().socket().close(ignored);
}

/// False: there is no request to answer any more.
template <class Stream> task<bool> session<Stream>::read_head() {
    parser_.emplace();
    parser_->header_limit(shared_->limits.head_octets);
    parser_->body_limit(boost::none); // body() counts for itself
    body_begun_ = false;
    if (buffer_.size() == 0) {
        allow(shared_->limits.idle);
        waiting_ = true;
        const auto [ec, n] = co_await stream_.async_read_some(buffer_.prepare(4'096), token);
        waiting_ = false;
        allow_anything();
        if (ec || !keep_) co_return false;
        buffer_.commit(n);
    }
    // Nearly every head has come whole with its first octet; asking the stream for it would be a turn through the queue
    // of everything that waits to run.
    beast::error_code ec;
    parser_->eager(false);
    buffer_.consume(parser_->put(buffer_.data(), ec));
    if (ec == wire::error::need_more) {
        allow(shared_->limits.head);
        ec = std::get<0>(co_await wire::async_read_header(stream_, buffer_, *parser_, token));
        allow_anything();
    }
    if (!ec) co_return true;
    keep_ = false;
    if (ec == wire::error::header_limit)
        co_await send(problem(431, "The head of the request is too long"));
    else if (ec.category() == wire::make_error_code(wire::error::bad_method).category() &&
             ec != wire::error::end_of_stream && ec != wire::error::partial_message)
        co_await send(problem(400, "The request is no HTTP/1.1"));
    co_return false;
}

/// The rightmost address that is none of the trusted proxies': what stands left of it anybody may have written.
template <class Stream> void session<Stream>::find_client() {
    const auto trusted = [&](const std::string& address) {
        return std::ranges::any_of(shared_->proxies, [&](const asio_network& n) { return n.has(address); });
    };
    if (from_.uid || !trusted(from_.address)) return;
    std::string chain;
    for (const auto& field : parser_->get())
        if (ascii_lower(view_of(field.name_string())) == "x-forwarded-for")
            chain += (chain.empty() ? "" : ",") + std::string(view_of(field.value()));
    while (!chain.empty()) {
        const std::size_t comma = chain.rfind(',');
        std::string last = chain.substr(comma == std::string::npos ? 0 : comma + 1);
        chain.erase(comma == std::string::npos ? 0 : comma);
        std::erase(last, ' ');
        beast::error_code ec;
        const auto address = asio::ip::make_address(last, ec);
        if (ec) break; // what comes before it is worth nothing
        client_.address = address.to_string();
        if (!trusted(client_.address)) break;
    }
    client_.tls = from_.tls || ascii_lower(header("x-forwarded-proto")) == "https";
}

template <class Stream> unsigned session<Stream>::understand_head() {
    const auto& head = parser_->get();
    const auto known = method_of(head.method());
    if (!known) return 501;
    verb_ = *known;
    const std::string_view target = view_of(head.target());
    const std::size_t question = target.find('?');
    raw_path_ = target.substr(0, question);
    auto path = parse_path(raw_path_);
    auto query = parse_query(question == std::string_view::npos ? "" : target.substr(question + 1));
    if (!path || !query) return 400;
    path_ = std::move(*path);
    query_ = std::move(*query);
    // RFC 9112, section 6.3: a body whose end nobody knows. Beast takes it for none, and it for the next request.
    const bool coded = head.count(wire::field::transfer_encoding) > 0;
    if (coded && (!parser_->chunked() || head.version() < 11)) return 400;
    find_client();
    // RFC 9112, section 3.2: exactly one Host.
    if (head.version() >= 11 && head.count(wire::field::host) != 1) return 400;
    return 0;
}

template <class Stream> task<> session<Stream>::serve_one() {
    const auto began = std::chrono::steady_clock::now();
    keep_ = keep_ && parser_->get().keep_alive() && !shared_->stopping;
    client_ = from_;
    const unsigned refused = understand_head();
    if (refused != 0) {
        raw_path_ = raw_path_.substr(0, 200);
        keep_ = false;
    }
    reply answered = refused != 0
                         ? problem(refused, refused == 501 ? "This method is not known" : "The URL is not valid")
                         : co_await answer();
    const unsigned status = answered.status;
    if (!co_await drain()) keep_ = false;
    if (!co_await send(std::move(answered))) keep_ = false;
    if (!shared_->log) co_return;
    const auto took = std::chrono::steady_clock::now() - began;
    shared_->log({.verb = verb_,
                  .path = raw_path_,
                  .status = status,
                  .took = std::chrono::duration_cast<std::chrono::microseconds>(took),
                  .from = client_});
}

template <class Stream> task<reply> session<Stream>::answer() {
    try {
        reply r = co_await shared_->handle(*this);
        const auto dirty = [](const auto& f) { return !is_clean(f.first) || !is_clean(f.second); };
        if (!is_clean(r.type) || std::ranges::any_of(r.fields, dirty)) co_return problem(500, "Internal error");
        co_return r;
    } catch (const std::exception&) {
        keep_ = false;
    }
    co_return problem(500, "Internal error");
}

/// What the handler did not read of the body must not be taken for the next request.
template <class Stream> task<bool> session<Stream>::drain() {
    if (!parser_->is_header_done() || parser_->is_done()) co_return true;
    if (body_begun_) co_return false;                                                    // it gave up in the middle
    if (view_of(parser_->get()[beast::http::field::expect]).size() > 0) co_return false; // it may never come
    if (parser_->content_length().value_or(UINT64_MAX) > shared_->limits.unread_body) co_return false;
    body_since_ = std::chrono::steady_clock::now();
    while (!parser_->is_done()) {
        const auto some = co_await some_body();
        if (!some) co_return false;
    }
    co_return true;
}

template <class Stream> std::string_view session<Stream>::header(std::string_view name) const noexcept {
    const auto& fields = parser_->get();
    const auto at = fields.find(beast::string_view(name.data(), name.size()));
    return at == fields.end() ? std::string_view() : view_of(at->value());
}

template <class Stream> task<result<void>> session<Stream>::before_body(std::uint64_t most) {
    body_begun_ = true;
    body_since_ = std::chrono::steady_clock::now();
    body_octets_ = 0;
    if (parser_->content_length() && *parser_->content_length() > most) co_return too_large(most);
    if (ascii_lower(header("expect")) == "100-continue" && !parser_->is_done() &&
        !co_await send_octets("HTTP/1.1 100 Continue\r\n\r\n"))
        co_return gone();
    co_return result<void>{};
}

template <class Stream> task<result<std::string_view>> session<Stream>::some_body() {
    while (!parser_->is_done()) {
        auto& body = parser_->get().body();
        body.data = chunk_.data();
        body.size = chunk_.size();
        const server_limits& l = shared_->limits;
        const auto earned =
            std::chrono::milliseconds(body_octets_ * 1'000 / std::max<std::uint64_t>(l.slowest_body, 1));
        const auto spent = std::chrono::steady_clock::now() - body_since_;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(l.body + earned - spent);
        if (left <= std::chrono::milliseconds::zero()) co_return gone();
        allow(std::min(l.stall, left));
        auto [ec, n] = co_await beast::http::async_read_some(stream_, buffer_, *parser_, token);
        allow_anything();
        if (ec && ec != beast::http::error::need_buffer) co_return gone();
        const std::size_t got = chunk_.size() - body.size;
        body_octets_ += got;
        if (got > 0) co_return std::string_view(chunk_.data(), got);
    }
    co_return std::string_view();
}

template <class Stream> task<result<std::string>> session<Stream>::body(std::size_t most) {
    if (auto ok = co_await before_body(most); !ok) co_return std::unexpected(std::move(ok.error()));
    std::string all;
    for (;;) {
        const auto some = co_await some_body();
        if (!some) co_return std::unexpected(some.error());
        if (some->empty()) break;
        if (all.size() + some->size() > most) co_return too_large(most);
        all += *some;
    }
    co_return all;
}

template <class Stream>
task<result<std::uint64_t>> session<Stream>::body_to_file(std::filesystem::path file, std::uint64_t most) {
    if (auto ok = co_await before_body(most); !ok) co_return std::unexpected(std::move(ok.error()));
    new_file out(file);
    if (!out.is_open()) co_return local_trouble(file);
    std::uint64_t all = 0;
    for (;;) {
        const auto some = co_await some_body();
        if (!some) co_return std::unexpected(some.error());
        if (some->empty()) break;
        all += some->size();
        if (all > most) co_return too_large(most);
        if (!out.write(*some)) co_return local_trouble(file);
    }
    out.keep();
    co_return all;
}

template <class Stream> task<bool> session<Stream>::send_octets(std::string_view octets, std::string_view more_octets) {
    allow(shared_->limits.stall);
    // As much at a time as the socket takes: Asio's own 64 kB would make two turns of a page of a hundred mailboxes.
    const auto all = [](const beast::error_code& failed, std::size_t) {
        return failed ? std::size_t{0} : std::size_t{1} << 20U;
    };
    const std::array both{asio::buffer(octets), asio::buffer(more_octets)};
    const auto [ec, n] = co_await asio::async_write(stream_, both, all, token);
    allow_anything();
    if (ec) keep_ = false;
    co_return !ec;
}

template <class Stream> task<bool> session<Stream>::send(reply r) {
    const bool head_only = verb_ == method::head;
    if (auto* make = std::get_if<body_maker>(&r.body)) {
        // A client of HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
        chunked_ = parser_->get().version() >= 11;
        keep_ = keep_ && chunked_;
        if (!co_await send_octets(head_of(r, chunked_ ? "Transfer-Encoding: chunked\r\n" : "", keep_))) co_return false;
        if (head_only) co_return true;
        co_return co_await send_made(*make, chunked_);
    }
    const std::string& body = std::get<std::string>(r.body);
    const bool bodiless = r.status == 204 || r.status == 304;
    const std::string head = head_of(r, bodiless ? "" : fmt::format("Content-Length: {}\r\n", body.size()), keep_);
    co_return co_await send_octets(head, head_only || bodiless ? std::string_view() : std::string_view(body));
}

template <class Stream> task<bool> session<Stream>::send_made(const body_maker& make, bool chunked) {
    try {
        co_await make(*this);
    } catch (const std::exception&) {
        co_return false; // half a body must not look whole: no last chunk
    }
    if (!lowest().socket().is_open()) co_return false;
    co_return !chunked || co_await send_octets("0\r\n\r\n");
}

template <class Stream> task<bool> session<Stream>::write(std::string_view octets) {
    if (octets.empty()) co_return true;
    if (!chunked_) co_return co_await send_octets(octets);
    co_return co_await send_octets(fmt::format("{:x}\r\n{}\r\n", octets.size(), octets));
}

/// Lets the last reply arrive: a socket closed with unread octets would reset it.
template <class Stream> task<> session<Stream>::close() {
    if (shared_->stopping && (!parser_ || !parser_->is_header_done())) co_return; // it was idle
    allow(std::chrono::seconds(2));
    if constexpr (std::is_same_v<Stream, tls_stream>) {
        (void)co_await stream_.async_shutdown(token);
        co_return;
    }
    beast::error_code ec;
    lowest().socket().shutdown(asio::socket_base::shutdown_send, ec);
    for (int reads = 0; reads < 16 && !ec; ++reads) {
        const auto [failed, n] = co_await lowest().async_read_some(asio::buffer(chunk_), token);
        ec = failed;
    }
}

template class session<plain_stream>;
template class session<tls_stream>;

} // namespace postferry::http::detail
