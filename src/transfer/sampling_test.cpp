#include "transfer/sampling.hpp"

#include <gmock/gmock.h>

#include <map>
#include <numeric>

namespace postferry::transfer {
namespace {

using testing::ElementsAre;

TEST(sampling, size) {
    EXPECT_EQ(sample_size({}, 120), 120U);
    EXPECT_EQ(sample_size({.messages = 600, .share = {}}, 120'000), 600U);
    EXPECT_EQ(sample_size({.messages = 600, .share = {}}, 50), 50U);
    EXPECT_EQ(sample_size({.messages = {}, .share = 0.01}, 120'000), 1'200U);
    EXPECT_EQ(sample_size({.messages = {}, .share = 0.01}, 150), 2U) << "rounded up";
    EXPECT_EQ(sample_size({.messages = {}, .share = 0.001}, 3), 1U);
    EXPECT_EQ(sample_size({.messages = 5, .share = {}}, 0), 0U);
}

TEST(sampling, every_folder_gets_one_and_the_rest_is_in_proportion) {
    const std::vector<std::uint64_t> folders{100'000, 10'000, 1, 0, 5};
    const auto shares = allot(folders, 1'103);
    EXPECT_EQ(std::accumulate(shares.begin(), shares.end(), 0ULL), 1'103U);
    EXPECT_NEAR(static_cast<double>(shares[0]), 1'000, 2);
    EXPECT_NEAR(static_cast<double>(shares[1]), 101, 2);
    EXPECT_EQ(shares[2], 1U);
    EXPECT_EQ(shares[3], 0U);
    EXPECT_GE(shares[4], 1U);
}

TEST(sampling, fewer_than_folders_go_to_the_largest) {
    EXPECT_THAT(allot(std::vector<std::uint64_t>{3, 9, 1}, 2), ElementsAre(1, 1, 0));
    EXPECT_THAT(allot(std::vector<std::uint64_t>{3, 9, 1}, 0), ElementsAre(0, 0, 0));
    EXPECT_THAT(allot(std::vector<std::uint64_t>{}, 5), ElementsAre());
}

TEST(sampling, no_folder_gives_more_than_it_has) {
    for (std::uint64_t n = 0; n <= 40; ++n) {
        const std::vector<std::uint64_t> folders{1, 20, 0, 2, 7};
        const auto shares = allot(folders, n);
        EXPECT_EQ(std::accumulate(shares.begin(), shares.end(), 0ULL), std::min<std::uint64_t>(n, 30));
        for (std::size_t i = 0; i < folders.size(); ++i) EXPECT_LE(shares[i], folders[i]);
    }
}

TEST(sampling, the_same_seed_draws_the_same_messages) {
    const uid_set all = uid_set::of(1, 10'000);
    const uid_set drawn = draw(all, 50, 7, "INBOX");
    EXPECT_EQ(drawn.count(), 50U);
    EXPECT_EQ(draw(all, 50, 7, "INBOX"), drawn);
    EXPECT_NE(draw(all, 50, 8, "INBOX"), drawn);
    EXPECT_NE(draw(all, 50, 7, "Sent"), drawn);
    EXPECT_EQ(draw(all, 10'000, 7, "INBOX"), all);
    EXPECT_TRUE(draw(all, 0, 7, "INBOX").empty());
    EXPECT_TRUE(draw(uid_set::of(UINT32_MAX, UINT32_MAX), 0, 1, "x").empty());
}

TEST(sampling, every_message_is_as_likely_as_any_other) {
    std::map<std::uint32_t, int> hits;
    for (std::uint64_t seed = 0; seed < 4'000; ++seed)
        for (uid_set drawn = draw(uid_set::of(11, 30), 5, seed, "f"); !drawn.empty();)
            ++hits[drawn.take_front(1, 1).front()];
    ASSERT_EQ(hits.size(), 20U);
    for (const auto& [uid, n] : hits) EXPECT_NEAR(n, 1'000, 150) << uid;
}

// Against tables of the exact bound: 1 - 0.05^(1/n) for none, Clopper-Pearson for some.
TEST(sampling, what_is_said_about_the_others) {
    EXPECT_NEAR(differs_at_most(600, 0), 0.00498, 0.00001);
    EXPECT_NEAR(differs_at_most(59, 0), 0.0495, 0.0001);
    EXPECT_NEAR(differs_at_most(100, 1), 0.0466, 0.0001);
    EXPECT_NEAR(differs_at_most(100, 5), 0.1023, 0.0001);
    EXPECT_NEAR(differs_at_most(1'000'000, 0), 3.0e-6, 1e-7);
    EXPECT_EQ(differs_at_most(0, 0), 1);
    EXPECT_EQ(differs_at_most(3, 3), 1);
}

} // namespace
} // namespace postferry::transfer
