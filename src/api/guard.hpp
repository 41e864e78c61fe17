#pragma once
// Who is asking: the local socket, an API token, or a session's cookie.
#include "api/context.hpp"
#include "api/known_callers.hpp"
#include "api/login_throttle.hpp"
#include "base/secret.hpp"
#include "directory/hash_pool.hpp"
#include "store/database.hpp"

#include <chrono>
#include <memory>
#include <mutex>
#include <string_view>

namespace postferry::api {

struct guard_options {
    bool secure_cookies = false; ///< browsers see https: TLS here, or a proxy that makes it
    std::chrono::seconds idle{12 * 3600}, longest{7 * 24 * 3600}; ///< of a session
    std::chrono::milliseconds remember{1'000}; ///< who somebody is, before it is looked up again (known_callers)
};

/// What a role may do, and what a word of a token's scopes may ("read", "operate", "admin").
[[nodiscard]] access access_of(store::person_role role) noexcept;
[[nodiscard]] access access_of_scopes(std::string_view scopes) noexcept;

class guard {
  public:
    guard(store::database& db, std::shared_ptr<directory::hash_pool> hashing, guard_options options)
        : db_(db), hashing_(std::move(hashing)), options_(options),
          known_(std::make_shared<known_callers>(options.remember)) {}

    /// Nobody known is no failure: the caller may do what needs no sign-in. Refused (401): a token or a cookie that is
    /// not valid any more; 403: an unsafe request with a cookie and without its X-CSRF-Token.
    task<outcome<caller>> identify(http::exchange& x);
    /// Rights may have changed: whoever comes next is looked up.
    void forget() { known_->forget(); }
    /// Whether what was shown still holds: for streams, which outlive it. False as well when the store does not answer.
    task<bool> stands(const caller& who);
    /// 401 or 403 unless `who` may do it.
    [[nodiscard]] outcome<void> check(const caller& who, access needs) const;

    struct signed_in {
        store::session session;
        store::person person;
        secret cookie;
    };
    /// Checks name and password. 401: wrong, whatever of it; 429: too many wrong ones from this address, with
    /// Retry-After; 503: it could not be checked, which is nobody's failure. Whoever guesses one name from everywhere
    /// makes its answers slow (three seconds at most), and keeps nobody out.
    task<outcome<signed_in>> sign_in(http::exchange& x, std::string name, secret password);
    task<outcome<void>> sign_out(const caller& who);
    /// Argon2id, off the I/O threads.
    task<outcome<std::string>> hash_password(secret password);
    /// Set-Cookie's value; an empty cookie ends it.
    [[nodiscard]] std::string cookie_field(const secret& cookie) const;

  private:
    [[nodiscard]] std::string_view cookie_name() const noexcept;
    task<outcome<caller>> by_token(std::string token);
    task<outcome<caller>> by_cookie(http::exchange& x, std::string cookie);
    task<result<bool>> matches(secret password, std::string hash);
    task<outcome<std::string>> decoy();
    task<> slow_down(const std::string& name);

    store::database& db_;
    std::shared_ptr<directory::hash_pool> hashing_;
    guard_options options_;
    login_throttle throttle_;
    std::shared_ptr<known_callers> known_; ///< of reads that may be under way, too
    std::mutex mutex_;
    std::string
        decoy_; ///< under the mutex: hash of a password nobody has, so that unknown names take as long as known ones
};

} // namespace postferry::api
