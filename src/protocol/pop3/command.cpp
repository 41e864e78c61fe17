#include "protocol/pop3/command.hpp"

#include <fmt/format.h>

namespace postferry::pop3 {

namespace {

constexpr std::string_view no_line_can_carry("\r\n\0", 3);
// A command line has at most 255 octets with its CRLF (RFC 2449, section 4); RFC 5034 lets the rest follow as an
// answer.
constexpr std::size_t longest_initial_line = 253;

std::optional<command> with_text(std::string_view verb, std::string_view text) {
    if (text.find_first_of(no_line_can_carry) != std::string_view::npos) return std::nullopt;
    return command{.line = fmt::format("{} {}", verb, text), .expects = answer::line, .alone = true};
}

} // namespace

command capa() { return {.line = "CAPA", .expects = answer::listing}; }
command stls() { return {.line = "STLS", .expects = answer::line, .alone = true}; }
command utf8() { return {.line = "UTF8", .expects = answer::line, .alone = true}; }
command stat() { return {.line = "STAT"}; }
command list() { return {.line = "LIST", .expects = answer::listing}; }
command uidl() { return {.line = "UIDL", .expects = answer::listing}; }
command retr(std::uint32_t number) { return {.line = fmt::format("RETR {}", number), .expects = answer::body}; }
command top(std::uint32_t number) { return {.line = fmt::format("TOP {} 0", number), .expects = answer::body}; }
command last() { return {.line = "LAST"}; }
command rset() { return {.line = "RSET"}; }
command quit() { return {.line = "QUIT", .expects = answer::line, .alone = true}; }

command auth(std::string_view mechanism, const std::optional<std::string>& initial) {
    command c{.line = fmt::format("AUTH {}", mechanism), .expects = answer::line, .alone = true, .interactive = true};
    if (initial && c.line.size() + 1 + initial->size() <= longest_initial_line) c.line += " " + *initial;
    return c;
}

std::optional<command> user(std::string_view name) { return with_text("USER", name); }
std::optional<command> pass(std::string_view password) { return with_text("PASS", password); }

} // namespace postferry::pop3
