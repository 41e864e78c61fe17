#include "mailbox/lmtp_target.hpp"
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
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view hello = R"(
    S: 220 mail.example.org Dovecot ready.
    C: LHLO <any>
    S: 250-mail.example.org
    S: 250-8BITMIME
    S: 250-ENHANCEDSTATUSCODES
    S: 250-PIPELINING
    S: 250 SIZE 100000
    C: MAIL FROM:<>
    S: 250 2.1.0 OK
    C: RCPT TO:<anna@example.org>
    S: 250 2.1.5 OK
    C: RSET
    S: 250 2.0.0 OK
)";

constexpr std::string_view plain_hello = R"(
    S: 220 ready
    C: LHLO <any>
    S: 250 mail.example.org
    C: MAIL FROM:<>
    S: 250 OK
    C: RCPT TO:<anna@example.org>
    S: 250 OK
    C: RSET
    S: 250 OK
)";

struct told {
    std::vector<std::string> log, remarks;
    std::optional<error> failure;
    std::shared_ptr<line_record> line = std::make_shared<line_record>();
};

client::lmtp_settings settings() {
    client::lmtp_settings s;
    s.where = {.host = "mail.example.org", .port = 24};
    s.user = "anna@example.org";
    return s;
}

task<result<void>> deliver(std::string script, const std::vector<test_message>& messages, client::lmtp_settings how,
                           line_faults faults, std::optional<std::size_t> breaks_off_in, told& out) {
    auto session = co_await client::lmtp_session::open_on(
        std::make_unique<support::scripted_line>(script, out.line, faults), std::move(how));
    if (!session) {
        out.failure = session.error();
        co_return result<void>{};
    }
    lmtp_target box(std::move(*session));
    list_feed feed(messages, out.log);
    feed.breaks_off_in = breaks_off_in;
    auto ok = co_await box.append(feed);
    if (!ok) out.failure = ok.error();
    if (ok) co_await box.leave();
    out.remarks = box.take_remarks();
    co_return result<void>{};
}

told play_once(std::string_view script, const std::vector<test_message>& messages, line_faults faults = {},
               std::optional<std::size_t> breaks_off_in = {}, client::lmtp_settings how = settings()) {
    told out;
    (void)support::run_to_end<result<void>>(
        deliver(std::string(script), messages, std::move(how), faults, breaks_off_in, out));
    return out;
}

/// As it is, octet by octet, and with a server that dies after every octet: what it then says it has stored is what it
/// had answered for, and for what it had not answered nobody says anything.
told play(std::string_view script, const std::vector<test_message>& messages) {
    told whole = play_once(script, messages);
    EXPECT_THAT(whole.line->complaints, IsEmpty());
    EXPECT_TRUE(whole.line->finished) << "the script was not played to its end";
    line_faults slow;
    slow.read_at_most = 1;
    EXPECT_EQ(play_once(script, messages, slow).log, whole.log);
    for (std::size_t dies = 0; dies < whole.line->delivered; ++dies) {
        line_faults dead;
        dead.dies_after = dies;
        const told cut = play_once(script, messages, dead);
        EXPECT_THAT(cut.line->complaints, IsEmpty());
        const bool over = cut.log.size() >= whole.log.size(); // it died at QUIT
        if (!over) EXPECT_TRUE(cut.failure) << "dead after " << dies << ", but all is well";
        for (std::size_t i = 0; i < cut.log.size() && i < whole.log.size() && !cut.log[i].starts_with("abandoned"); ++i)
            EXPECT_EQ(cut.log[i], whole.log[i]) << dies;
    }
    return whole;
}

constexpr std::string_view envelope = R"(
    C: MAIL FROM:<> BODY=8BITMIME SIZE={}
    C: RCPT TO:<anna@example.org>
    C: DATA
)";
constexpr std::string_view welcome = R"(
    S: 250 2.1.0 OK
    S: 250 2.1.5 OK
    S: 354 OK
)";
constexpr std::string_view bye = R"(
    C: QUIT
    S: 221 2.0.0 Bye
)";

std::string begin(std::size_t octets) { return fmt::format(fmt::runtime(envelope), octets); }

TEST(lmtp_target, messages_one_behind_the_other) {
    const std::string script = fmt::format("{}{}{}C~ .{}\nC: .\n{}S: 250 2.0.0 <anna@example.org> Saved\n{}C: x\nC: .\n"
                                           "S: 250 2.0.0 <anna@example.org> Saved\n{}",
                                           hello, begin(4), welcome, ".a\\r\\n", begin(1), welcome, bye);
    const told out = play(script, {{.flags = "", .body = ".a\r\n"}, {.flags = "", .body = "x"}});
    EXPECT_THAT(out.log, ElementsAre("stored 1 as v0 ", "stored 2 as v0 "));
    EXPECT_THAT(out.remarks, ElementsAre("1 messages had no line end behind their last line; they have one now"));
}

