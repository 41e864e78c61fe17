// Messages whose bodies are IMAP commands, brought to a server that behaves as Dovecot does: it answers BAD to an
// APPEND line that it does not like, and then reads the literal that follows as commands (docs/adr/0006).
#include "support/mailbox_script.hpp"
#include "transfer/flag_rules.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::transfer {
namespace {

using mailbox::imap_mailbox;
using mailbox::message_date;
using support::line_faults;
using support::line_record;
using support::list_feed;
using support::test_message;
using ::testing::AnyOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct what_happened {
    std::vector<std::string> executed; ///< lines that the server took for commands, but APPEND
    std::vector<std::string> kept;     ///< bodies
};

class touchy_server final : public support::memory_line {
  public:
    touchy_server(std::string_view capabilities, what_happened& seen, bool says_plus_always, line_faults faults = {})
        : memory_line(std::make_shared<line_record>(), faults), seen_(seen), says_plus_always_(says_plus_always) {
        to_client_ = fmt::format("* PREAUTH [CAPABILITY IMAP4rev1 {}] hi\r\n", capabilities);
    }

  private:
    void serve() override {
        while (true) {
            if (reading_body_) {
                if (from_client_.size() < body_octets_) return;
                bodies_.push_back(from_client_.substr(0, body_octets_));
                from_client_.erase(0, body_octets_);
                reading_body_ = false;
            }
            const std::size_t end = from_client_.find("\r\n");
            if (end == std::string::npos) return;
            const std::string line = from_client_.substr(0, end);
            from_client_.erase(0, end + 2);
            if (in_append_)
                append_goes_on(line);
            else
                command(line);
        }
    }

    void command(const std::string& line) {
        const std::size_t space = line.find(' ');
        tag_ = line.substr(0, space);
        const std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
        if (rest.starts_with("APPEND x")) {
            bodies_.clear();
            in_append_ = true;
            return append_goes_on(rest.substr(8));
        }
        seen_.executed.push_back(line);
        to_client_ += rest.empty() ? "* BAD what\r\n" : tag_ + " OK done\r\n";
    }

    void append_goes_on(const std::string& line) {
        if (line.empty()) {
            in_append_ = false;
            seen_.kept.insert(seen_.kept.end(), bodies_.begin(), bodies_.end());
            to_client_ += tag_ + " OK kept\r\n";
            return;
        }
        if (!likes(line)) {
            in_append_ = false;
            to_client_ += tag_ + " BAD Invalid system flag\r\n";
            return;
        }
        const std::size_t open = line.rfind('{');
        body_octets_ = std::stoul(line.substr(open + 1));
        reading_body_ = true;
        if (says_plus_always_ || !line.ends_with("+}")) to_client_ += "+ go\r\n";
    }

    /// " (flags) "date" {n}": flags that it knows, years of this age.
    static bool likes(const std::string& line) {
        const std::size_t close = line.find(") ");
        if (!line.starts_with(" (") || close == std::string::npos || !line.ends_with('}')) return false;
        for (const std::string_view f : split_flags(std::string_view(line).substr(2, close - 2)))
            if (f != "\\Seen" && f != "\\Flagged" && f != "NonJunk") return false;
        const std::size_t quote = line.find('"', close);
        if (quote == std::string::npos) return line.find('{') == close + 2;
        const std::string year = line.substr(quote + 8, 4);
        return year >= "1970" && year < "2038";
    }

    [[nodiscard]] std::string state() const override { return "the server has: " + from_client_; }

    what_happened& seen_;
    bool says_plus_always_;
    bool in_append_ = false, reading_body_ = false;
    std::size_t body_octets_ = 0;
    std::string tag_;
    std::vector<std::string> bodies_;
};

const std::string evil = "x DELETE Archive\r\na STORE 1:* +FLAGS (\\Deleted)\r\nb EXPUNGE\r\n";

/// Brings the messages over as many connections as it takes, as the engine does: a line that died is made anew.
what_happened bring(std::string_view capabilities, const std::vector<test_message>& messages, bool says_plus_always,
                    std::vector<std::string>& log, line_faults faults = {}) {
    what_happened seen;
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        list_feed feed(messages, log);
        co_return co_await box.append(feed);
    };
    (void)support::run_to_end<result<void>>(support::use_mailbox<result<void>>(
        std::make_unique<touchy_server>(capabilities, seen, says_plus_always, faults), {}, use));
    return seen;
}

const std::vector<std::string> hostile_flags{"\\Recent",
                                             "\\INDEXED",
                                             "\\X-EON-HAS-ATTACHMENT",
                                             "\\*",
                                             "\\",
                                             "a b",
                                             "(",
                                             ")",
                                             ") {3+}",
                                             "\"",
                                             "k\r\nx DELETE Archive",
                                             "k\nb",
                                             "\xc3\xa4",
                                             "]",
                                             "[x]",
                                             "{5+}",
                                             "%",
                                             "*",
                                             "",
                                             "k\x01",
                                             "k\x7f",
                                             std::string(3000, 'k'),
                                             "\\seen",
                                             "NonJunk"};
constexpr std::array<std::string_view, 5> servers{"LITERAL+ MULTIAPPEND", "LITERAL+", "LITERAL- MULTIAPPEND",
                                                  "MULTIAPPEND", ""};

