#include "app/remote.hpp"

#include "app/remote_problem.hpp"
#include "base/text.hpp"
#include "net/http_post.hpp"

#include <boost/beast/http/parser.hpp>
#include <fmt/format.h>

#include <array>
#include <fstream>
#include <random>

namespace postferry::app {

namespace {

namespace beast_http = boost::beast::http;
namespace json = boost::json;

constexpr std::chrono::seconds to_connect{15};
constexpr std::chrono::seconds to_write{60};
constexpr std::uint32_t longest_head = 64U << 10U;
constexpr std::size_t piece = 64U << 10U;

/// A body for Beast's parser that is handed on as it comes.
struct passing_body {
    struct value_type {
        octet_sink take;
        std::optional<error> failed; ///< what the sink said
    };
    class reader {
      public:
        template <bool IsRequest, class Fields>
        reader(beast_http::header<IsRequest, Fields>&, value_type& to) : to_(to) {}
        void init(const boost::optional<std::uint64_t>&, boost::system::error_code& ec) { ec = {}; }
        template <class Buffers> std::size_t put(const Buffers& buffers, boost::system::error_code& ec) {
            ec = {};
            std::size_t used = 0;
            for (auto it = boost::asio::buffer_sequence_begin(buffers); it != boost::asio::buffer_sequence_end(buffers);
                 ++it) {
                const boost::asio::const_buffer one = *it;
                used += one.size();
                if (auto ok = to_.take(std::string_view(static_cast<const char*>(one.data()), one.size())); !ok) {
                    to_.failed = std::move(ok.error());
                    ec = boost::asio::error::operation_aborted;
                    return used;
                }
            }
            return used;
        }
        void finish(boost::system::error_code& ec) { ec = {}; }

      private:
        value_type& to_;
    };
};
using parser_type = beast_http::response_parser<passing_body>;

std::string random_key() {
    std::random_device dice;
    std::string out;
    for (int i = 0; i < 4; ++i) out += fmt::format("{:08x}", dice());
    return out;
}

std::string field_of(const parser_type& from, beast_http::field name) {
    const auto it = from.get().find(name);
    return it == from.get().end() ? std::string{} : std::string(it->value().data(), it->value().size());
}

error no_http(std::string_view why) {
    return fail(retry_class::protocol, phase::greeting,
                fmt::format("what answers there does not speak HTTP as a Postferry does: {}", why))
        .error();
}

error closed_within() {
    return fail(retry_class::transient, phase::fetch, "the service closed the connection before its answer was whole")
        .error();
}

} // namespace

struct remote_session::attempt {
    const remote_request& r;
    const octet_sink& to; ///< empty: the body is kept
    std::string key;
    std::string text = {};    ///< the request's body
    bool given_out = false;   ///< something has gone to the sink
    std::string pending = {}; ///< read and not yet parsed

    [[nodiscard]] bool waits_for_word() const noexcept { return !r.upload.empty(); }

