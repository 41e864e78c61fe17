// FETCH (RFC 3501, 7.4.2), the streaming of bodies, and the parser's limits.
#include "protocol/imap/detail/parse_for_test.hpp"

#include <gmock/gmock.h>

#include <ctime>

namespace postferry::imap {
namespace {

using namespace std::string_view_literals;
using detail::events_whatever_the_cuts;
using detail::malformed;
using detail::parse;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

fetch_data fetch(std::string_view line) { return parse<fetch_data>(line); }

TEST(fetch, items) {
    const auto r =
        fetch("* 12 FETCH (UID 25627 FLAGS (\\Seen $MDNSent) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE "
              "4286 MODSEQ (12121230956) EMAILID (M5fdc09b49ea703) THREADID (T118) X-GM-MSGID 1278455344230334865 "
              "X-GM-THRID 1266894439832287888 X-GM-LABELS (\\Inbox \"Muy Importante\" {3}\r\na\"b))");
    EXPECT_EQ(r.sequence_number, 12U);
    EXPECT_EQ(r.uid, 25627U);
    EXPECT_THAT(*r.flags, ElementsAre("\\Seen", "$MDNSent"));
    EXPECT_EQ(r.date, (internal_date{837596665, -420}));
    EXPECT_TRUE(r.date_present);
    EXPECT_EQ(r.rfc822_size, 4286U);
    EXPECT_EQ(r.modseq, 12121230956U);
    EXPECT_EQ(r.email_id, "M5fdc09b49ea703");
    EXPECT_EQ(r.gmail_msgid, 1278455344230334865U);
    EXPECT_THAT(r.gmail_labels, ElementsAre("\\Inbox", "Muy Importante", "a\"b"));
    EXPECT_THAT(r.bodies, IsEmpty());
}

TEST(fetch, what_is_not_used_is_checked_for_shape_only) {
    const auto r =
        fetch("* 3 FETCH (ENVELOPE (\"Wed\" {5}\r\nHello ((\"T\" NIL \"g\" \"e.w\")) NIL) BODYSTRUCTURE ((\"TEXT\" "
              "\"PLAIN\" (\"CHARSET\" \"a \\\"b\\\" c\") NIL 3)(\"T\" \"H\") \"MIXED\") BODY (\"MIXED\") UNKNOWN 92285 "
              "BINARY.SIZE[1] 7 PREVIEW NIL UID 9)");
    EXPECT_EQ(r.uid, 9U);
    EXPECT_THAT(malformed("* 3 FETCH (ENVELOPE (\"Wed\" UID 9)\r\n"), HasSubstr("FETCH response: expected ')'"));
    EXPECT_THAT(malformed("* 3 FETCH (UID x)\r\n"), HasSubstr("expected a number at octet 15"));
    EXPECT_THAT(malformed("* 3 FETCH (UID 9))\r\n"), HasSubstr("expected the end"));
    EXPECT_THAT(malformed("* 3 FETCH (UID 9\r\n"), HasSubstr("expected ')'"));
    EXPECT_THAT(malformed("* 3 FETCH UID 9\r\n"), HasSubstr("expected '('"));
    EXPECT_THAT(malformed("* 3 FETCH (BODY[HEADER UID 9)\r\n"), HasSubstr("a section with ']'"));
}

TEST(fetch, quotes_nobody_escaped) { // MailKit #485
    EXPECT_EQ(fetch("* 3 FETCH (BODYSTRUCTURE (\"APPLICATION\" (\"NAME\" \"the \"old\"file.pdf\") 5) UID 9)").uid, 9U);
    EXPECT_EQ(fetch("* 3 FETCH (BODYSTRUCTURE (\"A\" (\"NAME\" \"say \"hi\"\") 5)(\"a\"\"b\") UID 9)").uid, 9U);
}

TEST(fetch, spaces_and_parentheses_too_many) {
    EXPECT_EQ(fetch("*  1  FETCH  ( UID  92285  )  ").uid, 92285U);
    EXPECT_EQ(fetch("* 1 FETCH (FLAGS(\\Seen)INTERNALDATE\"17-Jul-1996 02:44:25 -0700\" UID 5)").uid, 5U);
    EXPECT_EQ(fetch("* 1 FETCH ((ENVELOPE (NIL NIL)) UID 5)").uid, 5U); // Domino, MailKit #943
    EXPECT_EQ(fetch("* 1 FETCH ()").sequence_number, 1U);
}

TEST(fetch, numbers_as_servers_write_them) {
    EXPECT_EQ(fetch("* 0 FETCH (UID 5)").sequence_number, 0U);                    // Courier, MailKit #428
    EXPECT_EQ(fetch("* 1 FETCH (RFC822.SIZE 9.3736e+06)").rfc822_size, 9373600U); // mail.ru, MailKit #1838
    EXPECT_FALSE(fetch("* 1 FETCH (RFC822.SIZE -1)").rfc822_size);
    EXPECT_FALSE(fetch("* 1 FETCH (RFC822.SIZE 99999999999999999999999)").rfc822_size);
    EXPECT_FALSE(fetch("* 1 FETCH (RFC822.SIZE NIL)").rfc822_size); // Kopano
    EXPECT_FALSE(fetch("* 1 FETCH (MODSEQ (-1))").modseq);          // Zoho
    EXPECT_FALSE(fetch("* 1 FETCH (MODSEQ -1)").modseq);
    EXPECT_EQ(fetch("* 1 FETCH (MODSEQ 17)").modseq, 17U);
    EXPECT_FALSE(fetch("* 1 FETCH (UID 0)").uid);
    EXPECT_FALSE(fetch("* 1 FETCH (UID 4294967296)").uid);
}

TEST(fetch, dates_that_are_none) {
    for (const auto* date :
         {"NIL", "\"00-Jan-0000 00:00:00 +0000\"", "\"\"", "\"yesterday\""}) { // Zarafa, Domino MailKit #1236
        const auto r = fetch(fmt::format("* 1 FETCH (INTERNALDATE {} UID 5)", date));
        EXPECT_TRUE(r.date_present) << date;
        EXPECT_FALSE(r.date) << date;
        EXPECT_EQ(r.uid, 5U) << date;
    }
    EXPECT_FALSE(fetch("* 1 FETCH (UID 5)").date_present);
}

TEST(fetch, odd_flags) { // Gmail
    EXPECT_THAT(*fetch("* 1 FETCH (FLAGS (\\Seen a]b \"two words\" [x y\"z {q) UID 5)").flags,
                ElementsAre("\\Seen", "a]b", "two words", "[x", "y\"z", "{q"));
    EXPECT_THAT(*fetch("* 1 FETCH (FLAGS () UID 5)").flags, IsEmpty());
    EXPECT_FALSE(fetch("* 1 FETCH (UID 5)").flags);
}

TEST(fetch, sections_are_gathered) {
    const auto r = fetch(
        "* 1 FETCH (BODY[header.fields (Date \"From\")] {4}\r\nD: x BODY[1.MIME]<0> \"q\\\"\" RFC822.HEADER {3+}\r\n\0\r\n UID 5)"sv);
    ASSERT_EQ(r.bodies.size(), 3U);
    EXPECT_EQ(r.bodies[0].section, "BODY[HEADER.FIELDS (DATE \"FROM\")]");
    EXPECT_EQ(r.bodies[0].content, "D: x");
    EXPECT_EQ(r.bodies[0].octets, 4U);
    EXPECT_FALSE(r.bodies[0].streamed);
    EXPECT_EQ(r.bodies[1].section, "BODY[1.MIME]<0>");
    EXPECT_EQ(r.bodies[1].content, "q\"");
    EXPECT_EQ(r.bodies[2].section, "RFC822.HEADER");
    EXPECT_EQ(r.bodies[2].content, "\0\r\n"sv);
    EXPECT_EQ(r.uid, 5U);
}

TEST(fetch, whole_messages_without_a_literal) {
    const auto quoted = fetch("* 1 FETCH (BODY[] \"tiny\" UID 5)");
    ASSERT_EQ(quoted.bodies.size(), 1U);
    EXPECT_EQ(quoted.bodies[0].content, "tiny");
    EXPECT_FALSE(quoted.bodies[0].streamed);
    for (const auto* line : {"* 1 FETCH (BODY[] NIL UID 5)", "* 1 FETCH (UID 5 BODY[] NIL)",
                             // Yandex leaves the value out (MailKit #1708)
                             "* 1 FETCH (BODY[] UID 5)", "* 1 FETCH (UID 5 BODY[])", "* 1 FETCH (UID 5 BODY[] )"}) {
        const auto r = fetch(line);
        EXPECT_EQ(r.uid, 5U) << line;
        ASSERT_EQ(r.bodies.size(), 1U) << line;
        EXPECT_EQ(r.bodies[0].section, "BODY[]");
        EXPECT_FALSE(r.bodies[0].content) << line;
        EXPECT_FALSE(r.bodies[0].streamed);
    }
}

TEST(streaming, body_between_items) {
    EXPECT_THAT(
        events_whatever_the_cuts(
            "* 12 FETCH (UID 7 BODY[] {11}\r\nA: b\r\n\r\nx)\n FLAGS (\\Seen) RFC822.SIZE 9)\r\nA1 OK done\r\n"),
        ElementsAre("begin 11 literal8=false fetch 12 uid=7 date=false/- size=- modseq=- email=- gm=- labels=[] BODY[] "
                    "streamed=true octets=11 content=",
                    "chunk A: b\r\n\r\nx)\n", "end",
                    "fetch 12 uid=7 date=false/- size=9 modseq=- email=- gm=- labels=[] flags=[\"\\\\Seen\"] BODY[] "
                    "streamed=true octets=11 content=",
                    "status tag=A1 kind=0 code=- text=done", "between responses"));
}

TEST(streaming, every_name_of_a_whole_message) {
    for (const auto& [name, section] : {std::pair{"BODY[]", "BODY[]"},
                                        {"body[]", "BODY[]"},
                                        {"BINARY[]", "BINARY[]"},
                                        {"RFC822", "RFC822"},
                                        {"RFC822[]", "RFC822"},
                                        {"BODY.PEEK[]", "BODY[]"},
                                        {"BODY[]<0>", "BODY[]<0>"}}) {
        const auto events = events_whatever_the_cuts(fmt::format("* 1 FETCH ({} {{2}}\r\nhi)\r\n", name));
        ASSERT_EQ(events.size(), 5U) << name;
        EXPECT_THAT(events[0], HasSubstr(fmt::format(" {} streamed=true", section)));
        EXPECT_EQ(events[1], "chunk hi");
    }
}

TEST(streaming, literal8_nul_empty_and_signed) {
    EXPECT_THAT(events_whatever_the_cuts("* 1 FETCH (BINARY[] ~{3}\r\na\0b)\r\n"sv),
                ElementsAre(StartsWith("begin 3 literal8=true"), "chunk a\0b"sv, "end", StartsWith("fetch 1"),
                            "between responses"));
    EXPECT_THAT(events_whatever_the_cuts("* 1 FETCH (UID 5 BODY[] {0}\r\n)\r\n"),
                ElementsAre(StartsWith("begin 0 "), "chunk ", "end", StartsWith("fetch 1 uid=5"), "between responses"));
    EXPECT_THAT(
        events_whatever_the_cuts("* 1 FETCH (BODY[]{3+}\nabc UID 5)\n"),
        ElementsAre(StartsWith("begin 3 "), "chunk abc", "end", StartsWith("fetch 1 uid=5"), "between responses"));
}

TEST(streaming, two_bodies_in_one_fetch) {
    EXPECT_THAT(events_whatever_the_cuts("* 1 FETCH (BODY[] {1}\r\na UID 5 RFC822 {1}\r\nb BODY[HEADER] {1}\r\nc)\r\n"),
                ElementsAre(StartsWith("begin 1 "), "chunk a", "end", HasSubstr("uid=5"), "chunk b", "end",
                            HasSubstr("BODY[HEADER] streamed=false octets=1 content=c"), "between responses"));
}

TEST(streaming, only_items_of_a_fetch) {
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" {6}\r\nBODY[]").name, "BODY[]");
    EXPECT_EQ(parse<other_data>("* X-THING BODY[] {2}\r\nhi").text, "BODY[] \"hi\"");
    EXPECT_THAT(fetch("* 1 FETCH (X-GM-LABELS (RFC822 {2}\r\nhi) UID 5)").gmail_labels, ElementsAre("RFC822", "hi"));
}

