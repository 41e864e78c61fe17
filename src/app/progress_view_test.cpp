#include "app/progress_view.hpp"
#include "app/sample_reports.hpp"
#include "app/words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace postferry::app {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using transfer::mailbox_state;
using transfer::progress;

/// Understands the three escape sequences that the view uses, as a terminal would.
struct screen {
    std::vector<std::string> lines{""};
    std::size_t row = 0;
    std::size_t frames = 0;

    void write(std::string_view text) {
        ++frames;
        while (!text.empty()) {
            if (text.starts_with("\x1b[K")) {
                text.remove_prefix(3); // the view writes whole lines
            } else if (text.starts_with("\x1b[J")) {
                lines.resize(row + 1);
                lines[row].clear();
                text.remove_prefix(3);
            } else if (text.starts_with("\x1b[")) {
                const std::size_t end = text.find('F');
                row -= std::stoul(std::string(text.substr(2, end - 2)));
                lines[row].clear();
                text.remove_prefix(end + 1);
            } else if (text.front() == '\n') {
                if (++row == lines.size()) lines.emplace_back();
                lines[row].clear();
                text.remove_prefix(1);
            } else {
                lines[row] += text.front();
                text.remove_prefix(1);
            }
        }
    }
    [[nodiscard]] std::string text() const {
        std::string out;
        for (const auto& l : lines) out += l + "\n";
        return out;
    }
};

struct fixture : testing::Test {
    screen s;
    progress_view::time t0{std::chrono::hours(1)};

    progress_view view(view_settings settings) {
        return progress_view(settings, [this](std::string_view text) { s.write(text); }, t0);
    }
    static progress copying(std::uint64_t done, std::uint64_t total, std::uint64_t octets,
                            std::string folder = "INBOX") {
        return {.state = mailbox_state::copying,
                .folder = std::move(folder),
                .messages_done = done,
                .messages_total = total,
                .octets_done = octets,
                .note = {},
                .throttled_by = {}};
    }
};

using progress_table = fixture;
using progress_lines = fixture;

TEST_F(progress_table, shows_what_runs) {
    auto v = view({.terminal = true, .columns = 120, .rows = 24, .mailboxes = 12});
    v.update(1, "imaps://alice@old", {.state = mailbox_state::connecting, .folder = {}, .note = {}, .throttled_by = {}},
             t0);
    v.update(2, "imaps://bob@old", copying(0, 3000, 0, "INBOX/Été"), t0);
    v.update(2, "imaps://bob@old", copying(1000, 3000, 20'000'000, "INBOX/Été"), t0 + 10s);
    EXPECT_EQ(s.text(), "mailbox                           folder                           messages     bytes        "
                        "rate       ETA  state\n"
                        "bob@old                           INBOX/Été                     1,000/3,000     20 MB    2.0 "
                        "MB/s      0:20  copying\n"
                        "alice@old                                                                                     "
                        "               connecting\n"
                        "0 of 12 mailboxes done, 1,000 messages, 20 MB, 2.0 MB/s, 10 s\n"
                        "\n");
}

TEST_F(progress_table, redraws_at_most_five_times_a_second) {
    auto v = view({.terminal = true, .mailboxes = 1});
    for (int i = 0; i < 1000; ++i) v.update(1, "a", copying(static_cast<std::uint64_t>(i), 1000, 0), t0 + i * 1ms);
    EXPECT_EQ(s.frames, 5U);
    v.tick(t0 + 2s);
    v.tick(t0 + 2900ms); // nothing new, nothing drawn
    EXPECT_EQ(s.frames, 6U);
    v.tick(t0 + 3s); // but the clock goes on
    EXPECT_EQ(s.frames, 7U);
    EXPECT_THAT(s.text(), HasSubstr(", 3.0 s\n"));
}

