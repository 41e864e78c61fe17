#include "app/progress_view.hpp"

#include "app/words.hpp"
#include "base/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <tuple>
#include <vector>

namespace postferry::app {

using namespace std::chrono_literals;
using transfer::mailbox_state;

namespace {

constexpr auto redraw_every = 200ms;
constexpr auto sample_every = 500ms;
constexpr auto clock_every = 1s; ///< a table whose clock stands still looks as if the program did
constexpr auto first_line = 2s;  ///< for one long copy without a terminal
constexpr auto line_every = 10s;
constexpr auto totals_every = 60s; ///< for many mailboxes without a terminal
constexpr std::size_t most_total_lines = 2;
constexpr double smoothing_seconds = 5;

double seconds_between(progress_view::time from, progress_view::time to) {
    return std::chrono::duration<double>(to - from).count();
}

std::string eta(double remaining, double per_second) {
    if (per_second <= 0 || remaining <= 0) return {};
    const double s = remaining / per_second;
    if (s >= 100 * 3600) return ">4 d";
    const auto total = static_cast<std::uint64_t>(s + 0.5);
    if (total >= 3600) return fmt::format("{}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60);
    return fmt::format("{}:{:02}", total / 60, total % 60);
}

std::string messages_text(const transfer::progress& p) {
    if (p.messages_total == 0) return p.messages_done == 0 ? std::string{} : grouped(p.messages_done);
    return fmt::format("{}/{}", grouped(p.messages_done), grouped(p.messages_total));
}

std::string rate_text(double octets_per_second) {
    return octets_per_second < 1 ? std::string{} : format_size(static_cast<std::uint64_t>(octets_per_second)) + "/s";
}

/// Those that have something to show come first.
int rank(mailbox_state s) noexcept {
    switch (s) {
    case mailbox_state::copying: return 0;
    case mailbox_state::throttled: return 1;
    case mailbox_state::scanning: return 2;
    case mailbox_state::connecting: return 3;
    default: return 4;
    }
}

} // namespace

std::string ended_line(const transfer::mailbox_report& r) {
    std::string line = fmt::format("{} -> {}: {}", r.source, r.target, name_of(r.state));
    if (r.verify) {
        const transfer::verify_report& v = *r.verify;
        line += fmt::format(", {} identical, {} missing, {} different, {} altered by the server", grouped(v.identical),
                            grouped(v.missing), grouped(v.different), grouped(v.altered_by_server));
    } else if (!r.stopped_by || r.messages.source > 0) {
        line += fmt::format(", {} copied ({}), {} present", grouped(r.messages.copied), format_size(r.octets.copied),
                            grouped(r.messages.present));
        if (r.messages.skipped > 0) line += fmt::format(", {} skipped", grouped(r.messages.skipped));
    }
    if (r.messages.failed > 0) line += fmt::format(", {} failed", grouped(r.messages.failed));
    if (r.messages.residual() != 0 && !r.stopped_by) line += fmt::format(", {} unaccounted for", r.messages.residual());
    line += fmt::format(", {}", duration_text(r.seconds));
    if (r.stopped_by) line += fmt::format(": {}", r.stopped_by->message());
    return line;
}

progress_view::progress_view(view_settings settings, std::function<void(std::string_view)> out, time now)
    : settings_(settings), out_(std::move(out)), start_(now), last_line_(now) {}

void progress_view::resize(std::size_t columns, std::size_t rows) noexcept {
    changed_ = changed_ || columns != settings_.columns || rows != settings_.rows;
    settings_.columns = columns;
    settings_.rows = rows;
}

/// Rates are smoothed over some seconds: batches arrive in bursts.
void progress_view::sample(row& r, time now) {
    const auto since = now - r.sampled;
    if (r.sampled != time{} && since < sample_every) return;
    const double s = std::chrono::duration<double>(since).count();
    const bool backwards = r.last.octets_done < r.sampled_octets || r.last.messages_done < r.sampled_messages;
    if (r.sampled != time{} && !backwards) {
        const double weight =
            r.octets_per_second + r.messages_per_second > 0 ? 1 - std::exp(-s / smoothing_seconds) : 1;
        const double octets = static_cast<double>(r.last.octets_done - r.sampled_octets) / s;
        const double messages = static_cast<double>(r.last.messages_done - r.sampled_messages) / s;
        r.octets_per_second += weight * (octets - r.octets_per_second);
        r.messages_per_second += weight * (messages - r.messages_per_second);
    }
    r.sampled = now;
    r.sampled_octets = r.last.octets_done;
    r.sampled_messages = r.last.messages_done;
}

void progress_view::update(std::uint64_t mailbox, std::string_view name, const transfer::progress& p, time now) {
    row& r = running_[mailbox];
    if (r.name.empty()) {
        r.name = name;
        r.last_line = now - line_every + first_line;
    }
    r.last = p;
    changed_ = true;
    sample(r, now);
    if (settings_.terminal) return tick(now);
    if (settings_.quiet || settings_.mailboxes != 1 || now - r.last_line < line_every) return;
    r.last_line = now;
    std::string line = fmt::format("{}: {}", r.name, name_of(p.state));
    if (!p.folder.empty()) line += fmt::format(" {}", fitted(p.folder, 60, false));
    if (const auto text = messages_text(p); !text.empty())
        line += fmt::format(", {} messages, {}", text, format_size(p.octets_done));
    if (const auto text = rate_text(r.octets_per_second); !text.empty()) line += ", " + text;
    if (p.messages_total > p.messages_done)
        if (const auto text = eta(static_cast<double>(p.messages_total - p.messages_done), r.messages_per_second);
            !text.empty())
            line += ", " + text + " to go";
    if (!p.note.empty()) line += ", " + p.note;
    out_(line + "\n");
}

void progress_view::ended(std::uint64_t mailbox, const transfer::mailbox_report& report, time now) {
    running_.erase(mailbox);
    ++ended_;
    const bool good = report.state == mailbox_state::synced || report.state == mailbox_state::completed;
    if (!good || report.stopped_by || report.messages.failed > 0) ++failed_;
    ended_messages_ += report.messages.copied + report.messages.present;
    ended_octets_ += report.octets.copied;
    changed_ = true;
    if (settings_.quiet) return;
    if (!settings_.terminal) return out_(ended_line(report) + "\n");
    // Of many, whoever failed is named at once; of one the summary will say it, and of an interrupted run everybody.
    const bool interrupted = report.stopped_by && report.stopped_by->cls == retry_class::cancelled;
    if (settings_.mailboxes > 1 && !interrupted && (!good || report.stopped_by || report.messages.failed > 0))
        return say(ended_line(report), now);
    tick(now);
}

void progress_view::left(std::uint64_t mailbox, bool good, time now) {
    running_.erase(mailbox);
    ++ended_;
    if (!good) ++failed_;
    changed_ = true;
    tick(now);
}

void progress_view::say(std::string_view line, time now) {
    erase();
    out_(fmt::format("{}\n", line));
    drawn_once_ = false;
    changed_ = true;
    if (settings_.terminal) tick(now);
}

void progress_view::tick(time now) {
    if (settings_.quiet) return;
    if (settings_.terminal) {
        if (!drawn_once_ || now - drawn_at_ >= (changed_ ? time::duration(redraw_every) : clock_every)) draw(now);
    } else if (settings_.mailboxes > 1 && now - last_line_ >= totals_every) {
        last_line_ = now;
        out_(fmt::format("{}\n", fmt::join(totals(now), ", ")));
    }
}

void progress_view::erase() {
    if (lines_on_screen_ > 0) out_(fmt::format("\x1b[{}F\x1b[J", lines_on_screen_));
    lines_on_screen_ = 0;
}

void progress_view::finish() { erase(); }

/// messages 17, bytes 8, rate 10, ETA 8, state 10, each with two spaces before; the rest is for the names.
progress_view::widths progress_view::widths_for() const {
    constexpr std::size_t counts = 2 + 17 + 2 + 8;
    constexpr std::size_t rate = 2 + 10, eta = 2 + 8;
    constexpr std::size_t state = 2 + 10;
    // The last column stays free: some terminals wrap when it is written.
    const std::size_t width = settings_.columns > 1 ? settings_.columns - 1 : 1;
    widths w;
    w.eta = width >= counts + eta + state + 24;
    w.rate = width >= counts + eta + rate + state + 24;
    const std::size_t fixed = counts + state + (w.eta ? eta : 0) + (w.rate ? rate : 0);
    const std::size_t rest = width > fixed ? width - fixed : 8;
    w.folder = rest >= 40 ? rest * 2 / 5 : 0;
    w.mailbox = w.folder > 0 ? rest - w.folder - 2 : rest;
    return w;
}

std::string progress_view::header(const widths& w) const {
    std::string line = fitted("mailbox", w.mailbox);
    if (w.folder > 0) line += "  " + fitted("folder", w.folder);
    line += fmt::format("  {:>17}  {:>8}", "messages", "bytes");
    if (w.rate) line += fmt::format("  {:>10}", "rate");
    if (w.eta) line += fmt::format("  {:>8}", "ETA");
    return line + "  state";
}

std::string progress_view::line_of(const row& r, const widths& w) const {
    const transfer::progress& p = r.last;
    std::string line = fitted(readable_name(r.name), w.mailbox);
    if (w.folder > 0) line += "  " + fitted(p.note.empty() ? p.folder : p.note, w.folder);
    line += fmt::format("  {:>17}  {:>8}", messages_text(p), p.octets_done == 0 ? "" : format_size(p.octets_done));
    const double remaining =
        p.messages_total > p.messages_done ? static_cast<double>(p.messages_total - p.messages_done) : 0;
    if (w.rate) line += fmt::format("  {:>10}", rate_text(r.octets_per_second));
    if (w.eta) line += fmt::format("  {:>8}", eta(remaining, r.messages_per_second));
    return line + "  " + std::string(name_of(p.state));
}

/// In as few lines as they need; without a terminal one.
std::vector<std::string> progress_view::totals(time now) const {
    std::uint64_t messages = ended_messages_;
    std::uint64_t octets = ended_octets_;
    double rate = 0;
    for (const auto& [id, r] : running_) {
        messages += r.last.messages_done;
        octets += r.last.octets_done;
        rate += r.octets_per_second;
    }
    std::vector<std::string> parts{
        fmt::format("{} of {} done", grouped(ended_), counted(settings_.mailboxes, "mailbox", "mailboxes"))};
    if (failed_ > 0) parts.push_back(fmt::format("{} with failures", grouped(failed_)));
    if (messages > 0) parts.push_back(counted(messages, "message"));
    if (octets > 0) parts.push_back(format_size(octets));
    if (auto text = rate_text(rate); !text.empty()) parts.push_back(std::move(text));
    parts.push_back(duration_text(seconds_between(start_, now)));
    // A guess from fewer mailboxes would be none.
    if (ended_ >= 3 && settings_.mailboxes > ended_)
        parts.push_back(
            fmt::format("about {} to go", duration_text(seconds_between(start_, now) / static_cast<double>(ended_) *
                                                        static_cast<double>(settings_.mailboxes - ended_))));
    std::vector<std::string> lines{std::move(parts.front())};
    for (const std::string& part : std::span(parts).subspan(1)) {
        const bool fits = !settings_.terminal || lines.back().size() + 2 + part.size() < settings_.columns;
        if (fits || lines.size() == most_total_lines)
            lines.back() += ", " + part;
        else
            lines.push_back(part);
    }
    return lines;
}

/// What runs, in at most `room` lines.
std::vector<std::string> progress_view::rows_for(std::size_t room, const widths& w) const {
    std::vector<std::tuple<int, std::uint64_t, const row*>> rows;
    for (const auto& [id, r] : running_) rows.emplace_back(rank(r.last.state), id, &r);
    std::ranges::sort(rows);
    const std::size_t hidden = rows.size() > room ? rows.size() - room + 1 : 0;
    rows.resize(rows.size() - hidden);
    std::vector<std::string> lines;
    for (const auto& [order, id, r] : rows) {
        lines.push_back(line_of(*r, w));
        const std::string& doing = r->last.note.empty() ? r->last.folder : r->last.note;
        // Where there is no column for it.
        if (w.folder == 0 && running_.size() == 1 && room > 1 && !doing.empty()) lines.push_back("  " + doing);
    }
    if (hidden > 0) lines.push_back(fmt::format("and {} more", hidden));
    return lines;
}

void progress_view::draw(time now) {
    const std::vector<std::string> sums = totals(now);
    const std::size_t others = 2 + sums.size(); // header and the line of the cursor
    const widths w = widths_for();
    const std::size_t width = settings_.columns > 1 ? settings_.columns - 1 : 1;
    std::vector<std::string> lines{header(w)};
    for (std::string& line : rows_for(settings_.rows > others + 1 ? settings_.rows - others : 1, w))
        lines.push_back(std::move(line));
    lines.insert(lines.end(), sums.begin(), sums.end());
    std::string frame;
    if (lines_on_screen_ > 0) frame += fmt::format("\x1b[{}F", lines_on_screen_);
    for (const std::string& line : lines) frame += fitted(line, width, false) + "\x1b[K\n";
    frame += "\x1b[J";
    out_(frame);
    lines_on_screen_ = lines.size();
    drawn_at_ = now;
    drawn_once_ = true;
    changed_ = false;
}

} // namespace postferry::app
