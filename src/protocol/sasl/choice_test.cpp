#include "protocol/sasl/mechanism.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::sasl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::vector<std::string> everything{
    "LOGIN",   "PLAIN",       "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS",
    "XOAUTH2", "OAUTHBEARER", "EXTERNAL", "GSSAPI"};

TEST(rank, automatic_takes_the_best_first) {
    EXPECT_THAT(rank(choice::automatic, everything, true, false, false),
                ElementsAre("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"));
}

TEST(rank, in_the_clear_no_mechanism_shows_the_password) {
    EXPECT_THAT(rank(choice::automatic, everything, false, false, false),
                ElementsAre("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5"));
    EXPECT_THAT(rank(choice::automatic, std::vector<std::string>{"PLAIN", "LOGIN"}, false, false, false), IsEmpty());
    EXPECT_THAT(rank(choice::automatic, everything, false, true, false),
                ElementsAre("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"));
}

TEST(rank, on_behalf_of_another_only_what_can_say_so) {
    EXPECT_THAT(rank(choice::automatic, everything, true, false, true),
                ElementsAre("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"));
}

TEST(rank, automatic_takes_only_what_is_offered) {
    EXPECT_THAT(rank(choice::automatic, std::vector<std::string>{"plain", "GSSAPI"}, true, false, false),
                ElementsAre("PLAIN"));
    EXPECT_THAT(rank(choice::automatic, {}, true, true, false), IsEmpty());
}

TEST(rank, a_forced_choice_is_taken_whether_offered_or_not) {
    EXPECT_THAT(rank(choice::scram_sha_1, {}, true, false, false), ElementsAre("SCRAM-SHA-1"));
    EXPECT_THAT(rank(choice::xoauth2, everything, true, false, false), ElementsAre("XOAUTH2"));
    EXPECT_THAT(rank(choice::external, {}, false, false, false), ElementsAre("EXTERNAL"));
}

TEST(rank, not_even_a_forced_choice_shows_a_secret_in_the_clear) {
    for (const choice c : {choice::plain, choice::login, choice::xoauth2, choice::oauthbearer}) {
        EXPECT_THAT(rank(c, everything, false, false, false), IsEmpty()) << name_of(c);
        EXPECT_THAT(rank(c, everything, false, true, false), ::testing::SizeIs(1)) << name_of(c);
    }
}

TEST(choice, names_come_back) {
    for (const choice c : {choice::automatic, choice::plain, choice::login, choice::cram_md5, choice::scram_sha_1,
                           choice::scram_sha_256, choice::xoauth2, choice::oauthbearer, choice::external})
        EXPECT_EQ(parse_choice(name_of(c)), c);
    EXPECT_EQ(parse_choice("SCRAM-SHA-256"), choice::scram_sha_256);
    EXPECT_FALSE(parse_choice("kerberos"));
    EXPECT_FALSE(parse_choice(""));
}

} // namespace
} // namespace postferry::sasl
