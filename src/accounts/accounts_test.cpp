#include "accounts/accounts.hpp"
#include "accounts/csv.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace postferry::accounts {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

result<account_list> read(std::string text, const account_defaults& defaults = {}) {
    auto reader = csv_reader::over(std::make_unique<std::istringstream>(std::move(text)));
    if (!reader) return std::unexpected(reader.error());
    return read_accounts(*reader, "accounts.csv", defaults);
}

account_list must(std::string text, const account_defaults& defaults = {}) {
    auto list = read(std::move(text), defaults);
    EXPECT_TRUE(list) << (list ? "" : list.error().message());
    return list ? std::move(*list) : account_list{};
}

std::vector<std::string> faults(const account_list& list) {
    std::vector<std::string> out;
    for (const auto& f : list.faults) out.push_back(f.text());
    return out;
}

std::string refusal(std::string text) {
    auto list = read(std::move(text));
    return list ? "accepted" : list.error().message();
}

const account_defaults both{.source = {.url = "imaps://old.example.org", .password = {}},
                            .target = {.url = "imap://new.example.org:1143?tls=require&ca=x.pem", .password = {}}};

TEST(accounts, postferry_rows_complete_the_defaults) {
    const auto list = must("source_user,source_password,target_user,target_password\n"
                           "alice,a1,alice@new,a2\n"
                           "bob,b1,,b2\n",
                           both);
    EXPECT_THAT(faults(list), ElementsAre());
    ASSERT_EQ(list.accounts.size(), 2U);
    EXPECT_EQ(list.accounts[0].source().display(), "imaps://alice@old.example.org");
    EXPECT_EQ(list.accounts[0].source().password.reveal(), "a1");
    EXPECT_EQ(list.accounts[0].target().display(), "imap://alice%40new@new.example.org:1143");
    EXPECT_EQ(list.accounts[0].target().tls.ca_file, "x.pem");
    EXPECT_EQ(list.accounts[0].target().password.reveal(), "a2");
    EXPECT_EQ(list.accounts[1].target().user, "bob"); // no target_user: the same
    EXPECT_EQ(list.accounts[1].row(), 3U);
    EXPECT_EQ(list.summary, "accounts.csv: preset postferry, separator \",\", UTF-8, 2 rows");
}

TEST(accounts, rows_that_share_a_target_are_named) {
    const auto list = must("source_user,source_password,target_user,target_password\n"
                           "alice,a,alice,x\n"
                           "bob,b,alice,x\n"
                           "carol,c,carol,x\n"
                           "dora,d,alice,x\n",
                           both);
    EXPECT_THAT(faults(list), ElementsAre());
    EXPECT_EQ(list.accounts.size(), 4U);
    EXPECT_THAT(list.notes, ElementsAre("rows 2 and 3 and 1 more go to the same mailbox, "
                                        "imap://alice@new.example.org:1143: what they hold becomes one"));
}

TEST(accounts, a_row_with_two_faults_is_one_faulty_row) {
    const auto list = must("source_user,source_password,target_user,target_password\nalice,a,alice,a\n");
    EXPECT_EQ(list.fault_count, 2U);
    EXPECT_EQ(list.faulty_rows, 1U);
    EXPECT_EQ(list.rows, 1U);
}

TEST(accounts, columns_override_the_defaults) {
    const auto list = must("source_user;source_password;source_host;source_port;source_protocol;source_tls;target_url;"
                           "target_password\n"
                           "alice;a1;10.0.0.1;;imap;require;imaps://al@third.example.org:10993;a2\n"
                           "bob;b1;;1993;;;;b2\n",
                           both);
    EXPECT_THAT(faults(list), ElementsAre());
    ASSERT_EQ(list.accounts.size(), 2U);
    EXPECT_EQ(list.accounts[0].source().display(), "imap://alice@10.0.0.1");
    EXPECT_EQ(list.accounts[0].source().tls.mode, net::tls_mode::require);
    EXPECT_EQ(list.accounts[0].target().display(), "imaps://al@third.example.org:10993");
    EXPECT_EQ(list.accounts[1].source().display(), "imaps://bob@old.example.org:1993");
    EXPECT_EQ(list.accounts[1].target().display(), "imap://bob@new.example.org:1143");
}

