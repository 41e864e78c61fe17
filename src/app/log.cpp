#include "app/log.hpp"

#include "app/json.hpp"
#include "app/standard_output.hpp"
#include "app/system_notify.hpp"

#include <fmt/chrono.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <unistd.h>

namespace postferry::app::log {

namespace {

constexpr std::size_t max_line = 64 * 1024;
constexpr int off = 100;

std::atomic<int> threshold{off};
std::shared_ptr<spdlog::logger> logger; // set by start() before other threads run, reset by stop() after them
log_format format = log_format::text;
bool journal = false;

spdlog::level::level_enum spdlog_level(level l) noexcept {
    switch (l) {
    case level::wire: return spdlog::level::trace;
    case level::debug: return spdlog::level::debug;
    case level::info: return spdlog::level::info;
    case level::warning: return spdlog::level::warn;
    case level::error: return spdlog::level::err;
    }
    return spdlog::level::off;
}

constexpr std::string_view name_of(level l) noexcept {
    switch (l) {
    case level::wire: return "wire";
    case level::debug: return "debug";
    case level::info: return "info";
    case level::warning: return "warning";
    case level::error: return "error";
    }
    return "unknown";
}

std::string now_text() {
    const auto now = std::chrono::system_clock::now();
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(now)), ms);
}

/// The whole line, made here: spdlog's patterns know no JSON escapes.
std::string line_of(level l, std::string_view mailbox, std::string_view text) {
    if (format == log_format::json) {
        boost::json::object line{{"time", now_text()}, {"level", name_of(l)}};
        if (!mailbox.empty()) line["mailbox"] = json_text(mailbox);
        line["message"] = json_text(text.substr(0, max_line));
        return boost::json::serialize(line);
    }
    std::string line = fmt::format("{} {:<7} ", now_text(), name_of(l));
    if (!mailbox.empty()) line += fmt::format("[{}] ", quote_server_text(mailbox));
    return line + quote_server_text(text, max_line);
}

} // namespace

namespace {

std::atomic<int> lost_lines{0}; // errno of the first line that could not be written

/// A file that can be opened anew. What it cannot write is lost and remembered, and said at once where nobody waits for
/// the end.
class file_sink final : public spdlog::sinks::base_sink<std::mutex> {
  public:
    file_sink(std::filesystem::path file, std::string_view setting, bool says_at_once)
        : file_(std::move(file)), setting_(setting), says_at_once_(says_at_once) {}
    ~file_sink() override {
        if (fd_ >= 0) ::close(fd_);
    }
    result<void> open() {
        const int fd = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (fd < 0)
            return fail(retry_class::local, phase::usage,
                        fmt::format("the log cannot be opened: {}: {}", file_.string(), std::strerror(errno)),
                        fmt::format("Name another file {}", setting_));
        const std::lock_guard lock(mutex_);
        if (fd_ >= 0) ::close(fd_);
        fd_ = fd;
        return {};
    }

  protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        std::string line(message.payload.data(), message.payload.size());
        line += '\n';
        const ::ssize_t written = ::write(fd_, line.data(), line.size());
        if (written == static_cast<::ssize_t>(line.size())) return;
        int none = 0; // a full disk loses lines, nothing else
        const int why = written < 0 ? errno : ENOSPC;
        if (lost_lines.compare_exchange_strong(none, why) && says_at_once_)
            to_stderr(fmt::format("the log {} cannot be written: {}\n", file_.string(), std::strerror(why)));
    }
    void flush_() override {}

  private:
    std::filesystem::path file_;
    std::string_view setting_; ///< how it is named: lives as long as the program
    bool says_at_once_;
    int fd_ = -1;
};

std::shared_ptr<file_sink> log_file; // of the service

level level_of(config_log_level l) noexcept {
    switch (l) {
    case config_log_level::error: return level::error;
    case config_log_level::warning: return level::warning;
    case config_log_level::info: return level::info;
    case config_log_level::debug: return level::debug;
    case config_log_level::wire: return level::wire;
    }
    return level::info;
}

/// As syslog counts them.
int priority_of(level l) noexcept {
    switch (l) {
    case level::error: return 3;
    case level::warning: return 4;
    case level::info: return 6;
    case level::wire:
    case level::debug: break;
    }
    return 7;
}

void write_journal(level l, std::string_view mailbox, std::string_view text) {
    const std::string shown = quote_server_text(text, max_line);
    if (write_to_journal(priority_of(l), mailbox, shown)) return;
    const std::string at = mailbox.empty() ? "" : fmt::format("[{}] ", quote_server_text(mailbox));
    to_stderr(fmt::format("<{}>{}{}\n", priority_of(l), at, shown));
}

} // namespace

result<void> start(const config_log& settings) {
    spdlog::sink_ptr sink;
    if (!settings.file.empty()) {
        log_file = std::make_shared<file_sink>(settings.file, "in [log]", true);
        if (auto ok = log_file->open(); !ok) return ok;
        sink = log_file;
    } else {
        sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    }
    const level lowest = level_of(settings.level);
    logger = std::make_shared<spdlog::logger>("postferry", std::move(sink));
    logger->set_pattern("%v");
    logger->set_level(spdlog_level(lowest));
    logger->flush_on(spdlog::level::info);
    logger->set_error_handler([](const std::string&) {});
    format = settings.format == config_log_format::json ? log_format::json : log_format::text;
    journal = settings.format == config_log_format::journald;
    threshold = static_cast<int>(lowest);
    return {};
}

result<void> reopen() { return log_file ? log_file->open() : result<void>{}; }

result<void> start(const run_options& options) {
    std::vector<spdlog::sink_ptr> sinks;
    lost_lines = 0;
    if (!options.log_file.empty()) {
        const auto file = std::make_shared<file_sink>(options.log_file, "with --log", false);
        if (auto ok = file->open(); !ok) return ok;
        sinks.push_back(file);
    }
    if (options.verbosity > 0) sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
    if (sinks.empty()) return {};
    const level lowest = options.verbosity >= 2 ? level::wire : options.verbosity == 1 ? level::debug : level::info;
    logger = std::make_shared<spdlog::logger>("postferry", sinks.begin(), sinks.end());
    logger->set_pattern("%v");
    logger->set_level(spdlog_level(lowest));
    logger->flush_on(spdlog::level::info);
    logger->set_error_handler([](const std::string&) {});
    format = options.log;
    threshold = static_cast<int>(lowest);
    return {};
}

void stop() noexcept {
    threshold = off;
    try {
        if (logger) logger->flush();
    } catch (...) { // NOLINT: a full disk loses lines, nothing else
    }
    logger.reset();
}

int trouble() noexcept { return lost_lines; }

bool wants(level l) noexcept { return static_cast<int>(l) >= threshold.load(std::memory_order_relaxed); }

void write(level l, std::string_view mailbox, std::string_view text) noexcept {
    if (!wants(l) || !logger) return;
    try {
        if (journal) return write_journal(l, mailbox, text);
        logger->log(spdlog_level(l), line_of(l, mailbox, text));
    } catch (...) { // NOLINT: memory or disk; the run goes on without the line
    }
}

} // namespace postferry::app::log
