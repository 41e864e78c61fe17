#include "message/fingerprint.hpp"
#include "message/recipients.hpp"
#include "support/mailbox_script.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::mailbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct folder {
    std::string handle;
    std::string uids;
};

std::vector<fetch_request> requests_for(const std::vector<folder>& folders) {
    std::vector<fetch_request> out;
    for (const folder& f : folders)
        out.push_back({.handle = f.handle, .uid_validity = 7, .uids = *uid_set::parse(f.uids)});
    return out;
}

std::vector<std::string> fetch(const std::vector<folder>& folders, std::string_view script,
                               fetch_part part = fetch_part::whole, imap_options options = {}) {
    std::vector<std::string> log;
    const std::vector<fetch_request> requests = requests_for(folders);
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        support::noting_message_sink sink(log);
        co_return co_await box.fetch(requests, part, sink);
    };
    const auto ok = support::play<result<void>>("", script, use, &log, options);
    if (!ok) log.push_back("failed: " + ok.error().message());
    return log;
}

/// The script of folder x with UIDVALIDITY 7: EXAMINE, one FETCH, and its answers.
std::vector<std::string> fetch_x(const std::string& uids, std::string_view answers) {
    return fetch({{"x", uids}}, fmt::format(R"(
        C: P1 EXAMINE x
        C: P2 UID FETCH {} (UID FLAGS INTERNALDATE BODY.PEEK[])
        S: * OK [UIDVALIDITY 7] v
        S: P1 OK
        {})",
                                            uids, answers));
}

constexpr std::string_view second_try = R"(
        C: P3 EXAMINE x
        S: * OK [UIDVALIDITY 7] v
        S: P3 OK)";

TEST(imap_fetch, streams_messages_of_several_folders_one_behind_the_other) {
    EXPECT_THAT(fetch({{"x", "3:4"}, {"y", "1"}}, R"(
        C: P1 EXAMINE x
        C: P2 UID FETCH 3:4 (UID FLAGS INTERNALDATE BODY.PEEK[])
        C: P3 EXAMINE y
        C: P4 UID FETCH 1 (UID FLAGS INTERNALDATE BODY.PEEK[])
        S: * OK [UIDVALIDITY 7] v
        S: P1 OK
        S: * 1 FETCH (UID 3 FLAGS (\Seen $x) INTERNALDATE " 1-Feb-2003 04:05:06 +0100" BODY[] {5}
        S~ P4 OK
        S: )
        S: * 2 FETCH (FLAGS () UID 4 INTERNALDATE "11-Feb-2003 04:05:06 +0000" BODY[] {2}
        S~ hi
        S:  RFC822.SIZE 99999)
        S: P2 OK
        S: * OK [UIDVALIDITY 7] v
        S: P3 OK
        S: * 1 FETCH (UID 1 FLAGS () INTERNALDATE NIL BODY[] ~{3}
        S~ a\x00b
        S: )
        S: P4 OK)"),
                ElementsAre("0/3 (\\Seen $x)  1-Feb-2003 04:05:06 +0100 5: P4 OK|",
                            "0/4 () 11-Feb-2003 04:05:06 +0000 2: hi|", std::string("1/1 () - 3: a\0b|", 16)));
}

TEST(imap_fetch, what_nobody_asked_for_is_passed_over) {
    EXPECT_THAT(fetch_x("3", R"(
        S: * 9 EXISTS
        S: * 1 FETCH (FLAGS (\Deleted))
        S: * 4 FETCH (UID 4 FLAGS (\Deleted))
        S: * 2 EXPUNGE
        S: * 5 FETCH (UID 5 FLAGS () INTERNALDATE NIL BODY[] {3}
        S~ not
        S: )
        S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[] {2}
        S~ me
        S: )
        S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[] {5}
        S~ again
        S: )
        S: * 1 FETCH (UID 3 FLAGS (\Seen))
        S: P2 OK)"),
                ElementsAre("0/3 () - 2: me|"));
}

