#include "transfer/match.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>

namespace postferry::transfer {

void PrintTo(const matched_pair& pair, std::ostream* out) { *out << pair.source_uid << "=" << pair.target_uid; }

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using candidates = std::vector<match_candidate>;
using contents = std::vector<match_content>;

match_candidate strong(std::uint32_t uid, std::string_view mark, std::uint64_t octets = 1000) {
    return {uid, sha256::of(mark), true, octets};
}

match_candidate weak(std::uint32_t uid, std::string_view mark, std::uint64_t octets = 1000) {
    return {uid, sha256::of(mark), false, octets};
}

match_content content(std::uint32_t uid, std::string_view text) { return {uid, sha256::of(text)}; }

TEST(match_by_fingerprint, pairs_what_is_unique_strong_and_alike_in_size) {
    const auto out = match_by_fingerprint(candidates{strong(7, "a"), strong(3, "b"), strong(9, "c")},
                                          candidates{strong(1, "b"), strong(2, "a", 1084), strong(5, "other")});
    EXPECT_THAT(out.pairs, ElementsAre(matched_pair{3, 1}, matched_pair{7, 2}));
    EXPECT_THAT(out.only_on_source, ElementsAre(9U));
    EXPECT_THAT(out.ambiguous, IsEmpty());
}

TEST(match_by_fingerprint, leaves_to_content_what_has_no_message_id) {
    const auto out = match_by_fingerprint(candidates{weak(1, "a")}, candidates{weak(4, "a")});
    EXPECT_THAT(out.pairs, IsEmpty());
    ASSERT_EQ(out.ambiguous.size(), 1U);
    EXPECT_THAT(out.ambiguous[0].source_uids, ElementsAre(1U));
    EXPECT_THAT(out.ambiguous[0].target_uids, ElementsAre(4U));
}

TEST(match_by_fingerprint, leaves_to_content_what_is_there_several_times) {
    const auto out = match_by_fingerprint(candidates{strong(5, "a"), strong(2, "a"), strong(1, "b")},
                                          candidates{strong(8, "b"), strong(6, "a"), strong(3, "b")});
    EXPECT_THAT(out.pairs, IsEmpty());
    EXPECT_THAT(out.only_on_source, IsEmpty());
    ASSERT_EQ(out.ambiguous.size(), 2U);
    EXPECT_THAT(out.ambiguous[0].source_uids, ElementsAre(1U));
    EXPECT_THAT(out.ambiguous[0].target_uids, ElementsAre(3U, 8U));
    EXPECT_THAT(out.ambiguous[1].source_uids, ElementsAre(2U, 5U));
    EXPECT_THAT(out.ambiguous[1].target_uids, ElementsAre(6U));
}

TEST(match_by_fingerprint, leaves_to_content_what_differs_in_size) {
    EXPECT_EQ(match_by_fingerprint(candidates{strong(1, "a", 1000)}, candidates{strong(2, "a", 1200)}).ambiguous.size(),
              1U);
    EXPECT_EQ(match_by_fingerprint(candidates{strong(1, "a", 0)}, candidates{strong(2, "a", 0)}).ambiguous.size(), 1U);
}

TEST(match_by_fingerprint, an_empty_target_has_nothing) {
    EXPECT_THAT(match_by_fingerprint(candidates{strong(2, "a"), weak(1, "a")}, {}).only_on_source, ElementsAre(1U, 2U));
    const auto out = match_by_fingerprint({}, candidates{strong(1, "a")});
    EXPECT_TRUE(out.pairs.empty() && out.only_on_source.empty() && out.ambiguous.empty());
}

TEST(sizes_are_alike, within_two_per_cent_and_64_octets) {
    EXPECT_TRUE(sizes_are_alike(1, 1));
    EXPECT_TRUE(sizes_are_alike(100, 166));
    EXPECT_FALSE(sizes_are_alike(100, 168));
    EXPECT_TRUE(sizes_are_alike(1'000'000, 980'000));
    EXPECT_TRUE(sizes_are_alike(980'000, 1'000'000));
    EXPECT_FALSE(sizes_are_alike(979'000, 1'000'000));
    EXPECT_FALSE(sizes_are_alike(0, 10));
    EXPECT_TRUE(sizes_are_alike(UINT64_MAX, UINT64_MAX - 1));
}

TEST(match_by_content, two_equal_sources_need_two_equal_targets) {
    const auto out = match_by_content(contents{content(9, "x"), content(2, "x"), content(5, "x"), content(7, "y")},
                                      contents{content(30, "x"), content(10, "x"), content(1, "z")});
    EXPECT_THAT(out.pairs, ElementsAre(matched_pair{2, 10}, matched_pair{5, 30}));
    EXPECT_THAT(out.only_on_source, ElementsAre(7U, 9U));
}

TEST(match_by_content, a_surplus_on_the_target_stays) {
    const auto out = match_by_content(contents{content(4, "x")}, contents{content(8, "x"), content(6, "x")});
    EXPECT_THAT(out.pairs, ElementsAre(matched_pair{4, 6}));
    EXPECT_THAT(out.only_on_source, IsEmpty());
}

TEST(match_by_content, equal_contents_pair_by_date_and_flags_before_uids) {
    const auto one = [](std::uint32_t uid, std::int64_t date, std::string flags) {
        match_content c = content(uid, "x");
        c.date_unix = date;
        c.flags = std::move(flags);
        return c;
    };
    const contents source{one(1, 100, "\\Seen"), one(2, 200, ""), one(3, 200, "\\Seen"), one(4, 300, "")};
    EXPECT_THAT(match_by_content(source, contents{one(7, 200, "\\Seen")}).pairs, ElementsAre(matched_pair{3, 7}));
    EXPECT_THAT(match_by_content(source, contents{one(7, 300, "\\Flagged")}).pairs, ElementsAre(matched_pair{4, 7}));
    EXPECT_THAT(match_by_content(source, contents{one(7, 999, "\\Seen")}).pairs, ElementsAre(matched_pair{1, 7}));
    EXPECT_THAT(match_by_content(source, contents{one(6, 200, ""), one(7, 0, ""), one(8, 100, "")}).pairs,
                ElementsAre(matched_pair{1, 8}, matched_pair{2, 6}, matched_pair{3, 7}));
}

/// A folder of few distinct headers and contents, so that everything happens often.
struct random_folder {
    candidates by_header;
    std::map<std::uint32_t, sha256_digest> content;

    random_folder(std::mt19937& random, std::size_t size) {
        std::uint32_t uid = 0;
        for (std::size_t i = 0; i < size; ++i) {
            uid += 1 + static_cast<std::uint32_t>(random() % 3);
            const unsigned mark = static_cast<unsigned>(random() % 12);
            const unsigned body = static_cast<unsigned>(random() % 2);
            by_header.push_back({uid, sha256::of(std::to_string(mark)), mark % 3 != 0, 1000 + body * 500});
            content[uid] = sha256::of(std::to_string(mark * 2 + body));
        }
        std::ranges::shuffle(by_header, random);
    }

    [[nodiscard]] contents of(const std::vector<std::uint32_t>& uids) const {
        contents out;
        for (const std::uint32_t uid : uids) out.push_back({uid, content.at(uid)});
        return out;
    }
};

std::map<sha256_digest, int> tally(const random_folder& folder) {
    std::map<sha256_digest, int> out;
    for (const auto& [uid, content] : folder.content) ++out[content];
    return out;
}

TEST(matching, pairs_as_many_as_there_are_and_forgets_nobody) {
    std::mt19937 random(11);
    for (int round = 0; round < 400; ++round) {
        const random_folder source(random, random() % 25);
        const random_folder target(random, random() % 25);
        const auto first = match_by_fingerprint(source.by_header, target.by_header);
        std::vector<matched_pair> pairs = first.pairs;
        std::vector<std::uint32_t> alone = first.only_on_source;
        for (const ambiguous_group& group : first.ambiguous) {
            const auto decided = match_by_content(source.of(group.source_uids), target.of(group.target_uids));
            pairs.insert(pairs.end(), decided.pairs.begin(), decided.pairs.end());
            alone.insert(alone.end(), decided.only_on_source.begin(), decided.only_on_source.end());
        }
        std::set<std::uint32_t> used_source(alone.begin(), alone.end());
        std::set<std::uint32_t> used_target;
        std::map<sha256_digest, int> paired;
        for (const auto& [source_uid, target_uid] : pairs) {
            EXPECT_TRUE(used_source.insert(source_uid).second);
            EXPECT_TRUE(used_target.insert(target_uid).second);
            EXPECT_EQ(source.content.at(source_uid), target.content.at(target_uid));
            ++paired[source.content.at(source_uid)];
        }
        EXPECT_EQ(used_source.size(), source.content.size());
        auto on_target = tally(target);
        for (const auto& [content, count] : tally(source))
            EXPECT_EQ(paired[content], std::min(count, on_target[content]));
    }
}

} // namespace
} // namespace postferry::transfer