TEST(accounts, a_source_url_overrides_everything_else_in_the_row) {
    const auto list = must("source_url,source_user,source_host,source_port,source_password,target_password\n"
                           "imap://x@h1,ignored,h2,99,p,q\n",
                           both);
    ASSERT_EQ(list.accounts.size(), 1U);
    EXPECT_EQ(list.accounts[0].source().display(), "imap://x@h1");
}

TEST(accounts, placeholders_are_filled_from_the_row) {
    const account_defaults d{.source = {.url = "imaps://{local}@imap.{domain}", .password = {}},
                             .target = {.url = "imaps://{user}@new.example.org?prefix={local}", .password = {}}};
    const auto list =
        must("source_user,source_password,target_password\nalice@a.org,1,2\nbob@b.org,1,2\ncarol,1,2\n", d);
    ASSERT_EQ(list.accounts.size(), 2U);
    EXPECT_EQ(list.accounts[0].source().display(), "imaps://alice@imap.a.org");
    EXPECT_EQ(list.accounts[0].target().display(), "imaps://alice%40a.org@new.example.org");
    EXPECT_EQ(list.accounts[0].target().prefix, "alice");
    EXPECT_EQ(list.accounts[1].source().display(), "imaps://bob@imap.b.org");
    EXPECT_THAT(faults(list), ElementsAre(HasSubstr("row 4: --source: {domain} cannot be filled")));
}

TEST(accounts, passwords_come_from_the_row_the_defaults_or_the_admin) {
    account_defaults d{.source = {.url = "imaps://old?admin=root", .password = secret("adminpw")},
                       .target = {.url = "imaps://new", .password = secret("common")}};
    const auto list = must("source_user,source_password,target_password\nalice,hers,own\nbob,,\n", d);
    ASSERT_EQ(list.accounts.size(), 2U);
    EXPECT_EQ(list.accounts[0].source().password.reveal(), "adminpw"); // the login is the admin's
    EXPECT_EQ(list.accounts[0].target().password.reveal(), "own");
    EXPECT_EQ(list.accounts[1].target().password.reveal(), "common");
    const account_defaults certificate{.source = {.url = "imaps://old?auth=external&cert=c&key=k", .password = {}},
                                       .target = {.url = "imaps://new?auth=xoauth2", .password = secret("token")}};
    const auto none = must("source_user\nalice\n", certificate);
    ASSERT_EQ(none.accounts.size(), 1U);
    EXPECT_TRUE(none.accounts[0].source().password.empty());
    EXPECT_EQ(none.accounts[0].target().password.reveal(), "token");
}

TEST(accounts, every_fault_has_row_and_column) {
    const auto list = must("source_user,source_password,source_port,source_protocol,source_tls,source_host,target_user,"
                           "target_password\n"
                           ",p,,,,,,q\n"
                           "alice,,0,mbox,maybe,no host!,al,\n"
                           "\"x\n\",p,,,,,@b,q\n"
                           "bob,p\n"
                           "carol,p,,,,,carol,q\n"
                           "carol,p,,,,,carol,q\n",
                           both);
    EXPECT_EQ(list.accounts.size(), 1U);
    EXPECT_EQ(list.rows, 6U);
    EXPECT_THAT(faults(list),
                ElementsAre("row 2, source_user: is empty", "row 2, target_user: is empty",
                            HasSubstr("row 3, source_protocol: must be a protocol; a place on this machine"),
                            HasSubstr("row 3, source_host: \"no host!\" is no host name"),
                            "row 3, source_port: must be a number from 1 to 65535",
                            "row 3, source_tls: must be detect, require, implicit or off",
                            HasSubstr("row 3, target_password: is empty, and there is no --target-password-file"),
                            "row 4, target_user: has nothing before the @",
                            "row 5 (line 6): has 2 columns, the header has 8",
                            "row 7 (line 8): is the same source and target as row 6"));
    EXPECT_EQ(list.fault_count, list.faults.size());
    EXPECT_THAT(list.summary, HasSubstr("6 rows, 10 faults"));
}

TEST(accounts, blanks_around_a_user_are_not_part_of_it_and_hard_ones_are_a_fault) {
    const auto list = must("source_user,source_password,target_user,target_password\n"
                           "u01 ,p, u02\t,q\n"
                           "u03\xc2\xa0,p,u03,q\n"
                           "u 04,p,u 04,q\n",
                           both);
    EXPECT_THAT(faults(list), ElementsAre("row 3, source_user: begins or ends with a hard blank (U+00A0)"));
    ASSERT_EQ(list.accounts.size(), 2U);
    EXPECT_EQ(list.accounts[0].source().user, "u01");
    EXPECT_EQ(list.accounts[0].target().user, "u02");
}

