#pragma once
// What small, good servers say to a command line, so that a hostile conversation gets deep before it goes wrong.
#include <string>
#include <string_view>

namespace postferry::fuzz {

inline std::string polite_pop3(std::string_view command) {
    const auto asks = [command](std::string_view word) { return command.starts_with(word); };
    if (asks("CAPA")) return "+OK\r\nUIDL\r\nTOP\r\nUSER\r\nPIPELINING\r\n.\r\n";
    if (asks("STAT")) return "+OK 2 36\r\n";
    if (asks("LIST")) return "+OK\r\n1 18\r\n2 18\r\n.\r\n";
    if (asks("UIDL")) return "+OK\r\n1 first\r\n2 second\r\n.\r\n";
    if (asks("RETR")) return "+OK\r\nSubject: a\r\n\r\nxy\r\n.\r\n";
    if (asks("TOP")) return "+OK\r\nSubject: a\r\n\r\n.\r\n";
    return "+OK\r\n";
}

inline std::string polite_lmtp(std::string_view command) {
    const auto asks = [command](std::string_view word) { return command.starts_with(word); };
    if (asks("LHLO")) return "250-mail.example.org\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000\r\n";
    if (asks("DATA")) return "354 go on\r\n";
    if (asks("QUIT")) return "221 2.0.0 bye\r\n";
    return "250 2.0.0 fine\r\n";
}

} // namespace postferry::fuzz