TEST(streaming, a_literal_too_short_never_shifts_into_the_next_message) { // MailKit #954
    EXPECT_THAT(malformed("* 1 FETCH (UID 5 BODY[] {3}\r\nabcde)\r\n* 2 FETCH (UID 6)\r\n"),
                HasSubstr("behind a literal at octet 0, found \"de)\""));
    EXPECT_THAT(malformed("* 1 FETCH (UID 5 BODY[HEADER] {3}\r\nabcde)\r\n"), HasSubstr("behind a body"));
    EXPECT_THAT(malformed("* 1 FETCH (UID 5 BODY[] {3}\r\nabc\r\n)\r\n* 2 FETCH (UID 6)\r\n"),
                HasSubstr("behind a literal at octet 0, found the end"));
}

TEST(streaming, chunks_are_views_into_the_block) {
    const std::string block = "* 1 FETCH (BODY[] {1000}\r\n" + std::string(600, 'x');
    const std::string rest = std::string(400, 'y') + ")\r\n";
    response_parser parser;
    parser.feed(block);
    EXPECT_TRUE(std::holds_alternative<response_parser::body_begin>(parser.next()));
    const auto first = std::get<response_parser::body_chunk>(parser.next()).octets;
    EXPECT_EQ(first.size(), 600U);
    EXPECT_EQ(first.data() + first.size(), block.data() + block.size());
    EXPECT_TRUE(std::holds_alternative<response_parser::need_more>(parser.next()));
    EXPECT_FALSE(parser.between_responses());
    parser.feed(rest);
    EXPECT_EQ(std::get<response_parser::body_chunk>(parser.next()).octets.data(), rest.data());
    EXPECT_TRUE(std::holds_alternative<response_parser::body_end>(parser.next()));
    EXPECT_FALSE(parser.between_responses());
    EXPECT_TRUE(std::holds_alternative<response>(parser.next()));
    EXPECT_TRUE(parser.between_responses());
}

