#include "app/log.hpp"

#include "app/json.hpp"

#include <fmt/chrono.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

namespace postferry::app::log {

namespace {

constexpr std::size_t max_line = 64 * 1024;
constexpr int off = 100;

std::atomic<int> threshold{off};
std::shared_ptr<spdlog::logger> logger; // set by start() before other threads run, reset by stop() after them
log_format format = log_format::text;

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

result<void> start(const run_options& options) {
    std::vector<spdlog::sink_ptr> sinks;
    try {
        // spdlog would make missing folders; a mistyped path is better said.
        if (!options.log_file.empty() && !std::ofstream(options.log_file, std::ios::app))
            throw spdlog::spdlog_ex(fmt::format("{}: {}", options.log_file.string(), std::strerror(errno)));
        if (!options.log_file.empty())
            sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.log_file.string()));
    } catch (const spdlog::spdlog_ex& e) {
        return fail(retry_class::local, phase::usage, fmt::format("the log cannot be opened: {}", e.what()),
                    "Name another file with --log");
    }
    if (options.verbosity > 0) sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
    if (sinks.empty()) return {};
    const level lowest = options.verbosity >= 2 ? level::wire : options.verbosity == 1 ? level::debug : level::info;
    logger = std::make_shared<spdlog::logger>("postferry", sinks.begin(), sinks.end());
    logger->set_pattern("%v");
    logger->set_level(spdlog_level(lowest));
    logger->flush_on(spdlog::level::info);                // info lines are few, and are there after a kill
    logger->set_error_handler([](const std::string&) {}); // see write(): a full disk loses lines, nothing else
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

bool wants(level l) noexcept { return static_cast<int>(l) >= threshold.load(std::memory_order_relaxed); }

void write(level l, std::string_view mailbox, std::string_view text) noexcept {
    if (!wants(l) || !logger) return;
    try {
        logger->log(spdlog_level(l), line_of(l, mailbox, text));
    } catch (...) { // NOLINT: memory or disk; the run goes on without the line
    }
}

} // namespace postferry::app::log
