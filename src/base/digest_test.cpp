#include "base/digest.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace postferry {
namespace {

// FIPS 180-4 examples
constexpr std::string_view of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr std::string_view of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(sha256, known_values) {
    EXPECT_EQ(sha256::of("").hex(), of_nothing);
    EXPECT_EQ(sha256::of("abc").hex(), of_abc);
    EXPECT_EQ(sha256::of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").hex(),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(sha256::of(std::string(1'000'000, 'a')).hex(),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(sha256, the_pieces_do_not_matter) {
    const std::string text(300, 'x');
    for (std::size_t piece = 1; piece < 130; piece += 7) {
        sha256 hash;
        for (std::size_t at = 0; at < text.size(); at += piece) hash.update(std::string_view(text).substr(at, piece));
        EXPECT_EQ(hash.finish(), sha256::of(text)) << piece;
    }
}

TEST(sha256, starts_anew_after_finish) {
    sha256 hash;
    hash.update("something else");
    EXPECT_NE(hash.finish().hex(), of_abc);
    hash.update("abc");
    EXPECT_EQ(hash.finish().hex(), of_abc);
    EXPECT_EQ(hash.finish().hex(), of_nothing);
}

TEST(sha256, can_be_moved_in_mid_stream) {
    sha256 hash;
    hash.update("ab");
    sha256 moved = std::move(hash);
    moved.update("c");
    EXPECT_EQ(moved.finish().hex(), of_abc);
}

TEST(sha256_digest, compares_by_value) {
    EXPECT_EQ(sha256::of("a"), sha256::of("a"));
    EXPECT_NE(sha256::of("a"), sha256::of("b"));
    EXPECT_EQ(sha256_digest{}.hex(), std::string(64, '0'));
}

} // namespace
} // namespace postferry
