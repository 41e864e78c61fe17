#include "app/system_notify.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace postferry::app {

namespace {

/// A datagram socket for this process's life; the receiver is named with each datagram, as it may be started anew.
int local_socket() noexcept {
    static const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd;
}

/// `path` begins with '/', or with '@' for an abstract name.
bool send_to(std::string_view path, std::string_view text) noexcept {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@')) return false;
    std::memcpy(to.sun_path, path.data(), path.size());
    if (path[0] == '@') to.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (path[0] == '/' ? 1 : 0));
    return ::sendto(local_socket(), text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&to), size) >=
           0;
}

/// KEY=value, or, for what has line ends, KEY, its length and its octets.
void add_field(std::string& to, std::string_view key, std::string_view value) {
    to += key;
    if (value.find('\n') == std::string_view::npos) {
        to += '=';
    } else {
        to += '\n';
        for (std::size_t i = 0; i < 8; ++i) to += static_cast<char>(value.size() >> (8 * i) & 0xFFU);
    }
    to += value;
    to += '\n';
}

} // namespace

void notify_system(std::string_view lines) noexcept {
    const char* path = std::getenv("NOTIFY_SOCKET"); // NOLINT(concurrency-mt-unsafe): nobody sets it
    if (path != nullptr) (void)send_to(path, lines);
}

std::optional<std::chrono::microseconds> watchdog_interval() noexcept {
    const char* time = std::getenv("WATCHDOG_USEC"); // NOLINT(concurrency-mt-unsafe)
    const char* pid = std::getenv("WATCHDOG_PID");   // NOLINT(concurrency-mt-unsafe)
    if (time == nullptr) return std::nullopt;
    const auto us = parse_u64(time);
    if (!us || *us < 2 || (pid != nullptr && parse_u64(pid) != static_cast<std::uint64_t>(::getpid())))
        return std::nullopt;
    return std::chrono::microseconds(*us / 2);
}

bool write_to_journal(int priority, std::string_view mailbox, std::string_view text) noexcept {
    try {
        std::string entry = fmt::format("PRIORITY={}\nSYSLOG_IDENTIFIER=postferry\n", priority);
        if (!mailbox.empty()) add_field(entry, "POSTFERRY_MAILBOX", mailbox);
        add_field(entry, "MESSAGE", text);
        return send_to("/run/systemd/journal/socket", entry);
    } catch (...) { // NOLINT: memory; the work goes on without the line
        return false;
    }
}

} // namespace postferry::app
