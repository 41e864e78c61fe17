#pragma once
#include "base/secret.hpp"
#include "net/connection.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace postferry::net {

/// "https://login.example.org/tenant/token": where and what. http:// is for this machine only (127.0.0.0/8, ::1,
/// localhost): what is sent there is as secret as a password.
struct http_url {
    endpoint where;
    bool tls = true;
    std::string target; ///< path and query, at least "/"
};
/// Errors: class config, a sentence; never repeats user information.
[[nodiscard]] result<http_url> parse_http_url(std::string_view url);

struct http_answer {
    unsigned status = 0;
    std::string body; ///< at most 64 kB
    std::optional<std::chrono::seconds> retry_after;
};

/// One POST (RFC 9110) over a connection of its own: certificate checked as `tls` says, at most 16 kB of header and
/// 64 kB of body are taken, no redirection is followed. Errors: as connection::open; protocol (the answer is no HTTP,
/// or too large); transient (time-out, closed in the middle).
/// @param tls mode is set by the URL  @param body sent as application/x-www-form-urlencoded
[[nodiscard]] task<result<http_answer>> http_post(executor ex, http_url url, tls_settings tls, secret body,
                                                  deadline until);

/// application/x-www-form-urlencoded (WHATWG URL, 5.2): "a=b&c=d+e"; values may be secrets.
class form_body {
  public:
    void add(std::string_view name, std::string_view value);
    [[nodiscard]] secret take() && { return secret(std::move(text_)); }

  private:
    std::string text_;
};

} // namespace postferry::net
