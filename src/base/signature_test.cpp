#include "base/signature.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace postferry {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(signature, what_was_signed_is_signed_and_nothing_else) {
    const auto key = signing_key::make();
    ASSERT_TRUE(key);
    const std::string document = "{\"version\":1}\n";
    const auto signature = key->sign(document);
    ASSERT_TRUE(signature);
    EXPECT_EQ(signature->size(), 64U);
    EXPECT_EQ(is_signed(document, *signature, key->public_pem()), true);
    EXPECT_EQ(is_signed(document + " ", *signature, key->public_pem()), false);
    EXPECT_EQ(is_signed("", *signature, key->public_pem()), false);
    for (std::size_t i = 0; i < signature->size(); ++i) {
        std::string damaged = *signature;
        damaged[i] = static_cast<char>(damaged[i] ^ 1);
        EXPECT_EQ(is_signed(document, damaged, key->public_pem()), false) << i;
        EXPECT_EQ(is_signed(document, signature->substr(0, i), key->public_pem()), false) << i;
    }
    EXPECT_EQ(is_signed(document, *signature, signing_key::make()->public_pem()), false);
}

TEST(signature, keys_are_pem_and_come_back) {
    const auto key = signing_key::make();
    EXPECT_THAT(key->private_pem(), StartsWith("-----BEGIN PRIVATE KEY-----"));
    EXPECT_THAT(key->public_pem(), StartsWith("-----BEGIN PUBLIC KEY-----"));
    const auto again = signing_key::read(key->private_pem());
    ASSERT_TRUE(again);
    EXPECT_EQ(again->public_pem(), key->public_pem());
    EXPECT_EQ(is_signed("x", *again->sign("x"), key->public_pem()), true);
}

// RFC 8032, 7.1, TEST 2, its key wrapped as RFC 8410 says.
TEST(signature, known_answer) {
    const auto key = signing_key::read("-----BEGIN PRIVATE KEY-----\n"
                                       "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
                                       "-----END PRIVATE KEY-----\n");
    ASSERT_TRUE(key) << key.error().message();
    std::string hex;
    for (const char c : *key->sign("\x72")) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
    EXPECT_EQ(hex, "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                   "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
}

TEST(signature, what_is_no_key) {
    const std::string good = signing_key::make()->private_pem();
    for (const std::string& text : {std::string{}, std::string("hello"), good.substr(0, good.size() / 2),
                                    signing_key::make()->public_pem(), std::string(100'000, 'x')}) {
        const auto key = signing_key::read(text);
        ASSERT_FALSE(key);
        EXPECT_EQ(key.error().cls, retry_class::config);
        EXPECT_THAT(key.error().advice, HasSubstr("genpkey"));
    }
    EXPECT_FALSE(is_signed("x", std::string(64, 'x'), good)) << "a private key is no public one";
    EXPECT_FALSE(is_signed("x", std::string(64, 'x'), ""));
}

} // namespace
} // namespace postferry
