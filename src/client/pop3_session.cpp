#include "client/pop3_session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace postferry::client {

namespace {

// Where less room than this is left in a block, a fresh one is taken: small reads cost more than half-filled blocks.
constexpr std::size_t least_room = 16U << 10U;

} // namespace

pop3_session::pop3_session(pop3_settings settings, std::shared_ptr<block_pool> blocks)
    : settings_(std::move(settings)), blocks_(std::move(blocks)),
      progress_(settings_.limits, settings_.answer_patience) {}

pop3_session::~pop3_session() = default;

pop3::command_id pop3_session::submit(pop3::command command, line_handler on_line, done_handler on_done) {
    const bool body = command.expects == pop3::answer::body;
    if (command.line.starts_with("RETR")) retrieved_ = true;
    const pop3::command_id id = talk_.submit(std::move(command));
    pending_.push_back({.id = id, .body = body, .on_line = std::move(on_line), .on_done = std::move(on_done)});
    return id;
}

task<result<pop3::status_line>> pop3_session::run(pop3::command command, line_handler on_line) {
    std::optional<pop3::status_line> answer;
    submit(std::move(command), std::move(on_line), [&answer](const pop3::status_line& s) { answer = s; });
    while (!answer) {
        if (auto sent = co_await flush(); !sent) co_return std::unexpected(sent.error());
        if (auto got = co_await receive(); !got) co_return std::unexpected(got.error());
    }
    co_return std::move(*answer);
}

task<result<void>> pop3_session::settle() {
    while (talk_.unfinished() > 0) {
        if (auto sent = co_await flush(); !sent) co_return sent;
        if (auto got = co_await receive(); !got) co_return got;
    }
    co_return result<void>{};
}

task<result<void>> pop3_session::flush() {
    if (failure_) co_return std::unexpected(*failure_);
    if (!talk_.has_output()) co_return result<void>{};
    const std::string out = talk_.take_output();
    if (settings_.trace) settings_.trace.command(out);
    const iovec piece{const_cast<char*>(out.data()), out.size()};
    auto sent = co_await connection_->write({&piece, 1}, settings_.answer_patience, deadline::never());
    if (!sent) co_return std::unexpected(dead(sent.error()));
    co_return result<void>{};
}

error pop3_session::dead(error why) {
    // A connection that dies by our own closing must not hide why it was closed.
    if (!failure_) failure_ = std::move(why);
    connection_->close();
    return *failure_;
}

error pop3_session::closed_by_peer() const {
    error e{.cls = retry_class::transient,
            .where = phase::connect,
            .what = fmt::format("{} closed the connection", settings_.where.host),
            .server_said = {},
            .advice = {},
            .response_code = {}};
    if (goodbye_) e.server_said = goodbye_->server_said;
    return e;
}

task<result<void>> pop3_session::receive() {
    if (failure_) co_return std::unexpected(*failure_);
    if (!block_ || (block_.use_count() > 1 && block_->room().size() < least_room)) block_ = blocks_->take();
    if (block_.use_count() == 1) block_->clear();
    const std::span<char> room = block_->room();
    const auto asked = settings_.now();
    const auto n = co_await connection_->read_some(
        room, last_word_.sooner(greeted_ ? settings_.answer_patience : settings_.connect_patience));
    progress_.waited(settings_.now() - asked);
    if (!n) co_return std::unexpected(dead(n.error()));
    if (*n == 0) co_return std::unexpected(dead(closed_by_peer()));
    talk_.feed(block_->filled(*n));
    while (true) {
        pop3::conversation::event e = talk_.next();
        if (std::holds_alternative<pop3::conversation::need_more>(e)) co_return result<void>{};
        if (auto ok = check_progress(e); !ok) co_return std::unexpected(dead(ok.error()));
        if (const auto* chunk = std::get_if<pop3::conversation::body_chunk>(&e)) {
            body_octets_ += chunk->octets.size();
            if (sink_ == nullptr) continue;
            if (auto ok = co_await sink_->body_chunk(block_, chunk->octets); !ok)
                co_return std::unexpected(dead(ok.error()));
            continue;
        }
        if (auto ok = co_await dispatch(std::move(e)); !ok) co_return std::unexpected(dead(ok.error()));
    }
}

