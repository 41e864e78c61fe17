// Deleting on a target: by UID EXPUNGE or not at all.
#include "support/mailbox_script.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::mailbox {
namespace {

using support::play;
using testing::HasSubstr;

result<void> remove(std::string_view capabilities, std::string_view script) {
    std::vector<std::string> log;
    const std::function<task<result<void>>(imap_mailbox&)> use = [](imap_mailbox& box) {
        uid_set uids = uid_set::of(3, 5);
        uids.add(9);
        return box.remove("a b", 7, std::move(uids));
    };
    return play<result<void>>(capabilities, script, use, &log);
}

constexpr std::string_view opened = R"(
        C: P1 SELECT "a b"
        S: * 12 EXISTS
        S: * OK [UIDVALIDITY 7] v
        S: P1 OK [READ-WRITE] opened)";

TEST(imap_remove, only_what_is_named) {
    EXPECT_TRUE(remove("UIDPLUS", std::string(opened) + R"(
        C: P2 UID STORE 3:5,9 +FLAGS.SILENT (\Deleted)
        S: P2 OK
        C: P3 UID EXPUNGE 3:5,9
        S: * 3 EXPUNGE
        S: * 3 EXPUNGE
        S: P3 OK)"));
}

TEST(imap_remove, never_where_a_plain_expunge_would_be_needed) {
    const auto refused = remove("", "");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().cls, retry_class::config);
    EXPECT_THAT(refused.error().what, HasSubstr("no UIDPLUS"));
}

TEST(imap_remove, not_in_another_generation_of_the_folder) {
    const auto refused = remove("UIDPLUS", R"(
        C: P1 SELECT "a b"
        S: * OK [UIDVALIDITY 8] v
        S: P1 OK)");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().cls, retry_class::transient);
}

TEST(imap_remove, nothing_is_expunged_when_marking_was_refused) {
    const auto refused = remove("UIDPLUS", std::string(opened) + R"(
        C: P2 UID STORE 3:5,9 +FLAGS.SILENT (\Deleted)
        S: P2 NO [NOPERM] not yours)");
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), HasSubstr("not yours"));
}

TEST(imap_remove, a_folder_that_is_not_there) {
    const auto refused = remove("UIDPLUS", R"(
        C: P1 SELECT "a b"
        S: P1 NO [NONEXISTENT] no such folder)");
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), HasSubstr("no such folder"));
}

} // namespace
} // namespace postferry::mailbox
