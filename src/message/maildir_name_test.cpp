#include "message/maildir_name.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::message {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(maildir_file, dovecots_name_says_sizes_and_flags) {
    const maildir_file f = parse_maildir_file("1795350895.M351651P6116.vm,S=16,W=19:2,FSab");
    EXPECT_EQ(f.unique, "1795350895.M351651P6116.vm,S=16,W=19");
    EXPECT_EQ(f.letters, "FSab");
    EXPECT_EQ(f.stored_octets, 16U);
    EXPECT_EQ(f.octets, 19U);
}

TEST(maildir_file, names_without_info_and_odd_infos_have_no_letters) {
    EXPECT_EQ(parse_maildir_file("1204680122.27c448.host").letters, "");
    EXPECT_EQ(parse_maildir_file("x:1,E").letters, "");
    EXPECT_EQ(parse_maildir_file("x:2").unique, "x");
    EXPECT_EQ(parse_maildir_file("x:2,S,a").letters, "S");
    EXPECT_FALSE(parse_maildir_file("x,S=abc:2,").stored_octets);
    EXPECT_FALSE(parse_maildir_file("x,S=99999999999999999999999:2,").stored_octets);
}

TEST(maildir_file, letters_are_written_sorted_and_once) {
    EXPECT_EQ(maildir_file_name("u", "SbFSa"), "u:2,FSab");
    EXPECT_EQ(maildir_file_name("u", ""), "u:2,");
}

TEST(maildir_unique, carries_the_uid_that_the_message_is_to_get) {
    maildir_unique u{.unix_seconds = 1795350895,
                     .microseconds = 42,
                     .process = 7,
                     .delivery = 3,
                     .uid = 45,
                     .uid_validity = 99,
                     .host = "a/b:c"};
    EXPECT_EQ(to_string(u), "1795350895.M42P7Q3_pf45-99.a\\057b\\072c");
    EXPECT_EQ(uid_hint_of(to_string(u) + ",S=1,W=2"), (uid_hint{45, 99}));
    u.uid = 0;
    EXPECT_EQ(to_string(u), "1795350895.M42P7Q3.a\\057b\\072c");
    EXPECT_FALSE(uid_hint_of(to_string(u)));
}

TEST(maildir_unique, other_peoples_names_carry_none) {
    for (const char* name : {"", "x", "1.M1_pf.host", "1.M1_pf5.host", "1.M1_pf0-1.host", "1.M1_pf1-x.host",
                             "1.M1.host_pf5-6", "1.M1_pf4294967296-1.h"})
        EXPECT_FALSE(uid_hint_of(name)) << name;
}

TEST(maildir_keywords, are_read_as_dovecot_writes_them_and_written_the_same) {
    const maildir_keywords k = parse_maildir_keywords("0 $Label1\n2 Foo\n");
    EXPECT_EQ(k.names[0], "$Label1");
    EXPECT_EQ(k.names[1], "");
    EXPECT_EQ(k.names[2], "Foo");
    EXPECT_EQ(to_string(k), "0 $Label1\n2 Foo\n");
}

TEST(maildir_keywords, pass_over_what_is_none) {
    const maildir_keywords k =
        parse_maildir_keywords("x y\n26 Late\n-1 a\n1\n1 \n3 two words\n4 \\Seen\n5 ok\n5 again");
    EXPECT_EQ(to_string(k), "5 ok\n");
}

TEST(maildir_keywords, give_letters_until_all_are_taken) {
    maildir_keywords k = parse_maildir_keywords("1 Foo\n");
    bool added = false;
    EXPECT_EQ(k.letter_of("FOO", added), 'b');
    EXPECT_FALSE(added);
    EXPECT_EQ(k.letter_of("Bar", added), 'a');
    EXPECT_TRUE(added);
    for (int i = 0; i < 24; ++i) EXPECT_TRUE(k.letter_of("k" + std::to_string(i), added));
    EXPECT_EQ(k.free_letters(), 0U);
    EXPECT_FALSE(k.letter_of("one-more", added));
    EXPECT_EQ(k.letter_of("k23", added), 'z');
}

TEST(maildir_flags, are_imaps_names) {
    const maildir_keywords k = parse_maildir_keywords("0 $Label1\n25 Zulu\n");
    EXPECT_THAT(flags_of_letters("TSRFDazqXP", k), ElementsAre("\\Draft", "\\Flagged", "$Forwarded", "\\Answered",
                                                               "\\Seen", "\\Deleted", "$Label1", "Zulu"));
    EXPECT_THAT(flags_of_letters("", k), IsEmpty());
    EXPECT_EQ(letter_of_system_flag("\\SEEN"), 'S');
    EXPECT_FALSE(letter_of_system_flag("\\Recent"));
    EXPECT_FALSE(letter_of_system_flag("$Forwarded"));
}

TEST(maildir_folder, names_go_there_and_back) {
    for (const auto& [folder, directory] : {std::pair{"Work/Deep", ".Work.Deep"},
                                            {"Été/à la plage", ".&AMk-t&AOk-.&AOA- la plage"},
                                            {"R&D", ".R&-D"},
                                            {"INBOX/Sub", ".INBOX.Sub"}}) {
        bool undecodable = false;
        EXPECT_EQ(directory_of_folder(folder), directory);
        EXPECT_EQ(folder_of_directory(directory, undecodable), folder);
        EXPECT_FALSE(undecodable);
    }
    EXPECT_EQ(directory_of_folder("inbox"), "");
}

TEST(maildir_folder, odd_names_are_kept_or_escaped) {
    bool undecodable = false;
    EXPECT_EQ(folder_of_directory(".A&B", undecodable), "A&B");
    EXPECT_EQ(folder_of_directory(".Gr\xc3\xbc\xc3\x9f"
                                  "e",
                                  undecodable),
              "Grüße");
    EXPECT_FALSE(undecodable);
    EXPECT_EQ(folder_of_directory(".a\xff", undecodable), "a\\xff");
    EXPECT_TRUE(undecodable);
    EXPECT_EQ(folder_of_directory(".inbox", undecodable), "INBOX/INBOX");
    EXPECT_EQ(folder_of_directory(".inbox.x", undecodable), "INBOX/x");
    EXPECT_EQ(folder_of_directory(".a/b", undecodable), std::nullopt);
    for (const char* none : {"", ".", "..", "cur", "tmp", "x.y"})
        EXPECT_FALSE(folder_of_directory(none, undecodable)) << none;
}

} // namespace
} // namespace postferry::message
