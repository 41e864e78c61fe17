#include "protocol/imap/conversation.hpp"

#include "base/error.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::imap {

namespace {

// "+}" at the end of a piece announces a non-synchronising literal (RFC 7888).
bool announces_without_waiting(std::string_view text) { return text.find("+}\r\n") != std::string_view::npos; }

} // namespace

conversation::conversation(parser_limits limits, std::string tag_prefix)
    : parser_(limits), prefix_(std::move(tag_prefix)) {}

std::string conversation::tag_of(command_id id) const { return fmt::format("{}{}", prefix_, id); }

command_id conversation::submit(std::vector<std::string> pieces, options how) {
    command c{.id = ++last_, .pieces = std::move(pieces), .sent = 0, .how = how};
    const command_id id = c.id;
    queue_.push_back(std::move(c));
    send_queued();
    return id;
}

void conversation::send_queued() {
    while (!queue_.empty() && !streaming_ && !waiting_ && !exclusive_ && !poisoned_) {
        // A command that must be alone on the wire waits until all before it are answered.
        if (queue_.front().how.exclusive && !unfinished_.empty()) return;
        command& c = unfinished_.emplace_back(std::move(queue_.front()));
        queue_.pop_front();
        out_ += fmt::format("{}{} ", prefix_, c.id);
        out_ += c.pieces[0];
        c.carries_literal = announces_without_waiting(c.pieces[0]);
        c.sent = 1;
        waiting_ = c.pieces.size() > 1;
        if (!waiting_) out_ += "\r\n";
        exclusive_ = c.how.exclusive;
    }
}

command_id conversation::open(std::vector<std::string> pieces) {
    command& c = unfinished_.emplace_back(command{.id = ++last_, .pieces = std::move(pieces), .sent = 1, .how = {}});
    streaming_ = true;
    waiting_ = c.pieces.size() > 1;
    c.carries_literal = announces_without_waiting(c.pieces[0]);
    out_ += fmt::format("{}{} {}", prefix_, c.id, c.pieces[0]);
    return c.id;
}

void conversation::more(std::string_view text) { out_ += text; }

void conversation::literal(std::uint64_t octets, bool synchronising, bool literal8) {
    fmt::format_to(std::back_inserter(out_), "{}{{{}{}}}\r\n", literal8 ? "~" : "", octets, synchronising ? "" : "+");
    waiting_ = synchronising;
    if (!synchronising && !unfinished_.empty()) unfinished_.back().carries_literal = true;
}

void conversation::finish() {
    out_ += "\r\n";
    streaming_ = false;
    if (!unfinished_.empty() && unfinished_.back().answered) unfinished_.pop_back();
    send_queued();
}

void conversation::respond(std::string_view line) {
    out_ += line;
    out_ += "\r\n";
}

std::string conversation::take_output() {
    if (poisoned_) return {};
    return std::exchange(out_, {});
}

conversation::command* conversation::find(command_id id) {
    for (command& c : unfinished_)
        if (c.id == id) return &c;
    return nullptr;
}

conversation::event conversation::poison(std::string what) {
    poisoned_ = true;
    out_.clear();
    return broken{std::move(what)};
}

conversation::event conversation::next() {
    if (poisoned_) return broken{"the connection was given up"};
    const command_id oldest = unfinished_.empty() ? 0 : unfinished_.front().id;
    response_parser::event e = parser_.next();
    if (std::holds_alternative<response_parser::need_more>(e)) return need_more{};
    if (auto* bad = std::get_if<response_parser::malformed>(&e)) return poison(std::move(bad->what));
    if (auto* begin = std::get_if<response_parser::body_begin>(&e)) {
        body_of_ = oldest;
        return body_begin{oldest, std::move(*begin)};
    }
    if (auto* chunk = std::get_if<response_parser::body_chunk>(&e)) return body_chunk{body_of_, chunk->octets};
    if (std::holds_alternative<response_parser::body_end>(e)) return body_end{body_of_};

    response& r = std::get<response>(e);
    if (auto* status = std::get_if<status_response>(&r)) return on_status(std::move(*status));
    if (!greeted_) return poison("the server's first line is no IMAP greeting");
    if (auto* go = std::get_if<continuation_request>(&r)) return on_continuation(std::move(*go));
    return untagged{oldest, std::move(r)};
}

conversation::event conversation::on_status(status_response status) {
    if (!greeted_) {
        if (!status.tag.empty()) return poison("the server's first line is no IMAP greeting");
        greeted_ = true;
        return greeting{std::move(status)};
    }
    if (!status.tag.empty()) return on_tagged(std::move(status));
    // A line in which the server found not even a tag: perhaps one of a message that it takes for commands.
    if (status.kind == status_kind::bad && std::ranges::any_of(unfinished_, &command::carries_literal))
        return poison(
            fmt::format("it could not read a line while a literal was under way: {}", quote_server_text(status.text)));
    return untagged{unfinished_.empty() ? 0 : unfinished_.front().id, response(std::move(status))};
}

conversation::event conversation::on_tagged(status_response status) {
    std::optional<std::uint32_t> id;
    if (std::string_view(status.tag).starts_with(prefix_))
        id = parse_u32(std::string_view(status.tag).substr(prefix_.size()));
    command* c = id ? find(*id) : nullptr;
    if (c == nullptr || c->answered || status.tag != tag_of(c->id))
        return poison(fmt::format("the server answered a command that does not wait for it (tag {})",
                                  quote_server_text(status.tag, 40)));
    const bool half_sent = c->id == unfinished_.back().id && (streaming_ || waiting_);
    if (half_sent && status.kind == status_kind::ok)
        return poison("the server said OK to a command that was not sent to its end");

    // Then the server may be reading octets of a literal as commands: not one more must reach it.
    const bool misread = status.kind == status_kind::bad && (c->carries_literal || (half_sent && !waiting_));
    completed done{.command = c->id, .status = std::move(status), .cut_short = half_sent && waiting_};
    if (done.cut_short) { // refused before the literal was asked for: the rest of the command must not be sent
        waiting_ = false;
        streaming_ = false;
    }
    if (c->how.exclusive) exclusive_ = false;
    if (half_sent && !done.cut_short)
        c->answered = true;
    else
        std::erase_if(unfinished_, [&](const command& x) { return x.id == done.command; });
    if (misread)
        (void)poison({});
    else
        send_queued();
    return done;
}

conversation::event conversation::on_continuation(continuation_request request) {
    if (waiting_ && !unfinished_.empty()) {
        command& c = unfinished_.back();
        waiting_ = false;
        if (c.sent < c.pieces.size()) {
            out_ += c.pieces[c.sent];
            c.carries_literal = c.carries_literal || announces_without_waiting(c.pieces[c.sent]);
            ++c.sent;
            waiting_ = c.sent < c.pieces.size();
            if (!waiting_ && !streaming_) out_ += "\r\n";
        }
        send_queued();
        return go_ahead{.command = c.id};
    }
    if (!unfinished_.empty() && unfinished_.back().how.interactive)
        return challenge{unfinished_.back().id, std::move(request.text)};
    needless_plus_ = true;
    return go_ahead{.command = 0};
}

} // namespace postferry::imap
