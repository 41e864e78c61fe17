// Status responses and continuation requests: RFC 3501 section 7.1, 7.5; RFC 4315; RFC 5530.
#include "protocol/imap/detail/parse_for_test.hpp"

#include <gmock/gmock.h>

namespace postferry::imap {
namespace {

using detail::malformed;
using detail::parse;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

status_response status(std::string_view line) { return parse<status_response>(line); }

TEST(status_response, tagged_and_untagged) {
    const auto done = status("A142 OK SELECT completed");
    EXPECT_EQ(done.tag, "A142");
    EXPECT_EQ(done.kind, status_kind::ok);
    EXPECT_FALSE(done.code);
    EXPECT_EQ(done.text, "SELECT completed");
    EXPECT_EQ(status("* NO Disk is 98% full").kind, status_kind::no);
    EXPECT_EQ(status("* NO Disk is 98% full").tag, "");
    EXPECT_EQ(status("a1 bad Missing command").kind, status_kind::bad);
    EXPECT_EQ(status("* PREAUTH logged in as Smith").kind, status_kind::preauth);
    EXPECT_EQ(status("* BYE Autologout; idle for too long").kind, status_kind::bye);
}

TEST(status_response, codes_keep_name_and_arguments) {
    const auto r = status("o356 NO [ALREADYEXISTS] Mailbox \"that\" already exists");
    ASSERT_TRUE(r.code);
    EXPECT_EQ(r.code->name, "ALREADYEXISTS");
    EXPECT_EQ(r.code->args, "");
    EXPECT_EQ(r.text, "Mailbox \"that\" already exists");
    const auto id = status("* OK [MAILBOXID (F2212ea87-6097)] Ok");
    EXPECT_EQ(id.code->name, "MAILBOXID");
    EXPECT_EQ(id.code->args, "(F2212ea87-6097)");
    EXPECT_EQ(status("* OK [throttled] [Gmail]/Sent Mail selected").code->name, "THROTTLED");
    EXPECT_EQ(status("* OK [throttled] [Gmail]/Sent Mail selected").text, "[Gmail]/Sent Mail selected");
}

TEST(status_response, numbers_in_codes) {
    EXPECT_EQ(status("* OK [UIDVALIDITY 3857529045] UIDs valid").code->number, 3857529045U);
    EXPECT_EQ(status("* OK [UIDNEXT 4392] Predicted next UID").code->number, 4392U);
    EXPECT_EQ(status("* OK [UNSEEN 12] first").code->number, 12U);
    EXPECT_EQ(status("* OK [HIGHESTMODSEQ 715194045007] Highest").code->number, 715194045007U);
    EXPECT_EQ(status("* OK [UIDNEXT 9.3736e+06] mail.ru").code->number, 9373600U);
    EXPECT_FALSE(status("* OK [UIDNEXT soon] odd").code->number);
    EXPECT_FALSE(status("* OK [HIGHESTMODSEQ -1] Zoho").code->number);
}

TEST(status_response, lists_in_codes) {
    EXPECT_THAT(*status("* OK [PERMANENTFLAGS (\\Deleted \\Seen \\*)] Limited").code->flags,
                ElementsAre("\\Deleted", "\\Seen", "\\*"));
    EXPECT_THAT(*status("* OK [PERMANENTFLAGS ()] none").code->flags, IsEmpty());
    EXPECT_THAT(*status("t BAD [BADCHARSET (US-ASCII \"[in brackets]\")] foo").code->flags,
                ElementsAre("US-ASCII", "[in brackets]"));
    const auto greeting = status("* OK [CAPABILITY IMAP4rev1 literal + AUTH=PLAIN THIS+THAT + ID] Hello");
    EXPECT_THAT(*greeting.code->capabilities,
                ElementsAre("IMAP4REV1", "LITERAL+", "AUTH=PLAIN", "THIS+THAT", "+", "ID"));
    EXPECT_EQ(greeting.text, "Hello");
}

TEST(status_response, flags_with_brackets_do_not_end_the_code) { // Gmail
    const auto r = status("* OK [PERMANENTFLAGS (\\Seen we[i]rd \\*)] Flags permitted.");
    EXPECT_THAT(*r.code->flags, ElementsAre("\\Seen", "we[i]rd", "\\*"));
    EXPECT_EQ(r.text, "Flags permitted.");
}

TEST(status_response, appenduid) {
    const auto one = status("A003 OK [APPENDUID 38505 3955] APPEND completed").code->uids;
    ASSERT_TRUE(one);
    EXPECT_EQ(one->uid_validity, 38505U);
    EXPECT_TRUE(one->source.empty());
    EXPECT_EQ(one->target.to_string(), "3955");
    const auto many = status("A003 OK [APPENDUID 2 9,6:7,4] APPEND completed").code->uids;
    EXPECT_EQ(many->target.to_string(), "4,6:7,9");
    EXPECT_THAT(many->target_in_order, ElementsAre(9, 6, 7, 4));
}

TEST(status_response, copyuid) {
    const auto copied = status("A004 OK [copyUID 9999 20:19,500:495 92:97,101:100] Done").code->uids;
    ASSERT_TRUE(copied);
    EXPECT_EQ(copied->source.to_string(), "19:20,495:500");
    EXPECT_EQ(copied->target.to_string(), "92:97,100:101");
    EXPECT_THAT(copied->target_in_order, ElementsAre(92, 93, 94, 95, 96, 97, 100, 101));
    EXPECT_THAT(copied->source_in_order, ElementsAre(19, 20, 495, 496, 497, 498, 499, 500));
}

TEST(status_response, copyuid_of_nothing) { // Office 365, MailKit #555
    const auto copied = status("A004 OK [COPYUID 701  ] nothing").code->uids;
    ASSERT_TRUE(copied);
    EXPECT_EQ(copied->uid_validity, 701U);
    EXPECT_TRUE(copied->source.empty());
    EXPECT_TRUE(copied->target.empty());
}

TEST(status_response, uids_that_cannot_be_trusted_are_left_out) {
    EXPECT_FALSE(status("A1 OK [APPENDUID 1 *] x").code->uids);
    EXPECT_FALSE(status("A1 OK [APPENDUID x 1] x").code->uids);
    EXPECT_FALSE(status("A1 OK [APPENDUID 99999999999 1] x").code->uids);
    EXPECT_FALSE(status("A1 OK [COPYUID 1 0 1] x").code->uids);
}

TEST(status_response, order_of_a_huge_set_is_not_kept) {
    const auto uids = status("A1 OK [APPENDUID 7 1:4294967295] x").code->uids;
    ASSERT_TRUE(uids);
    EXPECT_EQ(uids->target.count(), 4294967295U);
    EXPECT_THAT(uids->target_in_order, IsEmpty());
    EXPECT_EQ(status("A1 OK [APPENDUID 7 1:100000] x").code->uids->target_in_order.size(), 100'000U);
}

TEST(status_response, spaces_and_text_may_be_missing_or_too_many) {
    EXPECT_EQ(status("* OK [HIGHESTMODSEQ 1]").code->number, 1U); // Gmail, modern-email #28
    EXPECT_EQ(status("* OK [HIGHESTMODSEQ 1]").text, "");
    EXPECT_EQ(status("tag0001 OK").kind, status_kind::ok);
    EXPECT_EQ(status("* BYE").kind, status_kind::bye);
    const auto tight = status("A1 OK[READ-WRITE]done");
    EXPECT_EQ(tight.code->name, "READ-WRITE");
    EXPECT_EQ(tight.text, "done");
    const auto wide = status("*  OK  [ UIDNEXT  5 ]  wide");
    EXPECT_EQ(wide.code->number, 5U);
    EXPECT_EQ(wide.text, "wide");
}

TEST(status_response, odd_codes_are_text_or_nothing) {
    EXPECT_FALSE(status("* OK [] hello").code);
    EXPECT_EQ(status("* OK [] hello").text, "hello");
    EXPECT_FALSE(status("* OK [ALERT never closed").code);
    EXPECT_EQ(status("* OK [ALERT never closed").text, "[ALERT never closed");
    const auto quote = status("* OK [X-ODD a \"b] text"); // the quote does not hide the bracket
    EXPECT_EQ(quote.code->name, "X-ODD");
    EXPECT_EQ(quote.code->args, "a \"b");
    EXPECT_EQ(quote.text, "text");
}

TEST(status_response, without_its_star_or_its_ok) {
    const auto exchange = status("NO Server Unavailable. 15"); // Exchange
    EXPECT_EQ(exchange.tag, "");
    EXPECT_EQ(exchange.kind, status_kind::no);
    EXPECT_EQ(exchange.text, "Server Unavailable. 15");
    for (const auto* line : {"* [COPYUID 7 1 2] moved", "[COPYUID 7 1 2] moved"}) { // Office 365, MailKit #115
        const auto r = status(line);
        EXPECT_EQ(r.kind, status_kind::ok);
        ASSERT_TRUE(r.code && r.code->uids) << line;
        EXPECT_EQ(r.text, "moved");
    }
}

TEST(status_response, text_holds_what_came) {
    EXPECT_EQ(status("* OK \xf0\x9d\x96\x80 \xff\x01 caf\xe9").text, "\xf0\x9d\x96\x80 \xff\x01 caf\xe9");
    EXPECT_EQ(status("* OK a\rb").text, "a b");
}

TEST(status_response, text_that_ends_like_a_literal_is_text) {
    EXPECT_EQ(status("* OK the answer {5}").text, "the answer {5}");
    EXPECT_EQ(status("A1 NO Invalid size {5}").text, "Invalid size {5}");
    EXPECT_EQ(status("* [ALERT] {5}").text, "{5}");
}

TEST(status_response, line_feed_alone_ends_a_line) {
    const auto events = detail::events_whatever_the_cuts("* OK a\n\r\nA1 OK b\r\r\n");
    EXPECT_THAT(events, ElementsAre(HasSubstr("text=a"), HasSubstr("text=b"), "between responses"));
}

TEST(continuation_request, text_or_none) {
    EXPECT_EQ(parse<continuation_request>("+ Ready for literal data").text, "Ready for literal data");
    EXPECT_EQ(parse<continuation_request>("+ YGgGCSqG=").text, "YGgGCSqG=");
    EXPECT_EQ(parse<continuation_request>("+ ").text, "");
    EXPECT_EQ(parse<continuation_request>("+").text, ""); // DavMail, modern-email #7
    EXPECT_EQ(parse<continuation_request>("+idling").text, "idling");
    EXPECT_EQ(parse<continuation_request>("+ send {5}").text, "send {5}");
}

TEST(malformed_input, is_named_and_final) {
    EXPECT_THAT(malformed("HTTP/1.1 400 Bad Request\r\n"), HasSubstr("no IMAP response: \"HTTP/1.1 400"));
    EXPECT_THAT(malformed("SSH-2.0-OpenSSH_9.2\r\n"), HasSubstr("SSH-2.0"));
    EXPECT_THAT(malformed("A1\r\n"), HasSubstr("no IMAP response"));
    EXPECT_THAT(malformed("*\r\n"), HasSubstr("without a keyword"));
    EXPECT_THAT(malformed("\x15\x03\x01\r\n"), HasSubstr("\\x15\\x03\\x01")); // octets are escaped
    response_parser parser;
    parser.feed("garbage\r\n* OK fine\r\n");
    const auto first = std::get<response_parser::malformed>(parser.next()).what;
    EXPECT_FALSE(parser.between_responses());
    parser.feed("* OK fine\r\n");
    EXPECT_EQ(std::get<response_parser::malformed>(parser.next()).what, first);
}

} // namespace
} // namespace postferry::imap