TEST_F(progress_table, a_narrow_one_tells_the_folder_and_the_end) {
    auto v = view({.terminal = true, .columns = 80, .rows = 24, .mailboxes = 1});
    v.update(1, "imaps://m%C3%BCller%40example.org@old", copying(0, 3000, 0, "INBOX/Été"), t0);
    v.update(1, "imaps://m%C3%BCller%40example.org@old", copying(1000, 3000, 20'000'000, "INBOX/Été"), t0 + 10s);
    EXPECT_EQ(s.text(), "mailbox                                messages     bytes       ETA  state\n"
                        "müller@example.org@old              1,000/3,000     20 MB      0:20  copying\n"
                        "  INBOX/Été\n"
                        "0 of 1 mailbox done, 1,000 messages, 20 MB, 2.0 MB/s, 10 s\n"
                        "\n");
}

TEST_F(progress_table, totals_take_a_second_line_rather_than_be_cut) {
    auto v = view({.terminal = true, .columns = 80, .mailboxes = 1000});
    v.ended(1, samples::wrong_password(), t0 + 10s);
    for (std::uint64_t i = 2; i <= 200; ++i) v.ended(i, samples::synced(), t0 + 30s);
    v.tick(t0 + 40s);
    EXPECT_THAT(s.text(), HasSubstr("200 of 1,000 mailboxes done, 1 with failures, 995,000 messages, 28 GB, 40 s\n"
                                    "about 2 min 40 s to go\n"));
}

TEST_F(progress_table, of_many_those_that_failed_are_named_at_once) {
    auto v = view({.terminal = true, .mailboxes = 10});
    v.ended(1, samples::wrong_password(), t0 + 5s);
    EXPECT_THAT(s.lines.front(),
                HasSubstr("imaps://alice@old -> imaps://alice@new: failed, 0.2 s: the server refused"));
    auto stopped = samples::wrong_password();
    stopped.stopped_by->cls = retry_class::cancelled; // Ctrl-C is no news
    v.ended(2, stopped, t0 + 6s);
    EXPECT_THAT(s.lines.at(1), HasSubstr("mailbox  "));
}

TEST_F(progress_table, follows_the_size_of_the_terminal) {
    auto v = view({.terminal = true, .columns = 120, .mailboxes = 1});
    v.update(1, "a", copying(1, 2, 3), t0);
    v.resize(60, 24);
    v.tick(t0 + 300ms);
    for (const auto& line : s.lines) EXPECT_LT(display_width(line), 60U);
    EXPECT_EQ(s.lines.front().substr(0, 7), "mailbox");
}

