#include "directory/imap_provisioner.hpp"

#include "base/text.hpp"
#include "directory/fill.hpp"
#include "net/with_deadline.hpp"
#include "protocol/imap/mailbox_name.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace postferry::directory {

namespace asio = boost::asio;
using imap::status_kind;

namespace {

constexpr std::size_t page_size = 1000;
constexpr std::size_t block_octets = 16U << 10U;
constexpr std::size_t max_listed = 2'000'000; // accounts of one server

bool says_yes(const imap::status_response& status) noexcept { return status.kind == status_kind::ok; }

std::uint64_t kibibytes(std::uint64_t octets) noexcept { return octets / 1024 + (octets % 1024 != 0); }

} // namespace

/// Its members run on its strand; verb() brings them there.
class imap_provisioner::line : public std::enable_shared_from_this<line> {
  public:
    line(imap_admin_settings settings, executor ex, opener open)
        : settings_(std::move(settings)), strand_(asio::make_strand(std::move(ex))), open_(std::move(open)) {
        places_->limit("line", 1);
    }

    /// Carries out `work` (line& -> task<result<T>>) when the line is free, once more on a new connection if an old one
    /// turned out to be gone.
    template <class T, class Work> task<result<T>> verb(Work work) {
        auto self = shared_from_this();
        co_return co_await asio::co_spawn(strand_, take_turn<T>(self, std::move(work)), asio::use_awaitable);
    }

    [[nodiscard]] const executor& strand() const noexcept { return strand_; }
    void hang_up() noexcept { session_.reset(); }
    [[nodiscard]] const imap_admin_settings& settings() const noexcept { return settings_; }
    [[nodiscard]] client::imap_session& session() noexcept { return *session_; }
    [[nodiscard]] char delimiter() const noexcept { return delimiter_; }

    /// A user's INBOX as the administrator names it. Between the levels of netnews style a "." within a name is "^".
    [[nodiscard]] std::string root_of(const address& account) const {
        std::string name = filled(settings_.account_name, account);
        if (delimiter_ == '.') {
            const auto end = name.begin() + static_cast<std::ptrdiff_t>(std::min(name.find('@'), name.size()));
            std::replace(name.begin(), end, '.', '^');
        }
        return fmt::format("user{}{}", delimiter_, imap::encode_mutf7(name).value_or(name));
    }

    task<result<bool>> exists(std::string root) {
        bool found = false;
        imap::command_encoder command = session().encoder();
        command.raw("LIST \"\" ").astring(root);
        auto status = co_await session().run(command.take(), [&](imap::response& r) {
            const auto* told = std::get_if<imap::list_data>(&r);
            if (told != nullptr && told->name == root && !told->has("\\Noselect") && !told->has("\\NonExistent"))
                found = true;
        });
        if (!status) co_return std::unexpected(std::move(status.error()));
        if (!says_yes(*status))
            co_return std::unexpected(client::to_error(*status, phase::list, "the server does not list its accounts"));
        co_return found;
    }

    /// OK, or what the server said to it.
    task<result<void>> tell(imap::command_encoder command, std::string what) {
        auto status = co_await session().run(command.take());
        if (!status) co_return std::unexpected(std::move(status.error()));
        if (!says_yes(*status)) co_return std::unexpected(client::to_error(*status, phase::create, std::move(what)));
        co_return result<void>();
    }

    /// 0: no limit. In KiB, as the server keeps it.
    task<result<std::uint64_t>> quota(std::string root) {
        std::uint64_t limit = 0;
        imap::command_encoder command = session().encoder();
        command.raw("GETQUOTA ").astring(root);
        auto status = co_await session().run(command.take(), [&](imap::response& r) {
            if (const auto* told = std::get_if<imap::quota_data>(&r); told != nullptr && told->root == root)
                for (const auto& resource : told->resources)
                    if (resource.name == "STORAGE") limit = resource.limit;
        });
        if (!status) co_return std::unexpected(std::move(status.error()));
        co_return limit; // NO: it has no quota of its own
    }