TEST(imap_fetch, a_body_before_its_flags_is_fetched_again_behind_them) {
    for (const char* order : {"BODY[] {2}\\r\\nhi UID 3 FLAGS (\\Seen) INTERNALDATE \" 1-Feb-2003 04:05:06 +0000\"",
                              "UID 3 BODY[] {2}\\r\\nhi FLAGS (\\Seen) INTERNALDATE \" 1-Feb-2003 04:05:06 +0000\"",
                              "UID 3 FLAGS (\\Seen) BODY[] {2}\\r\\nhi INTERNALDATE \" 1-Feb-2003 04:05:06 +0000\""}) {
        EXPECT_THAT(fetch_x("3", fmt::format(R"(
            S: * 1 FETCH ({})
            S: P2 OK
            C: P3 EXAMINE x
            C: P4 UID FETCH 3 (UID FLAGS INTERNALDATE)
            C: P5 UID FETCH 3 (UID FLAGS INTERNALDATE BODY.PEEK[])
            S: * OK [UIDVALIDITY 7] v
            S: P3 OK
            S: * 1 FETCH (INTERNALDATE " 1-Feb-2003 04:05:06 +0000" FLAGS (\Seen) UID 3)
            S: P4 OK
            S: * 1 FETCH ({})
            S: P5 OK)",
                                             order, order)),
                    ElementsAre("0/3 (\\Seen)  1-Feb-2003 04:05:06 +0000 2: hi|"))
            << order;
    }
}

TEST(imap_fetch, many_bodies_before_their_uids) {
    // More than are asked for again when no reason is seen.
    std::string answers;
    std::vector<std::string> expected;
    for (int i = 1; i <= 250; ++i)
        answers += fmt::format("S: * {} FETCH (BODY[] {{1}}\\r\\nm UID {} FLAGS () INTERNALDATE NIL)\n", i, i);
    answers += "S: P2 OK\nC: P3 EXAMINE x\n";
    std::string asked, answered;
    for (int i = 1; i <= 250; ++i) {
        asked = fmt::format(
            "C: P{} UID FETCH {} (UID FLAGS INTERNALDATE)\nC: P{} UID FETCH {} (UID FLAGS INTERNALDATE BODY.PEEK[])\n",
            2 + 2 * i, i, 3 + 2 * i, i);
        answered = fmt::format("S: * {0} FETCH (UID {0} FLAGS (\\Seen) INTERNALDATE NIL)\nS: P{1} OK\nS: * {0} FETCH "
                               "(BODY[] {{1}}\\r\\nm UID {0} FLAGS () INTERNALDATE NIL)\nS: P{2} OK\n",
                               i, 2 + 2 * i, 3 + 2 * i);
        answers += asked + (i == 1 ? "S: * OK [UIDVALIDITY 7] v\nS: P3 OK\n" : "") + answered;
        expected.push_back(fmt::format("0/{} (\\Seen) - 1: m|", i));
    }
    std::vector<std::string> log;
    const std::vector<fetch_request> requests = requests_for({{"x", "1:250"}});
    imap_options options;
    options.tuning.fetches_in_flight = 1;
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        support::noting_message_sink sink(log);
        co_return co_await box.fetch(requests, fetch_part::whole, sink);
    };
    EXPECT_TRUE(support::play_once<result<void>>(
        "", "C: P1 EXAMINE x\nC: P2 UID FETCH 1:250 <any>\nS: * OK [UIDVALIDITY 7] v\nS: P1 OK\n" + answers, use,
        options));
    EXPECT_EQ(log, expected);
}

TEST(imap_fetch, a_quoted_body) {
    EXPECT_THAT(fetch_x("3", R"(
        S: * 1 FETCH (UID 3 FLAGS (\Seen) INTERNALDATE NIL BODY[] "a \\"b\\"")
        S: P2 OK)"),
                ElementsAre("0/3 (\\Seen) - 5: a \"b\"|"));
}

