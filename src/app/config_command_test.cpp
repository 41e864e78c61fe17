// The configuration and the command line: what goes before what, names of OAuth 2 clients, `postferry config`.
#include "app/config_keys.hpp"
#include "app/option_checks.hpp"
#include "base/week.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::app {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* src = "imaps://alice@old";
constexpr const char* dst = "imaps://alice@new";

constexpr std::string_view usual = R"([oauth.work]
token_endpoint = "https://login.example.org/token"
client_id = "pf"
client_secret = "hush"
[oauth.rows]
token_endpoint = "https://login.example.org/token"
client_id = "pf"
grant = "refresh-token"
[defaults]
source = "imaps://alice@old.example.org?auth=xoauth2"
target = "imaps://alice@new.example.org"
source_oauth = "work"
target_password = "of-the-new-server"
state = "/srv/ledger.db"
jobs = 3
timeout = 60
acl = true
exclude = ["Trash"]
map = ["A=>B"]
since = "2020-01-01"
max_size = "50MB"
repair = "nul"
preset = ["source=gmail"]
limit_rate = "2MB"
limit_messages = 4
daily_bytes = 5000000
)";

/// A configuration with this text, whatever file is named.
config_finder finder(std::string_view text) {
    return [text](const std::filesystem::path& named) {
        return parse_config(text, named.empty() ? "/etc/usual.toml" : named, false, {});
    };
}

run_options must(const std::vector<const char*>& words, std::string_view text = usual) {
    auto line = parse_command_line(words, finder(text));
    EXPECT_TRUE(line.run) << line.err;
    return line.run.value_or(run_options{});
}

std::string refusal(const std::vector<const char*>& words, std::string_view text = usual) {
    const auto line = parse_command_line(words, finder(text));
    EXPECT_FALSE(line.run);
    EXPECT_EQ(line.exit_code, 2);
    return line.err;
}

TEST(config_defaults, stand_where_the_command_line_says_nothing) {
    const auto o = must({"copy"});
    EXPECT_EQ(o.source_url, "imaps://alice@old.example.org?auth=xoauth2");
    EXPECT_EQ(o.source.oauth_name, "work");
    EXPECT_EQ(o.target.usual_password.value()->reveal(), "of-the-new-server");
    EXPECT_EQ(o.state, "/srv/ledger.db");
    EXPECT_EQ(o.jobs, 3U);
    EXPECT_EQ(o.timeout, std::chrono::minutes(1));
    EXPECT_TRUE(o.acl);
    EXPECT_THAT(o.rules.exclude, ElementsAre("Trash"));
    EXPECT_EQ(o.rules.maps.size(), 1U);
    EXPECT_EQ(o.since, parse_day("2020-01-01"));
    EXPECT_EQ(o.max_size, 50'000'000U);
    EXPECT_THAT(o.guest.presets, ElementsAre("gmail", ""));
    EXPECT_EQ(o.guest.octets_per_second, 2'000'000U);
    EXPECT_EQ(o.guest.messages_per_second, 4.0);
    EXPECT_EQ(o.guest.octets_per_day, 5'000'000U);
    ASSERT_TRUE(o.config);
    EXPECT_EQ(o.config->file, "/etc/usual.toml");
}

