// How much a server may tell before it is taken for a broken one: each limit made small, reached and passed.
#include "support/mailbox_script.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::mailbox {
namespace {

using client::server_limits;
using support::play_within;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view too_much = "permanent: The server tells of more messages than any mailbox has";

// --- Folders --------------------------------------------------------------------------------------------------------

std::string list(const server_limits& limits, std::string_view answers) {
    const auto got = play_within<result<listing>>(limits, "LIST-EXTENDED LIST-STATUS",
                                                  fmt::format("C: P1 LIST <any>\n{}S: P1 OK\n", answers),
                                                  [](imap_mailbox& box) { return box.list(false); });
    if (!got) return fmt::format("{}: {}", name_of(got.error().cls), got.error().what);
    return fmt::format("{} folders", got->folders.size());
}

constexpr std::string_view folders =
    "S: * LIST () \"/\" INBOX\nS: * LIST () \"/\" abc\nS: * STATUS INBOX (MESSAGES 0)\n"
    "S: * STATUS abc (MESSAGES 0)\n";
constexpr std::string_view too_many = "permanent: The server lists more folders than any mailbox has";

TEST(imap_limits, names_of_folders) {
    server_limits limits;
    limits.names = 4;
    EXPECT_EQ(list(limits, folders), "2 folders");
    limits.names = 3;
    EXPECT_EQ(list(limits, folders), too_many);
}

TEST(imap_limits, octets_of_names) {
    server_limits limits;
    limits.name_octets = 16;
    EXPECT_EQ(list(limits, folders), "2 folders");
    limits.name_octets = 15;
    EXPECT_EQ(list(limits, folders), too_many);
    limits.name_octets = 20;
    EXPECT_EQ(list(limits, "S: * LIST (\\Long-attribute-of-a-folder) \"/\" INBOX\n"), too_many);
}

TEST(imap_limits, namespaces) {
    server_limits limits;
    const auto personal = [&limits] {
        std::vector<std::string> out;
        const auto got = play_within<result<listing>>(limits, "NAMESPACE LIST-EXTENDED LIST-STATUS", R"(
            C: P1 NAMESPACE
            C: P2 LIST <any>
            S: * NAMESPACE (("" "/")) (("a/" "/") ("b/" "/")) NIL
            S: P1 OK
            S: * LIST () "/" INBOX
            S: * LIST () "/" "a/x"
            S: * LIST () "/" "b/x"
            S: P2 OK)",
                                                      [](imap_mailbox& box) { return box.list(false); });
        for (const listed_folder& f : got->folders)
            if (f.personal) out.push_back(f.name);
        return out;
    };
    EXPECT_THAT(personal(), ElementsAre("INBOX"));
    limits.namespaces = 1;
    EXPECT_THAT(personal(), ElementsAre("INBOX", "b/x"));
}

TEST(imap_limits, quotas) {
    server_limits limits;
    const auto count = [&limits] {
        return play_within<result<std::vector<imap::quota_data>>>(limits, "QUOTA", R"(
            C: P1 GETQUOTAROOT INBOX
            S: * QUOTA a (STORAGE 1 2)
            S: * QUOTA b (STORAGE 1 2)
            S: P1 OK)",
                                                                  [](imap_mailbox& box) { return box.quota(); })
            ->size();
    };
    EXPECT_EQ(count(), 2U);
    limits.namespaces = 1;
    EXPECT_EQ(count(), 1U);
}

TEST(imap_limits, access_rights) {
    server_limits limits;
    const auto rights = [&limits] {
        const auto got = play_within<result<std::vector<folder_extras>>>(
            limits, "ACL", R"(
            C: P1 GETACL x
            S: * ACL x otto lrs hugo lr
            S: * ACL x fritz l
            S: P1 OK)",
            [](imap_mailbox& box) -> task<result<std::vector<folder_extras>>> {
                const std::vector<std::string> handles{"x"};
                co_return co_await box.extras(handles);
            });
        return got ? fmt::format("{}", got->at(0).rights.size()) : got.error().what;
    };
    limits.name_octets = 19 + 3 * sizeof(access_right);
    EXPECT_EQ(rights(), "3");
    --limits.name_octets;
    EXPECT_THAT(rights(), HasSubstr("more access rights than any mailbox has"));
}

// --- Messages -------------------------------------------------------------------------------------------------------

std::vector<std::string> scan(const server_limits& limits, std::string_view capabilities, std::string_view script,
                              std::vector<scan_request> which = {{.handle = "a"}, {.handle = "b"}}) {
    std::vector<std::string> log;
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        support::noting_scan_sink sink(log);
        co_return co_await box.scan(which, sink);
    };
    const auto ok = play_within<result<void>>(limits, capabilities, script, use);
    if (!ok) log.push_back("failed: " + ok.error().message());
    return log;
}