parser_limits small() {
    parser_limits limits;
    limits.line_octets = 60;
    limits.gathered_literal = 10;
    limits.streamed_literal = 100;
    limits.nesting = 3;
    limits.list_items = 4;
    return limits;
}

TEST(limits, lines) {
    EXPECT_THAT(malformed("* OK " + std::string(56, 'x') + "\r\n", small()), HasSubstr("longer than 60 octets"));
    EXPECT_THAT(malformed(std::string(61, 'x'), small()), HasSubstr("longer than 60 octets")); // before any line end
    EXPECT_THAT(malformed("* 1 FETCH (BODY[] {1}\r\nx " + std::string(40, 'x') + "\r\n", small()),
                HasSubstr("longer than 60"));
    // What a streamed message holds does not count.
    EXPECT_THAT(
        events_whatever_the_cuts("* 1 FETCH (BODY[] {100}\r\n" + std::string(100, 'x') + ")\r\n", small()).back(),
        "between responses");
}

TEST(limits, literals) {
    EXPECT_THAT(malformed("* LIST () \"/\" {11}\r\n", small()), HasSubstr("a literal of 11 octets where at most 10"));
    EXPECT_THAT(malformed("* 1 FETCH (BODY[] {101}\r\n", small()), HasSubstr("more than 100 octets"));
    EXPECT_THAT(malformed("* 1 FETCH (BODY[] {99999999999999999999999}\r\n", small()),
                HasSubstr("more than 100 octets"));
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" {10}\r\n0123456789", small()).name, "0123456789");
    // Small ones in great number are not a way around: 60 + 10 octets in all.
    std::string many = "* X ";
    for (int i = 0; i < 8; ++i) many += "{10}\r\n0123456789 ";
    EXPECT_THAT(malformed(many, small()), HasSubstr("literals of more than 70 octets"));
}

