#pragma once
#include "protocol/smtp/reply.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

namespace postferry::smtp {

/// Reads replies from octets as they come. Bounded: a line of at most 8 kB (RFC 5321, 4.5.3.1.5 says 512), at most 200
/// lines and 64 kB a reply. A bare LF ends a line, too. Whatever it cannot trust ends in `broken`, for good.
class reply_parser {
  public:
    struct need_more {};
    struct broken {
        std::string what; ///< ours, for people; what the server sent is in `said`, unescaped and bounded
        std::string said;
    };
    using event = std::variant<need_more, reply, broken>;

    void feed(std::string_view octets);
    [[nodiscard]] event next();
    /// Whether octets are there that no reply has taken: nothing may be, before TLS begins (CVE-2011-0411).
    [[nodiscard]] bool has_leftover() const noexcept { return at_ < buffer_.size() || !current_.lines.empty(); }

  private:
    event fail(std::string what, std::string_view said);

    std::string buffer_;
    std::size_t at_ = 0;   ///< what is read of it
    std::size_t seen_ = 0; ///< up to here there is no LF
    reply current_;
    std::size_t octets_ = 0; ///< of the current reply
    bool broken_ = false;
    broken why_;
};

} // namespace postferry::smtp
