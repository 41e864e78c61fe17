// One message in several folders: what it is called on Gmail, and its copies on a target.
#include "support/mailbox_script.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::mailbox {
namespace {

using support::play;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> identities(std::string_view capabilities, std::string_view script) {
    std::vector<std::string> log;
    const std::function<task<result<void>>(imap_mailbox&)> use = [&log](imap_mailbox& box) -> task<result<void>> {
        const std::vector<fetch_request> requests{{.handle = "INBOX", .uid_validity = 1, .uids = uid_set::of(1, 3)},
                                                  {.handle = "none", .uid_validity = 1, .uids = {}},
                                                  {.handle = "a b", .uid_validity = 2, .uids = uid_set::of(9, 9)}};
        co_return co_await box.identities(requests, [&log](std::size_t request, std::uint32_t uid, std::uint64_t id,
                                                           const std::vector<std::string>& flags) {
            log.push_back(fmt::format("{} {} is {} ({})", request, uid, id, fmt::join(flags, " ")));
        });
    };
    const auto ok = play<result<void>>(capabilities, script, use, &log);
    if (!ok) log.push_back("failed: " + ok.error().message());
    return log;
}

TEST(imap_identities, are_gmails_message_numbers) {
    EXPECT_THAT(identities("X-GM-EXT-1", R"(
        C: P1 EXAMINE INBOX
        C: P2 UID FETCH 1:3 (UID FLAGS X-GM-MSGID)
        C: P3 EXAMINE "a b"
        C: P4 UID FETCH 9 (UID FLAGS X-GM-MSGID)
        S: * OK [UIDVALIDITY 1] v
        S: P1 OK
        S: * 1 FETCH (X-GM-MSGID 1278455344230334865 UID 1 FLAGS (\Seen $Label1))
        S: * 2 FETCH (X-GM-MSGID 7 UID 2 FLAGS ())
        S: * 3 FETCH (UID 3 FLAGS ())
        S: P2 OK
        S: * OK [UIDVALIDITY 2] v
        S: P3 OK
        S: * 1 FETCH (X-GM-MSGID 7 UID 9 FLAGS (\Seen))
        S: P4 OK)"),
                ElementsAre("0 1 is 1278455344230334865 (\\Seen $Label1)", "0 2 is 7 ()", "2 9 is 7 (\\Seen)"));
}

TEST(imap_identities, are_nothing_that_others_are_asked_for) { EXPECT_THAT(identities("", ""), IsEmpty()); }

TEST(imap_identities, of_another_folder_or_refused_are_left_out) {
    EXPECT_THAT(identities("X-GM-EXT-1", R"(
        C: P1 EXAMINE INBOX
        C: P2 UID FETCH 1:3 (UID FLAGS X-GM-MSGID)
        C: P3 EXAMINE "a b"
        C: P4 UID FETCH 9 (UID FLAGS X-GM-MSGID)
        S: * OK [UIDVALIDITY 5] v
        S: P1 OK
        S: * 2 FETCH (X-GM-MSGID 7 UID 2 FLAGS ())
        S: P2 OK
        S: * OK [UIDVALIDITY 2] v
        S: P3 OK
        S: P4 NO later)"),
                IsEmpty());
}

/// "3>11 5>12", or the class of the failure and its words.
std::string copy(std::string_view script, std::string_view capabilities = "UIDPLUS") {
    std::vector<std::string> log;
    const std::function<task<result<void>>(imap_mailbox&)> use = [&log](imap_mailbox& box) -> task<result<void>> {
        uid_set uids = uid_set::of(3, 3);
        uids.add(5);
        const auto copied = co_await box.copy_within(
            {.from = "INBOX", .to = "a b", .from_uid_validity = 7, .to_uid_validity = 8, .uids = uids});
        if (!copied) co_return std::unexpected(copied.error());
        std::string text;
        for (const auto& [from, to] : *copied) text += fmt::format("{}>{} ", from, to);
        log.push_back(std::move(text));
        co_return result<void>{};
    };
    const auto ok = play<result<void>>(capabilities, script, use, &log);
    if (ok) return log.empty() ? "" : log.front();
    const auto cls = ok.error().cls;
    return fmt::format("{}: {}",
                       cls == retry_class::config      ? "config"
                       : cls == retry_class::permanent ? "permanent"
                       : cls == retry_class::transient ? "transient"
                       : cls == retry_class::throttled ? "throttled"
                                                       : "other",
                       ok.error().message());
}

std::string answered(std::string_view answer) {
    return copy(fmt::format(R"(
        C: P1 EXAMINE INBOX
        S: * OK [UIDVALIDITY 7] v
        S: P1 OK
        C: P2 UID COPY 3,5 "a b"
        S: P2 {})",
                            answer));
}

TEST(imap_copy_within, tells_where_the_copies_are) {
    EXPECT_EQ(answered("OK [COPYUID 8 3,5 11:12] done"), "3>11 5>12 ");
    EXPECT_EQ(answered("OK [COPYUID 8 5,3 11:12] done"), "5>11 3>12 ");
}

TEST(imap_copy_within, looks_for_what_the_server_does_not_name) {
    EXPECT_THAT(answered("OK [COPYUID 8 5 11] or is the other one there?"), HasSubstr("transient: "));
    EXPECT_THAT(answered("OK [COPYUID 8  ] done"), HasSubstr("transient: "));
}

TEST(imap_copy_within, refused_or_impossible_copies_nothing) {
    EXPECT_THAT(answered("NO [OVERQUOTA] full"), HasSubstr("permanent: "));
    EXPECT_THAT(answered("NO [THROTTLED] later"), HasSubstr("throttled: "));
    EXPECT_THAT(answered("BAD what?"), HasSubstr("permanent: "));
    EXPECT_THAT(copy("", ""), HasSubstr("config: The target does not say where copies are"));
    EXPECT_THAT(copy(R"(
        C: P1 EXAMINE INBOX
        S: * OK [UIDVALIDITY 6] v
        S: P1 OK)"),
                HasSubstr("config: The folder INBOX of the target is another one now"));
    EXPECT_THAT(copy(R"(
        C: P1 EXAMINE INBOX
        S: P1 NO gone)"),
                HasSubstr("config: "));
}

// They may be there: they must be looked for.
TEST(imap_copy_within, answers_that_leave_open_what_was_copied) {
    for (const auto* answer :
         {"OK done", "OK [COPYUID 9 3,5 11:12] another folder", "OK [COPYUID 8 3,5 11] one too few",
          "OK [COPYUID 8 3,6 11:12] not asked for", "OK [COPYUID 8 3,3 11:12] twice", "OK [COPYUID 8 3,5 11,11] twice"})
        EXPECT_THAT(answered(answer), HasSubstr("transient: The target copied to ")) << answer;
}

} // namespace
} // namespace postferry::mailbox
