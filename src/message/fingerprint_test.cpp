#include "base/text.hpp"
#include "message/fingerprint.hpp"
#include "message/header_fields.hpp"

#include <gtest/gtest.h>

#include <string>

namespace postferry::message {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view plain = "Date: Mon, 1 Jan 2001 10:00:00 +0100\r\n"
                                   "From: Alice <alice@example.org>\r\n"
                                   "To: bob@example.org\r\n"
                                   "Subject: Hello there\r\n"
                                   "Message-ID: <1@example.org>\r\n\r\n";

sha256_digest digest_of(std::string_view header) { return fingerprint_of(header).digest; }

TEST(fingerprint, asks_for_the_fields_that_it_reads) {
    std::string header;
    std::string names(fingerprint_fields());
    while (!names.empty()) {
        const std::string name = names.substr(0, names.find(' '));
        names.erase(0, name.size() + 1);
        const sha256_digest without = digest_of(header);
        header += name + ": some value\n";
        EXPECT_NE(digest_of(header), without) << name;
    }
    const sha256_digest all = digest_of(header);
    EXPECT_EQ(digest_of(header + "Received: x\nSender: y\nX-TUID: z\n"), all);
}

TEST(fingerprint, is_blind_to_what_servers_rewrite) {
    const sha256_digest expected = digest_of(plain);
    EXPECT_EQ(digest_of("from:Alice  <alice@example.org>\n"
                        "MESSAGE-ID :\n <1@example.org>\n"
                        "Date: Mon,\n\t1 Jan 2001 10:00:00 +0100\n"
                        "Cc:\n"
                        "Subject:  Hello\tthere \n"
                        "To: bob@example.org\n"),
              expected);
    EXPECT_EQ(digest_of("Return-Path: <a@b>\r\nStatus: RO\r\nX-Status: F\r\nX-UID: 12\r\nX-UIDL: x\r\nX-Keywords: \r\n"
                        "X-IMAPbase: 1 2\r\nX-IMAP: 1\r\nLines: 3\r\nContent-Length: 9\r\nX-TUID: q\r\n" +
                        std::string(plain)),
              expected);
    EXPECT_EQ(digest_of("From alice Mon Jan  1 10:00:00 2001\n" + std::string(plain)), expected);
}

TEST(fingerprint, folds_eight_bit_and_control_characters) {
    const sha256_digest expected = digest_of("Subject: Gr?e\n");
    EXPECT_EQ(digest_of("Subject: Gr\xc3\xb6\xc3\x9f"
                        "e\n"),
              expected);
    EXPECT_EQ(digest_of("Subject: Gr\xf6\xdf"
                        "e\n"),
              expected);
    EXPECT_EQ(digest_of("Subject: Gr????e\n"), expected);
    EXPECT_EQ(digest_of("Subject: Gr\xf6 ? \xdf"
                        "e\n"),
              expected);
    EXPECT_EQ(digest_of("Subject: Gr\0\x7f\x1b"
                        "e\n"sv),
              expected);
    EXPECT_NE(digest_of("Subject: Gre\n"), expected);
}

TEST(fingerprint, tells_apart_what_differs) {
    const sha256_digest base = digest_of("From: a\nTo: b\n");
    EXPECT_NE(digest_of("From: b\nTo: a\n"), base);
    EXPECT_NE(digest_of("From: A\nTo: b\n"), base);
    EXPECT_NE(digest_of("From: a\nTo: b\nTo: b\n"), base);
    EXPECT_NE(digest_of("From: a\nTo: bTo:b\n"), digest_of("From: a\nTo: b\nTo: b\n"));
    EXPECT_NE(digest_of("To: b\nTo: c\n"), digest_of("To: c\nTo: b\n"));
    EXPECT_EQ(digest_of("To: b\nFrom: a\nTo: c\n"), digest_of("From: a\nTo: b\nTo: c\n"));
}

TEST(fingerprint, is_strong_only_with_a_message_id) {
    EXPECT_TRUE(fingerprint_of(plain).strong);
    EXPECT_EQ(fingerprint_of(plain).message_id, "<1@example.org>");
    for (const std::string_view header :
         {"Subject: x\n"sv, "Message-ID:\n"sv, "Message-ID: <>\n"sv, "Message-ID: < \xf6 >\n"sv, ""sv,
          "no header at all"sv, "\nMessage-ID: <in@body>\n"sv}) {
        EXPECT_FALSE(fingerprint_of(header).strong) << header;
        EXPECT_EQ(fingerprint_of(header).message_id, "") << header;
    }
    EXPECT_EQ(digest_of(""), digest_of("\r\n"));
}

TEST(fingerprint, message_id_for_reports_is_escaped_and_bounded) {
    EXPECT_EQ(fingerprint_of("Message-ID:\r\n <a\x01\xff b@x>\r\n").message_id, "<a\\x01\\xffb@x>");
    for (const char c : {'a', '\x01', '\xff'}) {
        const auto f = fingerprint_of("Message-ID: <a" + std::string(100'000, c) + ">\n");
        EXPECT_LE(f.message_id.size(), 200U);
        EXPECT_GE(f.message_id.size(), 190U);
        EXPECT_TRUE(is_utf8(f.message_id));
    }
}

sha256_digest tolerant(std::string_view text, std::size_t piece) {
    tolerant_digest digest;
    for (std::size_t i = 0; i < text.size(); i += piece) digest.update(text.substr(i, piece));
    return digest.finish();
}

TEST(tolerant_digest, is_blind_to_line_ends_and_nul_and_to_nothing_else) {
    const sha256_digest expected = sha256::of("\none\ntwo\x80");
    for (const std::size_t piece : {1U, 2U, 100U}) {
        EXPECT_EQ(tolerant("\r\none\r\ntwo\0\r\n"sv, piece), expected) << piece;
        EXPECT_EQ(tolerant("\none\ntwo\x80\n", piece), expected) << piece;
        EXPECT_EQ(tolerant("\r\n\ron\re\r\r\ntwo\0\n"sv, piece), expected) << piece;
        EXPECT_EQ(tolerant("\none\ntwo\x80", piece), expected) << piece; // docs/quirks.md#last-line-end
        EXPECT_EQ(tolerant("\none\ntwo\x80\n\n", piece), expected) << piece;
        // Of "end CRLF CR" Courier makes "end CRLF CRLF", and Dovecot "end CRLF".
        EXPECT_EQ(tolerant("\none\ntwo\x80\r\n\r", piece), expected) << piece;
        EXPECT_NE(tolerant("\none\n\ntwo\x80", piece), expected) << piece;
        EXPECT_NE(tolerant("\none\ntwo\x81\n", piece), expected) << piece;
    }
}

// docs/quirks.md#header-8bit: as Cyrus 3.6 stores it with munge8bit, its default.
TEST(tolerant_digest, takes_x_for_octets_of_8_bits_in_the_header_only) {
    const sha256_digest expected = tolerant("Subject: Gr\xc3\xbc\xc3\x9f"
                                            "e\r\n\r\nGr\xc3\xbc\r\n",
                                            100);
    EXPECT_EQ(tolerant("Subject: GrXXXXe\r\n\r\nGr\xc3\xbc\r\n", 100), expected);
    EXPECT_NE(tolerant("Subject: GrXXXe\r\n\r\nGr\xc3\xbc\r\n", 100), expected);
    EXPECT_NE(tolerant("Subject: GrXXXXe\r\n\r\nGrXX\r\n", 100), expected);
}

TEST(fingerprint, takes_x_for_octets_of_8_bits) {
    const std::string_view rest = "Message-ID: <a@b.example>\r\n";
    EXPECT_EQ(fingerprint_of("Subject: Gr\xc3\xbc\xc3\x9f"
                             "e\r\n" +
                             std::string(rest))
                  .digest,
              fingerprint_of("Subject: GrXXXXe\r\n" + std::string(rest)).digest);
}

TEST(tolerant_digest, does_not_depend_on_how_the_text_is_cut) {
    std::string text;
    for (int i = 0; i < 9000; ++i) text += i % 7 == 0 ? "\r\n" : i % 31 == 0 ? std::string(1, '\0') : std::to_string(i);
    const sha256_digest expected = tolerant(text, text.size());
    for (const std::size_t piece : {1U, 2U, 1000U, 16384U, 16385U}) EXPECT_EQ(tolerant(text, piece), expected) << piece;
}

TEST(tolerant_digest, leaves_out_the_field_of_mbsync_in_the_header_only) {
    const sha256_digest expected = tolerant("Subject: x\r\nTo: y\r\n\r\nX-TUID: in the body\r\n", 100);
    const std::string_view marked = "Subject: x\r\nX-TUID: 7+EXR6gbMK9v\r\nTo: y\r\n\r\nX-TUID: in the body\r\n";
    for (const std::size_t piece : {1U, 5U, 100U}) EXPECT_EQ(tolerant(marked, piece), expected) << piece;
    EXPECT_EQ(tolerant("Subject: x\r\nTo: y\r\nx-tuid: z\r\n\r\nX-TUID: in the body\r\n", 100), expected);
    EXPECT_NE(tolerant("Subject: x\r\nTo: y\r\n\r\n", 100), expected);
    EXPECT_NE(tolerant("Subject: x\r\nX-TUIDS: z\r\nTo: y\r\n\r\nX-TUID: in the body\r\n", 100), expected);
    EXPECT_NE(tolerant("X-TUI", 100), tolerant("", 100));
}

TEST(tolerant_digest, starts_anew_after_finish) {
    tolerant_digest digest;
    digest.update("a");
    const sha256_digest first = digest.finish();
    digest.update("a");
    EXPECT_EQ(digest.finish(), first);
    EXPECT_EQ(digest.finish(), sha256::of(""));
}

} // namespace
} // namespace postferry::message
