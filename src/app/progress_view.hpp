#pragma once
// What a person sees while it runs. On a terminal a table that is redrawn in place; else one line a mailbox.
#include "transfer/report.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::app {

struct view_settings {
    bool terminal = false;
    bool quiet = false;       ///< draws nothing; say() still speaks
    std::size_t columns = 80; ///< of the terminal
    std::size_t rows = 24;
    std::uint64_t mailboxes = 1; ///< how many there will be
};

/// Knows nothing of the engine: snapshots come in, text goes out. Time is passed in, so tests need no clock. One thread
/// at a time.
class progress_view {
  public:
    using time = std::chrono::steady_clock::time_point;

    /// `out` gets text to write as it is (with escape sequences only when settings.terminal).
    progress_view(view_settings settings, std::function<void(std::string_view)> out, time now);

    void update(std::uint64_t mailbox, std::string_view name, const transfer::progress& p, time now);
    void ended(std::uint64_t mailbox, const transfer::mailbox_report& report, time now);
    /// The same for what ends in a document (plan, check), which the caller says.
    void left(std::uint64_t mailbox, bool good, time now);
    /// A line that stays, above the table: a failure, a skipped row.
    void say(std::string_view line, time now);
    /// Call every 200 ms or so; draws at most five times a second, whatever else is called, and at least once.
    void tick(time now);
    /// Takes the table away; what comes after is the summary.
    void finish();
    /// What was drawn for a wider terminal, and was wrapped since, stays above: not all terminals wrap.
    void resize(std::size_t columns, std::size_t rows) noexcept;

  private:
    struct row {
        std::string name;
        transfer::progress last;
        time sampled{};
        std::uint64_t sampled_octets = 0, sampled_messages = 0;
        double octets_per_second = 0, messages_per_second = 0;
        time last_line{};
    };
    struct widths {
        std::size_t mailbox = 0, folder = 0;
        bool rate = true, eta = true;
    };

    void sample(row& r, time now);
    void draw(time now);
    void erase();
    [[nodiscard]] widths widths_for() const;
    [[nodiscard]] std::string header(const widths& w) const;
    [[nodiscard]] std::string line_of(const row& r, const widths& w) const;
    [[nodiscard]] std::vector<std::string> totals(time now) const;
    [[nodiscard]] std::vector<std::string> rows_for(std::size_t room, const widths& w) const;

    view_settings settings_;
    std::function<void(std::string_view)> out_;
    time start_;
    time drawn_at_{}, last_line_{};
    bool drawn_once_ = false;
    bool changed_ = true;
    std::size_t lines_on_screen_ = 0;
    std::map<std::uint64_t, row> running_;
    std::uint64_t ended_ = 0, failed_ = 0;
    std::uint64_t ended_messages_ = 0, ended_octets_ = 0;
};

/// "imaps://alice@old -> imaps://alice@new: synced, 1,200 copied (34 MB), 3 present, 4.1 s"
[[nodiscard]] std::string ended_line(const transfer::mailbox_report& report);

} // namespace postferry::app