TEST(imap_fetch, no_body_is_never_a_message) {
    for (const char* body : {"BODY[] NIL", "BODY[] {0}\\r\\n", "BODY[] \"\"", "RFC822.SIZE 100"}) {
        EXPECT_THAT(fetch_x("3", fmt::format(R"(
            S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL {0})
            S: P2 OK
            {1}
            C: P4 UID FETCH 3 (UID FLAGS INTERNALDATE BODY.PEEK[])
            S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL {0})
            S: P4 OK
            C: P5 EXAMINE x
            C: P6 UID FETCH 3 (UID FLAGS INTERNALDATE BODY.PEEK[HEADER] BODY.PEEK[TEXT])
            S: * OK [UIDVALIDITY 7] v
            S: P5 OK
            S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL {0})
            S: P6 OK)",
                                             body, second_try)),
                    ElementsAre("0 missing 3"))
            << body;
    }
}

TEST(imap_fetch, messages_that_vanished) {
    EXPECT_THAT(fetch_x("3:5", fmt::format(R"(
        S: * 1 FETCH (UID 4 FLAGS () INTERNALDATE NIL BODY[] {{2}}
        S~ hi
        S: )
        S: P2 OK
        {}
        C: P4 UID FETCH 3 <any>
        C: P5 UID FETCH 5 <any>
        S: P4 OK
        S: * 1 FETCH (UID 5 FLAGS () INTERNALDATE NIL BODY[] {{2}}
        S~ 5!
        S: )
        S: P5 OK
        C: P6 EXAMINE x
        C: P7 UID FETCH 3 <any>
        S: * OK [UIDVALIDITY 7] v
        S: P6 OK
        S: P7 OK)",
                                           second_try)),
                ElementsAre("0/4 () - 2: hi|", "0/5 () - 2: 5!|", "0 missing 3"));
}

TEST(imap_fetch, a_refusal_is_tracked_down_to_its_message) {
    for (const char* verdict : {"NO [SERVERBUG] cannot read", "BAD cannot read"}) {
        EXPECT_THAT(fetch_x("3:5", fmt::format(R"(
            S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[] {{2}}
            S~ hi
            S: )
            S: P2 {0}
            {1}
            C: P4 UID FETCH 4 <any>
            C: P5 UID FETCH 5 <any>
            S: P4 {0}
            S: * 3 FETCH (UID 5 FLAGS () INTERNALDATE NIL BODY[] {{2}}
            S~ ho
            S: )
            S: P5 OK)",
                                               verdict, second_try)),
                    ElementsAre("0/3 () - 2: hi|", fmt::format("0 missing 4: \"{}\"", verdict), "0/5 () - 2: ho|"));
    }
}

TEST(imap_fetch, several_refused_ranges_of_one_folder_are_all_tried_again) {
    imap_options options;
    options.tuning.fetch_messages = 1;
    EXPECT_THAT(fetch({{"x", "3,5"}}, R"(
        C: P1 EXAMINE x
        C: P2 UID FETCH 3 <any>
        C: P3 UID FETCH 5 <any>
        S: * OK [UIDVALIDITY 7] v
        S: P1 OK
        S: P2 NO no
        S: P3 NO no
        C: P4 EXAMINE x
        C: P5 UID FETCH 3 <any>
        C: P6 UID FETCH 5 <any>
        S: * OK [UIDVALIDITY 7] v
        S: P4 OK
        S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[] {2}
        S~ hi
        S: )
        S: P5 OK
        S: P6 NO no)",
                      fetch_part::whole, options),
                ElementsAre("0/3 () - 2: hi|", "0 missing 5: \"NO no\""));
}

