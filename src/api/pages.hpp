#pragma once
// The pages that people see who have no login: plain HTML without scripts, behind links that work once.
//   /r/TOKEN            the owner of a mailbox gives its new password (recredential.hpp)
//   /first-owner/TOKEN  the first owner chooses name and password (first_owner.hpp)
// docs/recredential.md says what they promise.
#include "api/guard.hpp"
#include "api/login_throttle.hpp"
#include "http/message.hpp"
#include "jobs/login_check.hpp"
#include "store/database.hpp"
#include "store/vault.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace postferry::api {

/// Outlives the pages.
struct page_parts {
    store::database& db;
    guard& hashing;
    store::vault* vault = nullptr;           ///< none: there are no links
    jobs::login_check* old_server = nullptr; ///< none: no link for a password is taken
    std::function<void()> woken = {};
};

class pages {
  public:
    explicit pages(page_parts p);
    ~pages();
    pages(const pages&) = delete;
    pages& operator=(const pages&) = delete;

    /// The pattern of the page ("/r/{token}"), if the path is one's. For counting; says nothing about the token.
    [[nodiscard]] static std::optional<std::string_view> route_of(const http::exchange& x) noexcept;
    /// With every header that a page needs. An unknown, used, expired or forged link: one and the same 404.
    task<http::reply> handle(http::exchange& x);

  private:
    struct state;
    std::unique_ptr<state> state_;
};

/// A path as logs may show it: without the secret of a link.
[[nodiscard]] std::string shown_path(std::string_view path);

} // namespace postferry::api