    task<result<outcome>> set_quota(std::string root, std::string name, std::uint64_t octets) {
        auto now = co_await quota(root);
        if (!now) co_return std::unexpected(std::move(now.error()));
        if (*now == kibibytes(octets)) co_return outcome{.what = change::unchanged};
        imap::command_encoder command = session().encoder();
        command.raw("SETQUOTA ")
            .astring(root)
            .raw(octets == 0 ? std::string(" ()") : fmt::format(" (STORAGE {})", kibibytes(octets)));
        if (auto ok = co_await tell(std::move(command), fmt::format("the quota of {} was not set", name)); !ok)
            co_return std::unexpected(std::move(ok.error()));
        co_return outcome{.what = change::updated};
    }

  private:
    template <class T, class Work> static task<result<T>> take_turn(std::shared_ptr<line> self, Work work) {
        const std::vector<std::string> key{"line"};
        const auto turn = co_await self->places_->enter(key);
        const deadline until = deadline::in(self->settings_.patience);
        while (true) {
            if (!self->clean_) self->session_.reset(); // a verb was cut off in the middle of a command
            const bool old = self->session_ != nullptr;
            self->clean_ = false;
            auto done = co_await net::with_deadline<T>(self->once<T>(work), until, phase::create,
                                                       "the server did not answer in time");
            const bool alive = self->session_ && !self->session_->failure();
            self->clean_ = alive && (done || (done.error().cls != retry_class::cancelled && !until.passed()));
            if (done || alive || !old || done.error().cls != retry_class::transient || until.passed()) co_return done;
        }
    }

    template <class T, class Work> task<result<T>> once(Work& work) {
        if (auto ok = co_await connect(); !ok) co_return std::unexpected(std::move(ok.error()));
        co_return co_await work(*this);
    }

    task<result<void>> connect() {
        if (session_) co_return result<void>();
        auto made = open_ ? co_await open_(strand_, settings_.server)
                          : co_await client::imap_session::open(strand_, settings_.server,
                                                                std::make_shared<client::block_pool>(block_octets, 2));
        if (!made) co_return std::unexpected(std::move(made.error()));
        session_ = std::move(*made);
        co_return co_await learn_delimiter();
    }

    task<result<void>> learn_delimiter() {
        std::optional<char> told;
        auto status = co_await session_->run({"LIST \"\" \"\""}, [&](imap::response& r) { // RFC 3501, 6.3.8
            if (const auto* list = std::get_if<imap::list_data>(&r)) told = list->delimiter;
        });
        if (!status) co_return std::unexpected(std::move(status.error()));
        if (!told)
            co_return fail(retry_class::config, phase::list,
                           "the server does not say what is between the levels of its names");
        delimiter_ = *told;
        co_return result<void>();
    }

    imap_admin_settings settings_;
    executor strand_;
    opener open_;
    std::shared_ptr<net::gate> places_ = net::gate::make();
    std::unique_ptr<client::imap_session> session_;
    char delimiter_ = '/';
    bool clean_ = true;
};

imap_provisioner::imap_provisioner(imap_admin_settings settings, executor ex, opener open)
    : line_(std::make_shared<line>(std::move(settings), std::move(ex), std::move(open))) {}

/// The connection belongs to its strand, and goes there.
imap_provisioner::~imap_provisioner() {
    const executor ex = line_->strand();
    asio::post(ex, [last = std::move(line_)] { last->hang_up(); });
}

bool imap_provisioner::can(verb v) const noexcept {
    return v == verb::domain_create || v == verb::account_exists || v == verb::account_create || v == verb::set_quota ||
           v == verb::list_accounts;
}

