#include "transfer/flag_rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace postferry::transfer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using flags = std::vector<std::string>;

TEST(canonical_flags, are_one_text_whatever_order_and_case_they_come_in) {
    EXPECT_EQ(canonical_flags(flags{"$Label1", "\\SEEN", "\\answered", "Work"}), "\\Answered \\Seen $Label1 Work");
    EXPECT_EQ(canonical_flags(flags{"Work", "\\Answered", "$Label1", "\\Seen", "\\seen", "Work"}),
              "\\Answered \\Seen $Label1 Work");
    EXPECT_EQ(canonical_flags(flags{}), "");
}

TEST(canonical_flags, keep_one_spelling_of_a_keyword) {
    EXPECT_EQ(canonical_flags(flags{"$forwarded", "$FORWARDED", "$Forwarded"}), "$FORWARDED");
    EXPECT_EQ(canonical_flags(flags{"$Forwarded", "$forwarded", "$FORWARDED"}), "$FORWARDED");
}

TEST(canonical_flags, leave_out_what_is_not_the_users) {
    EXPECT_EQ(canonical_flags(flags{"\\Recent", "\\*", "\\INDEXED", "\\X-EON-HAS-ATTACHMENT", "\\Flagged", "",
                                    "two words", "tab\t", "nul" + std::string(1, '\0'), std::string(1001, 'x')}),
              "\\Flagged");
}

TEST(canonical_flags, keep_odd_keywords_for_the_report) {
    EXPECT_EQ(canonical_flags(flags{"Project]X", "caf\xc3\xa9", "TEST:FLAG211"}), "caf\xc3\xa9 Project]X TEST:FLAG211");
}

TEST(canonical_flags, are_at_most_a_hundred) {
    flags many{"\\Seen"};
    for (int i = 0; i < 300; ++i) many.push_back("keyword" + std::to_string(i));
    const std::string text = canonical_flags(many);
    EXPECT_EQ(split_flags(text).size(), max_flags);
    EXPECT_TRUE(text.starts_with("\\Seen keyword0 "));
}

TEST(split_flags, undoes_the_joining) {
    EXPECT_THAT(split_flags("\\Answered \\Seen $Label1"), ElementsAre("\\Answered", "\\Seen", "$Label1"));
    EXPECT_THAT(split_flags(""), IsEmpty());
    EXPECT_THAT(split_flags(" a  b "), ElementsAre("a", "b"));
}

TEST(is_writable, takes_system_flags_and_atoms_only) {
    for (const std::string_view flag : {"\\Seen", "\\ANSWERED", "\\deleted", "\\Draft", "\\Flagged", "$Forwarded",
                                        "TEST:FLAG211", "a.b-c_d[x", "+'&#@!"})
        EXPECT_TRUE(is_writable(flag)) << flag;
    EXPECT_TRUE(is_writable(std::string(255, 'k')));
    EXPECT_FALSE(is_writable(std::string(256, 'k')));
    for (const std::string_view flag : {"", "\\Recent", "\\*", "\\INDEXED", "\\", "two words", "a]", "(a", "a)", "{4}",
                                        "a%", "a*", "a\"b", "a\\b", "caf\xc3\xa9", "a\r\nb", "\x7f"})
        EXPECT_FALSE(is_writable(flag)) << flag;
}

TEST(flags_allowed, everything_where_the_target_says_nothing) {
    const auto out = flags_allowed("\\Answered \\Seen $Label1", std::nullopt);
    EXPECT_EQ(out.flags, "\\Answered \\Seen $Label1");
    EXPECT_THAT(out.dropped, IsEmpty());
}

TEST(flags_allowed, nothing_where_the_list_is_empty) {
    const auto out = flags_allowed("\\Seen $Label1", flags{});
    EXPECT_EQ(out.flags, "");
    EXPECT_THAT(out.dropped, ElementsAre(dropped_flag{"\\Seen", "not among the target's PERMANENTFLAGS"},
                                         dropped_flag{"$Label1", "not among the target's PERMANENTFLAGS"}));
}

TEST(flags_allowed, what_is_listed_in_any_case) {
    const auto out = flags_allowed("\\Answered \\Seen $Label1 Work", flags{"\\SEEN", "$label1"});
    EXPECT_EQ(out.flags, "\\Seen $Label1");
    EXPECT_THAT(out.dropped, ElementsAre(dropped_flag{"\\Answered", "not among the target's PERMANENTFLAGS"},
                                         dropped_flag{"Work", "not among the target's PERMANENTFLAGS"}));
}

