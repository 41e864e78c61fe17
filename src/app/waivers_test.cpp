#include "app/waivers.hpp"

#include <gmock/gmock.h>

namespace postferry::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(waivers, of_one_mailbox) {
    const auto w =
        waivers::parse("# accepted by Anna\n\nINBOX\t17\r\nArchive/Été 2019\t4294967295\nINBOX\t17\n", "w", false);
    ASSERT_TRUE(w);
    EXPECT_THAT(*w->of("imaps://alice@old"), ElementsAre(Pair("Archive/Été 2019", 4294967295U), Pair("INBOX", 17U)));
    EXPECT_EQ(waivers::parse("# nothing\n", "w", false)->of("x"), nullptr);
}

TEST(waivers, of_one_that_the_store_keeps) {
    EXPECT_THAT(*waivers::of_one({{"INBOX", 7}}).of("imaps://alice@old"), ElementsAre(Pair("INBOX", 7U)));
    EXPECT_EQ(waivers::of_one({}).of("imaps://alice@old"), nullptr);
}

TEST(waivers, of_several) {
    const auto w =
        waivers::parse("imaps://a@old\tINBOX\t1\nimaps://b@old\tINBOX\t2\nimaps://a@old\tSent\t3", "w", true);
    ASSERT_TRUE(w);
    EXPECT_THAT(*w->of("imaps://a@old"), ElementsAre(Pair("INBOX", 1U), Pair("Sent", 3U)));
    EXPECT_THAT(*w->of("imaps://b@old"), ElementsAre(Pair("INBOX", 2U)));
    EXPECT_EQ(w->of("imaps://c@old"), nullptr);
}

TEST(waivers, faults_name_their_line) {
    for (const auto& [text, what] :
         {std::pair("INBOX 17", "columns"), std::pair("INBOX\tseven", "no UID"), std::pair("INBOX\t0", "no UID"),
          std::pair("INBOX\t", "no UID"), std::pair("a\tb\tc\t1", "columns")}) {
        const auto w = waivers::parse(std::string("INBOX\t1\n") + text + "\n", "list.txt", false);
        ASSERT_FALSE(w) << text;
        EXPECT_THAT(w.error().message(), HasSubstr("list.txt line 2"));
        EXPECT_THAT(w.error().message(), HasSubstr(what));
    }
    EXPECT_FALSE(waivers::parse("INBOX\t1", "w", true)) << "which mailbox?";
    EXPECT_FALSE(waivers::read("/nonexistent/file", false));
}

} // namespace
} // namespace postferry::app
