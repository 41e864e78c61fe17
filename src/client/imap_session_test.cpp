// Greetings, lines that die, what refusals mean, and secrets.
#include "support/login_script.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::client {
namespace {

using namespace support;
using namespace support::by_imap;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// --- Greetings ------------------------------------------------------------------------------------------------------

TEST(imap_greeting, preauth_needs_no_login) {
    const outcome out = works({}, "S: * PREAUTH [CAPABILITY IMAP4rev1] hello\n");
    EXPECT_EQ(out.method, "");
    works({}, R"(
        S: * PREAUTH hello
        C: P1 CAPABILITY
        S: * CAPABILITY IMAP4rev1
        S: P1 OK)");
}

// An attacker on the line would say PREAUTH to keep it in the clear: STARTTLS is not possible behind it.
TEST(imap_greeting, preauth_in_the_clear_is_refused_unless_that_is_wanted) {
    for (const net::tls_mode mode : {net::tls_mode::detect, net::tls_mode::require}) {
        const error e = fails(in_the_clear(mode), "S: * PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hello\n");
        EXPECT_EQ(e.cls, retry_class::config);
        EXPECT_EQ(e.where, phase::tls);
        EXPECT_THAT(e.what, HasSubstr("PREAUTH"));
    }
    works(in_the_clear(net::tls_mode::off), "S: * PREAUTH [CAPABILITY IMAP4rev1] hello\n");
}

TEST(imap_greeting, turned_away) {
    const error e = fails({}, "S: * BYE Too many connections from your IP\n");
    EXPECT_EQ(e.cls, retry_class::throttled);
    EXPECT_THAT(e.message(), AllOf(HasSubstr("turned us away"), HasSubstr("Too many connections")));
    EXPECT_EQ(fails({}, "S: * BYE [ALERT] Fatal error: max atoms\n").cls, retry_class::transient);
    EXPECT_EQ(fails({}, "S: * BAD what\n").where, phase::greeting);
    EXPECT_EQ(fails({}, "S: * NO closed\n").where, phase::greeting);
}

TEST(imap_greeting, no_imap_server) {
    for (const char* line : {"SSH-2.0-OpenSSH_9.2", "220 mail ESMTP", "+OK POP3", "HTTP/1.1 400 Bad Request"}) {
        const error e = fails({}, fmt::format("S: {}\n", line));
        EXPECT_EQ(e.cls, retry_class::protocol) << line;
        EXPECT_THAT(e.advice, HasSubstr("IMAP server"));
    }
}

// --- Death ----------------------------------------------------------------------------------------------------------

const std::string full_login = fmt::format(R"(
    S: * OK ready
    C: P1 CAPABILITY
    S: * CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED
    S: P1 OK done
    C: P2 STARTTLS
    S: P2 OK begin
    T:
    C: P3 CAPABILITY
    S: * CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-1 AUTH=PLAIN
    S: P3 OK
    C: P4 AUTHENTICATE SCRAM-SHA-1
    S: P4 NO [CANNOT] no
    C: P5 AUTHENTICATE PLAIN
    S: +
    C: {}
    S: P5 OK in
    C: P6 CAPABILITY
    S: * CAPABILITY IMAP4rev1
    S: P6 OK
    C: P7 NOOP
    S: * BYE [UNAVAILABLE] going down
    S: P7 OK)",
                                           plain);

TEST(imap_death, at_every_octet_of_the_server) {
    attempt how = in_the_clear(net::tls_mode::require);
    const std::size_t all = works(how, full_login, noop).line->delivered;
    ASSERT_GT(all, 200U);
    for (std::size_t octets = 0; octets < all; ++octets) {
        how.faults.dies_after = octets;
        const outcome out = play(how, full_login, noop);
        ASSERT_TRUE(out.failure) << "dead after " << octets;
        EXPECT_EQ(out.failure->cls, retry_class::transient)
            << "dead after " << octets << ": " << out.failure->message();
        EXPECT_THAT(out.failure->message(), HasSubstr("mail.example.org closed the connection"));
        EXPECT_TRUE(out.line->closed);
    }
}

TEST(imap_death, at_every_read_and_write) {
    attempt how = in_the_clear(net::tls_mode::require);
    const outcome whole = play(how, full_login, noop);
    for (std::size_t k = 0; k < whole.line->reads; ++k) {
        how.faults = {};
        how.faults.failing_read = k;
        EXPECT_EQ(play(how, full_login, noop).failure.value_or(error{}).what, "connection lost: reset by peer") << k;
    }
    for (std::size_t k = 0; k < whole.line->writes; ++k) {
        how.faults = {};
        how.faults.failing_write = k;
        EXPECT_EQ(play(how, full_login, noop).failure.value_or(error{}).what, "connection lost: broken pipe") << k;
    }
}

