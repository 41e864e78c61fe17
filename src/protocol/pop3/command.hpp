#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postferry::pop3 {

/// What follows a command's "+OK".
enum class answer : std::uint8_t {
    line,    ///< nothing more
    listing, ///< lines up to ".", one event each
    body,    ///< a message up to ".", streamed
};

/// A command line without CRLF and how its answer looks.
struct command {
    std::string line;
    answer expects = answer::line;
    bool alone = false;       ///< nothing may follow on the wire before it is answered (STLS, AUTH, PASS, QUIT)
    bool interactive = false; ///< "+ challenge" lines are handed to the caller (AUTH)
};

[[nodiscard]] command capa();
[[nodiscard]] command stls();
[[nodiscard]] command utf8();
[[nodiscard]] command stat();
[[nodiscard]] command list();
[[nodiscard]] command uidl();
[[nodiscard]] command retr(std::uint32_t number);
/// The header alone: TOP n 0.
[[nodiscard]] command top(std::uint32_t number);
/// RFC 1460: the highest message that was accessed. RFC 1939 dropped it.
[[nodiscard]] command last();
[[nodiscard]] command rset();
[[nodiscard]] command quit();
/// @param initial base64, "=" for an empty response, or nothing (RFC 5034, section 4). One that is too long for a
/// command line is left out: the server then asks for it with an empty challenge.
[[nodiscard]] command auth(std::string_view mechanism, const std::optional<std::string>& initial);
/// Nothing where the text holds what no line can carry (CR, LF, NUL).
[[nodiscard]] std::optional<command> user(std::string_view name);
[[nodiscard]] std::optional<command> pass(std::string_view password);

} // namespace postferry::pop3