TEST(config_defaults, give_way_to_the_command_line) {
    const auto o =
        must({"migrate",      "a.csv",   "--source",   src,          "--state", "x.db",        "--jobs",   "8",
              "--timeout",    "180",     "--no-acl",   "--exclude",  "Junk",    "--map",       "C=>D",     "--map",
              "E=>F",         "--since", "2021-01-01", "--max-size", "1GB",     "--no-repair", "--preset", "yahoo",
              "--limit-rate", "5MB",     "-c",         "own.toml"});
    EXPECT_EQ(o.source_url, src);
    EXPECT_EQ(o.target_url, "imaps://alice@new.example.org");
    EXPECT_EQ(o.state, "x.db");
    EXPECT_EQ(o.jobs, 8U) << "the program's own default, said aloud";
    EXPECT_EQ(o.timeout, std::chrono::minutes(3));
    EXPECT_FALSE(o.acl);
    EXPECT_THAT(o.rules.exclude, ElementsAre("Junk"));
    EXPECT_EQ(o.rules.maps.size(), 2U);
    EXPECT_EQ(o.since, parse_day("2021-01-01"));
    EXPECT_EQ(o.max_size, 1'000'000'000U);
    EXPECT_THAT(o.guest.presets, ElementsAre("yahoo", "yahoo"));
    EXPECT_EQ(o.guest.octets_per_second, 5'000'000U);
    EXPECT_EQ(o.guest.messages_per_second, 4.0);
    EXPECT_EQ(o.config->file, "own.toml");
}

TEST(config_defaults, what_logs_in_at_an_end_is_not_told_to_another_server) {
    const auto o = must({"copy", src, dst});
    EXPECT_EQ(o.source_url, src);
    EXPECT_EQ(o.source.oauth_name, "");
    EXPECT_FALSE(o.target.usual_password.given());
    EXPECT_EQ(must({"migrate", "a.csv", "--source", "imaps://h?auth=xoauth2"}).source.oauth_name, "");
    EXPECT_FALSE(must({"copy", "--target-password-file", "f"}).target.usual_password.given());
    EXPECT_EQ(must({"copy", "--source-token-file", "f"}).source.oauth_name, "");
}

TEST(config_defaults, no_configuration_when_none_is_wanted) {
    const auto o = must({"copy", src, dst, "--no-config"});
    EXPECT_FALSE(o.config);
    EXPECT_EQ(o.jobs, 8U);
    EXPECT_THAT(refusal({"copy", src, dst, "--no-config", "-c", "f"}), HasSubstr("--no-config"));
}

TEST(config_defaults, the_report_takes_the_ledger_only) {
    EXPECT_EQ(must({"report"}).state, "/srv/ledger.db");
    EXPECT_EQ(must({"report", "--state", "x.db"}).state, "x.db");
}

TEST(config_defaults, faults_of_the_file_are_told_and_nothing_else) {
    EXPECT_EQ(refusal({"copy", src, dst}, "[defaults]\njobs = 0\n"),
              "/etc/usual.toml:2:8: defaults.jobs: is 0, and takes a number from 1 to 1000\n");
}

constexpr const char* token_src = "imaps://alice@old?auth=xoauth2";

TEST(config_oauth, names_are_those_of_the_configuration) {
    EXPECT_EQ(must({"copy", token_src, dst, "--source-oauth", "work"}).source.oauth_name, "work");
    EXPECT_EQ(must({"copy", "imaps://a@h?auth=oauthbearer&oauth=work", dst}).source_url,
              "imaps://a@h?auth=oauthbearer&oauth=work");
    EXPECT_THAT(refusal({"copy", token_src, dst, "--source-oauth", "wrok"}),
                HasSubstr("--source-oauth: there is no [oauth.wrok]"));
    EXPECT_THAT(refusal({"copy", "imaps://a@h?auth=xoauth2&oauth=x", dst}),
                HasSubstr("oauth= of the source: there is no [oauth.x]"));
    EXPECT_THAT(refusal({"copy", token_src, dst, "--source-oauth", "work", "--no-config"}),
                HasSubstr("Name its file by --config"));
}

TEST(config_oauth, what_does_not_go_together) {
    EXPECT_THAT(refusal({"copy", src, dst, "--source-oauth", "work"}),
                HasSubstr("needs auth=xoauth2 or auth=oauthbearer"));
    EXPECT_THAT(refusal({"copy", "imaps://a@h?oauth=work", dst}), HasSubstr("oauth= needs auth=xoauth2"));
    EXPECT_THAT(refusal({"copy", token_src, dst, "--source-oauth", "work", "--source-token-file", "f"}),
                HasSubstr("exclude each other"));
    EXPECT_THAT(refusal({"copy", token_src, dst, "--source-oauth", "work", "--oauth-token-endpoint", "https://h/",
                         "--oauth-client-id", "i", "--oauth-client-secret-file", "f"}),
                HasSubstr("exclude each other"));
    EXPECT_THAT(refusal({"copy", token_src, dst, "--source-oauth", "rows"}), HasSubstr("rows of ACCOUNTS.csv"));
    EXPECT_EQ(
        must({"migrate", "a.csv", "--source", "imaps://h?auth=xoauth2", "--source-oauth", "rows"}).source.oauth_name,
        "rows");
    // The refresh tokens may stand in the rows of a CSV, but one mailbox has no row.
    const std::vector<const char*> client{"--oauth-token-endpoint", "https://h/",   "--oauth-client-id", "i",
                                          "--oauth-grant",          "refresh-token"};
    std::vector<const char*> many{"migrate", "a.csv", "--source", "imaps://h?auth=xoauth2"},
        one{"copy", token_src, dst};
    many.insert(many.end(), client.begin(), client.end());
    one.insert(one.end(), client.begin(), client.end());
    EXPECT_TRUE(must(many).source.oauth.refresh);
    EXPECT_THAT(refusal(one), HasSubstr("needs --oauth-refresh-token-file"));
}

command_line config_words(const std::vector<const char*>& words, std::string_view text = usual) {
    return parse_command_line(words, finder(text));
}

TEST(config_command, check_says_what_holds_without_secrets) {
    const auto line = config_words({"config", "check", "-c", "x.toml"});
    EXPECT_EQ(line.exit_code, 0) << line.err;
    EXPECT_THAT(line.out,
                AllOf(HasSubstr("[oauth.work]\n"), HasSubstr("# client_secret is set\n"), HasSubstr("jobs = 3\n"),
                      HasSubstr("jobs = 8 # default\n"), Not(HasSubstr("hush")), Not(HasSubstr("of-the-new"))));
    EXPECT_EQ(config_words({"config", "check", "--config=x.toml"}).out, line.out);
}

TEST(config_command, check_says_what_is_wrong) {
    const auto line = config_words({"config", "check"}, "[service]\nlisen = 1\n[stor]\n");
    EXPECT_EQ(line.exit_code, 2);
    EXPECT_THAT(line.err, AllOf(HasSubstr("did you mean listen?"), HasSubstr("did you mean store?")));
    const auto secrets =
        config_words({"config", "check", "-c", "/etc/x.toml"}, "[store]\npassword_file = \"/nonexistent/pw\"");
    EXPECT_EQ(secrets.exit_code, 2);
    EXPECT_THAT(secrets.err, HasSubstr("/etc/x.toml:2:1: store.password_file: cannot read /nonexistent/pw"));
    const auto none = parse_command_line(std::array{"config", "check"}, [](const std::filesystem::path&) {
        return config_file{.values = {}, .file = {}, .given = {}, .note = "configuration: none"};
    });
    EXPECT_EQ(none.exit_code, 2);
    EXPECT_THAT(none.err, HasSubstr("name one by -c FILE"));
}

TEST(config_command, words) {
    EXPECT_EQ(config_words({"config", "example"}).out, config_example());
    EXPECT_THAT(config_words({"config", "--help"}).out, HasSubstr("Usage: postferry config check"));
    EXPECT_THAT(refusal({"config"}), HasSubstr("check or example"));
    EXPECT_THAT(refusal({"config", "chek"}), HasSubstr("Did you mean check?"));
    EXPECT_THAT(refusal({"config", "check", "file"}), HasSubstr("takes -c FILE"));
    EXPECT_THAT(refusal({"config", "example", "more"}), HasSubstr("takes no words"));
}

TEST(config_command, every_default_of_the_table_reaches_the_options) {
    // A key of [defaults] that complete_options() forgot would be read and do nothing.
    for (const config_section& section : config_sections()) {
        if (section.name != "defaults") continue;
        EXPECT_EQ(section.keys.size(), 22U) << "a new key: add it to complete_options() and to the tests above";
    }
}

} // namespace
} // namespace postferry::app