TEST(danger, is_real) {
    // The server of these tests does read a literal as commands: else they would prove nothing.
    what_happened seen;
    const std::function<task<result<void>>(imap_mailbox&)> use = [](imap_mailbox& box) -> task<result<void>> {
        std::string line = fmt::format("t APPEND x (\\Indexed) {{{}+}}\r\n{}", evil.size(), evil);
        const iovec piece{line.data(), line.size()};
        co_return co_await box.session().write({&piece, 1});
    };
    line_faults faults;
    faults.write_pause = 1;
    (void)support::run_to_end<result<void>>(
        support::use_mailbox<result<void>>(std::make_unique<touchy_server>("LITERAL+", seen, false, faults), {}, use));
    EXPECT_THAT(seen.executed, ElementsAre("x DELETE Archive", "a STORE 1:* +FLAGS (\\Deleted)", "b EXPUNGE"));
}

TEST(danger, no_flag_of_the_source_makes_a_body_a_command) {
    for (const bool says_plus_always : {false, true}) {
        for (const std::string_view capabilities : servers) {
            std::vector<test_message> messages{{"", evil}, {"", evil}};
            for (const std::string& flag : hostile_flags) {
                const std::vector<std::string> raw{"\\Seen", flag};
                messages.push_back({flags_allowed(canonical_flags(raw), std::nullopt).flags, evil});
                messages.push_back({"", evil});
            }
            std::vector<std::string> log;
            const what_happened seen = bring(capabilities, messages, says_plus_always, log);
            EXPECT_THAT(seen.executed, IsEmpty()) << capabilities;
            EXPECT_EQ(seen.kept.size(), messages.size()) << "all flags that it does not like are left out by rule";
            EXPECT_THAT(seen.kept, Each(evil));
            EXPECT_THAT(log, Each(HasSubstr("stored")));
        }
    }
}

TEST(danger, nor_one_that_no_rule_has_looked_at) {
    for (const std::string_view capabilities : servers) {
        for (const std::string& flag : hostile_flags) {
            std::vector<std::string> log;
            const what_happened seen = bring(
                capabilities, {{"", evil}, {"", evil}, {flag, evil}, {"\\Seen " + flag, evil}, {"", evil}}, false, log);
            EXPECT_THAT(seen.executed, IsEmpty()) << capabilities << " " << flag;
            EXPECT_THAT(seen.kept, Each(evil));
        }
    }
}

// PERMANENTFLAGS has \*, and yet the server does not take this keyword.
TEST(danger, nor_a_keyword_that_the_server_refuses_against_its_word) {
    for (const bool says_plus_always : {false, true}) {
        for (const std::string_view capabilities : servers) {
            const std::vector<test_message> messages{{"", evil},
                                                     {"", evil},
                                                     {"\\Seen", evil},
                                                     {"$Forwarded", evil},
                                                     {"", evil},
                                                     {"\\Seen", evil},
                                                     {"\\Seen $Forwarded", evil},
                                                     {"\\Flagged", evil},
                                                     {"", evil}};
            for (const std::size_t pause : {std::size_t{1}, std::size_t{50}, SIZE_MAX}) {
                std::vector<std::string> log;
                line_faults faults;
                faults.write_pause = pause;
                const what_happened seen = bring(capabilities, messages, says_plus_always, log, faults);
                EXPECT_THAT(seen.executed, IsEmpty()) << capabilities << (says_plus_always ? " says + always" : "");
                EXPECT_THAT(seen.kept, Each(evil));
                EXPECT_THAT(log, testing::Contains(HasSubstr("BAD Invalid system flag")))
                    << "the server was to refuse it";
            }
        }
    }
}

TEST(danger, nor_a_date) {
    const auto at = [](std::int64_t seconds, std::int16_t zone) {
        return message_date{.unix_seconds = seconds, .zone_minutes = zone};
    };
    for (const std::string_view capabilities : servers) {
        std::vector<std::string> log;
        const what_happened seen = bring(capabilities,
                                         {{"", evil},
                                          {"", evil},
                                          {"", evil, 0, 0, at(-62'000'000'000, 0)},
                                          {"", evil},
                                          {"", evil, 0, 0, at(253'402'300'799, 1439)},
                                          {"", evil, 0, 0, at(INT64_MAX, 0)},
                                          {"", evil, 0, 0, at(1'000'000'000, -720)}},
                                         false, log);
        EXPECT_THAT(seen.executed, IsEmpty()) << capabilities;
        EXPECT_THAT(seen.kept, Each(evil));
    }
}

TEST(danger, nor_a_server_that_dies_anywhere) {
    const std::vector<test_message> messages{{"", evil}, {"\\Seen", evil}, {"$Forwarded", evil}, {"", evil}};
    for (std::size_t dies = 0; dies < 300; ++dies) {
        std::vector<std::string> log;
        line_faults faults;
        faults.dies_after = dies;
        const what_happened seen = bring("LITERAL+ MULTIAPPEND", messages, false, log, faults);
        ASSERT_THAT(seen.executed, IsEmpty()) << "dead after " << dies;
    }
}

} // namespace
} // namespace postferry::transfer
