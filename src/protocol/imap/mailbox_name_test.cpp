#include "protocol/imap/mailbox_name.hpp"

#include <gtest/gtest.h>

#include <random>

namespace postferry::imap {
namespace {

TEST(mutf7, known_names) {
    const std::pair<std::string_view, std::string_view> names[] = {
        {"INBOX", "INBOX"},
        {"", ""},
        {"Tom & Jerry", "Tom &- Jerry"},
        {"Entw\xc3\xbcrfe", "Entw&APw-rfe"},
        {"~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
         "~peter/mail/&U,BTFw-/&ZeVnLIqe-"}, // RFC 3501, 5.1.3
        {"\xf0\x9f\x98\x80", "&2D3eAA-"},
        {"\xc3\xa9&\xc3\xa9", "&AOk-&-&AOk-"},
        {"a\tb", "a&AAk-b"},
    };
    for (const auto& [utf8, wire] : names) {
        EXPECT_EQ(encode_mutf7(utf8), wire);
        EXPECT_EQ(decode_mutf7(wire), utf8);
    }
}

TEST(mutf7, tolerates_what_servers_do) {
    EXPECT_EQ(decode_mutf7("&AEE-"), "A");                     // printable ASCII encoded needlessly
    EXPECT_EQ(decode_mutf7("&AOk-&AOk-"), "\xc3\xa9\xc3\xa9"); // two shifts where one would do
    EXPECT_EQ(decode_mutf7("a\tb"), "a\tb");                   // Exchange
}

TEST(mutf7, refuses_what_it_could_not_write_back) {
    for (const auto* wire : {"Tom & Jerry",                            // Yandex, modern-email #46
                             "a&", "&AOk",                             // no end
                             "&A-", "&AOl-", "&AO-", "&AOkA-",         // bits left over
                             "&*-",                                    // not base64
                             "&2D0-", "&3gA-", "&3gDYPQ-", "&2D0AQQ-", // lone surrogates
                             "&AO/k-", "caf\xc3\xa9"})
        EXPECT_FALSE(decode_mutf7(wire)) << wire;
    for (const auto* text : {"caf\xe9", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x98"})
        EXPECT_FALSE(encode_mutf7(text));
}

TEST(mutf7, round_trip) {
    std::mt19937 random(7);
    for (int i = 0; i < 3000; ++i) {
        std::string text;
        for (auto n = random() % 12; n > 0; --n) {
            switch (random() % 5) {
            case 0: text += "&-+/, aZ\x7f\x01"[random() % 10]; break;
            case 1: text += static_cast<char>(0x20 + random() % 0x5f); break;
            case 2: text += "\xc3\xa9"; break;
            case 3: text += "\xe6\x97\xa5"; break;
            default: text += "\xf0\x9f\x98\x80"; break;
            }
        }
        const auto wire = encode_mutf7(text);
        ASSERT_TRUE(wire) << text;
        for (const char c : *wire) EXPECT_TRUE(c >= 0x20 && c <= 0x7e);
        EXPECT_EQ(decode_mutf7(*wire), text) << *wire;
    }
}

} // namespace
} // namespace postferry::imap
