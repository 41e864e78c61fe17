#include "message/mbox_for_test.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::message {
namespace {

using test::found_message;
using ::testing::ElementsAre;
using kind = mbox_message::kind;

constexpr std::string_view from = "From a@b Mon Jan  1 10:00:00 2001\n";

/// Contents of the messages; read in one go, octet by octet, and each once more by itself: all must tell the same.
std::vector<std::string> contents(const std::string& file, mbox_format format = mbox_format::automatic) {
    const std::vector<found_message> all = test::read_whole(file, format);
    const std::vector<found_message> slow = test::read_whole(file, format, 1);
    const bool lengths = test::lengths_hold(file, format);
    EXPECT_EQ(all.size(), slow.size());
    std::vector<std::string> out;
    std::uint64_t at = 0;
    for (std::size_t i = 0; i < all.size() && i < slow.size(); ++i) {
        const found_message& m = all[i];
        EXPECT_EQ(m.content, slow[i].content);
        EXPECT_EQ(m.content.size(), m.about.octets);
        EXPECT_EQ(m.about.end, slow[i].about.end);
        EXPECT_GE(m.about.begin, at);
        at = m.about.end;
        const auto again = test::read_part(file, m.about.begin, m.about.end, format, lengths, 7);
        EXPECT_EQ(again.size(), 1U) << m.content;
        if (!again.empty()) {
            EXPECT_EQ(again.front().content, m.content);
            EXPECT_EQ(again.front().about.flags, m.about.flags);
        }
        out.push_back(m.content);
    }
    return out;
}

std::string lines(std::initializer_list<std::string_view> all) {
    std::string out;
    for (const std::string_view line : all) (out += line) += '\n';
    return out;
}

const std::string head(from.substr(0, from.size() - 1));

TEST(mbox_reader, two_messages) {
    const std::string file =
        lines({head, "Subject: one", "", "text", "", head, "Subject: two", "", "more", "", "and more", ""});
    EXPECT_THAT(contents(file),
                ElementsAre("Subject: one\r\n\r\ntext\r\n", "Subject: two\r\n\r\nmore\r\n\r\nand more\r\n"));
    const auto all = test::read_whole(file);
    EXPECT_EQ(all[0].about.begin, 0U);
    EXPECT_EQ(all[0].about.end, all[1].about.begin);
    EXPECT_EQ(all[1].about.end, file.size());
    EXPECT_EQ(all[0].about.date->unix_seconds, 978'343'200);
}

TEST(mbox_reader, line_ends_of_windows_and_mixed_ones) {
    EXPECT_THAT(
        contents("From a Mon Jan  1 10:00:00 2001\r\nA: 1\r\n\r\nx\r\n\r\nFrom a Mon Jan  1 10:00:00 2001\r\nB: "
                 "2\r\n\r\ny\r\n"),
        ElementsAre("A: 1\r\n\r\nx\r\n", "B: 2\r\n\r\ny\r\n"));
    EXPECT_THAT(contents(std::string(from) + "A: 1\r\n\r\nx\ny\r\n"), ElementsAre("A: 1\r\n\r\nx\r\ny\r\n"));
    EXPECT_THAT(contents(std::string(from) + "A: 1\n\na\rb\r"), ElementsAre("A: 1\r\n\r\na\rb\r"));
}

TEST(mbox_reader, quotes) {
    const std::string file =
        lines({head, "A: 1", ">From header", "", ">From here", ">>From there", "> From", ">From: x", ""});
    EXPECT_THAT(contents(file),
                ElementsAre("A: 1\r\n>From header\r\n\r\nFrom here\r\n>From there\r\n> From\r\n>From: x\r\n"));
    EXPECT_THAT(contents(file, mbox_format::mboxrd), contents(file));
    EXPECT_THAT(contents(file, mbox_format::mboxo),
                ElementsAre("A: 1\r\n>From header\r\n\r\n>From here\r\n>>From there\r\n> From\r\n>From: x\r\n"));
}

TEST(mbox_reader, what_begins_a_message) {
    // Words of a letter, a From_ line in mid-text, one without empty line before it but a header behind it.
    EXPECT_THAT(contents(lines({head, "A: 1", "", "x", "", "From now on", head, "no header", ""})),
                ElementsAre("A: 1\r\n\r\nx\r\n\r\nFrom now on\r\n" + head + "\r\nno header\r\n"));
    EXPECT_THAT(contents(lines({head, "A: 1", "", "x", head, "B: 2", "", "y"})),
                ElementsAre("A: 1\r\n\r\nx\r\n", "B: 2\r\n\r\ny\r\n"));
    EXPECT_THAT(contents(lines({"", "", head, "A: 1", "", "x"})), ElementsAre("A: 1\r\n\r\nx\r\n"));
    EXPECT_THAT(contents("\xEF\xBB\xBF" + lines({head, "A: 1", "", "x"})), ElementsAre("A: 1\r\n\r\nx\r\n"));
}

TEST(mbox_reader, flags_and_keywords_leave_the_header) {
    const std::string file =
        lines({head, "Status: RO", "Subject: s", "X-Status: AF", "X-Keywords: $Label1   Work", "   more", "X-UID: 7",
               "Content-Length: 99", "To: t", "", "Status: in the text", "", head, "STATUS: O", "B: 2", "", "y"});
    EXPECT_THAT(contents(file), ElementsAre("Subject: s\r\nTo: t\r\n\r\nStatus: in the text\r\n", "B: 2\r\n\r\ny\r\n"));
    const auto all = test::read_whole(file);
    EXPECT_THAT(all[0].about.flags, ElementsAre("\\Seen", "\\Answered", "\\Flagged", "$Label1", "Work", "more"));
    EXPECT_THAT(all[1].about.flags, ElementsAre());
}

TEST(mbox_reader, flags_of_thunderbird) {
    const auto all = test::read_whole(lines(
        {head, "X-Mozilla-Status: 0005", "A: 1", "", "x", "", head, "X-Mozilla-Status: 0009", "Status: O", "", "y"}));
    EXPECT_THAT(all[0].about.flags, ElementsAre("\\Seen", "\\Flagged"));
    EXPECT_THAT(all[0].content, "X-Mozilla-Status: 0005\r\nA: 1\r\n\r\nx\r\n");
    EXPECT_THAT(all[1].about.flags, ElementsAre("\\Deleted"));
}

TEST(mbox_reader, internal_data_is_known_by_name_and_place) {
    const std::string internal = lines({head, "From: Mail System Internal Data <MAILER-DAEMON@x>",
                                        "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA", "X-IMAP: 1 2",
                                        "Status: RO", "", "This text is part of the internal format", ""});
    const std::string mail = lines({head, "A: 1", "", "x", ""});
    const auto all = test::read_whole(internal + mail + internal);
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[0].about.what, kind::internal_data);
    EXPECT_EQ(all[1].about.what, kind::mail);
    EXPECT_EQ(all[2].about.what, kind::mail); // not the first: somebody's copy of one
}

