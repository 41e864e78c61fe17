#include "transfer/pauses.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::transfer {

namespace {

constexpr std::chrono::milliseconds first{50}, longest{16'000};

} // namespace

std::chrono::milliseconds patience::next(const error& why, bool progress) noexcept {
    if (progress) doubled_ = waited_ = std::chrono::milliseconds(0);
    doubled_ = std::clamp(doubled_ * 2, first, longest);
    const auto time = why.backoff_ms > 0 ? std::chrono::milliseconds(why.backoff_ms) : doubled_;
    waited_ += time;
    return time;
}

std::string host_of(std::string_view display_name) {
    const std::size_t scheme = display_name.find("://");
    if (scheme == std::string_view::npos) return std::string(display_name);
    std::string_view rest = display_name.substr(scheme + 3);
    rest = rest.substr(rest.rfind('@') + 1); // npos + 1 is 0
    if (rest.starts_with('[')) return std::string(rest.substr(0, rest.find(']') + 1));
    return std::string(rest.substr(0, rest.find(':')));
}

std::string moment_text(std::int64_t unix_seconds, std::int64_t now_unix) {
    constexpr std::int64_t day = 86'400;
    const std::int64_t second = ((unix_seconds % day) + day) % day;
    const auto clock = fmt::format("{:02}:{:02}:{:02} UTC", second / 3600, second / 60 % 60, second % 60);
    const std::int64_t this_day = (unix_seconds - second) / day;
    if (this_day == now_unix / day) return clock;
    const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(this_day))};
    return fmt::format("{:04}-{:02}-{:02} {}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                       static_cast<unsigned>(date.day()), clock);
}

std::string throttled_text(const throttle_report& t, std::int64_t now_unix) {
    std::string text = fmt::format("throttled by {} until {}", t.by, moment_text(t.until_unix, now_unix));
    if (!t.reason.empty()) text += fmt::format(": {}", t.reason);
    return text;
}

} // namespace postferry::transfer
