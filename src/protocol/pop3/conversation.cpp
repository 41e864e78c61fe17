#include "protocol/pop3/conversation.hpp"

#include "base/error.hpp"

#include <fmt/format.h>

#include <utility>

namespace postferry::pop3 {

command_id conversation::submit(command c) {
    queue_.push_back({.id = ++last_, .what = std::move(c), .status = {}});
    send_queued();
    return last_;
}

void conversation::set_pipelining(bool on) {
    pipelining_ = on;
    send_queued();
}

void conversation::send_queued() {
    while (!queue_.empty() && greeted_ && !poisoned_) {
        const bool waits = queue_.front().what.alone || !pipelining_ || (!sent_.empty() && sent_.back().what.alone);
        if (waits && !sent_.empty()) return;
        pending& p = sent_.emplace_back(std::move(queue_.front()));
        queue_.pop_front();
        out_ += p.what.line;
        out_ += "\r\n";
    }
}

void conversation::respond(std::string_view line) {
    out_ += line;
    out_ += "\r\n";
}

std::string conversation::take_output() {
    if (poisoned_) return {};
    return std::exchange(out_, {});
}

conversation::event conversation::poison(std::string what) {
    poisoned_ = true;
    out_.clear();
    return broken{std::move(what)};
}

conversation::event conversation::next() {
    if (poisoned_) return broken{"the connection was given up"};
    const bool asked = greeted_ && !sent_.empty();
    const command_id id = asked ? sent_.front().id : 0;
    reply_parser::event e = asked ? parser_.next(sent_.front().what.expects, sent_.front().what.interactive)
                                  : parser_.next(answer::line, false);
    if (std::holds_alternative<reply_parser::need_more>(e)) return need_more{};
    if (auto* bad = std::get_if<reply_parser::malformed>(&e)) return poison(std::move(bad->what));
    if (auto* s = std::get_if<reply_parser::status>(&e)) return on_status(std::move(*s));
    if (auto* l = std::get_if<reply_parser::listing_line>(&e)) return line{id, std::move(l->text)};
    if (auto* c = std::get_if<reply_parser::chunk>(&e)) return body_chunk{id, c->octets};
    if (auto* c = std::get_if<reply_parser::challenge>(&e)) return challenge{id, std::move(c->text)};
    return complete(std::move(sent_.front().status));
}

conversation::event conversation::on_status(reply_parser::status s) {
    if (!greeted_) {
        greeted_ = true;
        send_queued();
        return greeting{std::move(s.line)};
    }
    if (sent_.empty()) {
        if (!s.line.ok) return goodbye{std::move(s.line)};
        return poison(fmt::format("\"+OK {}\" that nothing asked for", quote_server_text(s.line.text, 80)));
    }
    if (!s.goes_on) return complete(std::move(s.line));
    sent_.front().status = std::move(s.line);
    if (sent_.front().what.expects == answer::body) return body_begin{sent_.front().id, sent_.front().status};
    return next();
}

conversation::event conversation::complete(status_line status) {
    const bool was_body = sent_.front().what.expects == answer::body;
    completed done{.command = sent_.front().id, .status = std::move(status)};
    sent_.pop_front();
    // A "." line within a message, from a server that adds no dots, would else end it early.
    const char behind = was_body ? parser_.peek() : '\0';
    if (behind != '\0' && behind != '-' && (behind != '+' || sent_.empty()))
        return poison("something that is no reply follows the end of a message");
    send_queued();
    return done;
}

} // namespace postferry::pop3
