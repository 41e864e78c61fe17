#include "support/repair_checks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::message {
namespace {

using support::broken_promise;
using support::repaired;
using support::surveyed;
using testing::HasSubstr;
using testing::Not;

constexpr repair_set lines{repair::long_lines};

std::string fixed(const std::string& message) {
    EXPECT_EQ(broken_promise(message, lines), "");
    return repaired(message, lines);
}
bool wraps(const std::string& message) { return surveyed(message, lines, 1'000).wrapped; }

/// The body behind the first empty line, decoded from quoted-printable.
std::string decoded_body(std::string_view message) {
    message.remove_prefix(message.find("\r\n\r\n") + 4);
    std::string out;
    for (std::size_t i = 0; i < message.size(); ++i) {
        if (message[i] != '=') {
            out += message[i];
        } else if (message.substr(i + 1, 2) == "\r\n") {
            i += 2;
        } else {
            out += static_cast<char>(std::stoi(std::string(message.substr(i + 1, 2)), nullptr, 16));
            i += 2;
        }
    }
    return out;
}

std::string words(std::size_t octets) {
    std::string out;
    while (out.size() < octets) out += "wort ";
    out.resize(octets, 'x');
    return out;
}

TEST(repair_long_lines, up_to_998_octets_nothing_happens) {
    const std::string message = "A: b\r\n\r\n" + std::string(998, 'x') + "\r\n";
    EXPECT_EQ(fixed(message), message);
    EXPECT_NE(fixed("A: b\r\n\r\n" + std::string(999, 'x') + "\r\n"), message);
    EXPECT_EQ(fixed("A: b\n\n" + std::string(998, 'x') + "\n"), "A: b\n\n" + std::string(998, 'x') + "\n");
}

TEST(repair_long_lines, text_becomes_quoted_printable_and_is_the_same_when_decoded) {
    const std::string body = words(3'000) + " \r\nfin = \xc3\xb6 \t\r\nbare\nlf and \r cr, end";
    const std::string out = fixed("Subject: x\r\n\r\n" + body);
    EXPECT_THAT(out, testing::StartsWith(
                         "Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"));
    EXPECT_EQ(decoded_body(out), body);
    EXPECT_FALSE(wraps("Subject: x\r\n\r\n" + body));
}

TEST(repair_long_lines, the_encoding_that_was_said_is_replaced) {
    const std::string out =
        fixed("MIME-Version: 1.0\r\nContent-Transfer-Encoding:\r\n 8bit\r\nSubject: x\r\n\r\n" + words(2'000) + "\r\n");
    EXPECT_THAT(out, testing::StartsWith("MIME-Version: 1.0\r\nSubject: x\r\n"
                                         "Content-Transfer-Encoding: quoted-printable\r\n\r\n"));
}

TEST(repair_long_lines, only_the_part_that_needs_it) {
    const std::string out = fixed("Content-Type: multipart/alternative;\r\n boundary=\"b c\"\r\n\r\npreamble\r\n"
                                  "--b c\r\nContent-Type: text/plain\r\n\r\nshort\r\n"
                                  "--b c\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" +
                                  words(1'500) + "\r\n--b c--\r\nepilogue\r\n");
    EXPECT_THAT(out, testing::StartsWith("Content-Type: multipart/alternative;\r\n boundary=\"b c\"\r\n\r\npreamble\r\n"
                                         "--b c\r\nContent-Type: text/plain\r\n\r\nshort\r\n"
                                         "--b c\r\nContent-Type: text/html\r\n"
                                         "Content-Transfer-Encoding: quoted-printable\r\n\r\nwort wort"));
    EXPECT_THAT(out, testing::EndsWith("\r\n--b c--\r\nepilogue\r\n"));
    EXPECT_THAT(out, Not(HasSubstr("7bit")));
}

TEST(repair_long_lines, a_message_within_a_message) {
    const std::string out =
        fixed("Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: inner\r\n\r\n" + words(1'200) +
              "\r\n--d--\r\n");
    EXPECT_THAT(out, HasSubstr("--d\r\n\r\nSubject: inner\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: "
                               "quoted-printable\r\n\r\nwort"));
}

TEST(repair_long_lines, base64_is_broken_where_it_does_not_matter) {
    const std::string message = "Content-Transfer-Encoding: base64\r\n\r\n" + std::string(2'000, 'A') + "\r\n";
    const std::string out = fixed(message);
    EXPECT_THAT(out, HasSubstr("\r\n\r\n" + std::string(988, 'A') + "\r\n" + std::string(988, 'A') + "\r\nAAAA"));
    EXPECT_FALSE(wraps(message));
}

TEST(repair_long_lines, quoted_printable_gets_soft_line_breaks) {
    std::string body;
    while (body.size() < 5'000) body += "x=C3=B6";
    const std::string message = "Content-Transfer-Encoding: Quoted-Printable\r\n\r\n" + body + "\r\n";
    EXPECT_EQ(decoded_body(fixed(message)), decoded_body(message));
    EXPECT_FALSE(wraps(message));
}

TEST(repair_long_lines, what_has_no_encoding_that_we_know_is_wrapped_and_said_to_be) {
    const std::string message = "Content-Transfer-Encoding: x-uuencode\r\n\r\n" + words(1'500) + "\r\n";
    EXPECT_THAT(fixed(message), HasSubstr(" \r\nwort"));
    EXPECT_TRUE(wraps(message));
}

TEST(repair_long_lines, header_fields_are_folded) {
    std::string to = "To: a@x.example";
    while (to.size() < 2'500) to += ", somebody@x.example";
    const std::string out = fixed(to + "\r\nSubject: x\r\n\r\nbody\r\n");
    std::string unfolded;
    for (std::size_t i = 0; i < out.size(); ++i) {
        if (out.compare(i, 3, "\r\n ") == 0)
            ++i;
        else
            unfolded += out[i];
    }
    EXPECT_EQ(unfolded, to + "\r\nSubject: x\r\n\r\nbody\r\n");
    EXPECT_FALSE(wraps(to + "\r\n\r\nbody\r\n"));
    EXPECT_TRUE(wraps("X-Token: " + std::string(3'000, 't') + "\r\n\r\nbody\r\n"));
}

TEST(repair_long_lines, multibyte_characters_stay_whole) {
    std::string message = "Content-Transfer-Encoding: x-other\r\n\r\na";
    for (int i = 0; i < 1'000; ++i) message += "\xe2\x82\xac";
    const std::string out = fixed(message + "\r\n");
    EXPECT_THAT(out, HasSubstr("\xac\r\n\xe2"));
}

TEST(repair_long_lines, a_line_without_end_needs_no_memory) {
    repair_survey survey(lines);
    const std::string piece(65'536, 'x');
    survey.update("Subject: x\r\n\r\n");
    for (int i = 0; i < 400; ++i) survey.update(piece);
    const repair_plan plan = survey.finish();
    repairer make(plan);
    std::string out;
    std::uint64_t octets = 0;
    const auto count = [&] {
        EXPECT_LT(out.size(), 4 * piece.size());
        octets += out.size();
        out.clear();
    };
    make.update("Subject: x\r\n\r\n", out);
    for (int i = 0; i < 400; ++i) {
        make.update(piece, out);
        count();
    }
    make.finish(out);
    count();
    EXPECT_EQ(octets, plan.octets);
}

} // namespace
} // namespace postferry::message