TEST(lmtp_target, line_by_line_where_nothing_is_pipelined) {
    const std::string one = R"(
    C: MAIL FROM:<>
    S: 250 OK
    C: RCPT TO:<anna@example.org>
    S: 250 OK
    C: DATA
    S: 354 OK
    C: x
    C: .
    S: 250 OK
)";
    const told out = play(fmt::format("{}{}{}{}", plain_hello, one, one, bye),
                          {{.flags = "", .body = "x\r\n"}, {.flags = "", .body = "x\n"}});
    EXPECT_THAT(out.log, ElementsAre("stored 1 as v0 ", "stored 2 as v0 "));
    EXPECT_THAT(out.remarks, ElementsAre(HasSubstr("1 messages held a CR or LF alone")));
}

TEST(lmtp_target, a_refused_message_is_the_only_one) {
    const std::string refused = R"(
    S: 250 2.1.0 OK
    S: 552 5.2.3 <anna@example.org> Message too large
    S: 503 5.5.1 No recipients
    C: RSET
    S: 250 2.0.0 OK
)";
    const std::string script = fmt::format("{}{}{}{}{}C: b\nC: .\nS: 554 5.6.0 <anna@example.org> I do not like b\n{}",
                                           hello, begin(3), refused, begin(3), welcome, bye);
    const told out = play(script, {{.flags = "", .body = "a\r\n"}, {.flags = "", .body = "b\r\n"}});
    EXPECT_THAT(out.log, ElementsAre("refused 1: permanent 552 5.2.3 <anna@example.org> Message too large",
                                     "refused 2: permanent 554 5.6.0 <anna@example.org> I do not like b"));
}

TEST(lmtp_target, refusals_and_what_they_mean) {
    const auto meaning = [](std::uint16_t code, std::optional<smtp::enhanced_status> e, std::string text) {
        const error why =
            client::to_error({.code = code, .enhanced = e, .lines = {std::move(text)}}, phase::append, "x");
        return fmt::format("{} {}", name_of(why.cls), why.response_code);
    };
    using e = smtp::enhanced_status;
    EXPECT_EQ(meaning(552, e{5, 2, 2}, "Quota exceeded"), "permanent OVERQUOTA");
    EXPECT_EQ(meaning(452, e{4, 2, 2}, "Quota exceeded"), "permanent OVERQUOTA");
    EXPECT_EQ(meaning(452, {}, "Mailbox full"), "permanent OVERQUOTA");
    EXPECT_EQ(meaning(452, e{4, 3, 1}, "Insufficient system storage"), "transient ");
    EXPECT_EQ(meaning(552, e{5, 3, 4}, "Message too big"), "permanent TOOBIG");
    EXPECT_EQ(meaning(451, e{4, 3, 0}, "Try again"), "transient ");
    EXPECT_EQ(meaning(451, e{4, 6, 0}, "Cannot convert"), "permanent ");
    EXPECT_EQ(meaning(550, e{5, 1, 1}, "No such user"), "permanent ");
    EXPECT_EQ(meaning(354, {}, "?"), "protocol ");
}

TEST(lmtp_target, a_lost_answer_is_said) {
    const std::string script = fmt::format("{}{}{}C: a\nC: .\nS!\n", hello, begin(3), welcome);
    const told out = play_once(script, {{.flags = "", .body = "a\r\n"}});
    ASSERT_TRUE(out.failure);
    EXPECT_EQ(out.failure->cls, retry_class::transient);
    EXPECT_THAT(out.log, ElementsAre(HasSubstr("abandoned")));
    EXPECT_THAT(out.remarks, ElementsAre(HasSubstr("died before it had answered for 1 message; nobody knows")));
}

TEST(lmtp_target, a_server_that_closes_down) {
    const std::string script = fmt::format("{}{}{}C: a\nC: .\nS: 421 4.3.2 Shutting down\n", hello, begin(3), welcome);
    const told out = play_once(script, {{.flags = "", .body = "a\r\n"}});
    ASSERT_TRUE(out.failure);
    EXPECT_EQ(out.failure->cls, retry_class::transient);
    EXPECT_THAT(out.remarks, IsEmpty()) << "421 is an answer: it took nothing";
}