// mboxcl2 -----------------------------------------------------------------------------------------------------------

std::string counted(std::string_view body, std::size_t length) {
    return fmt::format("{}A: 1\nContent-Length: {}\n\n{}\n", from, length, body);
}
const std::string nasty = "x\n\n" + head + "\nB: in the text\n\n>From y\n";

TEST(mbox_reader, a_content_length_that_holds) {
    const std::string nasty_out = "x\r\n\r\n" + head + "\r\nB: in the text\r\n\r\n>From y\r\n";
    const std::string file = counted(nasty, nasty.size()) + counted("z\n", 2);
    const std::vector<std::string> expected{"A: 1\r\n\r\n" + nasty_out, "A: 1\r\n\r\nz\r\n"};
    EXPECT_EQ(contents(file), expected);
    EXPECT_EQ(contents(file, mbox_format::mboxcl2), expected);
    EXPECT_EQ(contents(counted("", 0) + counted("\n", 1)),
              (std::vector<std::string>{"A: 1\r\n\r\n", "A: 1\r\n\r\n\r\n"}));
}

TEST(mbox_reader, a_content_length_that_does_not_hold) {
    for (const std::size_t wrong : {nasty.size() + 3, nasty.size() - 4, std::size_t{0}, SIZE_MAX}) {
        const auto got = contents(counted(nasty, wrong) + counted("z\n", 2), mbox_format::mboxcl2);
        ASSERT_EQ(got.size(), 3U) << wrong;
        EXPECT_EQ(got[1], "B: in the text\r\n\r\n>From y\r\n");
    }
}

