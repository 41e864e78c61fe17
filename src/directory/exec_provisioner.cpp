#include "directory/exec_provisioner.hpp"

#include "base/text.hpp"
#include "directory/exec_lists.hpp"
#include "net/event.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <list>
#include <sys/stat.h>
#include <unistd.h>

namespace postferry::directory {

namespace asio = boost::asio;

namespace {

constexpr std::size_t page_size = 1000;
constexpr std::string_view place = "command";
constexpr std::string_view path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

using variables = std::vector<std::pair<std::string, std::string>>;

variables of(const address& account) {
    return {{"POSTFERRY_ADDRESS", account.text()},
            {"POSTFERRY_LOCAL", std::string(account.local())},
            {"POSTFERRY_DOMAIN", std::string(account.domain())}};
}

void add(variables& told, std::string name, const std::string& value) {
    if (!value.empty()) told.emplace_back(std::move(name), value);
}

template <class Number> void add(variables& told, std::string name, const std::optional<Number>& value) {
    if (value) told.emplace_back(std::move(name), std::to_string(*value));
}

std::string_view name_of(new_password::kind form) noexcept {
    return form == new_password::kind::plain ? "plain" : form == new_password::kind::hashed ? "hashed" : "none";
}

/// A command may say what it has done as the first word that it prints.
std::optional<change> said_change(std::string_view out) {
    const std::string_view word = out.substr(0, out.find_first_of(" \t\r\n"));
    for (const change c : {change::created, change::existed, change::updated, change::unchanged})
        if (word == name_of(c)) return c;
    return std::nullopt;
}

/// Fills pages and hands them on.
template <class Entry> class pages {
  public:
    explicit pages(page_handler<Entry>& take) : take_(&take) {}
    [[nodiscard]] result<void> add(Entry entry) {
        page_.push_back(std::move(entry));
        return page_.size() < page_size ? result<void>() : hand_over();
    }
    [[nodiscard]] result<void> hand_over() {
        if (page_.empty()) return {};
        auto ok = (*take_)(page_);
        page_.clear();
        return ok;
    }

  private:
    page_handler<Entry>* take_;
    std::vector<Entry> page_;
};

check_finding look_at(verb v, const std::string& program) {
    using enum check_finding::grade;
    const std::string who = fmt::format("{}: {}", name_of(v), quote_server_text(program));
    struct stat about{};
    if (::stat(program.c_str(), &about) != 0) return {fault, who + " is not there", "Name the program's absolute path"};
    if (!S_ISREG(about.st_mode) || ::access(program.c_str(), X_OK) != 0)
        return {fault, who + " cannot be run by us", "chmod +x"};
    if ((about.st_mode & S_IWOTH) != 0) return {fault, who + " can be written by anybody on this machine", "chmod o-w"};
    return {good, who};
}

} // namespace

exec_provisioner::exec_provisioner(exec_settings settings) : settings_(std::move(settings)) {
    places_->limit(std::string(place), std::max<std::size_t>(1, settings_.concurrency));
}

task<result<check_report>> exec_provisioner::check() {
    check_report out;
    for (const auto& [v, arguments] : settings_.commands) {
        if (out.server.empty()) out.server = quote_server_text(arguments.front());
        out.findings.push_back(look_at(v, arguments.front()));
    }
    if (!can(verb::account_create))
        out.findings.push_back(
            {check_finding::grade::warning, "there is no command for account-create: accounts cannot be made"});
    co_return out;
}

task<result<command_end>> exec_provisioner::run(verb v, variables told, secret input, line_handler take_line) {
    const auto found = settings_.commands.find(v);
    if (found == settings_.commands.end())
        co_return std::unexpected(cannot_error("exec", v, fmt::format("Name a command with {}", name_of(v))));
    told.emplace_back("POSTFERRY_VERB", name_of(v));
    told.emplace_back("PATH", path);
    told.emplace_back("HOME", "/");
    told.emplace_back("LC_ALL", "C.UTF-8");
    for (const std::string& name : settings_.pass_environment)
        if (const char* value = std::getenv(name.c_str()); value != nullptr)
            told.emplace_back(name, value); // NOLINT(concurrency-mt-unsafe)
    const std::vector<std::string> key{std::string(place)};
    const net::gate::permit inside = co_await places_->enter(key);
    co_return co_await run_command(
        {.arguments = found->second, .environment = std::move(told), .input = std::move(input)},
        deadline::in(settings_.patience), std::move(take_line));
}

error exec_provisioner::failed(verb v, const command_end& end) const {
    const std::string& program = settings_.commands.at(v).front();
    const std::string what = fmt::format("{} ended with {}", quote_server_text(program), end.exit_code);
    error why = fail(retry_class::permanent, phase::create, what).error();
    if (end.exit_code == settings_.missing_code)
        why = missing_error(what + ", which means that there is no such account or domain");
    if (end.exit_code == settings_.exists_code) why = exists_error(what + ", which means that it exists");
    if (end.exit_code == settings_.later_code) why.cls = retry_class::transient;
    const std::string_view words = end.err.empty() ? end.out : end.err;
    const std::string said = quote_server_text(words.substr(0, words.find_last_not_of(" \r\n") + 1));
    if (!said.empty()) why.server_said = fmt::format("\"{}\"", said);
    return why;
}

task<result<outcome>> exec_provisioner::change_by(verb v, variables told, change done, bool exists_is_good,
                                                  new_password password) {
    if (auto ok = validate(password); !ok) co_return std::unexpected(std::move(ok.error()));
    const std::string_view text = password.value.reveal();
    if (text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos)
        co_return fail(retry_class::config, phase::create,
                       "the password holds a line end or a NUL, which a command cannot be told");
    secret line;
    if (password.form != new_password::kind::none) {
        line = secret(fmt::format("{}\n", text));
        if (line.reveal().size() > max_input)
            co_return fail(retry_class::config, phase::create, "the password is longer than a command can be told");
    }
    auto end = co_await run(v, std::move(told), std::move(line));
    if (!end) co_return std::unexpected(std::move(end.error()));
    if (end->exit_code == 0) co_return outcome{.what = said_change(end->out).value_or(done)};
    if (end->exit_code == settings_.unchanged_code) co_return outcome{.what = change::unchanged};
    if (end->exit_code == settings_.exists_code && exists_is_good) co_return outcome{.what = change::existed};
    co_return std::unexpected(failed(v, *end));
}

// --- verbs ---

task<result<outcome>> exec_provisioner::domain_create(domain_spec domain) {
    if (auto ok = validate(domain); !ok) co_return std::unexpected(std::move(ok.error()));
    variables told{{"POSTFERRY_DOMAIN", domain.name.text()}, {"POSTFERRY_ACTIVE", domain.active ? "1" : "0"}};
    add(told, "POSTFERRY_DESCRIPTION", domain.description);
    add(told, "POSTFERRY_LANGUAGE", domain.language);
    add(told, "POSTFERRY_TIME_ZONE", domain.time_zone);
    add(told, "POSTFERRY_BRAND", domain.brand);
    add(told, "POSTFERRY_MAX_ACCOUNTS", domain.max_accounts);
    add(told, "POSTFERRY_MAX_ALIASES", domain.max_aliases);
    add(told, "POSTFERRY_MAX_ACCOUNT_QUOTA", domain.max_account_quota);
    add(told, "POSTFERRY_TOTAL_QUOTA", domain.total_quota);
    co_return co_await change_by(verb::domain_create, std::move(told), change::created, true);
}

task<result<bool>> exec_provisioner::account_exists(address account) {
    auto end = co_await run(verb::account_exists, of(account));
    if (!end) co_return std::unexpected(std::move(end.error()));
    if (end->exit_code == 0 || end->exit_code == settings_.exists_code) co_return true;
    if (end->exit_code == settings_.missing_code) co_return false;
    co_return std::unexpected(failed(verb::account_exists, *end));
}

task<result<outcome>> exec_provisioner::account_create(account_spec account, create_mode mode) {
    if (auto ok = validate(account); !ok) co_return std::unexpected(std::move(ok.error()));
    variables told = of(account.address);
    told.emplace_back("POSTFERRY_MODE", mode == create_mode::create_only ? "create-only" : "upsert");
    told.emplace_back("POSTFERRY_PASSWORD_FORM", name_of(account.password.form));
    told.emplace_back("POSTFERRY_ACTIVE", account.active ? "1" : "0");
    add(told, "POSTFERRY_NAME", account.name);
    add(told, "POSTFERRY_QUOTA", account.quota);
    add(told, "POSTFERRY_LANGUAGE", account.language);
    add(told, "POSTFERRY_TIME_ZONE", account.time_zone);
    co_return co_await change_by(verb::account_create, std::move(told), change::created, mode == create_mode::upsert,
                                 std::move(account.password));
}

struct exec_provisioner::rows {
    std::span<const account_spec> accounts;
    create_mode mode;
    std::vector<std::optional<result<outcome>>> out;
    std::size_t next = 0;
};

task<> exec_provisioner::create_some(rows& all) {
    while (all.next < all.accounts.size()) {
        const std::size_t mine = all.next++;
        all.out[mine].emplace(co_await account_create(all.accounts[mine], all.mode));
    }
}

/// Waits for all lanes whatever happens, for they work on what is the caller's; being cancelled is handed on to them.
task<bool> exec_provisioner::create_all(executor ex, rows& all) {
    co_await asio::this_coro::throw_if_cancelled(false);
    net::event done(ex);
    std::list<asio::cancellation_signal> signals;
    std::size_t at_work = std::min(settings_.concurrency, all.accounts.size());
    for (std::size_t i = at_work; i > 0; --i)
        asio::co_spawn(ex, create_some(all),
                       asio::bind_cancellation_slot(signals.emplace_back().slot(), [&](std::exception_ptr) {
                           --at_work;
                           done.notify();
                       }));
    while (at_work > 0) {
        co_await done.wait();
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() == asio::cancellation_type::none) continue;
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        for (auto& signal : signals) signal.emit(asio::cancellation_type::terminal);
    }
    co_return true;
}

