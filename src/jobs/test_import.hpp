#pragma once
// A store with a key, and a directory in memory, for what imports and makes accounts.
#include "jobs/import.hpp"
#include "jobs/provision.hpp"
#include "store/key_file.hpp"
#include "support/counting_connection.hpp"
#include "support/run_to_end.hpp"
#include "support/test_store.hpp"

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <unistd.h>

namespace postferry::jobs {

/// A directory that is a map; tells what it was asked.
class memory_directory final : public directory::provisioner {
  public:
    using verb = directory::verb;
    using outcome = directory::outcome;
    struct entry {
        directory::account_spec spec;
        bool suspended = false;
    };

    [[nodiscard]] std::string_view driver() const noexcept override { return "memory"; }
    [[nodiscard]] bool can(verb v) const noexcept override { return v != cannot; }
    task<result<directory::check_report>> check() override { co_return directory::check_report{}; }
    task<result<outcome>> domain_create(directory::domain_spec d) override {
        domains.insert_or_assign(d.name.text(), d);
        co_return outcome{.what = directory::change::created};
    }
    task<result<bool>> account_exists(directory::address a) override { co_return accounts.contains(a.text()); }
    task<result<outcome>> account_create(directory::account_spec a, directory::create_mode mode) override {
        ++calls;
        if (gone) co_return fail(retry_class::transient, phase::connect, "the directory does not answer");
        const auto at = accounts.find(a.address.text());
        if (at != accounts.end() && mode == directory::create_mode::create_only)
            co_return std::unexpected(directory::exists_error("the account " + a.address.text() + " exists"));
        if (at != accounts.end() && a.password.form == directory::new_password::kind::none)
            a.password = at->second.spec.password;
        const bool fresh = at == accounts.end();
        accounts.insert_or_assign(a.address.text(), entry{.spec = a});
        co_return outcome{.what = fresh ? directory::change::created : directory::change::updated};
    }
    task<std::vector<result<outcome>>> create_many(std::span<const directory::account_spec> all,
                                                   directory::create_mode mode) override {
        bites.push_back(all.size());
        co_return co_await provisioner::create_many(all, mode);
    }
    task<result<outcome>> set_password(directory::address a, directory::new_password p) override {
        const auto at = accounts.find(a.text());
        if (at == accounts.end()) co_return std::unexpected(directory::missing_error("there is no " + a.text()));
        at->second.spec.password = std::move(p);
        co_return outcome{.what = directory::change::updated};
    }
    task<result<outcome>> set_quota(directory::address a, std::uint64_t octets) override {
        accounts.at(a.text()).spec.quota = octets;
        co_return outcome{.what = directory::change::updated};
    }
    task<result<outcome>> suspend(directory::address a, bool yes) override {
        accounts.at(a.text()).suspended = yes;
        co_return outcome{.what = directory::change::updated};
    }
    task<result<outcome>> alias_create(directory::alias_spec a) override {
        std::string to;
        for (const auto& t : a.targets) to += (to.empty() ? "" : ",") + t.text();
        aliases.insert_or_assign(a.address.text(), to);
        co_return outcome{.what = directory::change::created};
    }
    task<result<void>> list_accounts(directory::domain_name d,
                                     directory::page_handler<directory::account_entry> take) override {
        std::vector<directory::account_entry> all;
        for (const auto& [address, _] : accounts)
            if (address.ends_with("@" + d.text())) all.push_back({.address = address});
        co_return take(all);
    }
    task<result<void>> list_aliases(directory::domain_name,
                                    directory::page_handler<directory::alias_entry> take) override {
        std::vector<directory::alias_entry> all;
        for (const auto& [address, to] : aliases) all.push_back({.address = address, .targets = {to}});
        co_return take(all);
    }

    /// "alice@new.org secret", a line each.
    [[nodiscard]] std::string passwords() const {
        std::string out;
        for (const auto& [address, e] : accounts)
            out += address + " " + std::string(e.spec.password.value.reveal()) + "\n";
        return out;
    }

