#include "support/mailbox_script.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::mailbox {
namespace {

using support::play;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> scan(std::string_view capabilities, const std::vector<scan_request>& folders,
                              std::string_view script) {
    std::vector<std::string> log;
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        support::noting_scan_sink sink(log);
        co_return co_await box.scan(folders, sink);
    };
    const auto ok = play<result<void>>(capabilities, script, use, &log);
    if (!ok) log.push_back("failed: " + ok.error().message());
    return log;
}

scan_request unknown(std::string handle) { return {.handle = std::move(handle)}; }
scan_request known(std::string handle, std::uint64_t modseq) {
    return {.handle = std::move(handle), .known_uid_validity = 7, .known_uid_next = 10, .known_modseq = modseq};
}

TEST(imap_scan, several_folders_in_one_go) {
    EXPECT_THAT(scan("ESEARCH CONDSTORE", {unknown("a"), unknown("b c")}, R"(
        C: P1 EXAMINE a (CONDSTORE)
        C: P2 UID SEARCH RETURN (ALL) ALL
        C: P3 EXAMINE "b c" (CONDSTORE)
        C: P4 UID SEARCH RETURN (ALL) ALL
        S: * FLAGS (\Seen)
        S: * 3 EXISTS
        S: * 0 RECENT
        S: * OK [UIDVALIDITY 7] v
        S: * OK [UIDNEXT 10] n
        S: * OK [HIGHESTMODSEQ 99] h
        S: P1 OK [READ-ONLY] opened
        S: * ESEARCH (TAG "P2") UID ALL 3,5:6
        S: P2 OK
        S: * OK [CLOSED] previous
        S: * 0 EXISTS
        S: * OK [UIDVALIDITY 8] v
        S: * OK [UIDNEXT 1] n
        S: P3 OK
        S: * ESEARCH (TAG "P4") UID
        S: P4 OK)"),
                ElementsAre("0 done v7 n10 m3 h99: 3,5:6", "1 done v8 n1 m0 h0: "));
}

TEST(imap_scan, by_plain_search) {
    EXPECT_THAT(scan("", {unknown("a")}, R"(
        C: P1 EXAMINE a
        C: P2 UID SEARCH ALL
        S: * 3 EXISTS
        S: * OK [UIDVALIDITY 7] v
        S: P1 OK
        S: * SEARCH 6 3
        S: * SEARCH 5
        S: P2 OK)"),
                ElementsAre("0 done v7 n0 m3 h0: 3,5:6"));
}

TEST(imap_scan, a_search_that_lies_is_checked_by_fetch) {
    for (const char* answer :
         {"S: * SEARCH 3 5\n S: P2 OK", "S: P2 OK", "S: P2 NO [SERVERBUG] oops", "S: P2 BAD what"}) {
        EXPECT_THAT(scan("", {unknown("a")},
                         fmt::format(R"(
            C: P1 EXAMINE a
            C: P2 UID SEARCH ALL
            S: * 3 EXISTS
            S: * OK [UIDVALIDITY 7] v
            S: P1 OK
            {}
            C: P3 EXAMINE a
            C: P4 UID FETCH 1:* (UID)
            S: * 3 EXISTS
            S: * OK [UIDVALIDITY 7] v
            S: P3 OK
            S: * 1 FETCH (UID 3)
            S: * 2 FETCH (UID 5)
            S: * 3 FETCH (UID 9)
            S: P4 OK)",
                                     answer)),
                    ElementsAre("0 done v7 n0 m3 h0: 3,5,9"))
            << answer;
    }
}

TEST(imap_scan, changed_flags_of_a_known_folder) {
    EXPECT_THAT(scan("CONDSTORE ESEARCH", {known("a", 50)}, R"(
        C: P1 EXAMINE a (CONDSTORE)
        C: P2 UID FETCH 1:9 (UID FLAGS) (CHANGEDSINCE 50)
        C: P3 UID SEARCH RETURN (ALL) ALL
        S: * 2 EXISTS
        S: * OK [UIDVALIDITY 7] v
        S: * OK [UIDNEXT 11] n
        S: * OK [HIGHESTMODSEQ 60] h
        S: P1 OK
        S: * 1 FETCH (UID 4 FLAGS (\Seen) MODSEQ (55))
        S: * 2 FETCH (FLAGS (\Deleted))
        S: P2 OK
        S: * ESEARCH (TAG "P3") UID ALL 4,10
        S: P3 OK)"),
                ElementsAre("0 flags 4 (\\Seen)", "0 done v7 n11 m2 h60: 4,10"));
}

