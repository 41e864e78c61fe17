#pragma once
// The new server's directory: domains, accounts, aliases. One interface, a driver per kind of server (bulk.md names
// them: sql, exec, imap-admin, none); directory/settings.hpp makes one from configuration.
#include "base/error.hpp"
#include "base/secret.hpp"
#include "directory/address.hpp"
#include "net/awaitable.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::directory {

enum class verb : std::uint8_t {
    domain_create,
    account_exists,
    account_create,
    set_password,
    set_quota,
    suspend,
    alias_create,
    list_accounts,
    list_aliases,
};
/// As in settings and reports: "domain-create", "account-exists" ...
[[nodiscard]] std::string_view name_of(verb v) noexcept;

/// What a verb has done.
enum class change : std::uint8_t {
    created,
    existed,   ///< was there already and was not to be changed
    updated,   ///< was there and is now as asked
    unchanged, ///< was there as asked
};
[[nodiscard]] std::string_view name_of(change c) noexcept;

struct outcome {
    change what = change::unchanged;
    std::string note =
        {}; ///< what the administrator should know all the same ("beyond the domain's limit of 10"); or empty
};

/// A password, or what a server keeps instead of one.
struct new_password {
    enum class kind : std::uint8_t {
        none,   ///< create: an account nobody can log in to; update: it stays
        plain,  ///< the driver hashes it as its settings say
        hashed, ///< "{SCHEME}..." as Dovecot writes it; stored as it is
    };
    kind form = kind::none;
    secret value = {};
};

enum class create_mode : std::uint8_t {
    create_only, ///< an account that exists is an error (is_exists), and nothing is touched
    upsert,      ///< an account that exists gets the password, name and quota that are named
};

struct domain_spec {
    domain_name name;
    std::string description = {};
    /// Nothing: the driver's default. 0: no limit.
    std::optional<std::uint32_t> max_accounts = {}, max_aliases = {};
    std::optional<std::uint64_t> max_account_quota = {}; ///< octets, for one account
    std::optional<std::uint64_t> total_quota = {};       ///< octets, for all of them
    std::string language = {}, time_zone = {}, brand = {};
    bool active = true;
};

struct account_spec {
    directory::address address;
    new_password password = {};
    std::string name = {};                   ///< the person's, UTF-8; empty: not named
    std::optional<std::uint64_t> quota = {}; ///< octets; 0: no limit; nothing: the driver's default, or as it is
    std::string language = {}, time_zone = {};
    bool active = true; ///< false: created suspended. An update leaves it alone; see suspend().
};

struct alias_spec {
    directory::address address;
    std::vector<directory::address> targets; ///< 1 .. 1000
};

struct account_entry {
    std::string address;                     ///< as the server spells it
    std::string name = {};                   ///< or empty
    std::optional<std::uint64_t> quota = {}; ///< octets; 0: no limit; nothing: unknown
    bool active = true;
};

struct alias_entry {
    std::string address; ///< "@domain" for what takes all
    std::vector<std::string> targets = {};
    bool active = true;
};

/// Gets the entries page by page, on the caller's executor, in no order that could be relied on; must not block. A
/// failure ends the listing and comes out of it. The entries are the callee's to take.
template <class Entry> using page_handler = std::function<result<void>(std::span<Entry>)>;

/// What was looked at before anything is done (preflight).
struct check_finding {
    enum class grade : std::uint8_t { good, warning, fault };
    grade how = grade::good;
    std::string text;        ///< "table mailbox: all columns are there"
    std::string advice = {}; ///< or empty
};
struct check_report {
    std::string server = {}; ///< what answered: "PostgreSQL 15.18", "Cyrus IMAP 3.6.1", "/usr/local/bin/accounts"
    std::vector<check_finding> findings = {};
    [[nodiscard]] bool good() const noexcept; ///< no fault among them
};

/// One server's directory. Every verb may be repeated: what is already as asked is no error (but see create_only).
/// Verbs may be called from any strand, several at once; each comes back on its caller's executor and ends by the
/// driver's patience (setting `patience`) at the latest.
///
/// Errors: config, response code ALREADYEXISTS (is_exists), NONEXISTENT (is_missing), CANNOT (the driver has no such
/// verb), LIMIT (the domain is full), else the reason in words; transient: not reachable, late; permanent:
/// the server refuses this one; local: this machine. Cancelling gives class cancelled or throws as Asio does; what the
/// server was doing then may or may not be done: repeat the verb.
class provisioner {
  public:
    provisioner() = default;
    virtual ~provisioner() = default;
    provisioner(const provisioner&) = delete;
    provisioner& operator=(const provisioner&) = delete;

    /// "sql", "exec", "imap-admin", "none"
    [[nodiscard]] virtual std::string_view driver() const noexcept = 0;
    /// false: calling it gives CANNOT.
    [[nodiscard]] virtual bool can(verb v) const noexcept = 0;

    /// Is it reachable, is it what was expected, may we do what we shall? Changes nothing.
    virtual task<result<check_report>> check() = 0;

    virtual task<result<outcome>> domain_create(domain_spec domain) = 0;
    virtual task<result<bool>> account_exists(address account) = 0;
    virtual task<result<outcome>> account_create(account_spec account, create_mode mode) = 0;
    /// One outcome per account, in their order; one that fails does not stop the others. What was not reached any more
    /// bears the reason. The accounts must live until it returns. Many at once are much faster than one by one where
    /// the driver is `sql`.
    virtual task<std::vector<result<outcome>>> create_many(std::span<const account_spec> accounts, create_mode mode);
    virtual task<result<outcome>> set_password(address account, new_password password) = 0;
    /// octets; 0: no limit
    virtual task<result<outcome>> set_quota(address account, std::uint64_t octets) = 0;
    /// true: nobody can log in, and whether mail is taken is the server's affair; false: as before.
    virtual task<result<outcome>> suspend(address account, bool suspended) = 0;
    /// An alias that exists with other targets becomes as asked (updated). An account's address is no alias:
    /// ALREADYEXISTS.
    virtual task<result<outcome>> alias_create(alias_spec alias) = 0;
    virtual task<result<void>> list_accounts(domain_name domain, page_handler<account_entry> take) = 0;
    /// Without those that an account's own address has.
    virtual task<result<void>> list_aliases(domain_name domain, page_handler<alias_entry> take) = 0;
};

/// What holds for every driver. Class config: names and texts that are no UTF-8, hold control characters or have more
/// than 255 octets, octets beyond 2^62, a hashed password that is none, an alias without targets or onto itself.
[[nodiscard]] result<void> validate(const account_spec& account);
[[nodiscard]] result<void> validate(const domain_spec& domain);
[[nodiscard]] result<void> validate(const alias_spec& alias);
[[nodiscard]] result<void> validate(const new_password& password);
[[nodiscard]] result<void> validate_quota(std::uint64_t octets);

/// The account (or what else the verb makes) is there already.
[[nodiscard]] bool is_exists(const error& why) noexcept;
/// There is no such account or domain.
[[nodiscard]] bool is_missing(const error& why) noexcept;

/// RFC 5530's words, for the drivers.
[[nodiscard]] error exists_error(std::string what, std::string advice = {});
[[nodiscard]] error missing_error(std::string what, std::string advice = {});
[[nodiscard]] error full_error(std::string what, std::string advice = {});
[[nodiscard]] error cannot_error(std::string_view driver, verb v, std::string_view advice = {});

} // namespace postferry::directory
