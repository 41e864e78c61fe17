#include "directory/address.hpp"

#include <gtest/gtest.h>

namespace postferry::directory {
namespace {

TEST(address_test, letters_become_lower_case_and_the_parts_are_told) {
    const auto a = address::parse("Anna.Maria+x@Mail.Example.ORG");
    ASSERT_TRUE(a);
    EXPECT_EQ(a->text(), "anna.maria+x@mail.example.org");
    EXPECT_EQ(a->local(), "anna.maria+x");
    EXPECT_EQ(a->domain(), "mail.example.org");
}

TEST(address_test, takes_utf8_and_all_of_atext_that_is_harmless) {
    EXPECT_TRUE(address::parse("bj\xc3\xb6rn@b\xc3\xbc"
                               "cher.example"));
    EXPECT_TRUE(address::parse("!#$&'+-=?^_`{|}~@a"));
    EXPECT_TRUE(address::parse(std::string(64, 'a') + "@b.example"));
    EXPECT_TRUE(domain_name::parse("xn--bcher-kva.example"));
    EXPECT_TRUE(domain_name::parse(std::string(63, 'a') + ".example"));
}

TEST(address_test, says_what_is_wrong) {
    const std::pair<std::string, std::string_view> wrong[] = {
        {"", "no \"@\""},
        {"anna", "no \"@\""},
        {"@a.example", "nothing before"},
        {"anna@", "no domain"},
        {std::string(65, 'a') + "@b.example", "64 octets"},
        {std::string(60, 'a') + "@" + std::string(63, 'b') + "." + std::string(63, 'c') + "." + std::string(63, 'd') +
             ".ex",
         "254"},
        {"a@" + std::string(64, 'b'), "63 octets"},
        {"a@" +
             [] {
                 std::string s;
                 for (int i = 0; i < 130; ++i) s += "a.";
                 return s + "a";
             }(),
         "255"},
        {".a@b", "\".\""},
        {"a.@b", "\".\""},
        {"a..b@c", "\".\""},
        {"../a@b", "cannot have"},
        {"a/b@c", "cannot have"},
        {"a*@c", "cannot have"},
        {"a%@c", "cannot have"},
        {"a\\b@c", "cannot have"},
        {"a b@c", "cannot have"},
        {"a@b@c", "cannot have"},
        {"\"a b\"@c", "quoted"},
        {std::string("a\0b@c", 5), "control"},
        {"a\n@c", "control"},
        {"a@b\n", "cannot have"},
        {"a@b/c", "cannot have"},
        {"a@b_c", "cannot have"},
        {"a@-b", "\"-\""},
        {"a@b-.c", "\"-\""},
        {"a@b..c", "empty label"},
        {"a@b.", "empty label"},
        {"a@[127.0.0.1]", "cannot have"},
        {"a\xff@b", "UTF-8"},
        {"a@b\xff", "UTF-8"},
        {"a\xc2\x85@b", "UTF-8"}, // a C1 control
    };
    for (const auto& [text, words] : wrong) {
        const auto a = address::parse(text);
        ASSERT_FALSE(a) << text;
        EXPECT_EQ(a.error().cls, retry_class::config);
        EXPECT_NE(a.error().what.find(words), std::string::npos) << a.error().what << " should say " << words;
    }
}

TEST(address_test, a_hostile_text_is_shown_escaped_and_bounded) {
    const auto a = address::parse(std::string(5000, '\x01'));
    ASSERT_FALSE(a);
    EXPECT_LT(a.error().what.size(), 500U);
    EXPECT_EQ(a.error().what.find('\x01'), std::string::npos);
}

} // namespace
} // namespace postferry::directory
