// What is made of the table of keys, and that what stands in the repository was made of it.
#include "app/config.hpp"
#include "app/config_keys.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>

namespace postferry::app {
namespace {

using testing::HasSubstr;

std::filesystem::path in_source(std::string_view name) {
    const char* root = std::getenv("POSTFERRY_SOURCE_DIR");
    return std::filesystem::path(root != nullptr ? root : ".") / name;
}

std::string read(const std::filesystem::path& file) {
    std::ostringstream out;
    out << std::ifstream(file).rdbuf();
    return out.str();
}

/// Compares, or with POSTFERRY_WRITE_DOCS writes.
void expect_is(const std::filesystem::path& file, const std::string& wanted) {
    if (std::getenv("POSTFERRY_WRITE_DOCS") != nullptr) std::ofstream(file) << wanted;
    EXPECT_EQ(read(file), wanted) << "write it again: POSTFERRY_WRITE_DOCS=1 build/dev/src/app/app_parts_test "
                                     "--gtest_filter='config_text.*'";
}

TEST(config_text, the_packages_file_is_the_example) {
    expect_is(in_source("packaging/postferry.toml"), config_example());
}

TEST(config_text, the_documents_tables_are_those_of_the_program) {
    constexpr std::string_view mark = "<!-- Made of the table in src/app/config_keys.cpp; see CONTRIBUTING.md. -->\n";
    const auto page = in_source("docs/config.md");
    std::string text = read(page);
    const std::size_t at = text.find(mark);
    ASSERT_NE(at, std::string::npos);
    text.resize(at + mark.size());
    expect_is(page, text + config_reference());
}

TEST(config_text, the_example_says_what_holds_anyway) {
    const auto plain = parse_config(config_example(), "x.toml", true, {});
    ASSERT_TRUE(plain) << plain.error().text();
    EXPECT_TRUE(plain->given.empty());
    // And all of it is right when it is uncommented, with the same values where there are defaults.
    const std::string all = std::regex_replace(config_example(), std::regex("(^|\n)#(?=[a-z_]+ = |\\[)"), "$1");
    const auto filled =
        parse_config(std::regex_replace(all, std::regex("oauth=work|\"work\""), "$&"), "x.toml", true, {});
    ASSERT_FALSE(filled) << "the names that it uses are examples";
    for (const config_fault& f : filled.error().list) EXPECT_THAT(f.what, HasSubstr("there is no [oauth.work]"));
    const auto named =
        parse_config(std::regex_replace(all, std::regex("\\[oauth\\.NAME\\]"), "[oauth.work]"), "x.toml", true, {});
    ASSERT_TRUE(named) << named.error().text();
    std::size_t keys = 0;
    for (const config_section& section : config_sections()) keys += section.keys.size();
    EXPECT_EQ(named->given.size(), keys);
    EXPECT_EQ(named->values.service.listen, config::standard().service.listen);
    EXPECT_EQ(named->values.schedule.delta_every, config::standard().schedule.delta_every);
}

TEST(config_text, every_key_is_explained_and_stored) {
    for (const config_section& section : config_sections())
        for (const config_key& key : section.keys) {
            const std::string name = fmt::format("{}.{}", section.name, key.name);
            EXPECT_FALSE(key.help.empty()) << name;
            EXPECT_NE(key.put, nullptr) << name;
            EXPECT_TRUE(key.fallback.empty() != key.example.empty()) << name;
        }
}

TEST(config_text, the_effective_settings_are_a_configuration) {
    const auto given = parse_config(R"([service]
listen = ["127.0.0.1:1", "[::1]:1"]
[provisioning.p]
driver = "exec"
"odd \"key\"" = "a\\b\u0007"
number = 1.5
[oauth.a]
token_endpoint = "https://h/t"
client_id = "i"
client_secret_file = "/x"
)",
                                    "x.toml", false, {});
    ASSERT_TRUE(given) << given.error().text();
    const std::string text = effective_config(*given);
    EXPECT_THAT(text, HasSubstr("jobs = 8 # default\n"));
    const auto again = parse_config(text, "x.toml", false, {});
    ASSERT_TRUE(again) << again.error().text() << text;
    EXPECT_EQ(again->values.service.listen, given->values.service.listen);
    EXPECT_EQ(again->values.oauth.at("a").client_secret.file, "/x");
    ASSERT_EQ(again->values.provisioning.at("p").settings.size(), 2U);
    EXPECT_EQ(again->values.provisioning.at("p").settings[0].value,
              given->values.provisioning.at("p").settings[0].value);
    EXPECT_EQ(again->values.provisioning.at("p").settings[0].key, "odd \"key\"");
}

} // namespace
} // namespace postferry::app