TEST(lmtp_target, a_source_that_breaks_off_never_ends_its_message) {
    const std::string body(50, 'a');
    told out = play_once(fmt::format("{}{}{}C~ aaaaaaaaaaaaaa\n", hello, begin(50), welcome),
                         {{.flags = "", .body = body}}, {}, 0);
    ASSERT_TRUE(out.failure);
    EXPECT_THAT(out.failure->what, HasSubstr("broke off"));
    EXPECT_EQ(out.line->written.find("\r\n.\r\n"), std::string::npos);
    EXPECT_TRUE(out.line->closed && out.line->discards_unsent);
    EXPECT_THAT(out.remarks, IsEmpty());
}

// Getting there ------------------------------------------------------------------------------------------------------

TEST(lmtp_target, starttls_where_it_is_offered) {
    const told out = play(R"(
    S: 220 ready
    C: LHLO <any>
    S: 250-mail
    S: 250 STARTTLS
    C: STARTTLS
    S: 220 2.0.0 go
    T:
    C: LHLO <any>
    S: 250 mail
    C: MAIL FROM:<>
    S: 250 OK
    C: RCPT TO:<anna@example.org>
    S: 250 OK
    C: RSET
    S: 250 OK
    C: QUIT
    S: 221 Bye)",
                          {});
    EXPECT_FALSE(out.failure);
}

TEST(lmtp_target, what_cannot_be_reached) {
    const auto failure = [](std::string_view script, client::lmtp_settings how = settings()) {
        const told out = play_once(script, {}, {}, {}, std::move(how));
        return out.failure ? fmt::format("{}: {}", name_of(out.failure->cls), out.failure->message()) : "";
    };
    EXPECT_THAT(failure("S: 220 mail ESMTP\nC: LHLO <any>\nS: 502 5.5.2 Error: command not recognized\n"),
                testing::AllOf(HasSubstr("config: mail.example.org refused LHLO"), HasSubstr("Is the port right?")));
    EXPECT_THAT(failure("S: * OK Dovecot ready.\n"), HasSubstr("protocol: mail.example.org does not speak LMTP"));
    EXPECT_THAT(failure("S: 421 4.3.2 Too many connections\n"),
                HasSubstr("transient: mail.example.org turned us away"));
    EXPECT_THAT(failure("S: 220 x\nC: LHLO <any>\nS: 250 x\nC: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<anna@example.org>\n"
                        "S: 550 5.1.1 <anna@example.org> User doesn't exist\n"),
                HasSubstr("config: mail.example.org takes no mail for <anna@example.org>"));
    // Mail that is full is told for each message, and ends the copy with advice.
    EXPECT_EQ(failure("S: 220 x\nC: LHLO <any>\nS: 250 x\nC: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<anna@example.org>\n"
                      "S: 452 4.2.2 Quota exceeded\nC: RSET\nS: 250 OK\nC: QUIT\nS: 221 OK\n"),
              "");
    client::lmtp_settings strict = settings();
    strict.tls.mode = net::tls_mode::require;
    EXPECT_THAT(failure("S: 220 x\nC: LHLO <any>\nS: 250 x\n", strict), HasSubstr("does not offer STARTTLS"));
    client::lmtp_settings odd = settings();
    odd.user = "änna";
    EXPECT_THAT(failure("S: 220 x\nC: LHLO <any>\nS: 250 x\n", odd), HasSubstr("config: "));
    EXPECT_THAT(
        failure("S: 220 x\nC: LHLO <any>\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS~ 220 go\\r\\n250 injected\\r\\n\n"),
        HasSubstr("tampering"));
}

TEST(lmtp_target, nothing_can_be_looked_at) {
    told out;
    const auto look = [](told& o) -> task<result<void>> {
        auto session = co_await client::lmtp_session::open_on(
            std::make_unique<support::scripted_line>(plain_hello, o.line), settings());
        lmtp_target box(std::move(*session));
        const auto list = co_await box.list(true);
        EXPECT_THAT(list->folders, IsEmpty());
        EXPECT_THAT(list->notes,
                    ElementsAre(HasSubstr("everything into the INBOX of <anna@example.org>"), HasSubstr("twice")));
        const std::vector<folder_wish> wishes{{.handle = "Work/Été", .create = true}};
        const auto prepared = co_await box.prepare(wishes);
        EXPECT_EQ(prepared->at(0).permanent_flags, std::vector<std::string>{});
        EXPECT_EQ(prepared->at(0).state, folder_state{});
        EXPECT_THAT(prepared->at(0).notes, ElementsAre(HasSubstr("dates and UIDs are lost")));
        support::noting_scan_sink sink(o.log);
        const auto scanned = co_await box.scan({}, sink);
        EXPECT_FALSE(scanned);
        EXPECT_EQ(scanned.error().cls, retry_class::config);
        co_return result<void>{};
    };
    (void)support::run_to_end<result<void>>(look(out));
}

} // namespace
} // namespace postferry::mailbox