task<std::vector<result<outcome>>> exec_provisioner::create_many(std::span<const account_spec> accounts,
                                                                 create_mode mode) {
    rows all{.accounts = accounts, .mode = mode, .out = {}};
    all.out.resize(accounts.size());
    const executor ex = co_await asio::this_coro::executor;
    co_await asio::co_spawn(ex, create_all(ex, all), asio::use_awaitable);
    std::vector<result<outcome>> out;
    out.reserve(all.out.size());
    for (auto& one : all.out) {
        if (one)
            out.push_back(std::move(*one));
        else
            out.emplace_back(fail(retry_class::cancelled, phase::create, "the account was not created: cancelled"));
    }
    co_return out;
}

task<result<outcome>> exec_provisioner::set_password(address account, new_password password) {
    if (password.form == new_password::kind::none)
        co_return fail(retry_class::config, phase::usage, "no password is named");
    variables told = of(account);
    told.emplace_back("POSTFERRY_PASSWORD_FORM", name_of(password.form));
    co_return co_await change_by(verb::set_password, std::move(told), change::updated, false, std::move(password));
}

task<result<outcome>> exec_provisioner::set_quota(address account, std::uint64_t octets) {
    if (auto ok = validate_quota(octets); !ok) co_return std::unexpected(std::move(ok.error()));
    variables told = of(account);
    told.emplace_back("POSTFERRY_QUOTA", std::to_string(octets));
    co_return co_await change_by(verb::set_quota, std::move(told), change::updated, false);
}