TEST(imap_death, the_goodbye_is_told_and_understood) {
    const error e = fails({}, R"(
        S: * PREAUTH [CAPABILITY IMAP4rev1] hello
        C: P1 NOOP
        S: * BYE [THROTTLED] Suggested Backoff Time: 2500 milliseconds
        S!)",
                          noop);
    EXPECT_EQ(e.cls, retry_class::throttled);
    EXPECT_EQ(e.backoff_ms, 2500U);
    EXPECT_THAT(e.message(), AllOf(HasSubstr("closed the connection"), HasSubstr("BYE [THROTTLED]")));
}

// --- What a refusal means -------------------------------------------------------------------------------------------

struct meaning {
    imap::status_kind kind;
    std::string code, text;
    phase where;
    retry_class cls;
    std::uint32_t backoff_ms = 0;
};

TEST(imap_errors, by_code_and_text) {
    using enum imap::status_kind;
    using enum retry_class;
    const std::vector<meaning> table{
        {no, "", "no", phase::append, permanent},
        {bad, "", "what", phase::append, protocol},
        {bye, "", "bye", phase::connect, transient},
        {bye, "ALERT", "bye", phase::connect, transient},
        {no, "OVERQUOTA", "full", phase::append, permanent},
        {no, "TRYCREATE", "no such folder", phase::append, permanent},
        {no, "LIMIT", "Mail size is larger than the maximum", phase::append, permanent},
        {no, "LIMIT", "UID FETCH Rate limit hit", phase::fetch, throttled},
        {no, "TOOBIG", "too big", phase::append, permanent},
        {no, "THROTTLED", "slow", phase::fetch, throttled},
        {no, "UNAVAILABLE", "later", phase::fetch, transient},
        {no, "INUSE", "busy", phase::fetch, transient},
        {no, "SERVERBUG", "oops", phase::fetch, transient},
        {no, "X-UNKNOWN", "no", phase::fetch, permanent},
        {bad, "", "Request is throttled. Suggested Backoff Time: 299609 milliseconds", phase::fetch, throttled,
         299'609},
        {no, "", "Suggested backoff time: 99999999999999 ms", phase::fetch, throttled, 300'000},
        {no, "", "Suggested Backoff Time: soon", phase::fetch, permanent},
        {no, "ALERT", "Too many simultaneous connections. (Failure)", phase::login, throttled},
        {no, "UNAVAILABLE", "Maximum number of connections from user+IP exceeded", phase::login, throttled},
        {no, "LIMIT", "UID FETCH Rate limit hit.", phase::append, throttled},
        {bye, "ALERT", "Account exceeded command or bandwidth limits. (Failure)", phase::connect, throttled, 600'000},
        {no, "", "Suggested Backoff Time: 4000000000 milliseconds", phase::fetch, throttled, 86'400'000},
    };
    for (const meaning& m : table) {
        imap::status_response s{.tag = "P1", .kind = m.kind, .code = {}, .text = m.text};
        if (!m.code.empty())
            s.code = imap::response_code{
                .name = m.code, .args = {}, .number = {}, .flags = {}, .capabilities = {}, .uids = {}};
        const error e = to_error(s, m.where, "It failed");
        EXPECT_EQ(e.cls, m.cls) << m.code << " " << m.text;
        EXPECT_EQ(e.backoff_ms, m.backoff_ms) << m.text;
        EXPECT_EQ(e.response_code, m.code);
        EXPECT_EQ(e.where, m.where);
        EXPECT_THAT(e.message(), AllOf(HasSubstr("It failed"), HasSubstr(m.text)));
    }
}

// Gmail's code means a full mailbox elsewhere; its words do not.
TEST(imap_errors, bandwidth_is_no_quota) {
    const imap::status_response s{
        .tag = "P1",
        .kind = imap::status_kind::no,
        .code =
            imap::response_code{
                .name = "OVERQUOTA", .args = {}, .number = {}, .flags = {}, .capabilities = {}, .uids = {}},
        .text = "Account exceeded command or bandwidth limits. (Failure)"};
    const error e = to_error(s, phase::fetch, "It failed");
    EXPECT_EQ(e.cls, retry_class::throttled);
    EXPECT_EQ(e.response_code, "");
    EXPECT_FALSE(means_too_many_connections(e));
}

TEST(imap_errors, fewer_connections_are_wanted) {
    const imap::status_response s{
        .tag = "P1", .kind = imap::status_kind::bye, .code = {}, .text = "Too many simultaneous connections"};
    EXPECT_TRUE(means_too_many_connections(to_error(s, phase::greeting, "x")));
}

// docs/quirks.md#quota, #too-big: the words of Exchange, GroupWise, Gmail and others
TEST(imap_errors, refusals_whose_code_is_in_their_words) {
    using enum imap::status_kind;
    const auto code = [](imap::status_kind kind, std::string_view text, phase where) {
        const error e =
            to_error({.tag = "P1", .kind = kind, .code = {}, .text = std::string(text)}, where, "It failed");
        EXPECT_EQ(e.cls, kind == bad && e.response_code.empty() ? retry_class::protocol : retry_class::permanent)
            << text;
        return e.response_code;
    };
    EXPECT_EQ(code(no, "Server Unavailable. 15", phase::append), "OVERQUOTA");
    EXPECT_EQ(code(no, "APPEND The 1500 MB storage limit for the mailbox has been reached", phase::append),
              "OVERQUOTA");
    EXPECT_EQ(code(no, "Quota exceeded (mailbox for user is full)", phase::append), "OVERQUOTA");
    EXPECT_EQ(code(no, "Server Unavailable. 15", phase::fetch), "");
    EXPECT_EQ(code(bad, "Message too large.", phase::append), "TOOBIG");
    EXPECT_EQ(code(no, "APPEND failed: message size exceeds fixed maximum message size", phase::append), "TOOBIG");
    EXPECT_EQ(code(no, "Message refused because it contains a virus", phase::append), "");
    EXPECT_EQ(code(bad, "Unable to parse message", phase::append), "");
    EXPECT_EQ(code(bad, "Command Argument Error. 11", phase::append), "");
}

TEST(imap_errors, hostile_text_is_made_safe) {
    const imap::status_response s{
        .tag = "P1", .kind = imap::status_kind::no, .code = {}, .text = std::string(5000, '\x1b')};
    const error e = to_error(s, phase::login, "It failed");
    EXPECT_EQ(e.server_said.find('\x1b'), std::string::npos);
    EXPECT_LT(e.server_said.size(), 500U);
}

// --- Being a good guest ---------------------------------------------------------------------------------------------

/// A budget that is spent at the third message.
class small_budget final : public net::allowance {
  public:
    std::size_t begun = 0;
    time moved(net::direction, std::size_t, time now) override { return now; }
    [[nodiscard]] std::size_t turn() const noexcept override { return SIZE_MAX; }
    [[nodiscard]] std::size_t messages_at_once() const noexcept override { return 7; }
    result<time> begin_messages(std::size_t messages, time now) override {
        begun += messages;
        if (begun > 2) return fail(retry_class::throttled, phase::fetch, "The budget is spent");
        return now;
    }
};

using moment = std::chrono::steady_clock::time_point;

task<int> after_throttled_answers(std::vector<std::chrono::milliseconds>& waits, std::shared_ptr<line_record> record) {
    attempt how;
    how.settings.allowance = std::make_shared<small_budget>();
    auto line = std::make_unique<scripted_line>(R"(
        S: * PREAUTH [CAPABILITY IMAP4rev1] hello
        C: P1 NOOP
        S: P1 OK [THROTTLED] Success
        C: P2 NOOP
        S: P2 OK [THROTTLED] Success
        C: P3 NOOP
        S: P3 OK Success)",
                                                record);
    line->encrypted_ = true;
    auto opened =
        co_await imap_session::open_on(std::move(line), how.settings, std::make_shared<block_pool>(65'536, 2));
    EXPECT_TRUE(opened);
    imap_session& session = **opened;
    EXPECT_EQ(session.messages_at_once(), 7U);
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(co_await session.run({"NOOP"}));
        const moment from = std::chrono::steady_clock::now();
        const auto ok = co_await session.pace(1);
        waits.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - from));
        EXPECT_EQ(ok.has_value(), i < 2);
        if (!ok) {
            EXPECT_EQ(ok.error().cls, retry_class::throttled);
        }
    }
    co_return 0;
}

TEST(imap_guest, an_ok_that_says_throttled_is_heard_and_a_spent_budget_begins_nothing) {
    std::vector<std::chrono::milliseconds> waits;
    const auto record = std::make_shared<line_record>();
    (void)run_to_end(after_throttled_answers(waits, record));
    EXPECT_THAT(record->complaints, testing::IsEmpty());
    ASSERT_EQ(waits.size(), 3U);
    EXPECT_GE(waits[0], std::chrono::milliseconds(49));
    EXPECT_GE(waits[1], std::chrono::milliseconds(99));
}

// --- Secrets --------------------------------------------------------------------------------------------------------

void expect_no_secret(const outcome& out, const std::vector<std::string>& secrets) {
    ASSERT_FALSE(out.trace.empty());
    for (const std::string& s : secrets) {
        for (const std::string& line : out.trace) EXPECT_THAT(line, Not(HasSubstr(s)));
        if (out.failure) EXPECT_THAT(out.failure->message(), Not(HasSubstr(s)));
    }
}

TEST(imap_secrets, are_in_no_trace_and_no_error) {
    const std::vector<std::string> secrets{password, sasl::base64_encode(password), plain, "horse"};
    const std::vector<std::string> scripts{
        full_login,
        "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\nC: P1 AUTHENTICATE PLAIN <any>\nS: P1 OK [CAPABILITY "
        "X] in\n",
        "S: * OK [CAPABILITY IMAP4rev1] ready\nC: P1 LOGIN <any>\nS: P1 OK [CAPABILITY X] in\n",
        "S: * OK [CAPABILITY IMAP4rev1 AUTH=LOGIN] ready\nC: P1 AUTHENTICATE LOGIN\nS: + VXNlcg==\nC: <any>\nS: + "
        "UGFzcw==\nC: <any>\nS: P1 NO no\n",
    };
    for (const std::string& script : scripts) {
        const bool clear = script == full_login;
        expect_no_secret(play(clear ? in_the_clear(net::tls_mode::require) : attempt{}, script), secrets);
    }
}

TEST(imap_secrets, are_not_repeated_when_the_server_does) {
    const std::vector<std::string> secrets{password, plain};
    for (const char* verdict : {"NO", "BAD", "NO [AUTHENTICATIONFAILED]"}) {
        expect_no_secret(play({}, fmt::format(R"(
            S: * OK [CAPABILITY IMAP4rev1] ready
            C: P1 LOGIN <any>
            S: P1 {} what is LOGIN "anna" "correct-horse"?)",
                                              verdict)),
                         secrets);
    }
    expect_no_secret(play({}, fmt::format(R"(
        S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED SASL-IR AUTH=PLAIN] ready
        C: P1 AUTHENTICATE PLAIN {}
        S: P1 NO what is {}, or {}?)",
                                          plain, plain, password)),
                     secrets);
}

