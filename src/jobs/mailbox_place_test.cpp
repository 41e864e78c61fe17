#include "jobs/mailbox_place.hpp"

#include <gtest/gtest.h>

namespace postferry::jobs {
namespace {

std::string server_of(std::string_view url, bool target = false) {
    auto p = place_of(url, "ada@example.org", target);
    return p ? p->server : "refused";
}

TEST(mailbox_place, names_the_server_that_connections_are_counted_by) {
    EXPECT_EQ(server_of("imaps://Old.Example.ORG"), "old.example.org:993");
    EXPECT_EQ(server_of("imap://{user}@old.example.org:1143?tls=off"), "old.example.org:1143");
    EXPECT_EQ(server_of("lmtp://new.example.org", true), "new.example.org:24");
    EXPECT_EQ(server_of("maildir:/srv/mail/{local}", true), "local");
}

TEST(mailbox_place, refuses_what_cannot_play_the_part) {
    EXPECT_EQ(server_of("pop3://old.example.org", true), "refused");
    EXPECT_EQ(server_of("lmtp://old.example.org"), "refused");
    EXPECT_EQ(server_of("imaps://bob@old.example.org"), "refused");
    EXPECT_EQ(server_of("ftp://old.example.org"), "refused");
}

TEST(mailbox_place, knows_whether_a_password_is_needed) {
    const auto wants = [](std::string_view url, bool target) { return place_of(url, "ada", target)->wants_password; };
    EXPECT_TRUE(wants("imaps://old.example.org", false));
    EXPECT_TRUE(wants("imaps://new.example.org?admin=root", true));
    EXPECT_FALSE(wants("maildir:/srv/mail/ada", true));
    EXPECT_FALSE(wants("lmtp://new.example.org", true));
    EXPECT_FALSE(wants("imaps://old.example.org?auth=xoauth2&oauth=google", false));
}

TEST(mailbox_place, repeats_no_password) {
    auto p = place_of("imaps://ada:hunter2@old.example.org", "ada", false);
    ASSERT_FALSE(p);
    EXPECT_FALSE(p.error().message().contains("hunter2"));
}

} // namespace
} // namespace postferry::jobs
