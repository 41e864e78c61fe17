// A maildrop as a source, over scripted servers (support/memory_line.hpp tells how to read them).
#include "mailbox/pop3_mailbox.hpp"
#include "support/maildrop_script.hpp"
#include "support/memory_names.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::mailbox {
namespace {

using support::line_faults;
using support::line_record;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* place = "pop3s://anna@pop.example.org";

class log_sink final : public message_sink, public scan_sink {
  public:
    explicit log_sink(std::vector<std::string>& log) : log_(log) {}

    task<result<void>> begin(message_head head) override {
        expected_ = head.octets;
        text_ = fmt::format("{} {} <{}>: ", head.uid, head.octets, head.uidl);
        start_ = text_.size();
        co_return result<void>{};
    }
    task<result<void>> chunk(const client::block_ref&, std::string_view octets) override {
        text_ += octets;
        co_return result<void>{};
    }
    task<result<void>> end() override {
        EXPECT_EQ(text_.size() - start_, expected_) << "what follows must be what was announced";
        log_.push_back(text_);
        co_return result<void>{};
    }
    void header(message_head head, std::string_view fields) override {
        log_.push_back(fmt::format("{} about {}: {}", head.uid, head.octets, fields));
    }
    void missing(std::size_t, uid_set uids, std::optional<error> why) override {
        log_.push_back(fmt::format("missing {}{}", uids.to_string(), why ? ": " + why->server_said : ""));
    }
    void unavailable(std::size_t request, error why) override {
        log_.push_back(fmt::format("unavailable {}: {}", request, why.what));
    }
    void flags(std::size_t, std::uint32_t, const std::vector<std::string>&) override { log_.emplace_back("flags"); }
    void done(std::size_t, const folder_state& s, uid_set present) override {
        log_.push_back(
            fmt::format("v{} next {} of {}: {}", s.uid_validity, s.uid_next, s.messages, present.to_string()));
    }
    void failed(std::size_t, error why) override { log_.push_back("failed: " + why.what); }

