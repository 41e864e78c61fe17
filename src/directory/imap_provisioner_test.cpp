// The driver `imap-admin` as transcripts; tests/integration/test_provisioning.py has a real Cyrus.
#include "directory/imap_provisioner.hpp"
#include "directory/test_directory.hpp"
#include "support/memory_line.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>

namespace postferry::directory {
namespace {

using enum create_mode;
using support::line_record;
using testing::HasSubstr;

/// Each text is what one connection says, after the login; the driver is asked on a context of its own.
class imap_provisioner_test : public testing::Test {
  protected:
    imap_provisioner& driver(std::vector<std::string> scripts) {
        settings.server.where = {.host = "mail.example.org", .port = 993};
        settings.server.user = "cyrus";
        scripts_ = std::move(scripts);
        driver_ = std::make_unique<imap_provisioner>(
            settings, io.get_executor(),
            [this](executor, client::server_settings with) { return open(std::move(with)); });
        return *driver_;
    }
    task<imap_provisioner::opened> open(client::server_settings with) {
        if (connections == scripts_.size()) co_return fail(retry_class::transient, phase::connect, "nobody there");
        records.push_back(std::make_shared<line_record>());
        auto line = std::make_unique<support::scripted_line>(
            "S: * PREAUTH [CAPABILITY IMAP4rev1 ACL QUOTA] cyrus here\n" + scripts_[connections++], records.back());
        line->encrypted_ = true;
        co_return co_await client::imap_session::open_on(std::move(line), std::move(with),
                                                         std::make_shared<client::block_pool>(65'536, 2));
    }
    /// Runs on the driver's own context.
    template <class T> T ask(task<T> work) {
        std::optional<T> out;
        boost::asio::co_spawn(
            io,
            [](task<T> w, std::optional<T>& into) -> task<> { into.emplace(co_await std::move(w)); }(std::move(work),
                                                                                                     out),
            [](std::exception_ptr) {});
        io.restart();
        io.run();
        return std::move(*out);
    }
    void TearDown() override {
        for (const auto& r : records) {
            EXPECT_THAT(r->complaints, testing::IsEmpty());
            EXPECT_TRUE(r->finished) << "the script was not played to its end";
        }
        driver_.reset();
    }

    boost::asio::io_context io{1};
    imap_admin_settings settings;
    std::vector<std::shared_ptr<line_record>> records;
    std::size_t connections = 0;

  private:
    std::vector<std::string> scripts_;
    std::unique_ptr<imap_provisioner> driver_;
};

TEST_F(imap_provisioner_test, an_account_is_created_with_quota_and_rights) {
    settings.grants = {{"postferry", "lrs"}};
    auto& d = driver({R"(
        C: P1 LIST "" ""
        S: * LIST (\Noselect) "/" ""
        S: P1 OK
        C: P2 LIST "" user/anna@example.org
        S: P2 OK
        C: P3 CREATE user/anna@example.org
        S: P3 OK
        C: P4 SETACL user/anna@example.org postferry lrs
        S: P4 OK
        C: P5 GETQUOTA user/anna@example.org
        S: P5 NO quota root does not exist
        C: P6 SETQUOTA user/anna@example.org (STORAGE 5)
        S: P6 OK)"});
    EXPECT_EQ(told(ask(d.account_create({.address = addr("anna@example.org"), .password = plain("x"), .quota = 4097},
                                        create_only))),
              "created (the password was left out: this server keeps none)");
}

TEST_F(imap_provisioner_test, netnews_style_writes_dots_as_circumflexes_and_names_may_be_local) {
    settings.account_name = "{local}";
    auto& d = driver({R"(
        C: P1 LIST "" ""
        S: * LIST (\Noselect) "." ""
        S: P1 OK
        C: P2 LIST "" user.anna^maria
        S: * LIST (\HasChildren) "." user.anna^maria
        S: P2 OK
        C: P3 LIST "" "user.%"
        S: * LIST (\HasChildren) "." user.anna^maria
        S: * LIST (\HasNoChildren) "." user.bela
        S: * LIST (\Noselect) "." user.gone
        S: * LIST () "." user.bela.Sent
        S: P3 OK)"});
    EXPECT_EQ(ask(d.account_exists(addr("anna.maria@example.org"))), true);
    std::string all;
    ASSERT_TRUE(ask(d.list_accounts(dom("example.org"), [&](std::span<account_entry> page) -> result<void> {
        for (const auto& e : page) all += e.address + " ";
        return {};
    })));
    EXPECT_EQ(all, "anna.maria@example.org bela@example.org ");
}

constexpr std::string_view start = R"(
        C: P1 LIST "" ""
        S: * LIST (\Noselect) "/" ""
        S: P1 OK
)";

TEST_F(imap_provisioner_test, what_exists_is_an_error_or_gets_its_quota) {
    auto& d = driver({std::string(start) + R"(
        C: P2 LIST "" user/a@b
        S: * LIST () "/" user/a@b
        S: P2 OK
        C: P3 LIST "" user/a@b
        S: * LIST () "/" user/a@b
        S: P3 OK
        C: P4 GETQUOTA user/a@b
        S: * QUOTA user/a@b (STORAGE 10 100)
        S: P4 OK
        C: P5 LIST "" user/a@b
        S: * LIST () "/" user/a@b
        S: P5 OK
        C: P6 GETQUOTA user/a@b
        S: * QUOTA user/a@b (STORAGE 10 100)
        S: P6 OK
        C: P7 SETQUOTA user/a@b ()
        S: P7 OK
        C: P8 LIST "" user/c@b
        S: P8 OK)"});
    EXPECT_EQ(told(ask(d.account_create({.address = addr("a@b")}, create_only))),
              "config ALREADYEXISTS: the account a@b exists");
    EXPECT_EQ(told(ask(d.account_create({.address = addr("a@b"), .quota = 102'400}, upsert))), "unchanged");
    EXPECT_EQ(told(ask(d.set_quota(addr("a@b"), 0))), "updated");
    EXPECT_EQ(told(ask(d.set_quota(addr("c@b"), 5))), "config NONEXISTENT: there is no account c@b");
}

TEST_F(imap_provisioner_test, a_refusal_keeps_the_servers_words) {
    auto& d = driver({std::string(start) + R"(
        C: P2 LIST "" user/a@b
        S: P2 OK
        C: P3 CREATE user/a@b
        S: P3 NO Permission denied
        C: P4 LIST "" user/a@b
        S: P4 OK
        C: P5 CREATE user/a@b
        S: P5 NO [ALREADYEXISTS] Mailbox already exists)"});
    const auto refused = ask(d.account_create({.address = addr("a@b")}, create_only));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().server_said, "\"NO Permission denied\"");
    EXPECT_EQ(refused.error().what, "the account a@b was not created");
    EXPECT_TRUE(is_exists(ask(d.account_create({.address = addr("a@b")}, create_only)).error()));
}

TEST_F(imap_provisioner_test, a_line_that_was_lost_between_two_verbs_is_opened_again) {
    const std::string once = std::string(start) + "C: P2 LIST \"\" user/a@b\nS: P2 OK\n";
    auto& d = driver({once + "C: P3 LIST \"\" user/a@b\nS: * BYE idle for too long\nS! .\n", once});
    EXPECT_EQ(ask(d.account_exists(addr("a@b"))), false);
    EXPECT_EQ(ask(d.account_exists(addr("a@b"))), false);
    EXPECT_EQ(connections, 2U);
}

TEST_F(imap_provisioner_test, what_cyrus_does_not_keep_cannot_be_done) {
    auto& d = driver({});
    EXPECT_EQ(told(ask(d.set_password(addr("a@b"), plain("x")))),
              "config CANNOT: the driver imap-admin cannot do set-password");
    EXPECT_FALSE(ask(d.alias_create({.address = addr("a@b"), .targets = {addr("c@d")}})));
    EXPECT_FALSE(ask(d.suspend(addr("a@b"), true)));
    EXPECT_EQ(told(ask(d.domain_create({.name = dom("b")}))), "existed (the server keeps no list of domains)");
    EXPECT_FALSE(d.can(verb::set_password));
    EXPECT_TRUE(d.can(verb::account_create));
    EXPECT_EQ(ask(d.account_exists(addr("a@b"))).error().what, "nobody there");
}

} // namespace
} // namespace postferry::directory
