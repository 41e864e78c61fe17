#include "app/atomic_file.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace postferry::app {

namespace {

constexpr std::size_t buffer_size = 64 * 1024;

std::filesystem::path folder_of(const std::filesystem::path& place) {
    return place.has_parent_path() ? place.parent_path() : std::filesystem::path(".");
}

std::unexpected<error> refuse(const std::filesystem::path& place, std::string_view why) {
    return fail(retry_class::local, phase::usage, fmt::format("cannot write {}: {}", place.string(), why),
                "Name a file in a folder that you may write to");
}

} // namespace

result<atomic_file> atomic_file::create(const std::filesystem::path& place) {
    std::error_code ec;
    if (std::filesystem::is_directory(place, ec)) return refuse(place, "it is a folder");
    std::filesystem::path part = folder_of(place) / fmt::format(".{}.part", place.filename().string());
    const int fd = ::open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return refuse(place, std::strerror(errno));
    // What a killed run left is taken over; what a living one is writing is not.
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        ::close(fd);
        return refuse(place, "another run is writing it");
    }
    atomic_file file(fd, place, std::move(part));
    if (::ftruncate(fd, 0) != 0) return file.trouble("write");
    return file;
}

atomic_file::atomic_file(atomic_file&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), place_(std::move(other.place_)), part_(std::move(other.part_)),
      buffer_(std::move(other.buffer_)) {}

atomic_file::~atomic_file() {
    if (fd_ < 0) return;
    ::unlink(part_.c_str());
    ::close(fd_);
}

std::unexpected<error> atomic_file::trouble(std::string_view doing) const {
    return fail(retry_class::local, phase::usage,
                fmt::format("cannot {} {}: {}", doing, place_.string(), std::strerror(errno)),
                "Make room or name another file, and run again: what was copied is in the ledger");
}

result<void> atomic_file::write(std::string_view text) {
    buffer_ += text;
    if (buffer_.size() < buffer_size) return {};
    return flush();
}

result<void> atomic_file::flush() {
    std::string_view rest = buffer_;
    while (!rest.empty()) {
        const ssize_t n = ::write(fd_, rest.data(), rest.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return trouble("write");
        rest.remove_prefix(static_cast<std::size_t>(n));
    }
    buffer_.clear();
    return {};
}

result<void> atomic_file::commit() {
    if (auto ok = flush(); !ok) return ok;
    if (::fsync(fd_) != 0) return trouble("write");
    if (::rename(part_.c_str(), place_.c_str()) != 0) return trouble("put in place");
    ::close(std::exchange(fd_, -1));
    // The name is on disk only when its folder is; a file system that cannot do that has done what it can.
    if (const int folder = ::open(folder_of(place_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); folder >= 0) {
        ::fsync(folder);
        ::close(folder);
    }
    return {};
}

} // namespace postferry::app