TEST(limits, a_long_section_is_streamed) {
    const auto events = events_whatever_the_cuts("* 1 FETCH (BODY[1] {11}\r\n0123456789a UID 5)\r\n", small());
    EXPECT_THAT(events, ElementsAre(HasSubstr("BODY[1] streamed=true octets=11"), "chunk 0123456789a", "end",
                                    HasSubstr("uid=5"), "between responses"));
}

TEST(limits, nesting_and_items) {
    EXPECT_EQ(parse<fetch_data>("* 1 FETCH (X (((1))) UID 5)", small()).uid, 5U);
    EXPECT_THAT(malformed("* 1 FETCH (X ((((1)))) UID 5)\r\n", small()), HasSubstr("fewer nested"));
    EXPECT_EQ(parse<flags_data>("* FLAGS (a b c d)", small()).flags.size(), 4U);
    EXPECT_THAT(malformed("* FLAGS (a b c d e)\r\n", small()), HasSubstr("fewer items"));
}

// Each of these was or could have been quadratic in the line's length: far above ten seconds where it is tenths of one.
TEST(limits, hostile_lines_cost_linear_time) {
    parser_limits limits;
    const std::size_t octets = 256U << 10U;
    const auto repeated = [&](std::string_view head, std::string_view unit, std::string_view tail) {
        std::string out(head);
        while (out.size() < octets) out += unit;
        return out.append(tail).append("\r\n");
    };
    std::string descending = "* ESEARCH ALL ";
    for (std::uint32_t uid = 1'000'000; uid > 2; uid -= 2) descending += std::to_string(uid) + ",";
    const std::vector<std::string> lines{repeated("* 1 FETCH (", "BODY[(] ", ")"),
                                         repeated("* 1 FETCH (X \"", "a\"b", ")"),
                                         repeated("* LIST () \"/\" \"", "a\" (\"", ""),
                                         repeated("* 1 FETCH (X ", "(", ")"),
                                         repeated("* 1 FETCH (X-GM-LABELS (", "RFC822 {0}\r\n ", "))"),
                                         repeated("* 1 FETCH (X (", "\"\\\" ", "))"),
                                         repeated("* OK [", "(\"[", "]"),
                                         repeated("* 1 FETCH (", "BODY[] {0}\r\n ", ")"),
                                         descending + "1\r\n"};
    for (const std::string& line : lines) {
        const std::clock_t began = std::clock(); // of the processor: other programs do not count
        EXPECT_FALSE(detail::events_of(line, {}, limits).empty());
        EXPECT_LT(std::clock() - began, 10 * CLOCKS_PER_SEC) << line.substr(0, 40);
    }
}

} // namespace
} // namespace postferry::imap
