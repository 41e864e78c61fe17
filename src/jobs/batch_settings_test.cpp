#include "jobs/batch_settings.hpp"

#include <gmock/gmock.h>

namespace postferry::jobs {
namespace {

std::vector<std::string> faulty_fields(std::string_view body) {
    const auto parsed = input::parse_object(body);
    std::vector<input::field_fault> faults;
    if (parsed) (void)read_settings(input::fields(*parsed, faults));
    std::vector<std::string> names;
    for (const auto& f : faults) names.push_back(f.field);
    return names;
}

TEST(batch_settings, rules_are_tried_before_any_mailbox_is) {
    EXPECT_THAT(faulty_fields(R"({"copy": {"map": ["Old/(.*)=>Archive/\\1", "(=>x"], "since": "2024-02-30",
                                           "repair": "everything"}})"),
                testing::ElementsAre("/copy/map", "/copy/since", "/copy/repair"));
    EXPECT_THAT(faulty_fields(R"({"copy": {"map": ["a=>b"], "since": "2024-02-29", "repair": "none"}})"),
                testing::IsEmpty());
    EXPECT_THAT(faulty_fields(R"({"copy": {"repair": "all"}})"), testing::IsEmpty());
}

TEST(batch_settings, no_deltas_and_no_word_about_them_are_two_things) {
    EXPECT_THAT(faulty_fields(R"({"delta_every_minutes": 4})"), testing::ElementsAre("/delta_every_minutes"));
    const auto deltas = [](const char* text) {
        // As it is stored, and read again.
        return parse_settings(boost::json::serialize(json_of(parse_settings(text).value())))
            .value()
            .delta_every_minutes;
    };
    EXPECT_EQ(deltas(R"({"delta_every_minutes": 0})"), 0);
    EXPECT_EQ(deltas(R"({"delta_every_minutes": 5})"), 5);
    EXPECT_EQ(deltas(R"({"delta_every_minutes": null})"), std::nullopt);
}

TEST(batch_settings, aliases_are_discovered_when_it_is_asked_for) {
    using directory::alias_discovery;
    EXPECT_THAT(faulty_fields(R"({"alias_discovery": "all"})"), testing::ElementsAre("/alias_discovery"));
    const auto how = [](const char* text) {
        return parse_settings(boost::json::serialize(json_of(parse_settings(text).value()))).value().alias_discovery;
    };
    EXPECT_EQ(how(R"({"alias_discovery": "extended"})"), alias_discovery::extended);
    EXPECT_EQ(how(R"({"alias_discovery": "username"})"), alias_discovery::username);
    EXPECT_EQ(how("{}"), std::nullopt);
}

} // namespace
} // namespace postferry::jobs
