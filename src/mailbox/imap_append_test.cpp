#include "support/mailbox_script.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::mailbox {
namespace {

using support::line_faults;
using support::line_record;
using support::list_feed;
using support::test_message;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<std::string> append(std::string_view capabilities, const std::vector<test_message>& messages,
                                std::string_view script, imap_options options = {}) {
    std::vector<std::string> log;
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        list_feed feed(messages, log);
        co_return co_await box.append(feed);
    };
    const auto ok = support::play<result<void>>(capabilities, script, use, &log, options);
    if (!ok) log.push_back("failed: " + ok.error().message());
    return log;
}

constexpr std::string_view all = "MULTIAPPEND LITERAL+ UIDPLUS";

TEST(imap_append, batches_of_messages) {
    EXPECT_THAT(append(all, {{"", "hello"}, {"", "world"}, {"", "m3"}}, R"(
        C: P1 APPEND x () {5}
        S: + go
        C: hello () {5+}
        C: world () {2+}
        C: m3
        S: P1 OK [APPENDUID 7 11:13] kept)"),
                ElementsAre("stored 1,2,3 as v7 11,12,13"));
}

// RFC 3516, section 4.2. A message that was refused goes alone and is asked for.
TEST(imap_append, a_message_with_nul_may_go_as_literal8) {
    EXPECT_THAT(append("MULTIAPPEND LITERAL+ UIDPLUS BINARY",
                       {{.flags = "", .body = "a.b", .batch_limit = 1, .literal8 = true}}, R"(
        C: P1 APPEND x () ~{3}
        S: + go
        C: a.b
        S: P1 OK [APPENDUID 7 1] kept)"),
                ElementsAre("stored 1 as v7 1"));
}

TEST(imap_append, a_flag_is_proven_before_it_travels_with_a_literal_that_does_not_wait) {
    EXPECT_THAT(append(all,
                       {{"", "m1"},
                        {"", "m2"},
                        {"\\Seen", "m3"},
                        {"\\Flagged", "m4"},
                        {"\\Flagged \\Seen", "m5"},
                        {"", "m6"},
                        {"\\Seen New", "m7"},
                        {"New", "m8"}},
                       R"(
        C: P1 APPEND x () {2}
        S: + go
        C: m1 () {2+}
        # Until one of these was answered, a "+" that follows might be meant for it.
        C: m2
        S: P1 OK [APPENDUID 7 1:2] kept
        C: P2 APPEND x (\Seen) {2}
        S: + go
        C: m3 (\Flagged) {2}
        S: + go
        C: m4 (\Flagged \Seen) {2+}
        C: m5 () {2+}
        C: m6 (\Seen New) {2}
        S: + go
        C: m7 (New) {2+}
        C: m8
        S: P2 OK [APPENDUID 7 3:8] kept)"),
                ElementsAre("stored 1,2 as v7 1,2", "stored 3,4,5,6,7,8 as v7 3,4,5,6,7,8"));
}

TEST(imap_append, what_was_proven_holds_for_the_connection) {
    std::vector<std::string> log;
    const std::vector<test_message> messages{{"\\Seen", "m1"}};
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        for (int i = 0; i < 2; ++i) {
            list_feed feed(messages, log);
            if (auto ok = co_await box.append(feed); !ok) co_return ok;
        }
        co_return result<void>{};
    };
    EXPECT_TRUE(support::play<result<void>>(all, R"(
        C: P1 APPEND x (\Seen) {2}
        S: + go
        C: m1
        S: P1 OK [APPENDUID 7 1] kept
        C: P2 APPEND x (\Seen) {2+}
        C: m1
        S: P2 OK [APPENDUID 7 2] kept)",
                                            use, &log));
    EXPECT_THAT(log, ElementsAre("stored 1 as v7 1", "stored 1 as v7 2"));
}

TEST(imap_append, a_server_that_says_plus_too_often_is_never_taken_at_its_word) {
    EXPECT_THAT(append(all, {{"", "m1"}, {"", "m2"}, {"\\Seen", "m3"}, {"", "m4"}}, R"(
        C: P1 APPEND x () {2}
        S: + go
        C: m1 () {2+}
        C: m2
        S: + needless
        S: P1 OK kept
        C: P2 APPEND x (\Seen) {2}
        S: + go
        C: m3 () {2}
        S: + go
        C: m4
        S: P2 OK kept)"),
                ElementsAre("stored 1,2 as v0 ", "stored 3,4 as v0 "));
}

