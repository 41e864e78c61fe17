#include "metrics/process.hpp"

#include "metrics/families.hpp"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

namespace postferry::metrics {

namespace {

/// The fields of proc(5)'s stat behind the name, from field 3 on; the name may hold anything, so its end is sought.
std::vector<std::string> stat_fields() {
    std::ifstream file("/proc/self/stat");
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::vector<std::string> out;
    std::size_t at = text.rfind(')');
    while (at != std::string::npos && at + 1 < text.size()) {
        const std::size_t from = text.find_first_not_of(" \n", at + 1);
        if (from == std::string::npos) break;
        at = text.find_first_of(" \n", from);
        out.push_back(text.substr(from, at - from));
    }
    return out;
}

std::optional<double> number_of(const std::vector<std::string>& fields, std::size_t field) {
    if (fields.size() <= field - 3) return std::nullopt;
    const std::string& text = fields[field - 3];
    std::uint64_t n = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), n).ec != std::errc()) return std::nullopt;
    return static_cast<double>(n);
}

std::optional<double> boot_time() {
    std::ifstream file("/proc/stat");
    for (std::string word; file >> word;) {
        double seconds = 0;
        if (word == "btime" && file >> seconds) return seconds;
    }
    return std::nullopt;
}

std::optional<double> open_files() {
    std::error_code ec;
    double n = 0;
    for (std::filesystem::directory_iterator at("/proc/self/fd", ec), end; !ec && at != end; at.increment(ec)) ++n;
    // One of them was ours, for looking.
    return n > 0 ? std::optional(n - 1) : std::nullopt;
}

} // namespace

std::vector<prometheus::MetricFamily> process_families() {
    const auto fields = stat_fields();
    const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    std::vector<prometheus::MetricFamily> out;
    const auto user = number_of(fields, 14), system = number_of(fields, 15), started = number_of(fields, 22);
    if (user && system)
        out.push_back(counter("process_cpu_seconds_total", "Processor time of this process, user and system.",
                              (*user + *system) / ticks));
    if (const auto size = number_of(fields, 23))
        out.push_back(gauge("process_virtual_memory_bytes", "Virtual memory of this process.", *size));
    if (const auto pages = number_of(fields, 24))
        out.push_back(gauge("process_resident_memory_bytes", "Memory of this process that is in RAM.",
                            *pages * static_cast<double>(sysconf(_SC_PAGESIZE))));
    if (const auto booted = boot_time(); booted && started)
        out.push_back(gauge("process_start_time_seconds", "When this process began, in seconds since 1970.",
                            *booted + *started / ticks));
    if (const auto threads = number_of(fields, 20))
        out.push_back(gauge("process_threads", "Threads of this process.", *threads));
    if (const auto files = open_files())
        out.push_back(gauge("process_open_fds", "Open files and connections of this process.", *files));
    if (rlimit limit{}; getrlimit(RLIMIT_NOFILE, &limit) == 0)
        out.push_back(gauge("process_max_fds", "How many it may open.", static_cast<double>(limit.rlim_cur)));
    return out;
}

} // namespace postferry::metrics
