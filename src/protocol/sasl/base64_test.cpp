#include "protocol/sasl/mechanism.hpp"

#include <gtest/gtest.h>

namespace postferry::sasl {
namespace {

// RFC 4648 section 10.
TEST(base64, vectors) {
    const std::vector<std::pair<std::string, std::string>> vectors{{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"}};
    for (const auto& [octets, text] : vectors) {
        EXPECT_EQ(base64_encode(octets), text);
        EXPECT_EQ(base64_decode(text), octets);
    }
}

TEST(base64, every_octet_comes_back) {
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    for (std::size_t cut = 0; cut < 4; ++cut) EXPECT_EQ(base64_decode(base64_encode(all.substr(cut))), all.substr(cut));
    EXPECT_EQ(base64_encode("\xff\xef\xbe"), "/+++");
}

TEST(base64, what_is_none_is_refused) {
    for (const std::string_view bad : {"Z", "Zg", "Zg=", "Zg===", "====", "=", "Z===", "Zg==Zg==", "Zm9v\n", "Zm 9",
                                       "Zm9-", "Zm_v", "Zh==", "Zm9=", "Zm\0v", "\xc3\xa4==", "=Zg="})
        EXPECT_FALSE(base64_decode(bad)) << bad;
    EXPECT_FALSE(base64_decode(std::string_view("Zm\0v", 4)));
}

} // namespace
} // namespace postferry::sasl