TEST(imap_fetch, much_that_is_left_out_without_a_word_is_asked_for_once_more_in_smaller_ranges) {
    imap_options options;
    options.tuning.few_left_out = 4;
    EXPECT_THAT(fetch({{"x", "3:12"}}, R"(
        C: P1 EXAMINE x
        C: P2 UID FETCH 3:12 <any>
        S: * OK [UIDVALIDITY 7] v
        S: P1 OK
        S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[] {2}
        S~ hi
        S: )
        S: P2 OK
        C: P3 EXAMINE x
        C: P4 UID FETCH 4:5 <any>
        C: P5 UID FETCH 6:7 <any>
        C: P6 UID FETCH 8:9 <any>
        C: P7 UID FETCH 10:11 <any>
        C: P8 UID FETCH 12 <any>
        S: * OK [UIDVALIDITY 7] v
        S: P3 OK
        S: P4 OK
        S: * 4 FETCH (UID 6 FLAGS () INTERNALDATE NIL BODY[] {2}
        S~ ho
        S: )
        S: P5 OK
        S: P6 OK
        S: P7 NO not these
        S: P8 OK
        C: P9 EXAMINE x
        C: P10 UID FETCH 7 <any>
        C: P11 UID FETCH 10 <any>
        C: P12 UID FETCH 11 <any>
        S: * OK [UIDVALIDITY 7] v
        S: P9 OK
        S: * 5 FETCH (UID 7 FLAGS () INTERNALDATE NIL BODY[] {2}
        S~ 7!
        S: )
        S: P10 OK
        S: P11 NO not this
        S: * 9 FETCH (UID 11 FLAGS () INTERNALDATE NIL BODY[] {2}
        S~ 11
        S: )
        S: P12 OK)",
                      fetch_part::whole, options),
                ElementsAre("0/3 () - 2: hi|", "0 missing 4:5", "0/6 () - 2: ho|", "0 missing 8:9", "0 missing 12",
                            "0/7 () - 2: 7!|", "0 missing 10: \"NO not this\"", "0/11 () - 2: 11|"));
}

TEST(imap_fetch, an_answer_without_uid_to_a_command_for_one) {
    EXPECT_THAT(fetch_x("3", fmt::format(R"(
        S: P2 NO no
        {}
        C: P4 UID FETCH 3 <any>
        S: * 1 FETCH (FLAGS () INTERNALDATE NIL BODY[] {{2}}
        S~ hi
        S: )
        S: P4 OK)",
                                         second_try)),
                ElementsAre("0/3 () - 2: hi|"));
}

TEST(imap_fetch, a_server_that_wants_a_pause_is_left_alone) {
    EXPECT_THAT(fetch_x("3:5", "S: P2 NO [LIMIT] UID FETCH Rate limit hit"),
                ElementsAre(HasSubstr("failed: The message could not be read")));
}

TEST(imap_fetch, uidvalidity_changed) {
    for (const char* now : {"S: * OK [UIDVALIDITY 8] v", "S: * OK nothing"}) {
        EXPECT_THAT(
            fetch({{"x", "3"}, {"y", "1"}}, fmt::format(R"(
            C: P1 EXAMINE x
            C: P2 UID FETCH 3 <any>
            C: P3 EXAMINE y
            C: P4 UID FETCH 1 <any>
            {}
            S: P1 OK
            S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[] {{5}}
            S~ wrong
            S: )
            S: P2 OK
            S: * OK [UIDVALIDITY 7] v
            S: P3 OK
            S: * 1 FETCH (UID 1 FLAGS () INTERNALDATE NIL BODY[] {{2}}
            S~ hi
            S: )
            S: P4 OK)",
                                                        now)),
            ElementsAre(StartsWith("0 unavailable: transient The folder's UIDVALIDITY changed"), "1/1 () - 2: hi|"));
    }
}

