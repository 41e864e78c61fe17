#include "message/mbox_for_test.hpp"
#include "message/mbox_writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace postferry::message {
namespace {

using ::testing::ElementsAre;
using namespace std::string_literals;

constexpr message_date date{978'343'200, 60};

TEST(mbox_writer, as_mailers_expect_it) {
    EXPECT_EQ(test::write("Subject: s\r\n\r\nFrom here\r\n>From there\r\n", "\\Answered \\Seen $Label1 Work", date),
              "From postferry Mon Jan  1 11:00:00 2001 +0100\n"
              "Status: RO\nX-Status: A\nX-Keywords: $Label1 Work\n"
              "Subject: s\n\n>From here\n>>From there\n\n");
    EXPECT_EQ(test::write("A: 1\r\n\r\nx\r\n"),
              "From postferry Thu Jan  1 00:00:00 1970 +0000\nStatus: O\nA: 1\n\nx\n\n");
}

TEST(mbox_writer, the_messages_own_fields_are_quoted_in_its_header_only) {
    EXPECT_EQ(test::write("Status: RO\r\nA: 1\r\n>X-UID: 5\r\ncontent-length: 3\r\n\r\nStatus: x\r\n", "", date),
              "From postferry Mon Jan  1 11:00:00 2001 +0100\nStatus: O\n"
              ">Status: RO\nA: 1\n>>X-UID: 5\n>content-length: 3\n\nStatus: x\n\n");
}

/// Writes, reads, compares; with all of the message at hand when it begins, and with none.
void there_and_back(const std::string& content) {
    for (const std::size_t known : {SIZE_MAX, std::size_t{0}, std::size_t{4}})
        for (const std::size_t step : {SIZE_MAX, std::size_t{1}, std::size_t{3}}) {
            bool altered = false;
            const std::string mail = test::write(content, "\\Seen x", date, known, step, &altered);
            const auto found = test::read_whole(mail + mail);
            ASSERT_EQ(found.size(), 2U) << mail;
            for (const auto& m : found) {
                EXPECT_EQ(m.content == content, !altered) << testing::PrintToString(mail);
                EXPECT_THAT(m.about.flags, ElementsAre("\\Seen", "x"));
                EXPECT_EQ(m.about.date, date);
            }
            EXPECT_FALSE(altered && known == SIZE_MAX);
        }
}

TEST(mbox_writer, every_message_comes_back_as_it_was) {
    for (const char* content : {
             "A: 1\r\n\r\nx\r\n",     // the usual
             "A: 1\r\n\r\nx",         // no line end
             "A: 1\r\n\r\nx\r\n\r\n", // an empty line at its end
             "A: 1\r\n",              // a header and no more
             "A: 1\r\n\r\n",          // no text
             "\r\n",
             "\r\n\r\n",
             "x",
             "\r",
             "\n",
             "\r\r\n",
             " folded\r\n",                   // nothing that is a message
             "A: 1\r\n\r\na\rb\r\nc\r\r\n\r", // bare CR
             "A: 1\n\nx\n",
             "A: 1\r\n\nx\r\ny",
             "A: 1\r\n\r\nx\ny\r\n",                                 // bare LF
             "From a Mon Jan  1 10:00:00 2001\r\nA: 1\r\n\r\nx\r\n", // a message of another mbox
             "A: 1\r\n\r\nx\r\n\r\nFrom postferry Mon Jan  1 10:00:00 2001\r\n>>>From \r\n",
             "Status: RO\r\nX-Status: A\r\nX-Keywords: y\r\nX-UID: 1\r\nX-IMAPbase: 1 2\r\n folded\r\n\r\nStatus: "
             "x\r\n",
             "X-Status: A\r\n",
             ">Status: ",
             "Content-Length: 4\r\n\r\nFrom ",
             ">",
             ">From",
             "From",
             "X-Mozilla-Status: 0002\r\nStatus: O\r\n\r\n",
         })
        there_and_back(content);
    there_and_back("A: \0\r\n\r\n\0From a Mon Jan  1 10:00:00 2001\r\n\0\0\r\n"s);
    there_and_back("A: 1\r\n\r\n" + std::string(100'000, 'x') + "\r\nFrom y\r\n");
    for (const unsigned quotes : {40U, 48U, 49U, 60U, 63U, 64U, 65U, 1010U, 1023U, 1024U, 5000U})
        for (const char* word : {"From y\r\n", "Status: y\r\n", "Content-Length:", ""}) {
            there_and_back("A: 1\r\n\r\n" + std::string(quotes, '>') + word);
            there_and_back(std::string(quotes, '>') + word);
        }
}

// Texts made of everything that means something to an mbox.
TEST(mbox_writer, random_messages_come_back_as_they_were) {
    constexpr std::array<std::string_view, 16> pieces{"\r\n",
                                                      "\n",
                                                      "\r",
                                                      "From ",
                                                      ">",
                                                      "Status: ",
                                                      "X-UID:",
                                                      "a",
                                                      " ",
                                                      std::string_view("\0", 1),
                                                      "From a Mon Jan  1 10:00:00 2001",
                                                      "\r\n\r\n",
                                                      ":",
                                                      "Subject: FOLDER INTERNAL DATA\r\n",
                                                      "X-IMAP: 1\r\n",
                                                      "\r\nFrom postferry Mon Jan  1 10:00:00 2001 +0000\r\n"};
    std::mt19937 random(20'011);
    for (int round = 0; round < 3000; ++round) {
        std::string content = "x";
        for (std::size_t n = random() % 20; n > 0; --n) content += pieces[random() % pieces.size()];
        if (round % 2 == 0) content.erase(0, 1);
        if (!content.empty()) there_and_back(content);
        if (HasFailure()) break;
    }
}

} // namespace
} // namespace postferry::message