  private:
    std::vector<std::string>& log_;
    std::string text_;
    std::size_t start_ = 0;
    std::uint64_t expected_ = 0;
};

using use = std::function<task<result<void>>(pop3_mailbox&, log_sink&)>;

struct played {
    std::vector<std::string> log;
    std::optional<error> failure;
    std::shared_ptr<line_record> line = std::make_shared<line_record>();
};

class maildrops : public testing::Test {
  protected:
    support::memory_names names;
    pop3_options options{.place = place, .in_memory = 1'000, .commands_in_flight = 3};
    client::server_limits limits;

    /// @param capabilities behind the login, "," between
    played once(std::string_view capabilities, std::string_view script, const use& what,
                const line_faults& faults = {}) {
        played out;
        (void)support::run_to_end(run(capabilities, std::string(script), what, faults, out));
        return out;
    }

    /// As it stands; octet by octet; and dying at every octet, which must end in an error or in the same log.
    std::vector<std::string> play(std::string_view capabilities, std::string_view script, const use& what) {
        const support::memory_names before = names;
        const auto again = [&](const line_faults& faults) {
            names = before;
            return once(capabilities, script, what, faults);
        };
        const played whole = again({});
        EXPECT_THAT(whole.line->complaints, IsEmpty());
        EXPECT_TRUE(whole.line->finished) << "the script was not played to its end";
        EXPECT_FALSE(whole.failure) << whole.failure->message();
        line_faults slow;
        slow.read_at_most = 1;
        EXPECT_EQ(again(slow).log, whole.log);
        for (std::size_t n = 0; n < whole.line->delivered; ++n) {
            line_faults cut;
            cut.dies_after = n;
            const played dead = again(cut);
            EXPECT_TRUE(dead.failure || dead.log == whole.log) << "dies after " << n;
        }
        names = before;
        (void)once(capabilities, script, what); // for what it leaves in the name book
        return whole.log;
    }

    static use scan() {
        return [](pop3_mailbox& box, log_sink& sink) -> task<result<void>> {
            const scan_request inbox{.handle = "INBOX"};
            co_return co_await box.scan({&inbox, 1}, sink);
        };
    }
    static use fetch(uid_set uids, fetch_part part = fetch_part::whole, std::uint32_t uid_validity = 1001) {
        return [=](pop3_mailbox& box, log_sink& sink) -> task<result<void>> {
            const fetch_request request{.handle = "INBOX", .uid_validity = uid_validity, .uids = uids};
            co_return co_await box.fetch({&request, 1}, part, sink);
        };
    }
    static uid_set uids(std::uint32_t first, std::uint32_t last) {
        uid_set out;
        out.add(first, last);
        return out;
    }
    std::vector<std::string> notes(std::string_view script) {
        std::vector<std::string> out;
        const played p = once("", script, [&out](pop3_mailbox& box, log_sink&) -> task<result<void>> {
            auto list = co_await box.list(true);
            if (!list) co_return std::unexpected(list.error());
            out = list->notes;
            co_return result<void>{};
        });
        EXPECT_FALSE(p.failure) << p.failure->message();
        EXPECT_THAT(p.line->complaints, IsEmpty());
        return out;
    }

  private:
    task<int> run(std::string_view capabilities, std::string script, const use& what, const line_faults& faults,
                  played& out) {
        client::pop3_settings settings = support::pop3_test_settings();
        settings.limits = limits;
        const auto blocks = std::make_shared<client::block_pool>(4'096, 4);
        auto session = co_await support::open_pop3(capabilities, std::move(script), out.line, blocks, faults, settings);
        if (!session) {
            out.failure = session.error();
            co_return 0;
        }
        pop3_mailbox box(std::move(*session), blocks, names, options);
        log_sink sink(out.log);
        if (auto ok = co_await what(box, sink); !ok) out.failure = ok.error();
        co_await box.leave();
        co_return 0;
    }
};

constexpr std::string_view three = R"(
    C: STAT
    S: +OK 3 30
    C: LIST
    S: +OK
    S: 1 10
    S: 2 20
    S: 3 30
    S: .
    C: UIDL
    S: +OK
    S: 1 aa
    S: 2 bb
    S: 3 cc
    S: .
)";

constexpr std::string_view quit = "C: QUIT\nS: +OK\n";
// docs/quirks.md#pop3-seen
constexpr std::string_view quit_after_reading = "C: LAST\nS: -ERR\nC: RSET\nS: +OK\nC: QUIT\nS: +OK\n";

std::string with(std::string_view a, std::string_view b, std::string_view c = quit) {
    return fmt::format("{}\n{}\n{}", a, b, c);
}

TEST_F(maildrops, uidls_become_uids_and_stay) {
    EXPECT_THAT(play("", with(three, ""), scan()), ElementsAre("v1001 next 4 of 3: 1:3"));
    // bb was deleted by another, dd came.
    EXPECT_THAT(play("", R"(
        C: STAT
        S: +OK 3 30
        C: LIST
        S: +OK
        S: 1 10
        S: 2 30
        S: 3 40
        S: .
        C: UIDL
        S: +OK
        S: 1 aa
        S: 2 cc
        S: 3 dd
        S: .
        C: QUIT
        S: +OK
    )",
                     scan()),
                ElementsAre("v1001 next 5 of 3: 1,3:4"));
    EXPECT_EQ(names.pages.begin()->second.entries.size(), 3U) << "bb is forgotten";
}

TEST_F(maildrops, more_messages_than_any_maildrop_has) {
    const std::string by_stat = "C: STAT\nS: +OK 3 30\nC: LIST\nS: -ERR empty\nC: UIDL\nS: -ERR empty\n";
    const std::string by_uidl = "C: STAT\nS: +OK 1 30\nC: LIST\nS: +OK\nS: 1 30\nS: .\nC: UIDL\nS: +OK\nS: 1 a\n"
                                "S: 2 b\nS: 1 c\nS: 3 d\nS: .\n";
    for (const std::string& script : {std::string(three), by_stat, by_uidl}) {
        limits.maildrop_messages = 3;
        const bool asks_for_headers = script == by_stat;
        if (!asks_for_headers) EXPECT_FALSE(once("", with(script, ""), scan()).failure) << script;
        limits.maildrop_messages = 2;
        const played out = once("", with(script, ""), scan());
        ASSERT_TRUE(out.failure) << script;
        EXPECT_EQ(out.failure->cls, retry_class::permanent);
        EXPECT_THAT(out.failure->what, HasSubstr("more messages than any maildrop has"));
        EXPECT_THAT(out.line->complaints, IsEmpty());
    }
}

TEST_F(maildrops, a_maildrop_that_shows_nothing_is_not_forgotten) {
    play("", with(three, ""), scan());
    EXPECT_THAT(play("", R"(
        C: STAT
        S: +OK 0 0
        C: LIST
        S: +OK
        S: .
        C: UIDL
        S: +OK
        S: .
        C: QUIT
        S: +OK
    )",
                     scan()),
                ElementsAre("v1001 next 4 of 0: "));
    EXPECT_THAT(play("", with(three, ""), scan()), ElementsAre("v1001 next 4 of 3: 1:3"));
}