TEST(imap_fetch, a_folder_that_is_gone) {
    EXPECT_THAT(fetch({{"x", "3"}}, R"(
        C: P1 EXAMINE x
        C: P2 UID FETCH 3 <any>
        S: P1 NO [NONEXISTENT] gone
        S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[] {5}
        S~ other
        S: )
        S: P2 BAD no folder)"),
                ElementsAre(StartsWith("0 unavailable: permanent The folder could not be opened")));
}

TEST(imap_fetch, fingerprints) {
    EXPECT_THAT(fetch({{"x", "3:4"}},
                      fmt::format(R"(
        C: P1 EXAMINE x
        C: P2 UID FETCH 3:4 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS ({0})])
        S: * OK [UIDVALIDITY 7] v
        S: P1 OK
        S: * 1 FETCH (BODY[HEADER.FIELDS ({0})] {{7}}
        S~ To: x\r\n
        S:  UID 3 RFC822.SIZE 100 FLAGS (\Seen) INTERNALDATE NIL)
        S: * 2 FETCH (UID 4 RFC822.SIZE 50 FLAGS () INTERNALDATE NIL BODY[HEADER.FIELDS ({0})] "")
        S: P2 OK)",
                                  message::fingerprint_fields()),
                      fetch_part::fingerprint),
                ElementsAre("0/3 (\\Seen) - 100 header: To: x\r\n", "0/4 () - 50 header: "));
}

TEST(imap_fetch, recipients_are_asked_for_by_their_fields_and_without_a_trace) {
    for (const auto part : {fetch_part::recipients, fetch_part::deliveries})
        EXPECT_THAT(fetch({{"x", "3"}},
                          fmt::format(R"(
            C: P1 EXAMINE x
            C: P2 UID FETCH 3 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS ({0})])
            S: * OK [UIDVALIDITY 7] v
            S: P1 OK
            S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL RFC822.SIZE 9 BODY[HEADER.FIELDS ({0})] "To: x")
            S: P2 OK)",
                                      message::recipient_fields(part == fetch_part::deliveries)),
                          part),
                    ElementsAre("0/3 () - 9 header: To: x"));
}

TEST(imap_fetch, a_literal_shorter_than_announced_is_no_message) {
    // The octets behind it are swallowed, and what then follows is no answer: the message never ends.
    EXPECT_THAT(fetch({{"x", "3"}}, R"(
        C: P1 EXAMINE x
        C: P2 UID FETCH 3 <any>
        S: * OK [UIDVALIDITY 7] v
        S: P1 OK
        S~ * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[] {4}\r\nhi)\r\nP2 OK\r\n)"),
                ElementsAre("0/3 () - 4: hi)\r", HasSubstr("failed: imap.example.org does not speak IMAP")));
}

TEST(imap_fetch, a_sink_that_fails_ends_the_line) {
    class full final : public message_sink {
        task<result<void>> begin(message_head) override {
            co_return fail(retry_class::local, phase::ledger, "disk full");
        }
        task<result<void>> chunk(const client::block_ref&, std::string_view) override { co_return result<void>{}; }
        task<result<void>> end() override { co_return result<void>{}; }
        void header(message_head, std::string_view) override {}
        void missing(std::size_t, uid_set, std::optional<error>) override {}
        void unavailable(std::size_t, error) override {}
    };
    const std::vector<fetch_request> requests = requests_for({{"x", "3"}});
    auto record = std::make_shared<support::line_record>();
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        full sink;
        co_return co_await box.fetch(requests, fetch_part::whole, sink);
    };
    const auto ok = support::play_once<result<void>>("", R"(
        C: P1 EXAMINE x
        C: P2 UID FETCH 3 <any>
        S: * OK [UIDVALIDITY 7] v
        S: P1 OK
        S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[] {2}
        S~ hi
        S: )
        S: P2 OK)",
                                                     use, {}, {}, record);
    ASSERT_FALSE(ok);
    EXPECT_EQ(ok.error().what, "disk full");
    EXPECT_TRUE(record->closed);
}

} // namespace
} // namespace postferry::mailbox
