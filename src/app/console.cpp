#include "app/console.hpp"

#include "app/log.hpp"
#include "app/standard_output.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>

namespace postferry::app {

namespace {

struct extent {
    std::size_t columns, rows;
};

std::optional<extent> terminal_size() {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return std::nullopt;
    return extent{.columns = size.ws_col, .rows = size.ws_row};
}

bool has_table(const run_options& options) {
    return isatty(STDOUT_FILENO) == 1 && !options.json && options.verbosity == 0;
}

view_settings settings_for(const run_options& options, std::uint64_t mailboxes) {
    view_settings s{
        .terminal = false, .quiet = options.quiet || options.json, .columns = 80, .rows = 24, .mailboxes = mailboxes};
    s.terminal = has_table(options);
    if (const auto size = terminal_size(); s.terminal && size) {
        s.columns = size->columns;
        s.rows = size->rows;
    }
    return s;
}

bool is_document(command what) { return what == command::plan || what == command::check; }

} // namespace

console::console(const run_options& options, std::uint64_t mailboxes)
    : options_(options), mailboxes_(mailboxes), terminal_(has_table(options)),
      view_(settings_for(options, mailboxes), to_stdout, start_),
      events_(options.json ? std::function<void(std::string_view)>(to_stdout) : [](std::string_view) {}),
      summary_(options.what, mailboxes) {}

result<void> console::open_report() {
    if (is_document(options_.what) || options_.dry_run) {
        if (options_.reports.empty()) return {};
        auto file = atomic_file::create(options_.reports.front());
        if (!file) return std::unexpected(file.error());
        document_.emplace(std::move(*file));
        return {};
    }
    auto files = report_files::open(options_.reports, options_.sign_key);
    if (!files) return std::unexpected(files.error());
    const bool asked_for = !options_.reports.empty();
    if (!asked_for && options_.pass != transfer::pass_kind::verify) return {};
    auto spool = report_spool::open(asked_for ? options_.reports.front().parent_path() : options_.state.parent_path());
    if (spool) spool_.emplace(std::move(*spool));
    if (!asked_for) return {};
    if (!spool) return std::unexpected(spool.error());
    files_.emplace(std::move(*files));
    return {};
}

std::string console::report_names() const {
    std::string out;
    if (!reports_written_) return out;
    for (const std::filesystem::path& file : options_.reports) out += (out.empty() ? "" : ", ") + file.string();
    return out;
}

void console::started() {
    const std::lock_guard lock(mutex_);
    log::info({}, "{}: {} mailboxes, {} at a time, ledger {}", name_of(options_.what), mailboxes_, options_.jobs,
              options_.state.string());
    events_.started(began_, {.command = name_of(options_.what),
                             .pass = transfer::name_of(options_.pass),
                             .mailboxes = mailboxes_,
                             .jobs = options_.jobs,
                             .state = options_.state.native()});
}

void console::row_skipped(const csv_fault& fault) {
    say("left out: " + fault.text());
    const std::lock_guard lock(mutex_);
    events_.row_skipped(std::chrono::system_clock::now(), fault);
    summary_.rows_skipped(1);
}

void console::begun(std::uint64_t mailbox, const std::string& name) {
    const std::lock_guard lock(mutex_);
    view_.update(mailbox, name,
                 {.state = transfer::mailbox_state::connecting, .folder = {}, .note = {}, .throttled_by = {}},
                 std::chrono::steady_clock::now());
}

void console::progress(std::uint64_t mailbox, const std::string& name, const transfer::progress& p) {
    const std::lock_guard lock(mutex_);
    tell_long_pause(mailbox, name, p);
    view_.update(mailbox, name, p, std::chrono::steady_clock::now());
    events_.progress(std::chrono::system_clock::now(), mailbox, name, p);
}

// Nothing else would be said until it is over, which may be tomorrow.
void console::tell_long_pause(std::uint64_t mailbox, const std::string& name, const transfer::progress& p) {
    constexpr std::int64_t worth_a_line = 5; // seconds
    if (p.until_unix == 0 || options_.json || options_.quiet) return;
    const auto now =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    if (p.until_unix - now < worth_a_line || std::exchange(told_until_[mailbox], p.until_unix) == p.until_unix) return;
    view_.say(fmt::format("{}: {}", name, p.note), std::chrono::steady_clock::now());
}

void console::failure(std::uint64_t mailbox, const std::string& name, const transfer::failure& f) {
    const std::lock_guard lock(mutex_);
    log::warning(name, "{} UID {} ({} octets, {}): {}", f.folder, f.source_uid, f.octets, f.message_id, f.reason);
    events_.failure(std::chrono::system_clock::now(), mailbox, name, f);
}

void console::ended(std::uint64_t mailbox, const transfer::mailbox_report& report) {
    const std::lock_guard lock(mutex_);
    log::info(report.source, "{}", ended_line(report));
    if (report.stopped_by) log::warning(report.source, "{}", report.stopped_by->message());
    view_.ended(mailbox, report, std::chrono::steady_clock::now());
    events_.ended(std::chrono::system_clock::now(), mailbox, report);
    summary_.add(report);
    tally_.add(report);
    messages_ += report.messages;
    octets_ += report.octets;
    if (!spool_) return;
    if (auto ok = spool_->add(mailbox, boost::json::serialize(json_of(report))); !ok) {
        if (files_) trouble(ok.error());
        files_.reset();
        spool_.reset();
    }
}

void console::planned(std::uint64_t mailbox, plan_entry plan) {
    const std::lock_guard lock(mutex_);
    tally_.add(plan);
    events_.planned(std::chrono::system_clock::now(), mailbox, plan);
    show_document(mailbox, !plan.failed, text_of(plan));
    if (document_) plans_.push_back(std::move(plan));
}

void console::checked(std::uint64_t mailbox, mailbox_check check) {
    const std::lock_guard lock(mutex_);
    tally_.add(check);
    events_.checked(std::chrono::system_clock::now(), mailbox, check);
    show_document(mailbox, verdict_of(check) != check_verdict::not_ready, text_of(check));
    if (document_) checks_.push_back(std::move(check));
}

// Above the table, which would else be drawn over its last lines.
void console::show_document(std::uint64_t mailbox, bool good, std::string_view text) {
    const auto now = std::chrono::steady_clock::now();
    view_.left(mailbox, good, now);
    if (text.ends_with('\n')) text.remove_suffix(1);
    if (!options_.json && !options_.quiet) view_.say(text, now);
}

void console::say(std::string_view line) {
    const std::lock_guard lock(mutex_);
    if (options_.json)
        to_stderr(fmt::format("{}\n", line));
    else
        view_.say(line, std::chrono::steady_clock::now());
}

void console::tick() {
    const std::lock_guard lock(mutex_);
    if (const auto size = terminal_size(); terminal_ && size) view_.resize(size->columns, size->rows);
    view_.tick(std::chrono::steady_clock::now());
}

void console::signalled(int number) {
    const std::lock_guard lock(mutex_);
    tally_.signalled(number);
}

void console::trouble(const error& why) {
    tally_.local_trouble();
    events_.trouble(std::chrono::system_clock::now(), why);
    log::warning({}, "{}", why.message());
    to_stderr(fmt::format("postferry: {}\n", why.message()));
}

void console::write_documents() {
    if (!document_) return;
    const boost::json::object whole =
        options_.what == command::check ? check_document(checks_, began_) : plan_document(plans_, began_);
    if (auto ok = write_document(std::move(*document_), whole); !ok) trouble(ok.error());
    document_.reset();
}

int console::finish() {
    const std::lock_guard lock(mutex_);
    view_.finish();
    const report_frame frame{.started = rfc3339(began_), .ended = rfc3339(std::chrono::system_clock::now())};
    if (files_) {
        const auto ok = files_->write(frame, spool_->walk());
        reports_written_ = ok.has_value();
        if (!ok) trouble(ok.error());
    }
    files_.reset();
    write_documents();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    const int code = tally_.code();
    events_.finished(std::chrono::system_clock::now(), code, mailboxes_, messages_, octets_, seconds);
    const bool has_summary = !is_document(options_.what) && !options_.dry_run;
    if (has_summary && !options_.json && !options_.quiet)
        to_stdout(summary_.text(code, report_names(), options_.log_file.string(), seconds));
    log::info({}, "ended with exit code {} after {:.2f} s", code, seconds);
    return code;
}

} // namespace postferry::app