TEST(accounts, a_mailbox_onto_itself_is_a_fault) {
    const auto list = must("source_user,source_url,source_password,target_url,target_password\n"
                           "a,imaps://a@h,p,imaps://a@h,p\n");
    EXPECT_THAT(faults(list), ElementsAre("row 2: source and target are the same mailbox"));
    EXPECT_THAT(faults(must("source_user,source_password,target_password\na,p,p\n")),
                ElementsAre("row 2, source_host: is empty, and there is no --source to complete it",
                            "row 2, target_host: is empty, and there is no --target to complete it"));
}

TEST(accounts, unknown_and_unused_columns_are_named) {
    EXPECT_THAT(refusal("source_user,source_pasword\nx,y\n"), HasSubstr("row 1, column 2: \"source_pasword\""));
    EXPECT_THAT(refusal("source_user,SOURCE_USER\nx,y\n"), HasSubstr("twice"));
    const auto list = must("source_user,source_password,target_password,quota,notify\na,p,q,1GB,x@y\n", both);
    EXPECT_EQ(list.accounts.size(), 1U);
    EXPECT_THAT(list.notes, ElementsAre(HasSubstr("not used: quota, notify")));
}

TEST(accounts, microsoft) {
    account_defaults d = both;
    d.target.password = secret("adminpw");
    d.target.url = "imaps://new?admin=root";
    const auto list =
        must("\xef\xbb\xbf"
             "EmailAddress,UserName,Password,UserRoot\r\nalice@new.org,DOM/alice,pw,/\r\nbob@new.org,bob,pw,/x\r\n",
             d);
    EXPECT_EQ(list.preset, csv_preset::microsoft);
    ASSERT_EQ(list.accounts.size(), 1U);
    EXPECT_EQ(list.accounts[0].source().user, "DOM/alice");
    EXPECT_EQ(list.accounts[0].source().password.reveal(), "pw");
    EXPECT_EQ(list.accounts[0].target().user, "alice@new.org");
    EXPECT_EQ(list.accounts[0].target().password.reveal(), "adminpw");
    EXPECT_THAT(faults(list), ElementsAre(HasSubstr("row 3, UserRoot: names a part of a mailbox")));
    // The row's password is the old server's; it is never tried on the new one.
    EXPECT_THAT(faults(must("EmailAddress,UserName,Password\na@b,a,pw\n", both)),
                ElementsAre(HasSubstr("target_password: is empty")));
    EXPECT_THAT(refusal("emailaddress,username,password\na,b,c\n"), HasSubstr("written exactly so"));
    EXPECT_THAT(refusal("EmailAddress,UserName\na,b\n"), HasSubstr("needs a column Password"));
}

TEST(accounts, imapsync) {
    const auto list = must("# host1;user1;password1;host2;user2;password2;\n"
                           "old;alice;a,1;new;al;a2;\n"
                           "\n"
                           "#old;gone;x;new;gone;x;\n"
                           "old;bob;b1;new;;b2\n"
                           "old;carol;c1;new;carol;c2;--ssl1\n"
                           "old;dave;d1\n");
    EXPECT_EQ(list.preset, csv_preset::imapsync);
    ASSERT_EQ(list.accounts.size(), 2U);
    EXPECT_EQ(list.accounts[0].source().display(), "imap://alice@old");
    EXPECT_EQ(list.accounts[0].source().tls.mode, net::tls_mode::detect);
    EXPECT_EQ(list.accounts[0].source().password.reveal(), "a,1");
    EXPECT_EQ(list.accounts[0].target().display(), "imap://al@new");
    EXPECT_EQ(list.accounts[1].target().user, "bob");
    EXPECT_THAT(faults(list), ElementsAre("row 6, options: imapsync's own options are not understood",
                                          "row 7: has 3 columns, the imapsync preset has 6"));
}

