#include "client/imap_session.hpp"

#include "base/text.hpp"
#include "client/deflate_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace postferry::client {

namespace {

// Where less room than this is left in a block, a fresh one is taken: small reads cost more than half-filled blocks.
constexpr std::size_t least_room = 16U << 10U;
/// Below that, what has arrived is part of something that the server writes in pieces.
constexpr std::size_t small_answer = 1U << 10U;
/// A server that has answered LOGOUT closes at once, or leaves it to us.
constexpr std::chrono::milliseconds patience_with_close{200};

// After OK [THROTTLED], doubling from one answer to the next.
constexpr std::chrono::milliseconds first_courtesy{50}, longest_courtesy{16'000};

} // namespace

void capability_set::assign(std::vector<std::string> upper_case) {
    names_ = std::move(upper_case);
    std::ranges::sort(names_);
}

bool capability_set::has(std::string_view name) const noexcept {
    return std::ranges::binary_search(names_, name, std::less<>{});
}

std::optional<std::string_view> capability_set::value_of(std::string_view prefix) const noexcept {
    for (const std::string& n : names_)
        if (n.starts_with(prefix)) return std::string_view(n).substr(prefix.size());
    return std::nullopt;
}

std::vector<std::string> capability_set::auth_mechanisms() const {
    std::vector<std::string> out;
    for (const std::string& n : names_)
        if (n.starts_with("AUTH=")) out.push_back(n.substr(5));
    return out;
}

imap::literal_mode capability_set::literals() const noexcept {
    if (has("LITERAL+")) return imap::literal_mode::plus;
    if (has("LITERAL-") || has("IMAP4REV2")) return imap::literal_mode::minus;
    return imap::literal_mode::synchronising;
}

imap_session::imap_session(imap_settings settings, std::shared_ptr<block_pool> blocks)
    : settings_(std::move(settings)), blocks_(std::move(blocks)),
      progress_(settings_.limits, settings_.answer_patience) {}

imap_session::~imap_session() = default;

imap::command_id imap_session::submit(std::vector<std::string> pieces, handler on_data, done_handler on_done,
                                      imap::conversation::options how) {
    const imap::command_id id = talk_.submit(std::move(pieces), how);
    pending_.push_back({id, std::move(on_data), std::move(on_done)});
    return id;
}

void imap_session::watch(imap::command_id id, done_handler on_done) {
    pending_.push_back({id, {}, std::move(on_done)});
}

task<result<void>> imap_session::compress() {
    compress_tried_ = true;
    const auto status = co_await run({"COMPRESS DEFLATE"}, {}, {.interactive = false, .exclusive = true});
    if (!status) co_return std::unexpected(status.error());
    if (status->kind != imap::status_kind::ok) co_return result<void>{};
    // Whatever follows the answer is compressed, and was taken for text.
    if (!talk_.at_boundary() || progress_.told() > 0)
        co_return std::unexpected(dead(error{.cls = retry_class::transient,
                                             .where = phase::connect,
                                             .what = "The server spoke at the moment when compression began",
                                             .server_said = {},
                                             .advice = "compress=off in the endpoint's URL avoids this",
                                             .response_code = {}}));
    connection_ = deflated(std::move(connection_));
    compressed_ = true;
    co_return result<void>{};
}

imap_session::pending* imap_session::find(imap::command_id id) {
    const auto at = std::ranges::find(pending_, id, &pending::id);
    return at == pending_.end() ? nullptr : &*at;
}

task<result<imap::status_response>> imap_session::run(std::vector<std::string> pieces, handler on_data,
                                                      imap::conversation::options how) {
    const auto asked = std::chrono::steady_clock::now();
    std::optional<imap::status_response> answer;
    submit(
        std::move(pieces), std::move(on_data),
        [&answer](imap::conversation::completed& c) { answer = std::move(c.status); }, how);
    while (!answer) {
        if (auto sent = co_await flush(); !sent) co_return std::unexpected(sent.error());
        if (auto got = co_await receive(); !got) co_return std::unexpected(got.error());
    }
    round_trip_ = std::min(round_trip_, std::chrono::steady_clock::now() - asked);
    co_return std::move(*answer);
}

task<result<void>> imap_session::settle() {
    while (talk_.unfinished() > 0 || talk_.has_output()) {
        if (auto sent = co_await flush(); !sent) co_return sent;
        if (talk_.unfinished() == 0) break;
        if (auto got = co_await receive(); !got) co_return got;
    }
    co_return result<void>{};
}

task<result<void>> imap_session::flush() {
    if (!talk_.has_output()) co_return result<void>{};
    const std::string out = talk_.take_output();
    trace_sent(out);
    const iovec piece{const_cast<char*>(out.data()), out.size()};
    co_return co_await write({&piece, 1});
}

task<result<void>> imap_session::write(std::span<const iovec> pieces) {
    if (failure_) co_return std::unexpected(*failure_);
    auto sent = co_await connection_->write(pieces, settings_.answer_patience, deadline::never());
    if (!sent) co_return std::unexpected(dead(sent.error()));
    co_return result<void>{};
}

result<net::allowance::time> imap_session::may_begin(std::size_t messages) {
    const auto now = std::chrono::steady_clock::now();
    if (!settings_.allowance) return now + courtesy_;
    const auto allowed = settings_.allowance->begin_messages(messages, now);
    if (!allowed) return allowed;
    return std::max(now + courtesy_, *allowed);
}

task<result<void>> imap_session::pace(std::size_t messages) {
    const auto when = may_begin(messages);
    if (!when) co_return std::unexpected(when.error());
    co_await pacing_.wait_until(*when);
    co_return result<void>{}; // whoever closed the line meanwhile hears of it at the next read or write
}

// quirk throttled-code: Gmail does what it was asked, and says [THROTTLED] with its OK.
void imap_session::note_throttled_success(const imap::status_response& status) noexcept {
    if (status.kind != imap::status_kind::ok) return;
    const bool throttled = (status.code && status.code->name == "THROTTLED") || status.text.contains("[THROTTLED]");
    courtesy_ = throttled ? std::clamp(courtesy_ * 2, first_courtesy, longest_courtesy) : std::chrono::milliseconds(0);
}

void imap_session::close() noexcept {
    pacing_.stop();
    connection_->close();
}

error imap_session::dead(const error& why) {
    // A connection that dies by our own closing must not hide why it was closed.
    if (!failure_) failure_ = why;
    connection_->close();
    return *failure_;
}

error imap_session::closed_by_peer() const {
    error e{.cls = retry_class::transient,
            .where = phase::connect,
            .what = fmt::format("{} closed the connection", settings_.where.host),
            .server_said = {},
            .advice = {},
            .response_code = {}};
    if (bye_) { // what it means, and how long it wants to be left alone
        e.cls = bye_->cls;
        e.server_said = bye_->server_said;
        e.response_code = bye_->response_code;
        e.backoff_ms = bye_->backoff_ms;
    }
    return e;
}

// A server may say that it is still searching, for a while. One that says things for ever must not hold us for ever,
// nor make us keep them.
result<void> imap_session::check_progress(const imap::conversation::event& e) {
    using c = imap::conversation;
    if (const auto* chunk = std::get_if<c::body_chunk>(&e))
        progress_.brought(chunk->octets.size());
    else if (std::holds_alternative<c::body_end>(e))
        progress_.message_ended();
    else if (std::holds_alternative<c::completed>(e) || std::holds_alternative<c::greeting>(e))
        progress_.command_ended();
    else
        progress_.answered();
    if (!progress_.is_endless()) return {};
    return fail(retry_class::transient, phase::connect,
                fmt::format("{} went on talking without coming to an end", settings_.where.host));
}

// Reads once, and gives what came to the conversation. How many octets that were.
task<result<std::size_t>> imap_session::read_once() {
    if (!block_ || (block_.use_count() > 1 && block_->room().size() < least_room)) block_ = blocks_->take();
    if (block_.use_count() == 1) block_->clear();
    const std::span<char> room = block_->room();
    const auto asked = settings_.now();
    const auto n = co_await connection_->read_some(
        room, last_word_.sooner(greeted_ ? settings_.answer_patience : settings_.connect_patience));
    progress_.waited(settings_.now() - asked);
    if (!n) co_return std::unexpected(dead(n.error()));
    if (*n == 0) co_return std::unexpected(dead(closed_by_peer()));
    gauge_.add(std::chrono::steady_clock::now(), *n);
    const std::string_view octets = block_->filled(*n);
    if (settings_.trace) traced_.show(octets, settings_.trace);
    talk_.feed(octets);
    co_return *n;
}

task<result<void>> imap_session::receive() {
    if (failure_) co_return std::unexpected(*failure_);
    const auto n = co_await read_once();
    if (!n) co_return std::unexpected(n.error());
    while (true) {
        imap::conversation::event e = talk_.next();
        if (std::holds_alternative<imap::conversation::need_more>(e)) {
            // quirk held-back-plus: nothing of ours will leave before what we wait for, so nothing tells the server's
            // system that this has arrived.
            if (talk_.held() || (*n < small_answer && !pending_.empty())) connection_->acknowledge();
            co_return result<void>{};
        }
        if (auto ok = check_progress(e); !ok) co_return std::unexpected(dead(ok.error()));
        if (auto* chunk = std::get_if<imap::conversation::body_chunk>(&e)) {
            if (sink_ == nullptr) continue;
            if (auto ok = co_await sink_->body_chunk(block_, chunk->octets); !ok)
                co_return std::unexpected(dead(ok.error()));
            continue;
        }
        if (std::holds_alternative<imap::conversation::body_end>(e)) {
            body_ended_ = true;
            continue;
        }
        if (body_ended_ && !std::holds_alternative<imap::conversation::broken>(e)) {
            body_ended_ = false;
            if (sink_ != nullptr)
                if (auto ok = co_await sink_->body_end(); !ok) co_return std::unexpected(dead(ok.error()));
        }
        if (auto ok = co_await dispatch(std::move(e)); !ok) co_return std::unexpected(dead(ok.error()));
    }
}

task<result<void>> imap_session::dispatch(imap::conversation::event e) {
    using c = imap::conversation;
    if (auto* u = std::get_if<c::untagged>(&e)) {
        take_capabilities(u->data);
        if (const auto* told = std::get_if<imap::id_data>(&u->data)) id_ = told->fields;
        if (auto* status = std::get_if<imap::status_response>(&u->data);
            status != nullptr && status->kind == imap::status_kind::bye) {
            bye_ = to_error(*status, phase::connect, {});
        }
        if (pending* p = find(u->command); p != nullptr && p->on_data) p->on_data(u->data);
    } else if (auto* begin = std::get_if<c::body_begin>(&e)) {
        if (sink_ != nullptr) co_return co_await sink_->body_begin(begin->command, begin->body);
    } else if (auto* done = std::get_if<c::completed>(&e)) {
        take_capabilities(imap::response(done->status));
        note_throttled_success(done->status);
        if (pending* p = find(done->command); p != nullptr) {
            const done_handler on_done = std::move(p->on_done);
            std::erase_if(pending_, [&](const pending& x) { return x.id == done->command; });
            if (on_done) on_done(*done);
        }
        if (talk_.poisoned()) {
            error why = to_error(done->status, phase::append,
                                 "The server refused a command with a literal in a way that it may misread what "
                                 "follows; the connection was dropped at once");
            // [CLIENTBUG] is about this message, and not about the next connection.
            if (why.cls == retry_class::permanent) why.cls = retry_class::protocol;
            co_return std::unexpected(std::move(why));
        }
    } else if (std::holds_alternative<c::go_ahead>(e)) {
        if (go_ahead_) go_ahead_();
    } else if (auto* ask = std::get_if<c::challenge>(&e)) {
        if (!on_challenge_)
            co_return fail(retry_class::protocol, phase::login, "The server sent a challenge that nothing asked for");
        const auto answer = on_challenge_(ask->text);
        if (!answer) co_return std::unexpected(answer.error());
        talk_.respond(*answer);
    } else if (auto* hello = std::get_if<c::greeting>(&e)) {
        greeted_ = true;
        greeting_ = quote_server_text(hello->status.text);
        preauth_ = hello->status.kind == imap::status_kind::preauth;
        take_capabilities(imap::response(hello->status));
        if (hello->status.kind != imap::status_kind::ok && !preauth_)
            co_return std::unexpected(
                to_error(hello->status, phase::greeting, fmt::format("{} turned us away", settings_.where.host)));
    } else if (auto* bad = std::get_if<c::broken>(&e)) {
        co_return fail(retry_class::protocol, phase::connect,
                       fmt::format("{} does not speak IMAP that can be trusted: {}", settings_.where.host, bad->what),
                       "Is the port right, and is it an IMAP server?");
    }
    co_return result<void>{};
}

void imap_session::take_capabilities(const imap::response& r) {
    if (const auto* data = std::get_if<imap::capability_data>(&r)) {
        capabilities_.assign(data->capabilities);
        capabilities_fresh_ = true;
    } else if (const auto* status = std::get_if<imap::status_response>(&r);
               status != nullptr && status->code && status->code->capabilities) {
        capabilities_.assign(*status->code->capabilities);
        capabilities_fresh_ = true;
    }
}

task<> imap_session::logout() {
    if (!failure_) {
        const bool answers_to_come = talk_.unfinished() > 0;
        settings_.answer_patience = std::min(settings_.answer_patience, settings_.goodbye_patience);
        last_word_ = deadline::in(settings_.goodbye_patience);
        submit({"LOGOUT"}, {},
               [this](imap::conversation::completed&) { last_word_ = last_word_.sooner(patience_with_close); });
        auto ok = co_await flush();
        // A connection that the server still counts may be the one too many for whoever comes next.
        while (ok && !answers_to_come && !last_word_.passed()) ok = co_await receive();
    }
    connection_->close();
}

} // namespace postferry::client
