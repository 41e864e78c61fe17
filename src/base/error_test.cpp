#include "base/error.hpp"
#include "base/text.hpp"

#include <gtest/gtest.h>

#include <set>

namespace postferry {
namespace {

using namespace std::string_view_literals;

TEST(error, every_class_and_phase_has_its_own_name) {
    std::set<std::string_view> names;
    for (int c = 0; c <= static_cast<int>(retry_class::cancelled); ++c)
        names.insert(name_of(static_cast<retry_class>(c)));
    EXPECT_EQ(names.size(), static_cast<std::size_t>(retry_class::cancelled) + 1);
    EXPECT_FALSE(names.contains("unknown"));
    names.clear();
    for (int p = 0; p <= static_cast<int>(phase::ledger); ++p) names.insert(name_of(static_cast<phase>(p)));
    EXPECT_EQ(names.size(), static_cast<std::size_t>(phase::ledger) + 1);
    EXPECT_FALSE(names.contains("unknown"));
    EXPECT_EQ(name_of(retry_class::throttled), "throttled");
    EXPECT_EQ(name_of(phase::login), "login");
}

TEST(error, message_is_one_line) {
    result<int> r = fail(retry_class::auth, phase::login, "the server refused the login", "Check the password.");
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().cls, retry_class::auth);
    EXPECT_EQ(r.error().where, phase::login);
    EXPECT_EQ(r.error().message(), "the server refused the login. Check the password.");
    r.error().server_said = "Authentication failed";
    EXPECT_NE(r.error().message().find("server said: "), std::string::npos);
    EXPECT_NE(r.error().message().find("Authentication failed"), std::string::npos);
    EXPECT_EQ(fail(retry_class::transient, phase::fetch, "lost").error().message(), "lost");
}

TEST(quote_server_text, shows_what_would_harm_a_terminal_or_a_log) {
    EXPECT_EQ(quote_server_text("plain text"), "plain text");
    EXPECT_EQ(quote_server_text("a\r\nb\x1b[31m\0\x7f"sv), "a\\x0d\\x0ab\\x1b[31m\\x00\\x7f");
    EXPECT_EQ(quote_server_text("caf\xc3\xa9 \xe9 \xf0\x9f\x98\x80"), "caf\xc3\xa9 \\xe9 \xf0\x9f\x98\x80");
    EXPECT_EQ(quote_server_text(""), "");
}

TEST(quote_server_text, is_bounded_and_cuts_no_character) {
    EXPECT_EQ(quote_server_text("abcdef", 6), "abcdef");
    EXPECT_EQ(quote_server_text("abcdefg", 6), "abcdef...");
    const std::string long_text = quote_server_text(std::string(10'000, '\xff'));
    EXPECT_LE(long_text.size(), 410U);
    EXPECT_TRUE(long_text.ends_with("..."));
    std::string accents;
    for (int i = 0; i < 50; ++i) accents += "\xc3\xa9";
    for (std::size_t limit = 0; limit < 110; ++limit) EXPECT_TRUE(is_utf8(quote_server_text(accents, limit))) << limit;
}

} // namespace
} // namespace postferry