TEST(accounts, icewarp) {
    const auto list = must("alice:hunter2:example.org\n"
                           "bob@example.org:\" a:b\"\n"
                           "carol@old.org:pw:new.org\n"
                           "dora:pw\n"
                           "eve:pa:ss:wo:rd\n"
                           "frank\n",
                           both);
    EXPECT_EQ(list.summary, "accounts.csv: preset icewarp, separator \":\", UTF-8, 6 rows, 2 faults");
    ASSERT_EQ(list.accounts.size(), 4U);
    EXPECT_EQ(list.accounts[0].source().user, "alice@example.org");
    EXPECT_EQ(list.accounts[0].target().user, "alice@example.org");
    EXPECT_EQ(list.accounts[0].target().password.reveal(), "hunter2");
    EXPECT_EQ(list.accounts[1].source().password.reveal(), " a:b");
    EXPECT_EQ(list.accounts[2].source().user, "carol@old.org");
    EXPECT_EQ(list.accounts[2].target().user, "carol@new.org");
    EXPECT_EQ(list.accounts[3].target().user, "dora");
    EXPECT_THAT(faults(list),
                ElementsAre("row 5: has 5 columns, user:password:domain has 3; quote a password with a \":\"",
                            "row 6: has no password: the icewarp preset is user:password[:domain]"));
}

TEST(accounts, opensrs) {
    account_defaults d = both;
    d.source.url = "";
    d.target.password = secret("adminpw");
    d.target.url = "imaps://new?admin=root";
    const std::string rows = "alice@new.org,alice@old.org, pw ,old.org:1993,imap4s\n"
                             "bob@new.org,bob,pw,[::1]:110,pop3\n"
                             "carol@new.org,carol,pw,old.org,imap4\n"
                             "dora@new.org,dora,pw,old.org:x,imap4\n"
                             "eve@new.org,eve,pw,old.org:1,smtp\n";
    for (const std::string header : {"", "local,remote,password,server,method\n"}) {
        const auto list = must(header + rows, d);
        EXPECT_EQ(list.preset, csv_preset::opensrs);
        EXPECT_EQ(list.rows, 5U);
        ASSERT_EQ(list.accounts.size(), 3U);
        EXPECT_EQ(list.accounts[0].source().display(), "imaps://alice%40old.org@old.org:1993");
        EXPECT_EQ(list.accounts[0].source().password.reveal(), " pw ");
        EXPECT_EQ(list.accounts[0].target().display(), "imaps://alice%40new.org@new");
        EXPECT_EQ(list.accounts[1].source().display(), "pop3://bob@[::1]");
        EXPECT_EQ(list.accounts[2].source().display(), "imap://carol@old.org");
        EXPECT_EQ(list.fault_count, 2U);
        EXPECT_THAT(faults(list)[0], HasSubstr("server: must be host:port"));
        EXPECT_THAT(faults(list)[1], HasSubstr("method: the endpoint's scheme is not known"));
    }
}

TEST(accounts, a_domain_completes_the_user_on_the_new_server) {
    const auto list = must("source_user,source_password,target_user,target_password,domain\n"
                           "alice,p,,q,new.org\nbob,p,bob@NEW.org,q,new.org\ncarol,p,carol@x.org,q,new.org\n",
                           both);
    ASSERT_EQ(list.accounts.size(), 2U);
    EXPECT_EQ(list.accounts[0].source().user, "alice");
    EXPECT_EQ(list.accounts[0].target().user, "alice@new.org");
    EXPECT_EQ(list.accounts[1].target().user, "bob@NEW.org");
    EXPECT_THAT(faults(list), ElementsAre("row 4, domain: is not the domain of the address in this row"));
}

TEST(accounts, an_unknown_shape_is_refused_without_repeating_the_row) {
    EXPECT_THAT(refusal("alice,hunter2,bob,hunter2\n"), HasSubstr("no header, and 4 columns separated by \",\""));
    EXPECT_EQ(refusal("alice,hunter2\n").find("hunter2"), std::string::npos);
    EXPECT_THAT(refusal(""), HasSubstr("is empty"));
    EXPECT_THAT(refusal("source_user,source_password\n"), HasSubstr("no rows"));
}

TEST(accounts, faults_are_counted_on_and_kept_within_bounds) {
    std::string text = "source_user,source_password,target_password\n";
    for (int i = 0; i < 3000; ++i) text += "user" + std::to_string(i) + ",,x\n";
    const auto list = must(text, both);
    EXPECT_EQ(list.faults.size(), account_list::max_faults);
    EXPECT_EQ(list.fault_count, 3000U);
}

TEST(accounts, latin_1_is_said) {
    const auto list = must("source_user,source_password,target_password\njos\xe9,p,q\n", both);
    EXPECT_THAT(list.notes, ElementsAre(HasSubstr("Latin-1")));
    EXPECT_EQ(list.accounts.at(0).source().user, "josé");
}

} // namespace
} // namespace postferry::accounts