TEST(imap_scan, changedsince_that_is_refused_gives_way_to_all_flags) {
    for (const char* verdict : {"BAD MODSEQ?", "NO [NOMODSEQ] none"}) {
        EXPECT_THAT(scan("CONDSTORE", {known("a", 50)},
                         fmt::format(R"(
            C: P1 EXAMINE a (CONDSTORE)
            C: P2 UID FETCH 1:9 (UID FLAGS) (CHANGEDSINCE 50)
            C: P3 UID SEARCH ALL
            S: * 1 EXISTS
            S: * OK [UIDVALIDITY 7] v
            S: P1 OK
            S: P2 {}
            S: * SEARCH 4
            S: P3 OK
            C: P4 EXAMINE a (CONDSTORE)
            C: P5 UID FETCH 1:* (UID FLAGS)
            S: * 1 EXISTS
            S: * OK [UIDVALIDITY 7] v
            S: P4 OK
            S: * 1 FETCH (UID 4 FLAGS (\Flagged))
            S: P5 OK)",
                                     verdict)),
                    ElementsAre("0 flags 4 (\\Flagged)", "0 done v7 n0 m1 h0: 4"))
            << verdict;
    }
}

TEST(imap_scan, all_flags_where_the_server_keeps_no_modseq) {
    EXPECT_THAT(scan("", {known("a", 0), known("b", 0)}, R"(
        C: P1 EXAMINE a
        C: P2 UID FETCH 1:* (UID FLAGS)
        C: P3 EXAMINE b
        C: P4 UID FETCH 1:* (UID FLAGS)
        S: * 2 EXISTS
        S: * OK [UIDVALIDITY 7] v
        S: P1 OK
        S: * 1 FETCH (FLAGS (\Seen) UID 4)
        S: * 2 FETCH (UID 10 FLAGS ())
        S: P2 OK
        S: * 0 EXISTS
        S: * OK [UIDVALIDITY 8] v
        S: P3 OK
        S: P4 BAD no messages)"),
                ElementsAre("0 flags 4 (\\Seen)", "0 flags 10 ()", "0 done v7 n0 m2 h0: 4,10", "1 done v8 n0 m0 h0: "));
}

// The server may not say EXPUNGE before the FETCH is over (RFC 3501, 7.4.1), and in the next folder it is too late.
TEST(imap_scan, a_list_that_somebody_has_shortened_meanwhile_is_made_again) {
    EXPECT_THAT(scan("", {known("a", 0), known("b", 0)}, R"(
        C: P1 EXAMINE a
        C: P2 UID FETCH 1:* (UID FLAGS)
        C: P3 EXAMINE b
        C: P4 UID FETCH 1:* (UID FLAGS)
        S: * 3 EXISTS
        S: * OK [UIDVALIDITY 7] v
        S: P1 OK
        S: * 1 FETCH (UID 4 FLAGS ())
        S: * 3 FETCH (UID 9 FLAGS ())
        S: P2 OK
        S: * 1 EXISTS
        S: * OK [UIDVALIDITY 8] v
        S: P3 OK
        S: * 1 FETCH (UID 1 FLAGS ())
        S: P4 OK
        C: P5 EXAMINE a
        C: P6 UID FETCH 1:* (UID)
        S: * 2 EXISTS
        S: * OK [UIDVALIDITY 7] v
        S: P5 OK
        S: * 1 FETCH (UID 4)
        S: * 2 FETCH (UID 9)
        S: P6 OK)"),
                ElementsAre("0 flags 4 ()", "0 flags 9 ()", "1 flags 1 ()", "0 done v7 n0 m2 h0: 4,9",
                            "1 done v8 n0 m1 h0: 1"));
}

// One that always tells fewer than it says to hold is not asked for ever: what it keeps back stays open in the balance.
TEST(imap_scan, a_list_that_stays_short_is_made_again_once) {
    EXPECT_THAT(scan("", {known("a", 0)}, R"(
        C: P1 EXAMINE a
        C: P2 UID FETCH 1:* (UID FLAGS)
        S: * 3 EXISTS
        S: P1 OK
        S: * 1 FETCH (UID 4 FLAGS ())
        S: P2 OK
        C: P3 EXAMINE a
        C: P4 UID FETCH 1:* (UID)
        S: * 3 EXISTS
        S: P3 OK
        S: * 1 FETCH (UID 4)
        S: P4 OK)"),
                ElementsAre("0 flags 4 ()", "0 done v0 n0 m3 h0: 4"));
}