task<result<outcome>> exec_provisioner::suspend(address account, bool suspended) {
    variables told = of(account);
    told.emplace_back("POSTFERRY_SUSPENDED", suspended ? "1" : "0");
    co_return co_await change_by(verb::suspend, std::move(told), change::updated, false);
}

task<result<outcome>> exec_provisioner::alias_create(alias_spec alias) {
    if (auto ok = validate(alias); !ok) co_return std::unexpected(std::move(ok.error()));
    std::vector<std::string_view> targets;
    for (const address& target : alias.targets) targets.push_back(target.text());
    variables told = of(alias.address);
    told.emplace_back("POSTFERRY_TARGETS", fmt::format("{}", fmt::join(targets, " ")));
    co_return co_await change_by(verb::alias_create, std::move(told), change::created, true);
}

// --- lists ---

task<result<void>> exec_provisioner::list_accounts(domain_name domain, page_handler<account_entry> take) {
    pages<account_entry> filled(take);
    auto end = co_await run(verb::list_accounts, {{"POSTFERRY_DOMAIN", domain.text()}}, {},
                            [&filled](std::string_view line) -> result<void> {
                                if (line.empty()) return {};
                                auto entry = parse_account_line(line);
                                if (!entry) return std::unexpected(std::move(entry.error()));
                                return filled.add(std::move(*entry));
                            });
    if (!end) co_return std::unexpected(std::move(end.error()));
    if (end->exit_code != 0) co_return std::unexpected(failed(verb::list_accounts, *end));
    co_return filled.hand_over();
}

task<result<void>> exec_provisioner::list_aliases(domain_name domain, page_handler<alias_entry> take) {
    pages<alias_entry> filled(take);
    auto end = co_await run(verb::list_aliases, {{"POSTFERRY_DOMAIN", domain.text()}}, {},
                            [&filled](std::string_view line) -> result<void> {
                                if (line.empty()) return {};
                                auto entry = parse_alias_line(line);
                                if (!entry) return std::unexpected(std::move(entry.error()));
                                return filled.add(std::move(*entry));
                            });
    if (!end) co_return std::unexpected(std::move(end.error()));
    if (end->exit_code != 0) co_return std::unexpected(failed(verb::list_aliases, *end));
    co_return filled.hand_over();
}

} // namespace postferry::directory