TEST(mbox_reader, a_content_length_among_messages_without_one_swallows_nobody) {
    const std::string mail = lines({head, "C: 1", "", "x", ""});
    const std::string victim = lines({head, "V: 1", "", "v", ""});
    const std::string lure = fmt::format("{}A: 1\nContent-Length: {}\n\nx\n\n", from, 3 + victim.size());
    EXPECT_THAT(contents(mail + lure + victim + mail),
                ElementsAre("C: 1\r\n\r\nx\r\n", "A: 1\r\n\r\nx\r\n", "V: 1\r\n\r\nv\r\n", "C: 1\r\n\r\nx\r\n"));
}

// Damage ------------------------------------------------------------------------------------------------------------

TEST(mbox_reader, no_from_line_at_the_start) {
    const std::string mail = lines({head, "A: 1", "", "x", ""});
    auto all = test::read_whole("Subject: lost its head\n\ntext\n\n" + mail);
    ASSERT_EQ(all.size(), 2U);
    EXPECT_TRUE(all[0].about.without_from && all[0].about.what == kind::mail);
    EXPECT_EQ(all[0].content, "Subject: lost its head\r\n\r\ntext\r\n");
    all = test::read_whole(std::string("\x7f"
                                       "ELF\0\1\2\n\n",
                                       9) +
                           mail);
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].about.what, kind::junk);
    EXPECT_EQ(all[1].content, "A: 1\r\n\r\nx\r\n");
}

TEST(mbox_reader, a_truncated_last_message) {
    const std::string mail = lines({head, "A: 1", "", "x", ""});
    EXPECT_THAT(contents(mail + std::string(from) + "B: 2\n\nin mid-sen"),
                ElementsAre("A: 1\r\n\r\nx\r\n", "B: 2\r\n\r\nin mid-sen"));
    EXPECT_THAT(contents(mail + std::string(from) + "Subj"), ElementsAre("A: 1\r\n\r\nx\r\n", "Subj"));
    const auto all = test::read_whole(mail + head);
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[1].about.what, kind::empty);
    EXPECT_EQ(test::read_whole(mail + head + "\n" + mail)[1].about.what, kind::empty);
}

TEST(mbox_reader, a_hole_of_nuls) {
    const std::string hole(5000, '\0');
    const std::string mail = lines({head, "A: 1", "", "x", ""});
    EXPECT_THAT(contents(mail + hole + mail), ElementsAre("A: 1\r\n\r\nx\r\n\r\n" + hole, "A: 1\r\n\r\nx\r\n"));
    EXPECT_THAT(contents(lines({head, "A: 1", "", "x"}) + hole + mail),
                ElementsAre("A: 1\r\n\r\nx\r\n" + hole, "A: 1\r\n\r\nx\r\n"));
    EXPECT_THAT(contents(std::string(from) + "A: 1\n\na" + std::string(3, '\0') + "b\n"),
                ElementsAre("A: 1\r\n\r\na" + std::string(3, '\0') + "b\r\n"));
}

TEST(mbox_reader, lines_without_end) {
    const std::string endless(300'000, 'x');
    EXPECT_THAT(contents(std::string(from) + endless + "\n\n" + endless), ElementsAre(endless + "\r\n\r\n" + endless));
    const std::string keywords = "X-Keywords: " + endless + "\n";
    EXPECT_THAT(contents(std::string(from) + keywords + "A: 1\n\nx\n"), ElementsAre("A: 1\r\n\r\nx\r\n"));
    EXPECT_THAT(contents(std::string(from) + "A: 1\n\nFrom " + endless + "\n"),
                ElementsAre("A: 1\r\n\r\nFrom " + endless + "\r\n"));
}

TEST(mbox_reader, nothing_at_all) {
    EXPECT_THAT(contents(""), ElementsAre());
    EXPECT_THAT(contents("\n\r\n\n"), ElementsAre());
}

} // namespace
} // namespace postferry::message
