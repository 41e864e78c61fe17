#include "directory/fill.hpp"
#include "directory/settings.hpp"
#include "directory/test_directory.hpp"

#include <gmock/gmock.h>

namespace postferry::directory {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> faults(setting_list settings) {
    boost::asio::io_context io;
    const auto made = make_provisioner(std::move(settings), io.get_executor());
    std::vector<std::string> out;
    if (!made)
        for (const setting_fault& f : made.error()) out.push_back(f.text());
    return out;
}

std::string driver_of(setting_list settings) {
    boost::asio::io_context io;
    const auto made = make_provisioner(std::move(settings), io.get_executor());
    return made ? std::string((*made)->driver()) : made.error().front().text();
}

TEST(settings_test, each_driver_is_made_from_its_settings) {
    EXPECT_EQ(driver_of({{"driver", "none"}}), "none");
    EXPECT_EQ(driver_of({{"driver", "sql"},
                         {"database", "sqlite:/srv/mail.db"},
                         {"password-scheme", "argon2id"},
                         {"argon2_memory", "64 MiB"},
                         {"tables.mailbox", "mail.accounts"},
                         {"columns.mailbox.username", "login"},
                         {"maildir", "/srv/{domain}/{local}"},
                         {"limits", "report"},
                         {"quota_multiplier", std::int64_t{1}},
                         {"patience", std::int64_t{5}}}),
              "sql");
    EXPECT_EQ(
        driver_of({{"driver", "sql"}, {"database", "postgresql://pf@db.example.org/mail"}, {"password", secret("x")}}),
        "sql");
    EXPECT_EQ(driver_of({{"driver", "exec"},
                         {"account_create", setting::list{"/usr/local/bin/new", "--flag"}},
                         {"exists_code", std::int64_t{3}}}),
              "exec");
    EXPECT_EQ(driver_of({{"driver", "imap-admin"},
                         {"server", "imaps://cyrus@mail.example.org"},
                         {"password", "x"},
                         {"account_name", "{local}"},
                         {"grants", setting::list{"cyrus lrswipkxtecda"}}}),
              "imap-admin");
}

TEST(settings_test, all_faults_are_told_by_name_and_place) {
    EXPECT_THAT(faults({}), ElementsAre("driver: is missing"));
    EXPECT_THAT(faults({{"driver", "ldap", "f:3"}}),
                ElementsAre("f:3: driver: must be one of sql, exec, imap-admin, none"));
    EXPECT_THAT(
        faults({{"driver", "sql"},
                {"limits", "maybe", "f:4"},
                {"bcrypt_cost", std::int64_t{40}, "f:5"},
                {"batch", "many", "f:6"},
                {"maildir", "{home}/x", "f:7"},
                {"tables.alias", "a;b", "f:8"},
                {"columns.mailbox.user", "x", "f:9"},
                {"password_scheme", "MD5", "f:10"}}),
        ElementsAre("database: is missing",
                    "f:10: password_scheme: must be one of BLF-CRYPT, ARGON2ID, SHA512-CRYPT, SHA256-CRYPT, PLAIN",
                    "f:5: bcrypt_cost: must be from 4 to 18",
                    "f:8: tables.alias: must be a name of letters, digits and \"_\", with a schema's and a \".\" in "
                    "front if need be",
                    "f:9: columns.mailbox.user: PostfixAdmin's tables have no such column",
                    "f:7: maildir: \"{home}/x\" has braces that hold neither address, local nor domain",
                    "f:4: limits: must be one of respect, report, ignore", "f:6: batch: must be a whole number"));
    EXPECT_THAT(faults({{"driver", "exec"},
                        {"suspend", setting::list{"sh", "-c"}},
                        {"missing_code", std::int64_t{17}},
                        {"pass_environment", setting::list{"A=b"}}}),
                ElementsAre("suspend: must begin with the absolute path of a program",
                            "pass_environment: must hold names of variables, none that begins with POSTFERRY_",
                            "missing_code: must differ from exists_code"));
    EXPECT_THAT(faults({{"driver", "imap-admin"}, {"server", "pop3://x@y"}, {"grants", setting::list{"cyrus"}}}),
                ElementsAre("server: must be an imap:// or imaps:// URL", "password: is missing",
                            "grants: must be such as \"postferry lrswipkxtecda\" (RFC 4314)"));
    EXPECT_THAT(faults({{"driver", "imap-admin"}, {"server", "imaps://mail"}, {"password", "x"}}),
                ElementsAre(HasSubstr("must name the administrator")));
}

TEST(settings_test, unknown_and_repeated_names_are_told_with_what_there_is) {
    EXPECT_THAT(faults({{"driver", "none"}, {"password", secret("geheim"), "f:9"}}),
                ElementsAre("f:9: password: the driver none has no such setting; it has driver"));
    EXPECT_THAT(faults({{"driver", "sql"}, {"database", "sqlite:/x"}, {"data-base", "y"}}),
                ElementsAre(HasSubstr("data_base: the driver sql has no such setting; it has argon2_memory")));
    EXPECT_THAT(faults({{"driver", "sql"},
                        {"database", "sqlite:/x"},
                        {"bcrypt_cost", std::int64_t{5}},
                        {"bcrypt-cost", std::int64_t{6}, "f:2"}}),
                ElementsAre("f:2: bcrypt_cost: is there twice"));
}

TEST(settings_test, a_password_in_a_url_is_refused_and_not_repeated) {
    for (auto& one : faults({{"driver", "sql"}, {"database", "postgresql://pf:geheim@db/mail"}}))
        EXPECT_THAT(one, Not(HasSubstr("geheim")));
    EXPECT_FALSE(
        faults({{"driver", "imap-admin"}, {"server", "imaps://cyrus:geheim@mail"}, {"password", "x"}}).empty());
    for (auto& one : faults({{"driver", "imap-admin"}, {"server", "imaps://cyrus:geheim@mail"}, {"password", "x"}}))
        EXPECT_THAT(one, Not(HasSubstr("geheim")));
}

TEST(settings_test, the_driver_none_says_that_all_exist) {
    boost::asio::io_context io;
    const auto none = make_provisioner({{"driver", "none"}}, io.get_executor()).value();
    EXPECT_TRUE(run(none->check())->good());
    EXPECT_EQ(run(none->account_exists(addr("a@b"))), true);
    EXPECT_EQ(told(run(none->account_create({.address = addr("a@b")}, create_mode::upsert))), "existed");
    EXPECT_TRUE(is_exists(run(none->account_create({.address = addr("a@b")}, create_mode::create_only)).error()));
    EXPECT_EQ(told(run(none->suspend(addr("a@b"), true))), "config CANNOT: the driver none cannot do suspend");
    EXPECT_FALSE(none->can(verb::suspend));
    const std::vector<account_spec> two{{.address = addr("a@b")}, {.address = addr("c@d")}};
    EXPECT_EQ(run(none->create_many(two, create_mode::upsert)).size(), 2U);
}

TEST(fill_test, names_are_filled_in_and_odd_patterns_refused) {
    EXPECT_EQ(filled("{domain}/{local}/ {address}", addr("a@b.c")), "b.c/a/ a@b.c");
    EXPECT_EQ(filled("x", addr("a@b")), "x");
    EXPECT_TRUE(check_pattern("{local}"));
    for (const char* pattern : {"", "same", "{domain}/", "{user}{local}", "{local}{", "../{local}", "{local}\n"}) {
        EXPECT_FALSE(check_pattern(pattern)) << pattern;
        (void)filled(pattern, addr("a@b"));
    }
}

} // namespace
} // namespace postferry::directory