task<result<check_report>> imap_provisioner::check() {
    co_return co_await line_->verb<check_report>([](line& at) -> task<result<check_report>> {
        using enum check_finding::grade;
        check_report out{.server = quote_server_text(at.session().greeting(), 100)};
        out.findings.push_back({good, fmt::format("logged in to {} as {}", at.session().peer(),
                                                  quote_server_text(at.settings().server.user))});
        auto root = co_await at.exists(fmt::format("user{}postferry-check", at.delimiter()));
        if (!root) co_return std::unexpected(std::move(root.error()));
        out.findings.push_back({good, fmt::format("accounts are named user{}NAME", at.delimiter())});
        for (const std::string_view extension : {"QUOTA", "ACL"})
            if (!at.session().capabilities().has(extension))
                out.findings.push_back({warning, fmt::format("the server has no {}", extension)});
        co_return out;
    });
}

task<result<outcome>> imap_provisioner::domain_create(domain_spec domain) {
    if (auto ok = validate(domain); !ok) co_return std::unexpected(std::move(ok.error()));
    co_return outcome{.what = change::existed, .note = "the server keeps no list of domains"};
}

task<result<bool>> imap_provisioner::account_exists(address account) {
    co_return co_await line_->verb<bool>(
        [account = std::move(account)](line& at) { return at.exists(at.root_of(account)); });
}

task<result<outcome>> imap_provisioner::account_create(account_spec account, create_mode mode) {
    if (auto ok = validate(account); !ok) co_return std::unexpected(std::move(ok.error()));
    if (!account.active)
        co_return std::unexpected(
            cannot_error("imap-admin", verb::suspend, "Suspend the account where the server looks its passwords up"));
    co_return co_await line_->verb<outcome>(
        [spec = std::move(account), mode](line& at) { return create_on(at, spec, mode); });
}

/// @param spec lives as long as the verb
task<result<outcome>> imap_provisioner::create_on(line& at, const account_spec& spec, create_mode mode) {
    const std::string root = at.root_of(spec.address);
    const std::string& name = spec.address.text();
    auto there = co_await at.exists(root);
    if (!there) co_return std::unexpected(std::move(there.error()));
    if (*there && mode == create_mode::create_only)
        co_return std::unexpected(exists_error(fmt::format("the account {} exists", name)));
    outcome out{.what = change::unchanged};
    if (!*there) {
        imap::command_encoder command = at.session().encoder();
        command.raw("CREATE ").astring(root);
        if (auto ok = co_await at.tell(std::move(command), fmt::format("the account {} was not created", name)); !ok) {
            // Two who create the same account: one of them is told so.
            if (ok.error().response_code == "ALREADYEXISTS") ok.error().cls = retry_class::config;
            co_return std::unexpected(std::move(ok.error()));
        }
        out.what = change::created;
        for (const auto& [identifier, rights] : at.settings().grants) {
            imap::command_encoder grant = at.session().encoder();
            grant.raw("SETACL ").astring(root).space().astring(identifier).space().astring(rights);
            if (auto ok = co_await at.tell(std::move(grant), fmt::format("{} was created, but {} got no rights on it",
                                                                         name, quote_server_text(identifier)));
                !ok)
                co_return std::unexpected(std::move(ok.error()));
        }
    }
    if (spec.quota) {
        auto set = co_await at.set_quota(root, name, *spec.quota);
        if (!set) co_return std::unexpected(std::move(set.error()));
        if (out.what == change::unchanged) out.what = set->what;
    }
    if (spec.password.form != new_password::kind::none) out.note = "the password was left out: this server keeps none";
    co_return out;
}

task<result<outcome>> imap_provisioner::set_quota(address account, std::uint64_t octets) {
    if (auto ok = validate_quota(octets); !ok) co_return std::unexpected(std::move(ok.error()));
    co_return co_await line_->verb<outcome>([account = std::move(account), octets](line& at) -> task<result<outcome>> {
        const std::string root = at.root_of(account);
        auto there = co_await at.exists(root);
        if (!there) co_return std::unexpected(std::move(there.error()));
        if (!*there) co_return std::unexpected(missing_error(fmt::format("there is no account {}", account.text())));
        co_return co_await at.set_quota(root, account.text(), octets);
    });
}

