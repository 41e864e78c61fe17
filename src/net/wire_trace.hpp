#pragma once
#include "net/connection.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace postferry::net {

/// Writes a conversation line by line for people: "12:34:56.789 #7 C: a1 SELECT INBOX". What could hold a secret never
/// comes out: arguments of LOGIN, AUTHENTICATE, AUTH and PASS in any case of letters, literals that belong to them, and
/// both directions of an authentication until its tagged (or final) answer. While that lasts everything the client says
/// is hidden, also a command that was pipelined behind it: too little is shown rather than too much. Lines are escaped
/// and at most 1 kB long. Not for two threads at once.
class wire_trace {
  public:
    using sink = std::function<void(std::string_view line)>; ///< without a line end
    using clock = std::function<std::chrono::system_clock::time_point()>;

    wire_trace() = default; ///< writes nothing and costs nothing
    wire_trace(sink to, std::uint64_t connection_number, clock now = std::chrono::system_clock::now);

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(to_); }

    /// What the client sends, with its tag; raw lines are all right, also several, also with CRLF.
    void command(std::string_view text);
    /// A line that is a secret as a whole, when the caller knows: a SASL response, a password in a literal.
    void secret_line(direction way);
    /// What the server sends, without its literals.
    void server_line(std::string_view text);
    /// A literal's place in the conversation: "<literal of 1234 octets>".
    void literal(std::uint64_t octets, direction way);
    /// A remark of ours: "connected to 192.0.2.1:993".
    void note(std::string_view text);

  private:
    void one_command(std::string_view line);
    void one_server_line(std::string_view line);
    void emit(std::string_view who, std::string_view text);

    sink to_;
    std::uint64_t number_ = 0;
    clock now_;
    bool authenticating_ = false; ///< since AUTHENTICATE or AUTH, until the final answer
    std::string tag_;             ///< of the authentication; empty where the protocol has no tags
    bool hides_rest_ = false;     ///< the last command ended in the announcement of a literal that is secret
};

} // namespace postferry::net
