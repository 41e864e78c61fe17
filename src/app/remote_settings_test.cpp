#include "app/remote_settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace postferry::app {
namespace {

using testing::HasSubstr;

noun_words words(const std::vector<const char*>& of) {
    auto line = parse_noun_line(of);
    EXPECT_TRUE(line.run) << line.err;
    return line.run.value_or(noun_words{});
}

TEST(remote_settings, options_become_a_merge_patch) {
    const auto patch = settings_patch(words({"batch",
                                             "set",
                                             "b",
                                             "--jobs",
                                             "4",
                                             "--window",
                                             "mon-fri 20:00-06:00 Europe/Berlin",
                                             "--window",
                                             "12:00-13:00",
                                             "--delta-every",
                                             "4h",
                                             "--exclude",
                                             "Trash",
                                             "--map",
                                             "A=>B",
                                             "--max-size",
                                             "25MB",
                                             "--sample",
                                             "10%",
                                             "--hook",
                                             "/bin/tell",
                                             "--hook",
                                             "it",
                                             "--hook-patience",
                                             "2m",
                                             "--acl"}));
    ASSERT_TRUE(patch) << patch.error().message();
    EXPECT_EQ(boost::json::value(*patch), boost::json::parse(R"({
        "mailboxes_at_a_time": 4,
        "windows": [{"days": "mon-fri", "from": "20:00", "to": "06:00", "time_zone": "Europe/Berlin"}, {"from": "12:00", "to": "13:00"}],
        "delta_every_minutes": 240,
        "copy": {"exclude": ["Trash"], "map": ["A=>B"], "max_size": 25000000, "sample_percent": 10, "acl": true},
        "hook": {"command": ["/bin/tell", "it"], "patience_seconds": 120}})"));
}

TEST(remote_settings, unset_takes_back_and_none_is_said) {
    const auto patch = settings_patch(words({"batch", "set", "b", "--unset", "windows", "--unset", "copy.since",
                                             "--delta-every", "none", "--alias-discovery", "extended"}));
    ASSERT_TRUE(patch);
    EXPECT_EQ(boost::json::value(*patch),
              boost::json::parse(R"({"windows": null, "copy": {"since": null}, "delta_every_minutes": 0,
                                      "alias_discovery": "extended"})"));
    const auto back = settings_patch(words({"batch", "set", "b", "--unset", "delta_every_minutes"}));
    EXPECT_EQ(boost::json::value(back.value()), boost::json::parse(R"({"delta_every_minutes": null})"));
    EXPECT_TRUE(settings_patch(words({"batch", "set", "b"}))->empty());
}

TEST(remote_settings, a_file_goes_below_the_options) {
    const std::string file = testing::TempDir() + "postferry-settings.json";
    std::ofstream(file) << R"({"retries": 3, "copy": {"acl": true, "since": "2020-01-31"}})";
    const auto patch = settings_patch(
        words({"batch", "set", "b", "--settings", file.c_str(), "--retries", "9", "--since", "2021-01-31"}));
    ASSERT_TRUE(patch);
    EXPECT_EQ(boost::json::value(*patch),
              boost::json::parse(R"({"retries": 9, "copy": {"acl": true, "since": "2021-01-31"}})"));
    std::ofstream(file) << "[1]";
    EXPECT_THAT(settings_patch(words({"batch", "set", "b", "--settings", file.c_str()})).error().message(),
                HasSubstr(file));
    EXPECT_THAT(settings_patch(words({"batch", "set", "b", "--settings", "/none/x"})).error().message(),
                HasSubstr("cannot be read"));
}

TEST(remote_settings, faults_name_the_option) {
    const auto why = [](const char* option, const char* value) {
        const auto patch = settings_patch(words({"batch", "set", "b", option, value}));
        return patch ? std::string("taken") : patch.error().message();
    };
    EXPECT_THAT(why("--jobs", "many"), HasSubstr("--jobs takes a number from 0 to 10000, not many"));
    EXPECT_THAT(why("--retries", "101"), HasSubstr("--retries takes"));
    EXPECT_THAT(why("--window", "monday"), HasSubstr("--window 'monday'"));
    EXPECT_THAT(why("--window", "25:00-06:00"), HasSubstr("--window"));
    EXPECT_THAT(why("--window", "mon 20:00-06:00 Europe/Berlin yes"), HasSubstr("--window"));
    EXPECT_THAT(why("--delta-every", "1m"), HasSubstr("--delta-every takes 5m to 7d"));
    EXPECT_THAT(why("--delta-every", "4"), HasSubstr("--delta-every takes a time"));
    EXPECT_THAT(why("--max-size", "0"), HasSubstr("--max-size"));
    EXPECT_THAT(why("--sample", "0%"), HasSubstr("--sample"));
}

TEST(remote_settings, spans) {
    EXPECT_EQ(parse_span("90s", "x"), std::chrono::seconds(90));
    EXPECT_EQ(parse_span("2w", "x"), std::chrono::hours(14 * 24));
    for (const char* bad : {"", "s", "0h", "-1h", "1", "1 h", "1y", "99999999999999999999d", "5000d"})
        EXPECT_FALSE(parse_span(bad, "x")) << bad;
}

TEST(remote_settings, moments) {
    ASSERT_EQ(setenv("TZ", "Europe/Berlin", 1), 0);
    tzset();
    EXPECT_EQ(parse_moment("2026-11-27 22:00", "x"), "2026-11-27T21:00:00Z");
    EXPECT_EQ(parse_moment("2026-07-01", "x"), "2026-06-30T22:00:00Z");
    EXPECT_EQ(parse_moment("2026-11-27T22:00:00+02:00", "x"), "2026-11-27T20:00:00Z");
    for (const char* bad : {"", "tomorrow", "2026-02-30", "2026-13-01", "2026-11-27 25:00", "2026-11-27T22:00"})
        EXPECT_FALSE(parse_moment(bad, "x")) << bad;
}

} // namespace
} // namespace postferry::app