task<result<outcome>> imap_provisioner::set_password(address, new_password) {
    co_return std::unexpected(cannot_error("imap-admin", verb::set_password,
                                           "Set it where the server looks its passwords up (saslauthd, LDAP ...)"));
}

task<result<outcome>> imap_provisioner::suspend(address, bool) {
    co_return std::unexpected(
        cannot_error("imap-admin", verb::suspend, "Suspend the account where the server looks its passwords up"));
}

task<result<outcome>> imap_provisioner::alias_create(alias_spec) {
    co_return std::unexpected(
        cannot_error("imap-admin", verb::alias_create, "Aliases are the mail server's, such as Postfix's"));
}

task<result<void>> imap_provisioner::list_aliases(domain_name, page_handler<alias_entry>) {
    co_return std::unexpected(
        cannot_error("imap-admin", verb::list_aliases, "Aliases are the mail server's, such as Postfix's"));
}

// --- listing ---

namespace {

/// The account behind "user/NAME": decoded, "." for "^" where "." is the delimiter, with the domain it has none of.
std::optional<std::string> account_of(std::string_view name, char delimiter, std::string_view domain,
                                      bool with_domain) {
    const std::string prefix = fmt::format("user{}", delimiter);
    if (!name.starts_with(prefix)) return std::nullopt;
    std::string account =
        imap::decode_mutf7(name.substr(prefix.size())).value_or(std::string(name.substr(prefix.size())));
    const std::size_t at = std::min(account.find('@'), account.size());
    if (account.substr(0, at).contains(delimiter) || at == 0) return std::nullopt; // a folder
    if (delimiter == '.') std::replace(account.begin(), account.begin() + static_cast<std::ptrdiff_t>(at), '^', '.');
    if (!with_domain) return at == account.size() ? std::optional(fmt::format("{}@{}", account, domain)) : std::nullopt;
    if (at == account.size() || !iequals(std::string_view(account).substr(at + 1), domain)) return std::nullopt;
    return account;
}

} // namespace

task<result<void>> imap_provisioner::list_accounts(domain_name domain, page_handler<account_entry> take) {
    auto listed = co_await line_->verb<std::vector<std::string>>([&domain](line& at)
                                                                     -> task<result<std::vector<std::string>>> {
        const bool with_domain =
            at.settings().account_name.contains("{address}") || at.settings().account_name.contains("{domain}");
        std::vector<std::string> out;
        imap::command_encoder command = at.session().encoder();
        const std::string pattern = fmt::format("user{}%{}", at.delimiter(), with_domain ? "@" + domain.text() : "");
        command.raw("LIST \"\" ").string(pattern);
        auto status = co_await at.session().run(command.take(), [&](imap::response& r) {
            const auto* told = std::get_if<imap::list_data>(&r);
            if (told == nullptr || told->has("\\Noselect") || told->has("\\NonExistent") || out.size() >= max_listed)
                return;
            if (auto account = account_of(told->name, at.delimiter(), domain.text(), with_domain))
                out.push_back(std::move(*account));
        });
        if (!status) co_return std::unexpected(std::move(status.error()));
        if (!says_yes(*status))
            co_return std::unexpected(client::to_error(*status, phase::list, "the server does not list its accounts"));
        co_return out;
    });
    if (!listed) co_return std::unexpected(std::move(listed.error()));
    std::vector<account_entry> page;
    for (std::string& account : *listed) {
        page.push_back({.address = std::move(account)});
        if (page.size() < page_size) continue;
        if (auto ok = take(page); !ok) co_return ok;
        page.clear();
    }
    co_return page.empty() ? result<void>() : take(page);
}

} // namespace postferry::directory
