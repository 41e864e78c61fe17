#include "app/options.hpp"

#include <gmock/gmock.h>

namespace postferry::app {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* src = "imaps://alice@old";
constexpr const char* dst = "imaps://alice@new";
constexpr const char* token_src = "imaps://alice@old?auth=xoauth2";

run_options must(std::vector<const char*> words) {
    auto line = parse_command_line(words);
    EXPECT_TRUE(line.run) << line.err;
    return line.run.value_or(run_options{});
}

std::string refusal(std::vector<const char*> words) {
    const auto line = parse_command_line(words);
    EXPECT_FALSE(line.run);
    EXPECT_EQ(line.exit_code, 2);
    return line.err;
}

TEST(guest_options, nothing_is_limited_by_default) {
    const auto o = must({"copy", src, dst});
    EXPECT_FALSE(o.guest.octets_per_second || o.guest.messages_per_second || o.guest.logins_per_second ||
                 o.guest.octets_per_day || o.guest.server_octets_per_day || o.no_wait);
    EXPECT_EQ(o.guest.presets[0] + o.guest.presets[1], "");
}

TEST(guest_options, limits) {
    const auto o = must({"migrate", "a.csv", "--limit-rate", "2MB/s", "--limit-messages", "0.5", "--limit-logins=3/s",
                         "--daily-bytes", "2.5GB", "--daily-bytes-per-server", "1GiB", "--no-wait"});
    EXPECT_EQ(o.guest.octets_per_second, 2'000'000U);
    EXPECT_EQ(o.guest.messages_per_second, 0.5);
    EXPECT_EQ(o.guest.logins_per_second, 3);
    EXPECT_EQ(o.guest.octets_per_day, 2'500'000'000U);
    EXPECT_EQ(o.guest.server_octets_per_day, 1U << 30U);
    EXPECT_TRUE(o.no_wait);
}

TEST(guest_options, presets_of_one_end_or_both) {
    EXPECT_THAT(must({"copy", src, dst, "--preset", "gmail"}).guest.presets, testing::Each(std::string("gmail")));
    const auto o = must({"copy", src, dst, "--preset", "source=yahoo", "--preset", "target=office365"});
    EXPECT_THAT(o.guest.presets, testing::ElementsAre("yahoo", "office365"));
    EXPECT_THAT(refusal({"copy", src, dst, "--preset", "hotmail"}), AllOf(HasSubstr("hotmail"), HasSubstr("icloud")));
}

TEST(guest_options, faults_say_what_is_allowed) {
    for (const char* rate : {"0", "-1", "fast", "1/m", "1e400", ""})
        EXPECT_FALSE(parse_command_line(std::vector<const char*>{"copy", src, dst, "--limit-messages", rate}).run &&
                     *rate != '\0')
            << rate;
    EXPECT_THAT(refusal({"copy", src, dst, "--limit-rate", "much"}), HasSubstr("--limit-rate takes a size"));
    EXPECT_THAT(refusal({"copy", src, dst, "--daily-bytes", "0"}), HasSubstr("--daily-bytes takes a size"));
}

TEST(guest_options, one_client_for_both_ends_or_each_its_own) {
    const auto both = must({"copy", token_src, "imaps://alice@new?auth=oauthbearer", "--oauth-token-endpoint",
                            "https://login.example.org/token", "--oauth-client-id", "app", "--oauth-client-secret-file",
                            "secret", "--oauth-scope", "mail"});
    for (const login_options* l : {&both.source, &both.target}) {
        EXPECT_TRUE(l->oauth.wanted());
        EXPECT_EQ(l->oauth.client_id, "app");
        EXPECT_EQ(l->oauth.scope, "mail");
        EXPECT_FALSE(l->oauth.refresh);
    }
    const auto one =
        must({"copy", token_src, dst, "--oauth-source-token-endpoint", "https://h/t", "--oauth-source-client-id", "a",
              "--oauth-source-refresh-token-file", "r", "--oauth-source-ca", "ca.pem"});
    EXPECT_TRUE(one.source.oauth.refresh);
    EXPECT_EQ(one.source.oauth.ca_file, "ca.pem");
    EXPECT_FALSE(one.target.oauth.wanted());
    const auto mixed =
        must({"copy", token_src, "imaps://alice@new?auth=xoauth2", "--oauth-token-endpoint", "https://h/t",
              "--oauth-client-id", "a", "--oauth-client-secret-file", "s", "--oauth-target-client-id", "b"});
    EXPECT_EQ(mixed.source.oauth.client_id, "a");
    EXPECT_EQ(mixed.target.oauth.client_id, "b");
}

TEST(guest_options, what_oauth_needs) {
    const auto said = [](std::vector<const char*> more) {
        std::vector<const char*> words{"copy", token_src, dst};
        words.insert(words.end(), more.begin(), more.end());
        return refusal(words);
    };
    EXPECT_THAT(said({}), AllOf(HasSubstr("--source-token-file"), HasSubstr("--oauth-token-endpoint")));
    EXPECT_THAT(said({"--oauth-client-id", "a"}), HasSubstr("need --oauth-token-endpoint"));
    EXPECT_THAT(said({"--oauth-token-endpoint", "https://h"}), HasSubstr("needs --oauth-client-id"));
    EXPECT_THAT(said({"--oauth-token-endpoint", "http://h/", "--oauth-client-id", "a"}), HasSubstr("needs https"));
    EXPECT_THAT(said({"--oauth-token-endpoint", "https://u:hidden@h/", "--oauth-client-id", "a"}),
                AllOf(HasSubstr("must not hold"), Not(HasSubstr("hidden"))));
    EXPECT_THAT(said({"--oauth-token-endpoint", "https://h/", "--oauth-client-id", "a"}),
                HasSubstr("needs --oauth-client-secret-file"));
    EXPECT_THAT(said({"--oauth-token-endpoint", "https://h/", "--oauth-client-id", "a", "--oauth-grant", "password"}),
                HasSubstr("client-credentials or refresh-token"));
    EXPECT_THAT(said({"--oauth-token-endpoint", "https://h/", "--oauth-client-id", "a", "--oauth-client-secret-file",
                      "s", "--source-token-file", "t"}),
                HasSubstr("exclude each other"));
}

TEST(guest_options, help_names_them_and_hides_those_of_one_end) {
    const std::string help = parse_command_line(std::vector<const char*>{"copy", "--help"}).out;
    for (const char* option : {"--preset", "--limit-rate", "--limit-messages", "--limit-logins", "--daily-bytes",
                               "--no-wait", "--oauth-token-endpoint", "--oauth-source-..."})
        EXPECT_THAT(help, HasSubstr(option));
    EXPECT_THAT(help, Not(HasSubstr("--oauth-source-scope")));
}

} // namespace
} // namespace postferry::app