    [[nodiscard]] std::string head(const remote_place& place, std::uint64_t octets, bool has_body) const {
        std::string host = "localhost", below;
        if (!place.local())
            if (const auto url = net::parse_http_url(place.url)) {
                const bool usual = url->where.port == (url->tls ? 443 : 80);
                host = url->where.host.contains(':') ? fmt::format("[{}]", url->where.host) : url->where.host;
                if (!usual) host += fmt::format(":{}", url->where.port);
                below = url->target == "/" ? std::string{} : url->target;
            }
        std::string out = fmt::format("{} {}/api/v1{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: postferry/{}\r\n", r.verb,
                                      below, r.target, host, POSTFERRY_VERSION);
        if (!place.token.empty()) out += fmt::format("Authorization: Bearer {}\r\n", place.token.reveal());
        if (has_body) out += fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n", r.type, octets);
        if (!has_body && r.verb == "POST") out += "Content-Length: 0\r\n";
        if (waits_for_word()) out += "Expect: 100-continue\r\n";
        if (!r.if_match.empty()) out += fmt::format("If-Match: {}\r\n", r.if_match);
        if (!r.last_event_id.empty()) out += fmt::format("Last-Event-ID: {}\r\n", r.last_event_id);
        if (!key.empty()) out += fmt::format("Idempotency-Key: {}\r\n", key);
        for (const auto& [name, value] : r.fields) out += fmt::format("{}: {}\r\n", name, value.reveal());
        return out + "\r\n";
    }
};

namespace {

/// Feeds `parser` until `done` says so. Reads only what it needs.
template <class Done>
task<result<void>> read_until(remote_line& line, parser_type& parser, std::string& pending,
                              std::chrono::seconds patience, Done done) {
    std::array<char, 16 * 1024> room{};
    while (!done()) {
        boost::system::error_code ec;
        if (!pending.empty()) {
            const std::size_t used = parser.put(boost::asio::buffer(pending), ec);
            pending.erase(0, used);
            if (parser.is_header_done() && parser.get().body().failed)
                co_return std::unexpected(*parser.get().body().failed);
            if (ec && ec != beast_http::error::need_more) co_return std::unexpected(no_http(ec.message()));
            if (!ec && (used > 0 || done())) continue;
        }
        const auto n = co_await line.read_some(room, deadline::in(patience));
        if (!n) co_return std::unexpected(n.error());
        if (*n == 0) {
            if (parser.got_some()) parser.put_eof(ec);
            if (ec || !done()) co_return std::unexpected(closed_within());
            break;
        }
        pending.append(room.data(), *n);
    }
    co_return result<void>{};
}

task<result<void>> write_file(remote_line& line, const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::string room(piece, '\0');
    while (in) {
        in.read(room.data(), static_cast<std::streamsize>(room.size()));
        const auto n = static_cast<std::size_t>(in.gcount());
        if (n == 0) break;
        if (auto ok = co_await line.write(std::string_view(room).substr(0, n), to_write); !ok) co_return ok;
    }
    if (in.bad()) co_return fail(retry_class::local, phase::usage, fmt::format("{} cannot be read", file.string()));
    co_return result<void>{};
}

/// The head of the answer; a file is sent when the service asks for it (100 Continue).
task<result<void>> read_head(remote_line& line, std::optional<parser_type>& parser, std::string& pending,
                             const remote_request& r) {
    for (bool body_sent = r.upload.empty();;) {
        parser.emplace();
        parser->header_limit(longest_head);
        parser->body_limit(boost::none);
        parser->eager(false);
        auto ok = co_await read_until(line, *parser, pending, r.patience, [&] { return parser->is_header_done(); });
        if (!ok || parser->get().result_int() != 100) co_return ok;
        if (body_sent) continue;
        body_sent = true;
        // What cannot be written any more has been answered, or the line is gone: reading tells which.
        (void)co_await write_file(line, r.upload);
    }
}

std::optional<std::chrono::seconds> pause_of(const parser_type& p) {
    const auto n = parse_u32(field_of(p, beast_http::field::retry_after));
    if (!n) return std::nullopt;
    return std::chrono::seconds(std::min(*n, 86'400U));
}

} // namespace

task<result<void>> remote_session::send(attempt& now) {
    std::uint64_t octets = now.text.size();
    if (!now.r.upload.empty()) {
        std::error_code ec;
        octets = std::filesystem::file_size(now.r.upload, ec);
        if (ec)
            co_return fail(retry_class::config, phase::usage,
                           fmt::format("{} cannot be read: {}", now.r.upload.string(), ec.message()));
    }
    const bool has_body = now.r.body.has_value() || !now.r.upload.empty();
    const secret whole(now.head(place_, octets, has_body) + now.text); // with the token
    co_return co_await line_->write(whole.reveal(), to_write);
}

task<result<remote_reply>> remote_session::try_once(attempt& now) {
    if (!line_) {
        auto line = co_await remote_line::open(ex_, place_, deadline::in(to_connect));
        if (!line) co_return std::unexpected(std::move(line.error()));
        line_ = std::move(*line);
    }
    if (auto ok = co_await send(now); !ok) co_return std::unexpected(std::move(ok.error()));
    std::optional<parser_type> parser;
    if (auto ok = co_await read_head(*line_, parser, now.pending, now.r); !ok)
        co_return std::unexpected(std::move(ok.error()));
    remote_reply reply{.status = parser->get().result_int(),
                       .type = field_of(*parser, beast_http::field::content_type),
                       .etag = field_of(*parser, beast_http::field::etag),
                       .location = field_of(*parser, beast_http::field::location),
                       .text = {},
                       .json = nullptr};
    const bool good = reply.status >= 200 && reply.status < 300;
    parser->get().body().take = [&](std::string_view octets) -> result<void> {
        if (good && now.to) {
            now.given_out = true;
            return now.to(octets);
        }
        if (reply.text.size() + octets.size() > longest_answer)
            return std::unexpected(no_http("its answer has no end"));
        reply.text += octets;
        return {};
    };
    parser->eager(true);
    if (reply.status != 204 && reply.status != 304)
        if (auto ok =
                co_await read_until(*line_, *parser, now.pending, now.r.patience, [&] { return parser->is_done(); });
            !ok)
            co_return std::unexpected(std::move(ok.error()));
    if (!parser->keep_alive()) line_.reset();
    if (!good)
        co_return std::unexpected(error_of_problem(reply.status, reply.text,
                                                   fmt::format("{} /api/v1{}", now.r.verb, now.r.target),
                                                   place_.local(), pause_of(*parser)));
    co_return reply;
}

task<result<remote_reply>> remote_session::fetch(remote_request r, octet_sink to) {
    const bool reads = r.verb == "GET";
    attempt now{.r = r, .to = to, .key = r.verb == "POST" && r.may_repeat ? random_key() : std::string{}};
    if (r.body) now.text = json::serialize(*r.body);
    for (int tries = 1;; ++tries) {
        now.pending.clear();
        auto reply = co_await try_once(now);
        const secret wiped(std::move(now.text)); // may hold a password
        if (reply || is_answer(reply.error())) co_return reply;
        line_.reset();
        const error& why = reply.error();
        const bool lost = why.cls == retry_class::transient && why.where != phase::resolve;
        if (tries == 2 || !lost || now.given_out || !(reads || !now.key.empty())) co_return reply;
        now.text = std::string(wiped.reveal());
    }
}

task<result<remote_reply>> remote_session::ask(remote_request r) {
    const std::string asked = fmt::format("{} /api/v1{}", r.verb, r.target);
    auto reply = co_await fetch(std::move(r), {});
    if (!reply || reply->text.empty() || !reply->type.starts_with("application/json")) co_return reply;
    boost::system::error_code ec;
    reply->json = json::parse(reply->text, ec);
    if (ec) co_return std::unexpected(no_http(fmt::format("its answer to {} is no JSON", asked)));
    co_return reply;
}

result<void> remote::walk(const std::string& target, const std::function<bool(const json::object&)>& each) {
    constexpr int a_page = 500;
    std::string cursor;
    do {
        auto page = get(fmt::format("{}{}limit={}{}", target, target.contains('?') ? '&' : '?', a_page, cursor));
        if (!page) return std::unexpected(std::move(page.error()));
        const json::object* whole = page->json.if_object();
        const json::value* items = whole == nullptr ? nullptr : whole->if_contains("items");
        if (items == nullptr || !items->is_array()) return std::unexpected(no_http("a list without items"));
        for (const json::value& item : items->get_array())
            if (!item.is_object() || !each(item.get_object())) return {};
        const json::value* next = whole->if_contains("next");
        cursor.clear();
        if (next != nullptr && next->is_string()) cursor = fmt::format("&cursor={}", url_word(next->get_string()));
    } while (!cursor.empty());
    return {};
}

result<remote_reply> remote::edit(const std::string& target,
                                  const std::function<std::optional<json::object>(const json::object&)>& change) {
    constexpr int attempts = 3;
    for (int tries = 1;; ++tries) {
        auto now = get(target);
        if (!now) return now;
        if (!now->json.is_object()) return std::unexpected(no_http("a thing that is none"));
        auto body = change(now->json.get_object());
        remote_request r{.verb = body ? "PATCH" : "DELETE", .target = target, .if_match = now->etag};
        if (body) r.body = std::move(*body);
        auto done = ask(std::move(r));
        if (done || done.error().response_code != "412" || tries == attempts) return done;
    }
}

std::string url_word(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                           c == '.' || c == '_' || c == '~';
        if (plain)
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

} // namespace postferry::app