TEST(imap_append, dates) {
    const auto at = [](std::int64_t seconds, std::int16_t zone) {
        return message_date{.unix_seconds = seconds, .zone_minutes = zone};
    };
    // Odd ones are written too, but the server is asked each time.
    EXPECT_THAT(append("LITERAL+",
                       {{"", "m1", 0, 0, at(1'044'068'706, 60)},
                        {"", "m2", 0, 0, at(1'044'068'706, 60)},
                        {"", "m3", 0, 0, at(-62'000'000'000, 0)},
                        {"", "m4", 0, 0, at(1'044'068'706, 1439)}},
                       R"(
        C: P1 APPEND x () " 1-Feb-2003 04:05:06 +0100" {2}
        S: + go
        C: m1
        C: P2 APPEND x () " 1-Feb-2003 04:05:06 +0100" {2+}
        C: m2
        S: P1 OK
        S: P2 OK
        C: P3 APPEND x () "<any>-0005 <any> +0000" {2}
        S: + go
        C: m3
        C: P4 APPEND x () " 2-Feb-2003 03:04:06 +2359" {2}
        S: P3 OK
        S: + go
        C: m4
        S: P4 OK)"),
                ElementsAre("stored 1 as v0 ", "stored 2 as v0 ", "stored 3 as v0 ", "stored 4 as v0 "));
}

TEST(imap_append, without_multiappend_one_command_a_message_and_no_waiting) {
    EXPECT_THAT(append("LITERAL+", {{"", "m1"}, {"", "m2"}, {"", "m3"}}, R"(
        C: P1 APPEND x () {2}
        S: + go
        C: m1
        C: P2 APPEND x () {2+}
        C: m2
        C: P3 APPEND x () {2+}
        C: m3
        S: P1 OK [APPENDUID 7 1] kept
        S: P2 NO [OVERQUOTA] full
        S: P3 OK [APPENDUID 7 3] kept)"),
                ElementsAre("stored 1 as v7 1", "refused 2: permanent \"NO [OVERQUOTA] full\"", "stored 3 as v7 3"));
}

TEST(imap_append, without_literal_plus_each_is_asked_for) {
    EXPECT_THAT(append("MULTIAPPEND", {{"", "m1"}, {"", "m2"}}, R"(
        C: P1 APPEND x () {2}
        S: + go
        C: m1 () {2}
        S: + go
        C: m2
        S: P1 OK)"),
                ElementsAre("stored 1,2 as v0 "));
}

TEST(imap_append, literal_minus_is_for_small_ones) {
    const std::string big(4097, 'b');
    const std::string fits(4096, 'f');
    EXPECT_THAT(append("LITERAL-", {{"", "m1"}, {"", fits}, {"", big}},
                       fmt::format(R"(
        C: P1 APPEND x () {{2}}
        S: + go
        C: m1
        C: P2 APPEND x () {{4096+}}
        C: {}
        S: P1 OK
        S: P2 OK
        C: P3 APPEND x () {{4097}}
        S: + go
        C: {}
        S: P3 OK)",
                                   fits, big)),
                ElementsAre("stored 1 as v0 ", "stored 2 as v0 ", "stored 3 as v0 "));
}

TEST(imap_append, appenduid_of_another_number_of_messages_is_not_used) {
    EXPECT_THAT(append("MULTIAPPEND", {{"", "m1"}, {"", "m2"}}, R"(
        C: P1 APPEND x () {2}
        S: + go
        C: m1 () {2}
        S: + go
        C: m2
        S: P1 OK [APPENDUID 7 11:13] kept)"),
                ElementsAre("stored 1,2 as v7 "));
}

TEST(imap_append, appenduid_in_the_servers_order) {
    EXPECT_THAT(append("MULTIAPPEND", {{"", "m1"}, {"", "m2"}}, R"(
        C: P1 APPEND x () {2}
        S: + go
        C: m1 () {2}
        S: + go
        C: m2
        S: * 9 EXISTS
        S: P1 OK [APPENDUID 7 12,11] kept)"),
                ElementsAre("stored 1,2 as v7 12,11"));
}

TEST(imap_append, a_refused_batch_names_all_its_messages_and_the_next_goes_on) {
    EXPECT_THAT(append(all, {{"", "m1"}, {"", "m2"}, {"", "m3", 1, 0, {}, "y z"}}, R"(
        C: P1 APPEND x () {2}
        S: + go
        C: m1 () {2+}
        C: m2
        C: P2 APPEND "y z" () {2+}
        C: m3
        S: P1 NO [TRYCREATE] no such folder
        S: P2 OK [APPENDUID 8 1] kept)"),
                ElementsAre("refused 1,2: permanent \"NO [TRYCREATE] no such folder\"", "stored 3 as v8 1"));
}

TEST(imap_append, refused_instead_of_the_plus) {
    for (const char* verdict : {"NO [OVERQUOTA] full", "BAD Invalid system flag"}) {
        EXPECT_THAT(append("MULTIAPPEND", {{"", "m1"}, {"\\Seen", "x DELETE Archive\r\n"}, {"", "m3"}},
                           fmt::format(R"(
            C: P1 APPEND x () {{2}}
            S: + go
            C: m1 (\Seen) {{18}}
            S: P1 {}
            C: P2 APPEND x () {{2}}
            S: + go
            C: m3
            S: P2 OK)",
                                       verdict)),
                    ElementsAre(AllOf(StartsWith("refused 1,2: permanent"), HasSubstr(verdict)), "stored 3 as v0 "));
    }
}

TEST(imap_append, bad_to_a_message_that_was_asked_for_concerns_that_message) {
    EXPECT_THAT(append("", {{"", "m1"}, {"", "m2"}}, R"(
        C: P1 APPEND x () {2}
        S: + go
        C: m1
        C: P2 APPEND x () {2}
        S: P1 BAD unable to parse message
        S: + go
        C: m2
        S: P2 OK)"),
                ElementsAre("refused 1: permanent \"BAD unable to parse message\"", "stored 2 as v0 "));
}

TEST(imap_append, bad_to_a_literal_that_was_not_asked_for_ends_the_line) {
    EXPECT_THAT(append("LITERAL+", {{"", "m1"}, {"", "m2"}, {"", "m3"}}, R"(
        C: P1 APPEND x () {2}
        S: + go
        C: m1
        C: P2 APPEND x () {2+}
        C: m2
        C: P3 APPEND x () {2+}
        C: m3
        S: P1 OK
        S: P2 BAD what)"),
                ElementsAre("stored 1 as v0 ", "refused 2: protocol \"BAD what\"", StartsWith("abandoned: "),
                            HasSubstr("failed: ")));
}

TEST(imap_append, a_name_that_needs_a_literal) {
    const std::string name = "\xc3\xa4";
    EXPECT_THAT(append("MULTIAPPEND", {{"", "m1", 0, 0, {}, name}, {"", "m2", 0, 0, {}, name}}, R"(
        C: P1 APPEND {2}
        S: + go
        C: \xc3\xa4 () {2}
        S: + go
        C: m1 () {2}
        S: + go
        C: m2
        S: P1 OK)"),
                ElementsAre("stored 1,2 as v0 "));
    EXPECT_THAT(append("LITERAL+", {{"", "m1", 0, 0, {}, name}}, R"(
        C: P1 APPEND {2+}
        C: \xc3\xa4 () {2}
        S: + go
        C: m1
        S: P1 OK)"),
                ElementsAre("stored 1 as v0 "));
    EXPECT_THAT(append("", {{"", "m1", 0, 0, {}, name}, {"", "m2"}}, R"(
        C: P1 APPEND {2}
        S: P1 BAD no 8 bits
        C: P2 APPEND x () {2}
        S: + go
        C: m2
        S: P2 OK)"),
                ElementsAre("refused 1: permanent \"BAD no 8 bits\"", "stored 2 as v0 "));
}

TEST(imap_append, limits_of_a_batch) {
    imap_options options;
    options.tuning.batch_messages = 2;
    options.tuning.batch_octets = 10;
    options.tuning.batches_in_flight = 1;
    EXPECT_THAT(append(all, {{"", "m1"}, {"", "m2"}, {"", "m3"}, {"", "0123456789"}, {"", "m5"}}, R"(
        C: P1 APPEND x () {2}
        S: + go
        C: m1 () {2+}
        C: m2
        S: P1 OK
        C: P2 APPEND x () {2+}
        C: m3
        S: P2 OK
        C: P3 APPEND x () {10+}
        C: 0123456789
        S: P3 OK
        C: P4 APPEND x () {2+}
        C: m5
        S: P4 OK)",
                       options),
                ElementsAre("stored 1,2 as v0 ", "stored 3 as v0 ", "stored 4 as v0 ", "stored 5 as v0 "));
}

TEST(imap_append, a_suspect_goes_alone_and_is_asked_for) {
    EXPECT_THAT(append(all, {{"", "m1"}, {"", "m2"}, {"", "bad", 0, 1}, {"", "m4"}}, R"(
        C: P1 APPEND x () {2}
        S: + go
        C: m1 () {2+}
        C: m2
        S: P1 OK
        C: P2 APPEND x () {3}
        S: + go
        C: bad
        C: P3 APPEND x () {2+}
        C: m4
        S: P2 NO virus
        S: P3 OK)"),
                ElementsAre("stored 1,2 as v0 ", "refused 3: permanent \"NO virus\"", "stored 4 as v0 "));
}

TEST(imap_append, every_write_may_fail) {
    const std::vector<test_message> messages{{"", "m1"}, {"", "m2"}, {"\\Seen", "m3"}};
    constexpr std::string_view script = R"(
        C: P1 APPEND x () {2}
        S: + go
        C: m1
        C: P2 APPEND x () {2+}
        C: m2
        S: P1 OK
        S: P2 OK
        C: P3 APPEND x (\Seen) {2}
        S: + go
        C: m3
        S: P3 OK)";
    std::vector<std::string> log;
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        list_feed feed(messages, log);
        co_return co_await box.append(feed);
    };
    for (std::size_t k = 0;; ++k) {
        ASSERT_LT(k, 50U);
        log.clear();
        line_faults faults;
        faults.failing_write = k;
        faults.dies_after = 1'000'000; // the script is not expected to end
        auto record = std::make_shared<line_record>();
        const auto ok = support::play_once<result<void>>("LITERAL+", script, use, {}, faults, record);
        if (record->writes <= k) break;
        ASSERT_FALSE(ok);
        EXPECT_EQ(ok.error().what, "connection lost: broken pipe");
        EXPECT_THAT(log.back(), StartsWith("abandoned: "));
    }
}

/// Answers as soon as the announcement of a large message was read, in the middle of its octets.
class hasty_server final : public support::memory_line {
  public:
    hasty_server(std::string verdict, std::shared_ptr<line_record> record, line_faults faults)
        : memory_line(std::move(record), faults), verdict_(std::move(verdict)) {
        to_client_ = "* PREAUTH [CAPABILITY IMAP4rev1 LITERAL+ MULTIAPPEND] hi\r\n";
    }

  private:
    void serve() override {
        if (from_client_.starts_with("P1 APPEND x () {2}\r\n") && !asked_) {
            asked_ = true;
            to_client_ += "+ go\r\n";
        }
        if (!verdict_.empty() && from_client_.find("+}\r\n") != std::string::npos && !refused_) {
            refused_ = true;
            to_client_ += "P1 " + verdict_ + "\r\n";
        }
        if (from_client_.ends_with("P2 APPEND x () {3+}\r\nend\r\n")) hung_up_ = true;
    }
    [[nodiscard]] std::string state() const override { return "hasty"; }
    std::string verdict_;
    bool asked_ = false, refused_ = false;
};

std::vector<std::string> append_large(std::string verdict, const std::shared_ptr<line_record>& record) {
    const std::vector<test_message> messages{{"", "m1"}, {"", std::string(8'000'000, 'x')}, {"", "end"}};
    std::vector<std::string> log;
    line_faults faults;
    faults.write_pause = 65'536;
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        list_feed feed(messages, log, 65'536);
        co_return co_await box.append(feed);
    };
    imap_options options;
    options.tuning.batch_octets = 100'000'000;
    (void)support::run_to_end<result<void>>(support::use_mailbox<result<void>>(
        std::make_unique<hasty_server>(std::move(verdict), record, faults), options, use));
    return log;
}

TEST(imap_append, a_source_that_breaks_off_takes_the_line_with_it) {
    std::vector<std::string> log;
    const std::vector<test_message> messages{{"", "m1"}, {"", std::string(900'000, 'x')}, {"", "m3"}};
    auto record = std::make_shared<line_record>();
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        list_feed feed(messages, log, 300'000);
        feed.breaks_off_in = 1;
        co_return co_await box.append(feed);
    };
    // The message is a large one, so that its announcement and beginning have left.
    line_faults faults;
    faults.write_pause = 65'536;
    const auto ok = support::run_to_end<result<void>>(
        support::use_mailbox<result<void>>(std::make_unique<hasty_server>("", record, faults), {}, use));
    ASSERT_TRUE(ok && !*ok);
    EXPECT_EQ(ok->error().what, "the source broke off");
    EXPECT_TRUE(record->closed);
    EXPECT_THAT(log, ElementsAre("abandoned: the source broke off"));
    EXPECT_EQ(std::ranges::count(record->written, 'x'), 1 + 600'000) << "all that the source gave, and nothing else";
    EXPECT_THAT(record->written, testing::Not(HasSubstr("m3")));
}

TEST(imap_append, bad_in_the_middle_of_a_large_message_is_heard_at_once) {
    auto record = std::make_shared<line_record>();
    EXPECT_THAT(append_large("BAD Invalid system flag", record),
                ElementsAre(StartsWith("refused 1,2: protocol"), StartsWith("abandoned: ")));
    EXPECT_LT(record->written.size(), 1'000'000U);
    EXPECT_TRUE(record->closed && record->discards_unsent) << "what the system still holds must not leave";
}

TEST(imap_append, no_in_the_middle_of_a_large_message_lets_it_run_out) {
    auto record = std::make_shared<line_record>();
    EXPECT_THAT(append_large("NO [OVERQUOTA] full", record),
                ElementsAre("refused 1,2: permanent \"NO [OVERQUOTA] full\"", StartsWith("abandoned: ")));
    EXPECT_THAT(record->written, testing::EndsWith("xxx\r\nP2 APPEND x () {3+}\r\nend\r\n"));
}

} // namespace
} // namespace postferry::mailbox
