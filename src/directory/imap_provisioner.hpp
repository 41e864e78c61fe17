#pragma once
// The driver `imap-admin`: Cyrus, told by IMAP as its administrator (docs/provisioning.md).
#include "client/imap_session.hpp"
#include "directory/provisioner.hpp"
#include "net/gate.hpp"

#include <boost/asio/strand.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace postferry::directory {

struct imap_admin_settings {
    client::server_settings server = {}; ///< user: one of `admins` in imapd.conf
    /// What an account is called there: {local}, {domain} and {address} are filled in. "{local}" where virtdomains is
    /// off.
    std::string account_name = "{address}";
    /// Given on every new account's INBOX: identifier and rights (RFC 4314), ("postferry", "lrswipkxtecda").
    std::vector<std::pair<std::string, std::string>> grants = {};
    std::chrono::milliseconds patience{60'000}; ///< for a verb, from when the line is its own
};

/// One connection, opened when it is needed and again when it was lost; verbs take turns on it. Cyrus keeps neither
/// passwords nor aliases nor a list of domains: those verbs cannot be done, and a password that comes with an account
/// is said to be left out.
class imap_provisioner final : public provisioner {
  public:
    using opened = result<std::unique_ptr<client::imap_session>>;
    using opener = std::function<task<opened>(executor, client::server_settings)>;

    /// @param open nothing: connects (tests put a line of their own here)
    imap_provisioner(imap_admin_settings settings, executor ex, opener open = {});
    ~imap_provisioner() override;

    [[nodiscard]] std::string_view driver() const noexcept override { return "imap-admin"; }
    [[nodiscard]] bool can(verb v) const noexcept override;

    task<result<check_report>> check() override;
    task<result<outcome>> domain_create(domain_spec domain) override;
    task<result<bool>> account_exists(address account) override;
    task<result<outcome>> account_create(account_spec account, create_mode mode) override;
    task<result<outcome>> set_password(address account, new_password password) override;
    task<result<outcome>> set_quota(address account, std::uint64_t octets) override;
    task<result<outcome>> suspend(address account, bool suspended) override;
    task<result<outcome>> alias_create(alias_spec alias) override;
    task<result<void>> list_accounts(domain_name domain, page_handler<account_entry> take) override;
    task<result<void>> list_aliases(domain_name domain, page_handler<alias_entry> take) override;

  private:
    class line; // the connection; everything of it on its strand
    static task<result<outcome>> create_on(line& at, const account_spec& spec, create_mode mode);
    std::shared_ptr<line> line_;
};

} // namespace postferry::directory
