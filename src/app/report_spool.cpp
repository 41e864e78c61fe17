#include "app/report_spool.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

namespace postferry::app {

namespace {

std::unexpected<error> trouble(std::string_view doing) {
    return fail(retry_class::local, phase::usage,
                fmt::format("cannot {} what is to be reported: {}", doing, std::strerror(errno)),
                "Make room, and run again: what was copied is in the ledger");
}

int nameless_file(const std::filesystem::path& folder) {
    const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) return fd;
    std::string pattern = (std::filesystem::temp_directory_path() / "postferry-XXXXXX").string();
    const int other = ::mkostemp(pattern.data(), O_CLOEXEC);
    if (other >= 0) ::unlink(pattern.c_str());
    return other;
}

} // namespace

result<report_spool> report_spool::open(const std::filesystem::path& folder) {
    const int fd = nameless_file(folder);
    if (fd < 0) return trouble("keep");
    return report_spool(fd);
}

report_spool::report_spool(report_spool&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), end_(other.end_), places_(std::move(other.places_)) {}

report_spool::~report_spool() {
    if (fd_ >= 0) ::close(fd_);
}

result<void> report_spool::add(std::uint64_t number, std::string_view json) {
    std::uint64_t at = end_;
    std::string_view rest = json;
    while (!rest.empty()) {
        const ssize_t n = ::pwrite(fd_, rest.data(), rest.size(), static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return trouble("keep");
        at += static_cast<std::uint64_t>(n);
        rest.remove_prefix(static_cast<std::size_t>(n));
    }
    places_.insert_or_assign(number, std::pair(end_, json.size()));
    end_ = at;
    return {};
}

result<std::string> report_spool::read(std::uint64_t at, std::uint64_t octets) const {
    std::string out(octets, '\0');
    std::size_t got = 0;
    while (got < out.size()) {
        const ssize_t n = ::pread(fd_, out.data() + got, out.size() - got, static_cast<off_t>(at + got));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return trouble("read");
        got += static_cast<std::size_t>(n);
    }
    return out;
}

mailbox_walk report_spool::walk() const {
    return [this](const std::function<result<void>(std::string_view)>& take) -> result<void> {
        for (const auto& [number, place] : places_) {
            const auto text = read(place.first, place.second);
            if (!text) return std::unexpected(text.error());
            if (auto ok = take(*text); !ok) return ok;
        }
        return {};
    };
}

} // namespace postferry::app