TEST(flags_allowed, new_keywords_with_the_star_but_no_new_system_flags) {
    const auto out = flags_allowed("\\Draft \\Seen Work", flags{"\\Seen", "\\*"});
    EXPECT_EQ(out.flags, "\\Seen Work");
    EXPECT_THAT(out.dropped, ElementsAre(dropped_flag{"\\Draft", "not among the target's PERMANENTFLAGS"}));
}

TEST(flags_allowed, never_what_the_grammar_forbids) {
    const auto out = flags_allowed("\\Seen \\Recent a]b Work " + std::string(256, 'k'), std::nullopt);
    EXPECT_EQ(out.flags, "\\Seen Work");
    EXPECT_THAT(out.dropped, ElementsAre(dropped_flag{"\\Recent", "no atom"}, dropped_flag{"a]b", "no atom"},
                                         dropped_flag{std::string(256, 'k'), "longer than 255 octets"}));
}

TEST(flags_changed, says_what_came_and_what_went) {
    const auto delta = flags_changed("\\Answered \\Flagged Work", "\\Flagged \\Seen work $Label1");
    EXPECT_THAT(delta.added, ElementsAre("\\Seen", "$Label1"));
    EXPECT_THAT(delta.removed, ElementsAre("\\Answered"));
    EXPECT_TRUE(flags_changed("\\Seen Work", "\\Seen WORK").empty());
    EXPECT_TRUE(flags_changed("", "").empty());
    EXPECT_THAT(flags_changed("", "\\Seen").added, ElementsAre("\\Seen"));
    EXPECT_THAT(flags_changed("\\Seen", "").removed, ElementsAre("\\Seen"));
}

TEST(flag_rules, hold_for_any_octets) {
    std::mt19937 random(7);
    const std::string alphabet("\\\\aAbB$ ]()\"%\0\xc3\r\n", 18);
    for (int round = 0; round < 3000; ++round) {
        flags raw;
        for (std::size_t i = random() % 8; i > 0; --i) {
            std::string flag;
            for (std::size_t n = random() % 4; n > 0; --n) flag += alphabet[random() % alphabet.size()];
            raw.push_back(random() % 3 == 0 ? "\\sEEn" : flag);
        }
        const std::string text = canonical_flags(raw);
        std::ranges::shuffle(raw, random);
        EXPECT_EQ(canonical_flags(raw), text);
        const auto parts = split_flags(text);
        EXPECT_EQ(canonical_flags(flags(parts.begin(), parts.end())), text);
        const auto allowed = flags_allowed(text, std::nullopt);
        const auto written = split_flags(allowed.flags);
        EXPECT_TRUE(std::ranges::all_of(written, is_writable)) << allowed.flags;
        EXPECT_EQ(written.size() + allowed.dropped.size(), parts.size());
    }
}

// --- flag_table -----------------------------------------------------------------------------------------------------

TEST(flag_table, each_set_once) {
    flag_table t;
    EXPECT_EQ(t.place("\\Seen $a"), 0U);
    EXPECT_EQ(t.place(""), 1U);
    EXPECT_EQ(t.place("\\Seen $a"), 0U);
    EXPECT_EQ(t.add("$b"), 2U);
    EXPECT_EQ(t.size(), 3U);
    EXPECT_EQ(t[2], "$b");
    t.clear();
    EXPECT_EQ(t.place("$b"), 0U);
    EXPECT_FALSE(t.left_keywords_out());
}

TEST(flag_table, where_there_is_no_more_room_system_flags_stand_for_the_set) {
    for (const flag_table::limits most :
         {flag_table::limits{.sets = 2, .octets = 1'000}, flag_table::limits{.sets = 100, .octets = 25}}) {
        flag_table t(most);
        EXPECT_EQ(t.place("\\Flagged \\Seen $a"), 0U);
        EXPECT_EQ(t.place("$b"), 1U);
        EXPECT_FALSE(t.left_keywords_out());
        EXPECT_EQ(t[t.place("\\Flagged \\Seen $cccccccc")], "\\Flagged \\Seen");
        EXPECT_TRUE(t.left_keywords_out());
        EXPECT_EQ(t[t.place("$dddddddd $eeee")], "");
        EXPECT_EQ(t.place("$b"), 1U) << "what is there stays";
        EXPECT_EQ(t[t.add("$f $g")], "$f $g") << "what must be there has room";
    }
}

} // namespace
} // namespace postferry::transfer