TEST_F(maildrops, one_by_one_where_the_server_does_not_pipeline) {
    EXPECT_THAT(play("",
                     with(three, R"(
        C: RETR 1
        S: +OK 10 octets
        S: Subject: a
        S:
        S: ..dot
        S: .
        C: RETR 2
        S: +OK
        S: two
        S: .
    )",
                          quit_after_reading),
                     fetch(uids(1, 2))),
                ElementsAre("1 20 <aa>: Subject: a\r\n\r\n.dot\r\n", "2 5 <bb>: two\r\n"));
}

TEST_F(maildrops, pipelined_where_it_does) {
    EXPECT_THAT(play("PIPELINING,UIDL", R"(
        C: STAT
        C: LIST
        C: UIDL
        S: +OK 4 40
        S: +OK
        S: 1 10
        S: 2 10
        S: 3 10
        S: 4 10
        S: .
        S: +OK
        S: 1 aa
        S: 2 bb
        S: 3 cc
        S: 4 dd
        S: .
        C: RETR 1
        C: RETR 2
        C: RETR 3
        S: +OK
        S: one
        S: .
        C: RETR 4
        S: +OK
        S: two
        S: .
        S: +OK
        S: three
        S: .
        S: +OK
        S: four
        S: .
        C: LAST
        S: +OK 4
        C: QUIT
        S: +OK
    )",
                     fetch(uids(1, 4))),
                ElementsAre("1 5 <aa>: one\r\n", "2 5 <bb>: two\r\n", "3 7 <cc>: three\r\n", "4 6 <dd>: four\r\n"));
}

TEST_F(maildrops, a_large_message_goes_through_a_file_and_comes_out_whole) {
    const std::string line(500, 'x');
    std::string script = "C: RETR 1\nS: +OK\n", body;
    for (int i = 0; i < 30; ++i) {
        script += "S: ." + line + "\nS: .." + line + "\n";
        body += "." + line + "\r\n." + line + "\r\n";
    }
    const played p = once("", with(three, script + "S: .\nC: RETR 2\nS: +OK\nS: two\nS: .\n", quit_after_reading),
                          fetch(uids(1, 2)));
    EXPECT_FALSE(p.failure) << p.failure->message();
    EXPECT_THAT(p.log, ElementsAre(fmt::format("1 {} <aa>: {}", body.size(), body), "2 5 <bb>: two\r\n"));
}

TEST_F(maildrops, headers_by_top) {
    EXPECT_THAT(play("", with(three, R"(
        C: TOP 2 0
        S: +OK
        S: Subject: b
        S:
        S: .
    )"),
                     fetch(uids(2, 2), fetch_part::fingerprint)),
                ElementsAre("2 about 20: Subject: b\r\n\r\n"));
}

TEST_F(maildrops, headers_by_retr_where_there_is_no_top) {
    EXPECT_THAT(play("",
                     with(three, R"(
        C: TOP 1 0
        S: -ERR unknown command
        C: TOP 2 0
        S: -ERR unknown command
        C: RETR 1
        S: +OK
        S: Subject: a
        S: .
        C: RETR 2
        S: +OK
        S: Subject: b
        S: .
    )",
                          quit_after_reading),
                     fetch(uids(1, 2), fetch_part::fingerprint)),
                ElementsAre("1 about 10: Subject: a\r\n", "2 about 20: Subject: b\r\n"));
}