// A message, or a listing, that comes for ever must not hold us for ever.
result<void> pop3_session::check_progress(const pop3::conversation::event& e) {
    using c = pop3::conversation;
    if (const auto* chunk = std::get_if<c::body_chunk>(&e))
        progress_.brought(chunk->octets.size());
    else if (std::holds_alternative<c::completed>(e))
        progress_.command_ended();
    else
        progress_.answered();
    if (!progress_.is_endless()) return {};
    return fail(retry_class::transient, phase::connect,
                fmt::format("{} went on talking without coming to an end", settings_.where.host));
}

task<result<void>> pop3_session::dispatch(pop3::conversation::event e) {
    using c = pop3::conversation;
    if (const auto* line = std::get_if<c::line>(&e)) {
        trace(line->text);
        if (pending_.front().on_line) pending_.front().on_line(line->text);
    } else if (const auto* begin = std::get_if<c::body_begin>(&e)) {
        body_octets_ = 0;
        if (sink_ != nullptr) co_return co_await sink_->body_begin(begin->command);
    } else if (auto* done = std::get_if<c::completed>(&e)) {
        co_return co_await on_completed(std::move(*done));
    } else if (const auto* ask = std::get_if<c::challenge>(&e)) {
        trace("+ " + ask->text);
        if (!on_challenge_)
            co_return fail(retry_class::protocol, phase::login, "The server sent a challenge that nothing asked for");
        talk_.respond(on_challenge_(ask->text));
    } else if (const auto* hello = std::get_if<c::greeting>(&e)) {
        greeted_ = true;
        trace(hello->status);
        greeting_ = quote_server_text(hello->status.text);
        if (!hello->status.ok)
            co_return std::unexpected(
                to_error(hello->status, phase::greeting, fmt::format("{} turned us away", settings_.where.host)));
    } else if (const auto* bye = std::get_if<c::goodbye>(&e)) {
        trace(bye->status);
        goodbye_ = to_error(bye->status, phase::connect, {});
    } else if (const auto* bad = std::get_if<c::broken>(&e)) {
        co_return fail(retry_class::protocol, phase::connect,
                       fmt::format("{} does not speak POP3 that can be trusted: {}", settings_.where.host, bad->what),
                       "Is the port right, and is it a POP3 server?");
    }
    co_return result<void>{};
}

task<result<void>> pop3_session::on_completed(pop3::conversation::completed done) {
    const pending p = std::move(pending_.front());
    pending_.pop_front();
    trace(done.status);
    if (p.body && done.status.ok && settings_.trace) settings_.trace.literal(body_octets_, net::direction::received);
    if (p.on_done) p.on_done(done.status);
    if (p.body && sink_ != nullptr) co_return co_await sink_->body_end(done.command, done.status);
    co_return result<void>{};
}

void pop3_session::trace(std::string_view server_line) {
    if (!settings_.trace) return;
    if (secrets_.are_in(server_line))
        settings_.trace.secret_line(net::direction::received);
    else
        settings_.trace.server_line(server_line);
}

void pop3_session::trace(const pop3::status_line& status) {
    if (settings_.trace)
        trace(fmt::format("{}{}{}{}", status.ok ? "+OK" : "-ERR",
                          status.code.empty() ? "" : fmt::format(" [{}]", status.code), status.text.empty() ? "" : " ",
                          status.text));
}

task<result<void>> pop3_session::pace(std::size_t messages) {
    if (failure_ || !settings_.allowance) co_return result<void>{};
    const auto when = settings_.allowance->begin_messages(messages, std::chrono::steady_clock::now());
    if (!when) co_return std::unexpected(when.error());
    co_await pacing_.wait_until(*when);
    co_return result<void>{}; // whoever closed the line meanwhile hears of it at the next read or write
}

void pop3_session::close() noexcept {
    pacing_.stop();
    connection_->close();
}

task<> pop3_session::quit(bool politely) {
    if (!failure_ && politely && talk_.unfinished() == 0) {
        settings_.answer_patience = std::min(settings_.answer_patience, settings_.goodbye_patience);
        last_word_ = deadline::in(settings_.goodbye_patience);
        co_await leave_no_trace();
        // Its answer is waited for: until then the maildrop is locked, and a run right behind this one would find it
        // so.
        (void)co_await run(pop3::quit());
    }
    close();
}

// quirk pop3-seen: Dovecot marks what was read as seen when the session ends, and RSET makes it forget that. Where LAST
// is known, RSET may mean more: there it could take \Seen away from messages that had it.
task<> pop3_session::leave_no_trace() {
    if (!retrieved_) co_return;
    const auto last = co_await run(pop3::last());
    if (last && !last->ok) (void)co_await run(pop3::rset());
}

} // namespace postferry::client
