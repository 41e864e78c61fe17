#include "directory/company_defaults.hpp"

#include <gtest/gtest.h>

namespace postferry::directory {
namespace {

const domain_settings company{.brand = "blue",
                              .account_quota = 1'000,
                              .user_limit = 50,
                              .language = "de",
                              .time_zone = "Europe/Vienna",
                              .services = {{"imap", service_state::enabled}, {"smtp", service_state::enabled}}};
const domain_settings own{.account_quota = 0,
                          .alias_limit = 5,
                          .language = "pt-BR",
                          .alias_discovery = alias_discovery::standard,
                          .services = {{"smtp", service_state::suspended}}};

TEST(company_defaults_test, a_domain_overrides_what_it_names_and_zero_is_a_value) {
    const domain_settings m = merge(company, own);
    EXPECT_EQ(m.brand, "blue");
    EXPECT_EQ(m.account_quota, 0U);
    EXPECT_EQ(m.user_limit, 50U);
    EXPECT_EQ(m.alias_limit, 5U);
    EXPECT_EQ(m.language, "pt-BR");
    EXPECT_EQ(m.alias_discovery, alias_discovery::standard);
    EXPECT_EQ(m.services.at("imap"), service_state::enabled);
    EXPECT_EQ(m.services.at("smtp"), service_state::suspended);
}

TEST(company_defaults_test, nothing_changes_nothing_and_chains_may_be_merged_from_either_end) {
    EXPECT_EQ(merge(company, {}), company);
    EXPECT_EQ(merge({}, own), own);
    const domain_settings third{.brand = "red", .services = {{"imap", service_state::disabled}}};
    EXPECT_EQ(merge(merge(company, own), third), merge(company, merge(own, third)));
}

TEST(company_defaults_test, an_account_gets_what_it_does_not_name) {
    account_spec account{.address = address::parse("a@b").value(), .language = "fr"};
    complete(account, merge(company, {}));
    EXPECT_EQ(account.quota, 1'000U);
    EXPECT_EQ(account.language, "fr");
    EXPECT_EQ(account.time_zone, "Europe/Vienna");
    complete(account, {.account_quota = 5});
    EXPECT_EQ(account.quota, 1'000U);
}

TEST(company_defaults_test, a_domain_is_asked_for_as_set) {
    const domain_settings set{
        .brand = "blue", .max_account_quota = 7, .user_limit = 3, .services = {{"mail", service_state::suspended}}};
    const domain_spec spec = to_spec(domain_name::parse("b").value(), set);
    EXPECT_EQ(spec.max_accounts, 3U);
    EXPECT_EQ(spec.max_aliases, std::nullopt);
    EXPECT_EQ(spec.max_account_quota, 7U);
    EXPECT_FALSE(spec.active);
    EXPECT_TRUE(to_spec(domain_name::parse("b").value(), {}).active);
}

TEST(company_defaults_test, values_out_of_range_are_named) {
    EXPECT_TRUE(validate(merge(company, own)));
    EXPECT_TRUE(validate({.language = "zh-Hant-TW", .time_zone = "America/Argentina/Buenos_Aires"}));
    EXPECT_TRUE(validate({.time_zone = "Etc/GMT+5"}));
    const std::pair<domain_settings, std::string_view> wrong[] = {
        {{.brand = "Blue"}, "brand"},
        {{.brand = ""}, "brand"},
        {{.brand = "../x"}, "brand"},
        {{.language = "d"}, "language"},
        {{.language = "de_AT"}, "language"},
        {{.language = "de-"}, "language"},
        {{.language = "4de"}, "language"},
        {{.time_zone = "/etc/passwd"}, "time zone"},
        {{.time_zone = "Europe/../x"}, "time zone"},
        {{.time_zone = ""}, "time zone"},
        {{.total_quota = std::uint64_t{1} << 63U}, "total quota"},
        {{.services = {{"IMAP", service_state::enabled}}}, "service"},
    };
    for (const auto& [settings, word] : wrong) {
        const auto ok = validate(settings);
        ASSERT_FALSE(ok) << word;
        EXPECT_TRUE(ok.error().what.starts_with(word)) << ok.error().what;
    }
}

TEST(company_defaults_test, states_have_names) {
    for (const auto s : {service_state::enabled, service_state::disabled, service_state::suspended})
        EXPECT_EQ(parse_service_state(name_of(s)), s);
    EXPECT_EQ(parse_service_state("on"), std::nullopt);
}

} // namespace
} // namespace postferry::directory