// docs/quirks.md#listed-not-returned
TEST_F(maildrops, a_message_that_is_listed_and_not_returned_is_named) {
    EXPECT_THAT(play("",
                     with(three, R"(
        C: RETR 1
        S: -ERR no such message
        C: RETR 2
        S: +OK
        S: .
        C: RETR 3
        S: +OK
        S: three
        S: .
    )",
                          quit_after_reading),
                     fetch(uids(1, 4))),
                ElementsAre("missing 1: \"-ERR no such message\"", "missing 2", "3 7 <cc>: three\r\n", "missing 4"));
}

TEST_F(maildrops, a_maildrop_in_trouble_is_no_messages_fault) {
    const played p = once("", with(three, "C: RETR 1\nS: -ERR [SYS/TEMP] storage is away\n", ""), fetch(uids(1, 3)));
    ASSERT_TRUE(p.failure);
    EXPECT_EQ(p.failure->cls, retry_class::transient);
    EXPECT_THAT(p.log, IsEmpty());
}

// docs/quirks.md#uidl-spaces, #uidl-blank, #uidl-skipped, #stat-negative
TEST_F(maildrops, odd_listings) {
    EXPECT_THAT(play("", R"(
        C: STAT
        S: +OK 5 -2147483648
        C: LIST
        S: +OK 5 messages
        S:  1   10 octets
        S: 2 20
        S: 3 30
        S: 5 50
        S: .
        C: UIDL
        S: +OK
        S: 1    aa
        S: +OK 2 bb
        S: 3
        S: 4 dd
        S: .
        C: TOP 3 0
        S: +OK
        S: Subject: c
        S: .
        C: TOP 5 0
        S: +OK
        S: Subject: e
        S: .
        C: QUIT
        S: +OK
    )",
                     scan()),
                ElementsAre("v1001 next 6 of 5: 1:5"));
    std::vector<std::string> given;
    for (const auto& e : names.pages.begin()->second.entries) given.push_back(e.name);
    EXPECT_THAT(given, ElementsAre("aa", "bb", testing::ContainsRegex("^ [0-9a-f]{32} 30$"), "dd",
                                   testing::ContainsRegex("^ [0-9a-f]{32} 50$")));
}

constexpr std::string_view without_uidl = R"(
    C: STAT
    S: +OK 2 20
    C: LIST
    S: +OK
    S: 1 1024
    S: 2 2048
    S: .
    C: UIDL
    S: -ERR unknown command
    C: TOP 1 0
    S: +OK
    S: Subject: a
    S: .
    C: TOP 2 0
    S: +OK
    S: Subject: b
    S: .
)";

TEST_F(maildrops, without_uidl_headers_and_sizes_name_the_messages) {
    EXPECT_THAT(play("", with(without_uidl, ""), scan()), ElementsAre("v1001 next 3 of 2: 1:2"));
    EXPECT_THAT(play("", R"(
        C: STAT
        S: +OK 2 20
        C: LIST
        S: +OK
        S: 1 2048
        S: 2 1024
        S: .
        C: UIDL
        S: -ERR unknown command
        C: TOP 1 0
        S: +OK
        S: Subject: b
        S: .
        C: TOP 2 0
        S: +OK
        S: Subject: new
        S: .
        C: QUIT
        S: +OK
    )",
                     scan()),
                ElementsAre("v1001 next 4 of 2: 2:3"));
    names = {};
    EXPECT_THAT(notes(with(without_uidl, "")), ElementsAre(HasSubstr("gives no unique IDs (UIDL)")));
}

