#pragma once
// Logging in, as transcripts (support/memory_line.hpp tells how to read them).
#include "client/imap_session.hpp"
#include "support/memory_line.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::support {

using namespace client;

inline const std::string password = "correct-horse";
inline const std::string plain = sasl::base64_encode(std::string("\0anna\0correct-horse", 19));

struct attempt {
    imap_settings settings;
    bool encrypted = true;
    line_faults faults;
    bool then_noop = false; ///< one more command behind the login

    attempt() {
        settings.where = {.host = "imap.example.org", .port = 993};
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

inline task<int> log_in(attempt& how, std::string_view script, outcome& out) {
    auto line = std::make_unique<support::scripted_line>(script, out.line, how.faults);
    line->encrypted_ = how.encrypted;
    how.settings.trace = net::wire_trace([&out](std::string_view l) { out.trace.emplace_back(l); }, 1);
    auto session =
        co_await imap_session::open_on(std::move(line), how.settings, std::make_shared<block_pool>(65'536, 2));
    if (!session) {
        out.failure = session.error();
        co_return 0;
    }
    out.method = (*session)->login_method();
    out.greeting = (*session)->greeting();
    out.capabilities = (*session)->capabilities().all();
    if (how.then_noop)
        if (auto status = co_await (*session)->run({"NOOP"}); !status) out.failure = status.error();
    co_return 0;
}

inline outcome play(attempt how, std::string_view script) {
    outcome out;
    (void)support::run_to_end(log_in(how, script, out));
    EXPECT_THAT(out.line->complaints, testing::IsEmpty());
    return out;
}

/// Plays a login that works; also octet by octet.
inline outcome works(const attempt& how, std::string_view script) {
    outcome out = play(how, script);
    EXPECT_FALSE(out.failure) << out.failure->message();
    EXPECT_TRUE(out.line->finished) << "the script was not played to its end";
    attempt slow = how;
    slow.faults.read_at_most = 1;
    const outcome again = play(slow, script);
    EXPECT_FALSE(again.failure) << again.failure->message();
    EXPECT_EQ(again.line->written.size(), out.line->written.size()); // a nonce differs
    return out;
}

inline error fails(const attempt& how, std::string_view script) {
    const outcome out = play(how, script);
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

} // namespace postferry::support
