// ACCOUNTS.csv with OAuth 2: who gets the tokens of a row, and from what.
#include "app/accounts.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace postferry::app {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

account_list read(std::string text, const account_defaults& defaults) {
    auto reader = csv_reader::over(std::make_unique<std::istringstream>(std::move(text)));
    auto list = read_accounts(*reader, "accounts.csv", with_files(defaults));
    EXPECT_TRUE(list) << list.error().message();
    return list ? std::move(*list) : account_list{};
}

std::vector<std::string> faults(const account_list& list) {
    std::vector<std::string> out;
    for (const auto& f : list.faults) out.push_back(f.text());
    return out;
}

account_defaults with(const char* source, bool tokens, bool needed = false) {
    return {.source = {.url = source,
                       .password = {},
                       .tokens = tokens,
                       .row_tokens_needed = needed,
                       .clients = {{"work", false}, {"rows", true}}},
            .target = {.url = "imaps://new", .password = secret("t")}};
}

constexpr const char* header = "source_user,source_refresh_token\n";

TEST(account_tokens, each_row_has_its_own) {
    const auto list = read(fmt::format("{}anna,  token-a \nbela,token-b\n", header),
                           with("imaps://old?auth=xoauth2&oauth=rows", false));
    EXPECT_THAT(faults(list), IsEmpty());
    ASSERT_EQ(list.accounts.size(), 2U);
    EXPECT_EQ(list.accounts[0].source_token()->token.reveal(), "  token-a ") << "as it is, like a password";
    EXPECT_EQ(list.accounts[1].source_token()->token.reveal(), "token-b");
    EXPECT_EQ(list.accounts[0].source_token()->file, "");
    EXPECT_EQ(list.accounts[0].target_token(), nullptr);
    EXPECT_TRUE(list.accounts[0].source().password.empty());
}

TEST(account_tokens, a_client_with_a_token_for_all_needs_none_in_a_row) {
    for (const char* url : {"imaps://old?auth=xoauth2&oauth=work", "imaps://old?auth=oauthbearer"}) {
        const auto list = read(fmt::format("{}anna,\nbela,own\n", header), with(url, true));
        EXPECT_THAT(faults(list), IsEmpty());
        EXPECT_EQ(list.accounts[0].source_token(), nullptr);
        EXPECT_EQ(list.accounts[1].source_token()->token.reveal(), "own");
    }
}

TEST(account_tokens, faults_name_the_column_and_never_the_token) {
    const auto told = [](const char* url, const char* row, bool tokens = false, bool needed = false) {
        return faults(read(fmt::format("{}{}\n", header, row), with(url, tokens, needed)));
    };
    EXPECT_THAT(told("imaps://old?auth=xoauth2&oauth=rows", "anna,"),
                ElementsAre("row 2, source_refresh_token: is empty, and the client that gets tokens here has no "
                            "refresh token of its own"));
    EXPECT_THAT(told("imaps://old?auth=xoauth2", "anna,", true, true),
                ElementsAre(HasSubstr("has no refresh token of its own")));
    EXPECT_THAT(told("imaps://old?auth=xoauth2&oauth=wrok", "anna,secret-token"),
                ElementsAre(AllOf(HasSubstr("source_url: there is no [oauth.wrok]"), Not(HasSubstr("secret-token")))));
    EXPECT_THAT(told("imaps://old", "anna,secret-token"),
                testing::Contains(
                    AllOf(HasSubstr("source_refresh_token: needs auth=xoauth2"), Not(HasSubstr("secret-token")))));
    EXPECT_THAT(told("imaps://old?auth=xoauth2", "anna,secret-token"),
                testing::Contains(AllOf(HasSubstr("is of no use without oauth=NAME"), Not(HasSubstr("secret-token")))));
    EXPECT_THAT(told("imaps://old?auth=xoauth2&oauth=rows", "anna,file:/nonexistent/x"),
                ElementsAre(HasSubstr("cannot read /nonexistent/x: No such file")));
}

TEST(account_tokens, a_file_is_read_and_remembered) {
    const auto file = std::filesystem::temp_directory_path() / fmt::format("postferry-token-{}", ::getpid());
    std::ofstream(file) << "from-the-file\n";
    const auto list = read(fmt::format("{}anna,file:{}\n", header, file.string()),
                           with("imaps://old?auth=xoauth2&oauth=rows", false));
    std::filesystem::remove(file);
    EXPECT_THAT(faults(list), IsEmpty());
    EXPECT_EQ(list.accounts[0].source_token()->token.reveal(), "from-the-file");
    EXPECT_EQ(list.accounts[0].source_token()->file, file);
}

} // namespace
} // namespace postferry::app