// docs/quirks.md#uidl-repeated
TEST_F(maildrops, messages_that_share_a_uidl_are_told_apart) {
    const std::string script = R"(
        C: STAT
        S: +OK 3 30
        C: LIST
        S: +OK
        S: 1 10
        S: 2 10
        S: 3 10
        S: .
        C: UIDL
        S: +OK
        S: 1 same
        S: 2 same
        S: 3 other
        S: .
        C: TOP 1 0
        S: +OK
        S: Subject: a
        S: .
        C: TOP 2 0
        S: +OK
        S: Subject: b
        S: .
        C: QUIT
        S: +OK
    )";
    EXPECT_THAT(play("", script, scan()), ElementsAre("v1001 next 4 of 3: 1:3"));
    EXPECT_THAT(play("", script, scan()), ElementsAre("v1001 next 4 of 3: 1:3")) << "the same numbers again";
    EXPECT_THAT(notes(script), ElementsAre(HasSubstr("2 messages share their unique ID")));
}

TEST_F(maildrops, uidls_that_are_refused_all_of_a_sudden_stop_the_pass) {
    play("", with(three, ""), scan());
    const played p = once("", R"(
        C: STAT
        S: +OK 3 30
        C: LIST
        S: +OK
        S: 1 10
        S: .
        C: UIDL
        S: -ERR not now
    )",
                          scan());
    ASSERT_TRUE(p.failure);
    EXPECT_EQ(p.failure->cls, retry_class::transient);
    EXPECT_THAT(p.failure->what, HasSubstr("gave unique IDs (UIDL) before"));
}

TEST_F(maildrops, an_empty_maildrop_may_refuse_to_be_listed) {
    EXPECT_THAT(play("", R"(
        C: STAT
        S: +OK 0 0
        C: LIST
        S: -ERR no messages
        C: UIDL
        S: -ERR no messages
        C: QUIT
        S: +OK
    )",
                     scan()),
                ElementsAre("v1001 next 1 of 0: "));
}

TEST_F(maildrops, sizes_and_dates_are_searched) {
    const auto search = [](search_criterion what) {
        return [what](pop3_mailbox& box, log_sink&) -> task<result<void>> {
            const fetch_request request{.handle = "INBOX", .uid_validity = 1001, .uids = uids(1, 2)};
            const auto found = co_await box.search({&request, 1}, what);
            if (!found) co_return std::unexpected(found.error());
            EXPECT_EQ(found->front().to_string(), "2");
            co_return result<void>{};
        };
    };
    play("", with(three, ""), search({.larger_than = 19, .older_than_unix = {}}));
    play("", with(three, R"(
        C: TOP 1 0
        S: +OK
        S: Date: Fri, 1 Jan 2021 00:00:00 +0000
        S: .
        C: TOP 2 0
        S: +OK
        S: Received: from x by y; Tue, 1 Jan 2019 00:00:00 +0000
        S: .
    )"),
         search({.larger_than = {}, .older_than_unix = 1'577'836'800}));
}

TEST_F(maildrops, another_uid_validity_or_folder_is_not_served) {
    EXPECT_THAT(play("", with(three, ""), fetch(uids(1, 3), fetch_part::whole, 7)),
                ElementsAre(HasSubstr("unavailable 0: The folder's UIDVALIDITY changed")));
    EXPECT_THAT(play("", with(three, ""),
                     [](pop3_mailbox& box, log_sink& sink) -> task<result<void>> {
                         const scan_request request{.handle = "Sent"};
                         co_return co_await box.scan({&request, 1}, sink);
                     }),
                ElementsAre("failed: POP3 has no folder but INBOX"));
}

// RFC 2449, 6.8: the server may remove what was retrieved; only the UPDATE state, which QUIT begins, can do that.
TEST_F(maildrops, where_reading_may_remove_the_session_ends_without_quit) {
    const played p = once("EXPIRE 0", with(three, "", ""), scan());
    EXPECT_FALSE(p.failure);
    EXPECT_THAT(p.line->written, Not(HasSubstr("QUIT")));
    EXPECT_TRUE(p.line->closed);
}

TEST_F(maildrops, nothing_that_could_remove_a_message_is_ever_sent) {
    const played p = once("PIPELINING", with(three, "", ""), fetch(uids(1, 3)));
    EXPECT_THAT(p.line->written, Not(HasSubstr("DELE")));
}

} // namespace
} // namespace postferry::mailbox