std::string two_searches(std::string_view capabilities, std::string_view first, std::string_view second) {
    const bool esearch = capabilities == "ESEARCH";
    return fmt::format(R"(
        C: P1 EXAMINE a
        C: P2 UID SEARCH {0}ALL
        C: P3 EXAMINE b
        C: P4 UID SEARCH {0}ALL
        S: * {1} EXISTS
        S: P1 OK
        S: {2}
        S: P2 OK
        S: * 2 EXISTS
        S: P3 OK
        S: {3}
        S: P4 OK)",
                       esearch ? "RETURN (ALL) " : "", first.ends_with("4294967295") ? "4294967295" : "3", first,
                       second);
}

TEST(imap_limits, gaps_between_uids_of_all_folders_together) {
    server_limits limits;
    for (const bool esearch : {true, false}) {
        const std::string_view can = esearch ? "ESEARCH" : "";
        const std::string script =
            esearch ? two_searches(can, "* ESEARCH (TAG \"P2\") UID ALL 1,3,5", "* ESEARCH (TAG \"P4\") UID ALL 1,3")
                    : two_searches(can, "* SEARCH 1 3 5", "* SEARCH 1 3");
        limits.uid_ranges = 5;
        EXPECT_THAT(scan(limits, can, script), ElementsAre(HasSubstr(": 1,3,5"), HasSubstr(": 1,3")));
        limits.uid_ranges = 4;
        EXPECT_THAT(scan(limits, can, script),
                    ElementsAre(HasSubstr(": 1,3,5"), HasSubstr("failed: The server tells of more messages")));
        limits.uid_ranges = 2; // what was thrown away leaves its room to others
        EXPECT_THAT(scan(limits, can, script),
                    ElementsAre(HasSubstr("failed: The server tells of more messages"), HasSubstr(": 1,3")));
    }
}

TEST(imap_limits, messages_of_a_folder) {
    server_limits limits;
    const std::string script =
        two_searches("ESEARCH", "* ESEARCH (TAG \"P2\") UID ALL 1:4294967295", "* ESEARCH (TAG \"P4\") UID ALL 1:2");
    EXPECT_THAT(scan(limits, "ESEARCH", script),
                ElementsAre(HasSubstr("failed: The server tells of more messages"), HasSubstr(": 1:2")));
    limits.messages = UINT32_MAX;
    EXPECT_THAT(scan(limits, "ESEARCH", script), ElementsAre(HasSubstr(": 1:4294967295"), HasSubstr(": 1:2")));
}

TEST(imap_limits, messages_listed_by_fetch) {
    server_limits limits;
    const std::string_view script = R"(
        C: P1 EXAMINE a
        C: P2 UID FETCH 1:* (UID FLAGS)
        S: * 2 EXISTS
        S: * OK [UIDVALIDITY 7] v
        S: P1 OK
        S: * 1 FETCH (UID 1 FLAGS ())
        S: * 2 FETCH (UID 3 FLAGS ())
        S: P2 OK)";
    const auto told = [&] { return scan(limits, "", script, {{.handle = "a", .known_uid_validity = 7}}).back(); };
    limits.messages = limits.uid_ranges = 2;
    EXPECT_THAT(told(), HasSubstr(": 1,3"));
    limits.messages = 1;
    EXPECT_THAT(told(), HasSubstr("failed: The server tells of more messages"));
    limits.messages = 2;
    limits.uid_ranges = 1;
    EXPECT_THAT(told(), HasSubstr("failed: The server tells of more messages"));
}

TEST(imap_limits, what_a_search_finds) {
    server_limits limits;
    const auto found = [&limits](std::string_view capabilities, std::string_view answer) {
        const std::vector<fetch_request> requests{{.handle = "a", .uid_validity = 7, .uids = uid_set::of(1, 9)}};
        const auto got = play_within<result<std::vector<uid_set>>>(
            limits, capabilities,
            fmt::format("C: P1 EXAMINE a\nC: P2 UID SEARCH {}LARGER 5\nS: P1 OK\nS: {}\nS: P2 OK\n",
                        capabilities == "ESEARCH" ? "RETURN (ALL) " : "", answer),
            [&](imap_mailbox& box) { return box.search(requests, {.larger_than = 5, .older_than_unix = {}}); });
        return got ? got->at(0).to_string() : fmt::format("{}: {}", name_of(got.error().cls), got.error().what);
    };
    const std::string_view esearch = "* ESEARCH (TAG \"P2\") UID ALL 1,3,5";
    limits.uid_ranges = 3;
    EXPECT_EQ(found("", "* SEARCH 1 3 5"), "1,3,5");
    EXPECT_EQ(found("ESEARCH", esearch), "1,3,5");
    limits.uid_ranges = 2;
    EXPECT_EQ(found("", "* SEARCH 1 3 5"), too_much);
    EXPECT_EQ(found("ESEARCH", esearch), too_much);
}

} // namespace
} // namespace postferry::mailbox
