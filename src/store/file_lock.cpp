#include "store/file_lock.hpp"

#include <boost/json.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace postferry::store {

namespace {

std::unexpected<error> no_lock(const std::filesystem::path& file, int code, const file_lock::wording& words) {
    const auto folder = file.parent_path();
    if (code == ENOENT)
        return fail(retry_class::local, phase::ledger,
                    fmt::format("{} {}: there is no folder {}", words.kind, file.string(), folder.string()),
                    fmt::format("Make the folder, or {}", words.elsewhere));
    return fail(retry_class::local, phase::ledger,
                fmt::format("{} {}: cannot make {}.lock ({})", words.kind, file.string(), file.string(),
                            std::generic_category().message(code)),
                fmt::format("Check that the folder may be written by this user and has space, or {}", words.elsewhere));
}

std::string host_name() {
    std::array<char, 256> name{};
    return gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : "unknown";
}

std::string holder_json(const std::string& command) {
    const boost::json::object holder{
        {"pid", getpid()},
        {"host", host_name()},
        {"command", command},
        {"started", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))}};
    return boost::json::serialize(holder) + "\n";
}

/// The holder may just be writing the file: what cannot be read is left out. Anybody may have written it, hence quoted.
std::unexpected<error> in_use(const std::filesystem::path& file, int descriptor, const file_lock::wording& words) {
    std::array<char, 4096> buffer{};
    const ssize_t n = pread(descriptor, buffer.data(), buffer.size(), 0);
    boost::system::error_code ignored;
    const boost::json::value value =
        boost::json::parse({buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))}, ignored);
    const auto text = [&](std::string_view key) -> std::string {
        const auto* object = value.if_object();
        const auto* member = object != nullptr ? object->if_contains(key) : nullptr;
        if (member == nullptr) return "?";
        return quote_server_text(
            member->is_string() ? std::string_view(member->get_string()) : boost::json::serialize(*member), 200);
    };
    std::string who = "another run";
    if (value.is_object())
        who = fmt::format("PID {} on {} since {} ({})", text("pid"), text("host"), text("started"), text("command"));
    return fail(retry_class::config, phase::ledger,
                fmt::format("{} {} is in use by {}", words.kind, file.string(), who),
                fmt::format("Wait until it has ended, or {}", words.elsewhere));
}

bool same_file(int descriptor, const std::filesystem::path& path) {
    struct stat held{}, named{};
    return fstat(descriptor, &held) == 0 && stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
           held.st_dev == named.st_dev;
}

} // namespace

result<file_lock> file_lock::take(const std::filesystem::path& file, const std::string& command, const wording& words) {
    std::filesystem::path path = file;
    path += ".lock";
    for (;;) {
        const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (descriptor < 0) return no_lock(file, errno, words);
        file_lock lock(descriptor, path);
        if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
            const int code = errno;
            auto failed = code == EWOULDBLOCK ? in_use(file, descriptor, words) : no_lock(file, code, words);
            close(std::exchange(lock.descriptor_, -1)); // the file is theirs: not ours to remove
            return failed;
        }
        if (!same_file(descriptor, path)) { // its last holder has removed it between our open and our lock
            close(std::exchange(lock.descriptor_, -1));
            continue;
        }
        const std::string holder = holder_json(command);
        if (ftruncate(descriptor, 0) != 0 ||
            pwrite(descriptor, holder.data(), holder.size(), 0) != static_cast<ssize_t>(holder.size()))
            return no_lock(file, errno, words);
        return lock;
    }
}

file_lock::file_lock(file_lock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

file_lock::~file_lock() {
    if (descriptor_ < 0) return;
    unlink(path_.c_str()); // before the lock falls, or it might be the next holder's
    close(descriptor_);
}

} // namespace postferry::store
