#include "protocol/imap/command_encoder.hpp"

#include <gmock/gmock.h>

namespace postferry::imap {
namespace {

using namespace std::string_view_literals;
using testing::ElementsAre;

std::vector<std::string> astring(std::string_view value, literal_mode mode = literal_mode::synchronising) {
    command_encoder out(mode);
    out.raw("SELECT").space().astring(value);
    EXPECT_TRUE(out.valid());
    return out.take();
}

TEST(command_encoder, atoms) {
    EXPECT_THAT(astring("INBOX"), ElementsAre("SELECT INBOX"));
    EXPECT_THAT(astring("a/b.c]&AOk-~#+"), ElementsAre("SELECT a/b.c]&AOk-~#+"));
}

TEST(command_encoder, quoted_strings) {
    EXPECT_THAT(astring(""), ElementsAre("SELECT \"\""));
    EXPECT_THAT(astring("Sent Items"), ElementsAre("SELECT \"Sent Items\""));
    EXPECT_THAT(astring("a\"b\\c"), ElementsAre("SELECT \"a\\\"b\\\\c\""));
    EXPECT_THAT(astring("nil"), ElementsAre("SELECT \"nil\"")); // an atom by the grammar, nothing to some servers
    for (const char c : "(){%*\t\x01"sv)
        EXPECT_THAT(astring(std::string(1, c)), ElementsAre("SELECT \"" + std::string(1, c) + "\""));
    command_encoder login(literal_mode::plus);
    login.raw("LOGIN ").string("joe").space().string("secret");
    EXPECT_THAT(login.take(), ElementsAre("LOGIN \"joe\" \"secret\""));
}

TEST(command_encoder, literals_wait_or_not) {
    EXPECT_THAT(astring("caf\xc3\xa9"), ElementsAre("SELECT {5}\r\n", "caf\xc3\xa9"));
    EXPECT_THAT(astring("a\r\nb"), ElementsAre("SELECT {4}\r\n", "a\r\nb"));
    EXPECT_THAT(astring("a\nb", literal_mode::plus), ElementsAre("SELECT {3+}\r\na\nb"));
    EXPECT_THAT(astring("a\nb", literal_mode::minus), ElementsAre("SELECT {3+}\r\na\nb"));
}

TEST(command_encoder, boundaries) {
    const std::string thousand(1000, 'x');
    EXPECT_THAT(astring(thousand), ElementsAre("SELECT " + thousand));
    EXPECT_THAT(astring(thousand + "x"), ElementsAre("SELECT {1001}\r\n", thousand + "x"));
    const std::string limit(4096, 'x'); // RFC 7888: LITERAL- ends here
    EXPECT_THAT(astring(limit, literal_mode::minus), ElementsAre("SELECT {4096+}\r\n" + limit));
    EXPECT_THAT(astring(limit + "x", literal_mode::minus), ElementsAre("SELECT {4097}\r\n", limit + "x"));
    EXPECT_THAT(astring(limit + "x", literal_mode::plus), ElementsAre("SELECT {4097+}\r\n" + limit + "x"));
}

TEST(command_encoder, pieces_go_on_behind_a_literal) {
    command_encoder out(literal_mode::synchronising);
    out.raw("RENAME").space().astring("\xff").space().astring("\xfe").raw(" (x)");
    EXPECT_THAT(out.take(), ElementsAre("RENAME {1}\r\n", "\xff {1}\r\n", "\xfe (x)"));
}

TEST(command_encoder, nul_cannot_be_sent) {
    command_encoder out(literal_mode::plus);
    out.astring("a\0b"sv);
    EXPECT_FALSE(out.valid());
}

TEST(flags, writable) {
    for (const auto* flag :
         {"\\Seen", "\\ANSWERED", "\\flagged", "\\Deleted", "\\Draft", "$Forwarded", "NonJunk", "a", "x[y"})
        EXPECT_TRUE(is_writable_flag(flag)) << flag;
    for (const auto* flag : {"", "\\Recent", "\\*", "\\Indexed", "\\", "two words", "a]b", "a(b", "a\"b", "a%", "a*",
                             "a{", "a\\b", "caf\xc3\xa9", "tab\t", "del\x7f"})
        EXPECT_FALSE(is_writable_flag(flag)) << flag;
    EXPECT_TRUE(is_writable_flag(std::string(255, 'x')));
    EXPECT_FALSE(is_writable_flag(std::string(256, 'x')));
    EXPECT_FALSE(is_writable_flag("a\0b"sv));
}

TEST(flags, canonical) {
    EXPECT_EQ(canonical_flag("\\SEEN"), "\\Seen");
    EXPECT_EQ(canonical_flag("\\draft"), "\\Draft");
    EXPECT_EQ(canonical_flag("\\Recent"), "\\Recent");
    EXPECT_EQ(canonical_flag("$forwarded"), "$forwarded");
}

} // namespace
} // namespace postferry::imap