    std::map<std::string, directory::domain_spec> domains;
    std::map<std::string, entry> accounts;
    std::map<std::string, std::string> aliases;
    std::vector<std::size_t> bites;
    int calls = 0;
    bool gone = false;
    std::optional<verb> cannot = {};
};

class accounts_test : public testing::TestWithParam<sql::dialect> {
  protected:
    template <class T> T wait_for(task<T> work) { return support::run_to_end(io_, std::move(work)); }
    template <class F> auto must(F f) {
        auto out = wait_for(db_->alone(std::move(f)));
        EXPECT_TRUE(out) << out.error().message();
        return std::move(out).value();
    }
    void SetUp() override {
        std::string pattern = testing::TempDir() + "postferry-import-XXXXXX";
        folder_ = mkdtemp(pattern.data());
        store::database_options options;
        options.clock = [this] { return now_.load(); };
        options.in_front = [this](auto db) {
            return std::make_unique<support::counting_connection>(std::move(db), asked_);
        };
        auto opened = store::database::open(place_.url(), options);
        ASSERT_TRUE(opened) << opened.error().message();
        db_ = std::move(*opened);
        ASSERT_TRUE(store::make_key_file(folder_ / "seal.key"));
        vault_ = std::move(store::vault::open(folder_ / "seal.key").value());
        must([this](store::tables& t) { return vault_->attach(t); });
        drivers_ = std::make_unique<driver_book>(io_.get_executor(), driver_book::settings_by_name{});
        drivers_->put("memory", directory_);
        desk_ = std::make_unique<provisioner_desk>(*db_, *vault_, *drivers_);
    }
    void TearDown() override {
        imports_.reset();
        desk_.reset();
        db_.reset();
        std::filesystem::remove_all(folder_);
    }

    import_desk& imports(import_options options = {}) {
        if (!imports_) imports_ = std::make_unique<import_desk>(*db_, *vault_, std::move(options));
        return *imports_;
    }
    import_view preview(const std::string& csv, import_form form) {
        const auto file = folder_ / "upload";
        std::ofstream(file) << csv;
        auto view = wait_for(imports().preview(file, std::move(form)));
        EXPECT_TRUE(view) << view.error().message();
        EXPECT_FALSE(std::filesystem::exists(file)) << "nothing of it has a name on the disk";
        return view.value_or(import_view{});
    }
    import_view commit(const import_view& of, bool skip = false) {
        auto view = wait_for(imports().commit(of.id, skip, "person/1"));
        EXPECT_TRUE(view) << view.error().message();
        return view.value_or(import_view{});
    }
    std::vector<std::string> faults(const import_view& of) {
        std::vector<std::string> out;
        for (const auto& f : imports().faults(of.id, 0, 1'000).value()) out.push_back(f.text());
        return out;
    }
    static import_form form(store::batch_mode mode, std::string batch = "first") {
        import_form f{.batch = std::move(batch), .mode = mode};
        f.settings.provisioning = "memory";
        f.defaults.source.url = "imaps://old.example.org";
        f.defaults.target.url = "imaps://new.example.org";
        f.check_hosts = false;
        return f;
    }
    std::vector<store::migration> mailboxes() {
        return must([](store::tables& t) { return t.migrations.list({}, {.limit = 5'000}); }).rows;
    }
    std::optional<store::account> account(const std::string& address) {
        return must([address](store::tables& t) { return t.directory.find_account(address); });
    }
    std::string password(store::record_id mailbox, std::string purpose) {
        auto kept = must([this, mailbox, purpose](store::tables& t) {
            return vault_->get(t, {.owner = std::to_string(mailbox), .purpose = purpose});
        });
        return kept ? std::string(kept->reveal()) : "(none)";
    }

    support::asked asked_;
    support::test_database place_{GetParam()};
    std::filesystem::path folder_;
    std::atomic<unix_ms> now_ = 1'795'370'400'000;
    boost::asio::io_context io_;
    std::unique_ptr<store::database> db_;
    std::unique_ptr<store::vault> vault_;
    std::shared_ptr<memory_directory> directory_ = std::make_shared<memory_directory>();
    std::unique_ptr<driver_book> drivers_;
    std::unique_ptr<provisioner_desk> desk_;
    std::unique_ptr<import_desk> imports_;
};

} // namespace postferry::jobs
