#include "protocol/pop3/reply_parser.hpp"

#include "base/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace postferry::pop3 {

reply_parser::event reply_parser::give_up(std::string what) {
    what_is_wrong_ = std::move(what);
    rest_ = {};
    return malformed{what_is_wrong_};
}

reply_parser::event reply_parser::next(answer expects, bool interactive) {
    if (!what_is_wrong_.empty()) return malformed{what_is_wrong_};
    switch (part_) {
    case part::status: return on_status(expects, interactive);
    case part::listing: return on_listing();
    case part::body: return on_body();
    }
    return need_more{};
}

/// Between replies an empty line means nothing (docs/quirks.md#blank-line).
void reply_parser::skip_blank() noexcept {
    while (line_.empty() && !rest_.empty() && (rest_.front() == '\r' || rest_.front() == '\n')) rest_.remove_prefix(1);
}

char reply_parser::peek() noexcept {
    if (part_ != part::status) return 0;
    skip_blank();
    if (!line_.empty()) return line_.front();
    return rest_.empty() ? '\0' : rest_.front();
}

/// false: more octets are needed, or the line is too long (then given up).
bool reply_parser::take_line() {
    const std::size_t end = rest_.find('\n');
    const std::string_view piece = rest_.substr(0, end);
    if (line_.size() + piece.size() > limits_.line_octets) {
        (void)give_up(fmt::format("a line of more than {} octets", limits_.line_octets));
        return false;
    }
    line_ += piece;
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (end == std::string_view::npos) return false;
    if (line_.ends_with('\r')) line_.pop_back();
    return true;
}

reply_parser::event reply_parser::on_status(answer expects, bool interactive) {
    skip_blank();
    if (!take_line()) return what_is_wrong_.empty() ? event(need_more{}) : event(malformed{what_is_wrong_});
    const std::string line = std::exchange(line_, {});
    auto parsed = parse_status(line);
    if (!parsed && interactive && line.starts_with('+')) {
        const std::size_t text = std::min(line.find_first_not_of(' ', 1), line.size());
        return challenge{line.substr(text)};
    }
    if (!parsed) return give_up(fmt::format("\"{}\" where +OK or -ERR is due", quote_server_text(line, 80)));
    const bool goes_on = parsed->ok && expects != answer::line;
    if (goes_on) {
        part_ = expects == answer::body ? part::body : part::listing;
        at_ = at::line_start;
        lines_ = 0;
        octets_ = 0;
    }
    return status{.line = std::move(*parsed), .goes_on = goes_on};
}

reply_parser::event reply_parser::end_part() {
    part_ = part::status;
    return end{};
}

reply_parser::event reply_parser::on_listing() {
    if (!take_line()) return what_is_wrong_.empty() ? event(need_more{}) : event(malformed{what_is_wrong_});
    std::string line = std::exchange(line_, {});
    if (line == ".") return end_part();
    if (++lines_ > limits_.listing_lines)
        return give_up(fmt::format("a listing of more than {} lines", limits_.listing_lines));
    if (line.starts_with("..")) line.erase(0, 1);
    return listing_line{std::move(line)};
}

reply_parser::event reply_parser::on_body() {
    static constexpr std::string_view held_back = ".\r";
    while (true) {
        if (rest_.empty()) return need_more{};
        const char c = rest_.front();
        switch (at_) {
        case at::line_start:
            if (c != '.') return body_run();
            rest_.remove_prefix(1);
            at_ = at::dot;
            break;
        case at::dot:
            if (c == '\n') {
                rest_.remove_prefix(1);
                return end_part();
            }
            if (c == '.') return body_run(); // the one that was held back had been added
            if (c == '\r') {
                rest_.remove_prefix(1);
                at_ = at::dot_cr;
                break;
            }
            at_ = at::within;
            ++octets_;
            return chunk{held_back.substr(0, 1)};
        case at::dot_cr:
            if (c == '\n') {
                rest_.remove_prefix(1);
                return end_part();
            }
            at_ = at::within;
            octets_ += held_back.size();
            return chunk{held_back};
        case at::within: return body_run();
        }
    }
}

/// Everything up to the next line that begins with a dot.
reply_parser::event reply_parser::body_run() {
    std::size_t n = rest_.find("\n.");
    n = n == std::string_view::npos ? rest_.size() : n + 1;
    const std::string_view octets = rest_.substr(0, n);
    rest_.remove_prefix(n);
    at_ = octets.back() == '\n' ? at::line_start : at::within;
    octets_ += n;
    if (octets_ > limits_.body_octets)
        return give_up(fmt::format("a message of more than {} octets", limits_.body_octets));
    return chunk{octets};
}

} // namespace postferry::pop3
