#include "accounts/rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace postferry::accounts {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<csv_row> read(std::string text, row_wants wants, const account_defaults& defaults = {}) {
    auto reader = csv_reader::over(std::make_unique<std::istringstream>(std::move(text)));
    auto rows = row_stream::open(*reader, "accounts.csv", defaults, wants);
    EXPECT_TRUE(rows) << (rows ? "" : rows.error().message());
    std::vector<csv_row> out;
    csv_row row;
    for (auto more = (*rows)->next(row); more && *more; more = (*rows)->next(row)) out.push_back(std::move(row));
    return out;
}

constexpr row_wants account_only{.mailbox = false, .account = true, .password = true};

TEST(rows, an_account_is_read_whole) {
    const auto rows = read("target_user,target_password,domain,quota,name,language,time_zone,aliases,batch,notify\n"
                           "alice, p w ,new.org,5 GB,Alice Ä.,de-AT,Europe/Vienna,\"a; info@other.org,b\",first,yes\n"
                           "bob@new.org,x,,unlimited,,,,,,\n",
                           account_only);
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_TRUE(rows[0].faults.empty()) << rows[0].faults.front().text();
    const wanted_account& alice = rows[0].account.value();
    EXPECT_EQ(alice.address, "alice@new.org");
    EXPECT_EQ(alice.password.reveal(), " p w ");
    EXPECT_EQ(alice.quota, 5'000'000'000U);
    EXPECT_EQ(alice.name, "Alice Ä.");
    EXPECT_EQ(alice.language, "de-AT");
    EXPECT_EQ(alice.time_zone, "Europe/Vienna");
    EXPECT_THAT(alice.aliases, ElementsAre("a@new.org", "info@other.org", "b@new.org"));
    EXPECT_EQ(rows[0].batch, "first");
    EXPECT_FALSE(rows[0].mailbox);
    EXPECT_EQ(rows[1].account.value().quota, 0U);
}

TEST(rows, faults_of_an_account_bear_their_columns) {
    std::string many;
    for (int i = 0; i < 101; ++i) many += "a" + std::to_string(i) + " ";
    const auto rows = read("target_user,target_password,quota,name,aliases\n"
                           ",,much,\"a\tb\"," +
                               many + "\n",
                           account_only);
    ASSERT_EQ(rows.size(), 1U);
    std::vector<std::string> told;
    for (const csv_fault& f : rows[0].faults) told.push_back(f.text());
    EXPECT_THAT(told, ElementsAre("row 2, target_user: is empty", HasSubstr("row 2, target_password: is empty"),
                                  "row 2, name: holds a control character",
                                  "row 2, quota: must be a size such as 5 GB, or unlimited",
                                  "row 2, aliases: are more than 100"));
    EXPECT_FALSE(rows[0].account);
}

TEST(rows, files_are_named_by_the_command_line_only) {
    account_defaults d{.source = {.url = "imaps://old?auth=xoauth2", .password = {}, .tokens = true},
                       .target = {.url = "imaps://new", .password = secret("t")}};
    const std::string text = "source_user,source_refresh_token\nanna,file:/etc/shadow\n";
    auto rows = read(text, {}, d);
    EXPECT_EQ(rows.at(0).faults.at(0).text(),
              "row 2, source_refresh_token: names a file, which only the command line reads");
    d.read_file = [](const std::filesystem::path& file) -> result<secret> { return secret("in " + file.string()); };
    rows = read(text, {}, d);
    ASSERT_TRUE(rows.at(0).mailbox);
    EXPECT_EQ(rows[0].mailbox->source_token()->token.reveal(), "in /etc/shadow");
}

} // namespace
} // namespace postferry::accounts
