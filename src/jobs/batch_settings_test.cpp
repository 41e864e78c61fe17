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

} // namespace
} // namespace postferry::jobs