TEST(imap_secrets, a_line_end_in_a_password_does_not_let_it_out) {
    attempt how;
    how.settings.password = secret("correct\nhorse");
    for (const char* literal : {"", " LITERAL+"}) {
        const outcome out = play(how, fmt::format(R"(
            S: * OK [CAPABILITY IMAP4rev1{}] ready
            C: P1 LOGIN "anna" <any>
            {}
            C: correct\nhorse
            S: P1 OK [CAPABILITY IMAP4rev1] in)",
                                                  literal, *literal == 0 ? "S: + go" : ""));
        EXPECT_FALSE(out.failure);
        expect_no_secret(out, {"correct", "horse"});
    }
}

// --- The wire trace of what comes in --------------------------------------------------------------------------------

std::vector<std::string> shown(std::string_view octets, std::size_t piece) {
    std::vector<std::string> out;
    net::wire_trace trace([&out](std::string_view l) { out.emplace_back(l.substr(l.find('#'))); }, 1);
    wire_lines lines;
    for (; !octets.empty(); octets.remove_prefix(std::min(piece, octets.size())))
        lines.show(octets.substr(0, piece), trace);
    return out;
}

TEST(wire_lines, literals_are_counted_and_never_shown) {
    const std::string wire = "* 1 FETCH (BODY[] {12}\r\nDear Anna,\r\n UID 3)\r\n* OK\n";
    for (std::size_t piece = 1; piece <= wire.size(); ++piece)
        EXPECT_THAT(shown(wire, piece),
                    testing::ElementsAre("#1 S: * 1 FETCH (BODY[] {12}", "#1 S: <literal of 12 octets>",
                                         "#1 S:  UID 3)", "#1 S: * OK"))
            << piece;
}

TEST(wire_lines, nor_behind_a_line_too_long_to_keep) {
    const std::string wire =
        fmt::format("* 1 FETCH (FLAGS ({}) BODY[] {{12}}\r\nDear Anna,\r\n)\r\n", std::string(9000, 'f'));
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, wire.size()})
        for (const std::string& line : shown(wire, piece)) EXPECT_THAT(line, Not(HasSubstr("Dear")));
}

} // namespace
} // namespace postferry::client