TEST(imap_scan, a_folder_that_cannot_be_opened_does_not_stop_the_others) {
    // Some servers leave the folder before it open: its messages must not be taken for this one's.
    EXPECT_THAT(scan("", {known("a", 0), known("b", 0), unknown("c")}, R"(
        C: P1 EXAMINE a
        C: P2 UID FETCH 1:* (UID FLAGS)
        C: P3 EXAMINE b
        C: P4 UID FETCH 1:* (UID FLAGS)
        C: P5 EXAMINE c
        C: P6 UID SEARCH ALL
        S: * 1 EXISTS
        S: * OK [UIDVALIDITY 7] v
        S: P1 OK
        S: * 1 FETCH (FLAGS (\Seen) UID 4)
        S: P2 OK
        S: P3 NO [NOPERM] not yours
        S: * 1 FETCH (FLAGS (\Seen) UID 4)
        S: P4 OK
        S: P5 NO [NONEXISTENT] gone
        S: P6 BAD no folder)"),
                ElementsAre("0 flags 4 (\\Seen)", "0 done v7 n0 m1 h0: 4",
                            HasSubstr("1 failed: The folder b could not be opened"),
                            HasSubstr("2 failed: The folder c could not be opened")));
}

TEST(imap_scan, nor_are_changes_of_another_folder_taken_for_its_own) {
    EXPECT_THAT(scan("CONDSTORE", {known("a", 50)}, R"(
        C: P1 EXAMINE a (CONDSTORE)
        C: P2 UID FETCH 1:9 (UID FLAGS) (CHANGEDSINCE 50)
        C: P3 UID SEARCH ALL
        S: P1 NO [INUSE] later
        S: * 1 FETCH (UID 4 FLAGS (\Deleted) MODSEQ (55))
        S: P2 OK
        S: * SEARCH 4
        S: P3 OK)"),
                ElementsAre(HasSubstr("0 failed: The folder a could not be opened")));
}

TEST(imap_scan, many_folders_are_asked_for_in_portions) {
    std::vector<std::string> log;
    const std::vector<scan_request> folders{unknown("a"), unknown("b")};
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        support::noting_scan_sink sink(log);
        co_return co_await box.scan(folders, sink);
    };
    imap_options options;
    options.tuning.commands_in_flight = 2;
    (void)play<result<void>>("", R"(
        C: P1 EXAMINE a
        C: P2 UID SEARCH ALL
        S: P1 OK
        C: P3 EXAMINE b
        C: P4 UID SEARCH ALL
        S: P2 OK
        S: P3 OK
        S: P4 OK)",
                             use, &log, options);
    EXPECT_THAT(log, ElementsAre("0 done v0 n0 m0 h0: ", "1 done v0 n0 m0 h0: "));
}

TEST(imap_search, by_size_and_by_age) {
    const auto search = [](search_criterion what, std::string_view script) {
        const std::vector<fetch_request> requests{{.handle = "a", .uid_validity = 7, .uids = uid_set::of(1, 9)},
                                                  {.handle = "b", .uid_validity = 7, .uids = {}},
                                                  {.handle = "c", .uid_validity = 7, .uids = uid_set::of(1, 9)}};
        std::vector<std::string> out;
        const auto got = play<result<std::vector<uid_set>>>(
            "ESEARCH", script, [&](imap_mailbox& box) { return box.search(requests, what); });
        if (got)
            for (const uid_set& s : *got) out.push_back(s.to_string());
        return out;
    };
    EXPECT_THAT(search({.larger_than = 1000, .older_than_unix = {}}, R"(
        C: P1 EXAMINE a
        C: P2 UID SEARCH RETURN (ALL) LARGER 1000
        C: P3 EXAMINE c
        C: P4 UID SEARCH RETURN (ALL) LARGER 1000
        S: P1 OK
        S: * ESEARCH (TAG "P2") UID ALL 3,7
        S: P2 OK
        S: P3 NO [NOPERM] no
        S: * ESEARCH (TAG "P4") UID ALL 3,7
        S: P4 OK)"),
                ElementsAre("3,7", "", ""));
    // Cyrus 3.6 has APPENDLIMIT=4294967295 and answers LARGER 4294967295 with "* BYE Fatal error: num too big".
    EXPECT_THAT(search({.larger_than = 4'294'967'295, .older_than_unix = {}}, ""), ElementsAre("", "", ""));
    EXPECT_THAT(search({.larger_than = {}, .older_than_unix = 1'000'000'000}, R"(
        C: P1 EXAMINE a
        C: P2 UID SEARCH RETURN (ALL) BEFORE 8-Sep-2001
        C: P3 EXAMINE c
        C: P4 UID SEARCH RETURN (ALL) BEFORE 8-Sep-2001
        S: P1 OK
        S: P2 OK
        S: P3 OK
        S: P4 OK)"),
                ElementsAre("", "", ""));
}

} // namespace
} // namespace postferry::mailbox
