#pragma once
// Logging in, as transcripts (support/memory_line.hpp tells how to read them), by any protocol.
#include "client/imap_session.hpp"
#include "client/pop3_session.hpp"
#include "support/memory_line.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace postferry::support {

using namespace client;

inline const std::string password = "correct-horse";
inline const std::string plain = sasl::base64_encode(std::string("\0anna\0correct-horse", 19));

struct attempt {
    server_settings settings;
    bool encrypted = true;
    line_faults faults;

    attempt() {
        settings.where = {.host = "mail.example.org", .port = 993};
        settings.tls.mode = net::tls_mode::implicit;
        settings.user = "anna";
        settings.password = secret(password);
    }
};

struct outcome {
    std::optional<error> failure;
    std::string method, greeting;
    std::vector<std::string> capabilities;
    std::shared_ptr<line_record> line = std::make_shared<line_record>();
    std::vector<std::string> trace;
};

/// What is done behind the login.
template <class Session> using next_step = std::function<task<result<void>>(Session&)>;

template <class Session>
task<int> log_in(attempt& how, std::string_view script, const next_step<Session>& then, outcome& out) {
    auto line = std::make_unique<support::scripted_line>(script, out.line, how.faults);
    line->encrypted_ = how.encrypted;
    how.settings.trace = net::wire_trace([&out](std::string_view l) { out.trace.emplace_back(l); }, 1);
    auto session = co_await Session::open_on(std::move(line), how.settings, std::make_shared<block_pool>(65'536, 2));
    if (!session) {
        out.failure = session.error();
        co_return 0;
    }
    out.method = (*session)->login_method();
    out.greeting = (*session)->greeting();
    out.capabilities = (*session)->capabilities().all();
    if (then)
        if (auto ok = co_await then(**session); !ok) out.failure = ok.error();
    co_return 0;
}

template <class Session> outcome play_login(attempt how, std::string_view script, const next_step<Session>& then = {}) {
    outcome out;
    (void)support::run_to_end(log_in<Session>(how, script, then, out));
    EXPECT_THAT(out.line->complaints, testing::IsEmpty());
    return out;
}

/// Plays a login that works; also octet by octet.
template <class Session>
outcome login_works(const attempt& how, std::string_view script, const next_step<Session>& then = {}) {
    outcome out = play_login<Session>(how, script, then);
    EXPECT_FALSE(out.failure) << out.failure->message();
    EXPECT_TRUE(out.line->finished) << "the script was not played to its end";
    attempt slow = how;
    slow.faults.read_at_most = 1;
    const outcome again = play_login<Session>(slow, script, then);
    EXPECT_FALSE(again.failure) << again.failure->message();
    EXPECT_EQ(again.line->written.size(), out.line->written.size()); // a nonce differs
    return out;
}

template <class Session>
error login_fails(const attempt& how, std::string_view script, const next_step<Session>& then = {}) {
    const outcome out = play_login<Session>(how, script, then);
    EXPECT_TRUE(out.failure) << "it worked";
    EXPECT_TRUE(out.line->finished) << "the script was not played to its end";
    EXPECT_TRUE(out.line->closed);
    return out.failure.value_or(error{});
}

inline attempt in_the_clear(net::tls_mode mode) {
    attempt how;
    how.encrypted = false;
    how.settings.tls.mode = mode;
    return how;
}

namespace by_imap {

using step = next_step<imap_session>;

inline task<result<void>> noop(imap_session& session) {
    const auto status = co_await session.run({"NOOP"});
    co_return status ? result<void>{} : std::unexpected(status.error());
}
inline task<result<void>> leave(imap_session& session) {
    co_await session.logout();
    co_return result<void>{};
}
inline outcome play(const attempt& how, std::string_view script, const step& then = {}) {
    return play_login<imap_session>(how, script, then);
}
inline outcome works(const attempt& how, std::string_view script, const step& then = {}) {
    return login_works<imap_session>(how, script, then);
}
inline error fails(const attempt& how, std::string_view script, const step& then = {}) {
    return login_fails<imap_session>(how, script, then);
}

} // namespace by_imap

namespace by_pop3 {

using step = next_step<pop3_session>;

inline task<result<void>> leave(pop3_session& session) {
    co_await session.quit(true);
    co_return result<void>{};
}
inline outcome play(const attempt& how, std::string_view script, const step& then = leave) {
    return play_login<pop3_session>(how, script, then);
}
inline error fails(const attempt& how, std::string_view script, const step& then = leave) {
    return login_fails<pop3_session>(how, script, then);
}

} // namespace by_pop3

} // namespace postferry::support