TEST_F(progress_table, fits_any_terminal) {
    for (std::size_t columns = 1; columns < 200; columns += 7) {
        for (const std::size_t rows : {1UL, 5UL, 24UL}) {
            s = {};
            auto v = view({.terminal = true, .columns = columns, .rows = rows, .mailboxes = 1000});
            for (std::uint64_t i = 1; i <= 50; ++i)
                v.update(i, "imaps://送信済み@old.example.org", copying(1, 123'456'789, 1'000'000'000, "送信済み/é"),
                         t0 + i * 1ms);
            v.tick(t0 + 1s);
            EXPECT_LE(s.lines.size(), std::max(rows, 5UL) + 1) << rows;
            for (const auto& line : s.lines) EXPECT_LT(display_width(line), std::max(columns, 2UL)) << columns;
        }
    }
    EXPECT_THAT(s.text(), HasSubstr("and 30 more\n"));
}

TEST_F(progress_table, lines_that_stay_go_above_the_table) {
    auto v = view({.terminal = true, .mailboxes = 2});
    v.update(1, "a", copying(1, 2, 3), t0);
    v.say("row 3: left out", t0 + 10ms);
    v.ended(1, samples::synced(), t0 + 1s);
    EXPECT_EQ(s.lines.front(), "row 3: left out");
    EXPECT_THAT(s.text(), HasSubstr("1 of 2 mailboxes done, 5,000 messages, 140 MB, 1.0 s\n"));
    v.finish();
    EXPECT_EQ(s.text(), "row 3: left out\n\n");
}

TEST_F(progress_table, what_ends_in_a_document_stays_above_it) {
    auto v = view({.terminal = true, .mailboxes = 2});
    v.update(1, "a", {.state = mailbox_state::connecting, .folder = {}, .note = {}, .throttled_by = {}}, t0);
    v.tick(t0 + 1s);
    v.left(1, false, t0 + 2s);
    v.say("the plan\n  ready", t0 + 2s);
    EXPECT_THAT(s.text(), HasSubstr("1 of 2 mailboxes done, 1 with failures, 2.0 s\n"));
    v.finish();
    EXPECT_EQ(s.text(), "the plan\n  ready\n\n");
}

TEST_F(progress_table, counts_failures_and_guesses_the_end) {
    auto v = view({.terminal = true, .columns = 120, .mailboxes = 10});
    v.ended(1, samples::wrong_password(), t0 + 5s);
    v.ended(2, samples::synced(), t0 + 10s);
    EXPECT_THAT(s.text(), Not(HasSubstr("to go")));
    v.ended(3, samples::synced(), t0 + 30s);
    EXPECT_THAT(s.text(), HasSubstr("3 of 10 mailboxes done, 1 with failures"));
    EXPECT_THAT(s.text(), HasSubstr("about 1 min 10 s to go"));
}

TEST_F(progress_table, a_mailbox_that_begins_again_has_no_negative_rate) {
    auto v = view({.terminal = true, .columns = 120, .mailboxes = 1});
    v.update(1, "a", copying(100, 200, 1'000'000), t0);
    v.update(1, "a", copying(0, 200, 0), t0 + 1s);
    v.update(1, "a", copying(50, 200, 500'000), t0 + 2s);
    EXPECT_THAT(s.text(), HasSubstr("500 kB/s"));
}

TEST_F(progress_lines, one_a_mailbox) {
    auto v = view({.mailboxes = 2});
    for (int i = 0; i < 100; ++i) v.update(1, "a", copying(1, 2, 3), t0 + i * 1s);
    EXPECT_EQ(s.frames, 0U);
    v.ended(1, samples::synced(), t0 + 2s);
    v.ended(2, samples::wrong_password(), t0 + 3s);
    EXPECT_EQ(s.text(), "imaps://alice@old -> imaps://alice@new: synced, 4,820 copied (140 MB), 180 present, 12 s\n"
                        "imaps://alice@old -> imaps://alice@new: failed, 0.2 s: the server "
                        "refused the login of alice; "
                        "server said: Authentication failed. Check user name and password\n"
                        "\n");
}

TEST_F(progress_lines, a_long_single_copy_says_every_ten_seconds_that_it_lives) {
    auto v = view({.mailboxes = 1});
    for (int i = 0; i <= 25; ++i)
        v.update(1, "a", copying(static_cast<std::uint64_t>(i) * 10, 1000, static_cast<std::uint64_t>(i) * 1'000'000),
                 t0 + i * 1s);
    EXPECT_EQ(s.text(), "a: copying INBOX, 20/1,000 messages, 2.0 MB, 1.0 MB/s, 1:38 to go\n"
                        "a: copying INBOX, 120/1,000 messages, 12 MB, 1.0 MB/s, 1:28 to go\n"
                        "a: copying INBOX, 220/1,000 messages, 22 MB, 1.0 MB/s, 1:18 to go\n"
                        "\n");
}

TEST_F(progress_lines, many_say_every_minute_how_far_they_are) {
    auto v = view({.mailboxes = 1000});
    for (int i = 0; i <= 150; ++i) v.tick(t0 + i * 1s);
    EXPECT_EQ(s.text(), "0 of 1,000 mailboxes done, 1 min 00 s\n0 of 1,000 mailboxes done, 2 min 00 s\n\n");
}

TEST_F(progress_lines, quiet_says_only_what_it_is_told_to) {
    auto v = view({.terminal = true, .quiet = true, .mailboxes = 1});
    v.update(1, "a", copying(1, 2, 3), t0 + 20s);
    v.ended(1, samples::synced(), t0 + 30s);
    EXPECT_EQ(s.frames, 0U);
    v.say("failed", t0);
    EXPECT_EQ(s.text(), "failed\n\n");
}

} // namespace
} // namespace postferry::app
