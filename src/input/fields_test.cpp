#include "input/fields.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::input {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

class input_fields : public testing::Test {
  protected:
    fields over(std::string_view text) {
        auto parsed = parse_object(text);
        EXPECT_TRUE(parsed) << text;
        body_ = parsed ? std::move(*parsed) : boost::json::object();
        return {body_, faults_};
    }
    std::vector<std::string> faults() const {
        std::vector<std::string> all;
        for (const field_fault& f : faults_) all.push_back(f.field + ": " + f.reason);
        return all;
    }
    boost::json::object body_;
    std::vector<field_fault> faults_;
};

TEST_F(input_fields, reads_what_is_right) {
    auto f = over(
        R"({"name":"b","n":3,"on":true,"at":"2026-11-22T18:00:00+01:00","role":"admin","tags":["a","b"],"in":{"x":1}})");
    EXPECT_THAT(f.required("name").text("name"), Optional(std::string("b")));
    EXPECT_THAT(f.integer("n", 0, 3), Optional(3));
    EXPECT_THAT(f.flag("on"), Optional(true));
    EXPECT_THAT(f.moment("at"), Optional(1'795'366'800'000));
    constexpr std::array<std::string_view, 2> roles{"viewer", "admin"};
    EXPECT_THAT(f.word("role", roles), Optional(1U));
    EXPECT_THAT(f.texts("tags", 2), Optional(ElementsAre("a", "b")));
    auto in = f.object("in");
    ASSERT_TRUE(in);
    EXPECT_THAT(in->integer("x", 0, 9), Optional(1));
    in->done();
    f.done();
    EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(input_fields, names_every_fault_at_once) {
    auto f = over(
        R"({"name":"","n":4,"on":1,"at":"yesterday","tags":["a","b","c"],"in":{"y~/":1},"more":null,"line":"a\nb"})");
    EXPECT_EQ(f.text("name", {.least = 1}), std::nullopt);
    EXPECT_EQ(f.integer("n", 0, 3), std::nullopt);
    EXPECT_EQ(f.flag("on"), std::nullopt);
    EXPECT_EQ(f.moment("at"), std::nullopt);
    EXPECT_EQ(f.texts("tags", 2), std::nullopt);
    EXPECT_EQ(f.text("line"), std::nullopt);
    f.object("in")->done();
    f.required("password");
    f.done();
    EXPECT_THAT(faults(),
                ElementsAre("/name: must have 1 to 200 octets", "/n: must be a whole number from 0 to 3",
                            "/on: must be true or false", "/at: must be a time like 2026-11-22T18:00:00Z (RFC 3339)",
                            "/tags: must be a list of at most 2 texts", "/line: must not have control characters",
                            "/in/y~0~1: is not a field of this request", "/password: is missing",
                            "/more: is not a field of this request"));
}

TEST(input_body, that_is_none_is_refused) {
    EXPECT_EQ(parse_object("{").error().response_code, "JSON");
    EXPECT_EQ(parse_object("").error().response_code, "JSON");
    EXPECT_EQ(parse_object("[]").error().response_code, "");
    EXPECT_EQ(parse_object(R"({"a":)" + std::string(40, '[') + std::string(40, ']') + "}").error().response_code,
              "JSON");
    EXPECT_EQ(parse_object("{\"a\":\"\xFF\"}").error().response_code, "JSON");
}

TEST(input_moment, is_rfc_3339) {
    EXPECT_THAT(parse_rfc3339("1970-01-01T00:00:00Z"), Optional(0));
    EXPECT_THAT(parse_rfc3339("2026-11-22T18:00:00.25Z"), Optional(1'795'370'400'250));
    EXPECT_THAT(parse_rfc3339("2024-02-29T23:59:60-00:30"), Optional(1'709'252'999'000));
    for (const char* bad :
         {"", "2026-11-22", "2026-11-22T18:00:00", "2026-13-22T18:00:00Z", "2026-02-30T18:00:00Z",
          "2026-11-22T24:00:00Z", "1969-01-01T00:00:00Z", "2026-11-22T18:00:00.Z", "2026-11-22T18:00:00+1:00"})
        EXPECT_EQ(parse_rfc3339(bad), std::nullopt) << bad;
    EXPECT_EQ(rfc3339_of(1'795'370'400'250), "2026-11-22T18:00:00.250Z");
    EXPECT_EQ(rfc3339_of(0), "1970-01-01T00:00:00Z");
}

TEST(fields, names_the_element_of_a_list_that_is_wrong) {
    const auto body = parse_object(R"({"a/b":["good",7]})").value();
    std::vector<field_fault> faults;
    fields f(body, faults);
    EXPECT_FALSE(f.texts("a/b", 5));
    ASSERT_EQ(faults.size(), 1U);
    EXPECT_EQ(faults[0].field, "/a~1b/1"); // RFC 6901
    fields inner(body, faults, "/inner");
    inner.fault("", "does not fit together");
    EXPECT_EQ(faults[1].field, "/inner");
}

} // namespace
} // namespace postferry::input
