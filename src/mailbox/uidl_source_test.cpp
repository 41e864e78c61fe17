// An IMAP source in memory and a POP3 server that plays a script: what message_head::uidl becomes.
#include "mailbox/uidl_source.hpp"
#include "support/maildrop_script.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::mailbox {
namespace {

using support::line_record;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// INBOX with messages of these bodies, UIDs from 11 on, and a folder "Sent" with the UID 11 as well.
class two_folders final : public source {
  public:
    std::vector<std::string> inbox;

    task<result<listing>> list(bool) override { co_return listing{}; }
    task<result<void>> scan(std::span<const scan_request> folders, scan_sink& sink) override {
        uid_set all;
        for (std::uint32_t i = 0; i < inbox.size(); ++i) all.add(11 + i);
        folder_state state;
        state.uid_validity = 5;
        for (std::size_t i = 0; i < folders.size(); ++i) sink.done(i, state, all);
        co_return result<void>{};
    }
    task<result<void>> fetch(std::span<const fetch_request> requests, fetch_part part, message_sink& sink) override {
        for (std::size_t i = 0; i < requests.size(); ++i) {
            for (const uid_set::range& r : requests[i].uids.ranges()) {
                for (std::uint32_t uid = r.first; uid <= r.last; ++uid) {
                    const std::string& body = inbox[uid - 11];
                    message_head head{
                        .request = i, .uid = uid, .flags = {}, .date = {}, .octets = body.size(), .uidl = {}};
                    if (part == fetch_part::fingerprint)
                        sink.header(std::move(head), body);
                    else if (auto ok = co_await sink.begin(std::move(head)); !ok)
                        co_return ok;
                }
            }
        }
        co_return result<void>{};
    }
    task<result<std::vector<uid_set>>> search(std::span<const fetch_request>, search_criterion) override {
        co_return std::vector<uid_set>{};
    }
    void close() noexcept override {}
    task<> leave() override { co_return; }
};

class head_log final : public message_sink {
  public:
    std::vector<std::string> log;
    task<result<void>> begin(message_head head) override {
        log.push_back(fmt::format("{}/{} <{}>", head.request, head.uid, head.uidl));
        co_return result<void>{};
    }
    task<result<void>> chunk(const client::block_ref&, std::string_view) override { co_return result<void>{}; }
    task<result<void>> end() override { co_return result<void>{}; }
    void header(message_head, std::string_view) override { log.emplace_back("header"); }
    void missing(std::size_t, uid_set, std::optional<error>) override {}
    void unavailable(std::size_t, error) override {}
};

struct outcome {
    std::vector<std::string> log, notes;
    std::optional<error> failure;
    std::vector<std::shared_ptr<line_record>> lines; ///< one a POP3 session
};

/// @param scripts of the POP3 sessions, behind the login
task<int> fetch_all(std::vector<std::string> inbox, std::vector<std::string> scripts, outcome& out) {
    auto folders = std::make_unique<two_folders>();
    folders->inbox = std::move(inbox);
    uidl_source box(std::move(folders), [&]() -> task<result<std::unique_ptr<client::pop3_session>>> {
        const std::string script = out.lines.size() < scripts.size() ? scripts[out.lines.size()] : "";
        out.lines.push_back(std::make_shared<line_record>());
        co_return co_await support::open_pop3("", script, out.lines.back(),
                                              std::make_shared<client::block_pool>(4'096, 2));
    });
    uid_set two;
    two.add(11, 12);
    const std::vector<fetch_request> requests{{.handle = "INBOX", .uid_validity = 5, .uids = two},
                                              {.handle = "Sent", .uid_validity = 5, .uids = uid_set::of(11, 11)}};
    head_log sink;
    if (auto ok = co_await box.ask(); !ok) out.failure = ok.error();
    for (int pass = 0; pass < 2 && !out.failure; ++pass)
        if (auto ok = co_await box.fetch(requests, fetch_part::whole, sink); !ok) out.failure = ok.error();
    out.log = sink.log;
    out.notes = box.take_notes();
    co_return 0;
}

outcome play(std::vector<std::string> inbox, std::vector<std::string> scripts) {
    outcome out;
    (void)support::run_to_end(fetch_all(std::move(inbox), std::move(scripts), out));
    for (const auto& line : out.lines) EXPECT_THAT(line->complaints, IsEmpty());
    return out;
}

TEST(uidl_source, messages_of_inbox_get_their_uidls_others_none_and_pop3_is_asked_once) {
    const outcome out = play({"12345", "123456", "1234567"}, {R"(
        C: STAT
        S: +OK 3 18
        C: LIST
        S: +OK
        S: 1 5
        S: 2 6
        S: 3 7
        S: .
        C: UIDL
        S: +OK
        S: 1 aa
        S: 2 bb
        S: 3 cc
        S: .
        C: QUIT
        S: +OK
    )"});
    EXPECT_FALSE(out.failure) << out.failure->message();
    EXPECT_THAT(out.log, ElementsAre("0/11 <aa>", "0/12 <bb>", "1/11 <>", "0/11 <aa>", "0/12 <bb>", "1/11 <>"));
    ASSERT_EQ(out.lines.size(), 1U);
    EXPECT_TRUE(out.lines.front()->finished);
    EXPECT_THAT(out.notes, IsEmpty());
}

TEST(uidl_source, equal_sizes_are_looked_up_and_what_stays_unclear_is_counted) {
    const std::string list = R"(
        C: STAT
        S: +OK 2 24
        C: LIST
        S: +OK
        S: 1 12
        S: 2 12
        S: .
        C: UIDL
        S: +OK
        S: 1 aa
        S: 2 bb
        S: .
    )";
    const outcome out = play({"Subject: a\r\n", "Subject: b\r\n"}, {list + "\nC: QUIT\nS: +OK\n", list + R"(
        C: TOP 1 0
        S: +OK
        S: Subject: a
        S: .
        C: TOP 2 0
        S: +OK
        S: Subject: other
        S: .
        C: QUIT
        S: +OK
    )"});
    EXPECT_FALSE(out.failure) << out.failure->message();
    EXPECT_THAT(out.log, testing::Contains("0/11 <aa>"));
    EXPECT_THAT(out.log, testing::Contains("0/12 <>"));
    EXPECT_THAT(out.notes, ElementsAre(HasSubstr("1 unique IDs (UIDL) could not be told")));
}

TEST(uidl_source, a_server_without_uidl_is_a_note) {
    const outcome out = play({"1", "22"}, {R"(
        C: STAT
        S: +OK 2 3
        C: LIST
        S: +OK
        S: 1 1
        S: 2 2
        S: .
        C: UIDL
        S: -ERR what
        C: QUIT
        S: +OK
    )"});
    EXPECT_FALSE(out.failure);
    EXPECT_THAT(out.notes, ElementsAre(HasSubstr("POP3 gives no unique IDs")));
}

TEST(uidl_source, a_server_that_cannot_be_asked_is_said_before_anything_else) {
    const outcome out = play({"1", "22"}, {"C: STAT\nS!"});
    ASSERT_TRUE(out.failure);
    EXPECT_EQ(out.failure->cls, retry_class::transient);
    EXPECT_THAT(out.log, IsEmpty());
}

} // namespace
} // namespace postferry::mailbox
