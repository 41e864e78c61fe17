#include "app/log.hpp"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace postferry::app {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

struct logging : testing::Test {
    std::filesystem::path file =
        std::filesystem::temp_directory_path() / ("postferry-log-" + std::to_string(::getpid()));
    ~logging() override {
        log::stop();
        std::filesystem::remove(file);
    }
    std::string written() {
        log::stop();
        std::ostringstream text;
        text << std::ifstream(file).rdbuf();
        return text.str();
    }
    run_options options(int verbosity = 0, log_format format = log_format::text) const {
        run_options o;
        o.log_file = file;
        o.verbosity = verbosity;
        o.log = format;
        return o;
    }
};

TEST_F(logging, costs_nothing_when_nobody_asked) {
    ASSERT_TRUE(log::start(run_options{}));
    EXPECT_FALSE(log::wants(log::level::error));
    log::write(log::level::error, "", "x");
}

TEST_F(logging, text_lines) {
    ASSERT_TRUE(log::start(options()));
    log::info("imaps://alice@old", "{} of {}", 1, 2);
    log::debug("", "not wanted");
    log::write(log::level::warning, "", "no {} braces are touched");
    const auto text = written();
    EXPECT_THAT(text, MatchesRegex("[0-9-]+T[0-9:.]+Z info    \\[imaps://alice@old\\] 1 of 2\n"
                                   "[0-9-]+T[0-9:.]+Z warning no \\{\\} braces are touched\n"));
}

TEST_F(logging, a_servers_text_cannot_forge_a_line) {
    ASSERT_TRUE(log::start(options()));
    log::write(log::level::info, "", "said: x\n2024-01-01 error forged\x1b[2J");
    EXPECT_THAT(written(), HasSubstr("said: x\\x0a2024-01-01 error forged\\x1b[2J\n"));
}

TEST_F(logging, json_lines) {
    ASSERT_TRUE(log::start(options(0, log_format::json)));
    log::write(log::level::info, "imaps://a@b", "quote \" newline \n octet \xff");
    const auto line = boost::json::parse(written());
    EXPECT_EQ(line.at("level"), "info");
    EXPECT_EQ(line.at("mailbox"), "imaps://a@b");
    EXPECT_EQ(line.at("message"), "quote \" newline \n octet \\xff");
}

TEST_F(logging, verbosity_opens_the_levels) {
    testing::internal::CaptureStderr();
    ASSERT_TRUE(log::start(options(1)));
    EXPECT_TRUE(log::wants(log::level::debug));
    EXPECT_FALSE(log::wants(log::level::wire));
    log::debug("", "hello");
    log::stop();
    ASSERT_TRUE(log::start(options(2)));
    log::write(log::level::wire, "", "C: a1 NOOP");
    const auto text = written();
    EXPECT_THAT(text, HasSubstr("hello"));
    EXPECT_THAT(text, HasSubstr("C: a1 NOOP"));
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("C: a1 NOOP"));
}

TEST_F(logging, appends_to_what_is_there) {
    ASSERT_TRUE(log::start(options()));
    log::info("", "one");
    log::stop();
    ASSERT_TRUE(log::start(options()));
    log::info("", "two");
    EXPECT_THAT(written(), MatchesRegex("[^\n]*one\n[^\n]*two\n"));
}

TEST_F(logging, a_file_that_cannot_be_opened_is_local_trouble) {
    file = "/nonexistent/x.log";
    const auto r = log::start(options());
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().cls, retry_class::local);
    EXPECT_THAT(r.error().message(), HasSubstr("--log"));
}

TEST_F(logging, a_full_disk_stops_nothing_and_is_remembered) {
    if (!std::filesystem::exists("/dev/full")) GTEST_SKIP();
    file = "/dev/full";
    ASSERT_TRUE(log::start(options()));
    for (int i = 0; i < 1000; ++i) log::info("", "{}", std::string(1000, 'x'));
    log::stop();
    EXPECT_EQ(log::trouble(), ENOSPC);
    file = "/nonexistent/x.log";
    EXPECT_FALSE(log::start(options())) << "another run";
    EXPECT_EQ(log::trouble(), 0);
}

} // namespace
} // namespace postferry::app
