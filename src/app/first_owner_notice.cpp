#include "app/first_owner_notice.hpp"

#include "app/log.hpp"
#include "app/standard_output.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <system_error>
#include <unistd.h>

namespace postferry::app {

namespace {

/// 0, or why not. An older one is replaced, never followed.
int keep(const std::filesystem::path& file, std::string_view text) {
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    const ssize_t written = ::write(fd, text.data(), text.size());
    const int why = written == static_cast<ssize_t>(text.size()) ? 0 : written < 0 ? errno : ENOSPC;
    ::close(fd);
    return why;
}

} // namespace

void show_first_owner_link(const std::optional<secret>& link, const std::filesystem::path& key_file) {
    const std::filesystem::path file = key_file.parent_path() / "first-owner-link";
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
    if (!link) return;
    constexpr std::string_view how =
        "nobody can sign in yet. Make the first owner on this machine: postferry user add --owner NAME";
    if (::isatty(STDOUT_FILENO) == 1) {
        to_stdout(fmt::format("{}\nor with a browser, within 24 hours: {}\n", how, link->reveal()));
        return;
    }
    const std::string text = fmt::format("{}\n", link->reveal());
    const int why = keep(file, text);
    log::info({}, "{}", how);
    if (why == 0)
        log::info({}, "or with a browser, within 24 hours, by the link in {}", file.string());
    else
        log::warning({}, "a link for it could not be kept in {}: {}", file.string(), std::strerror(why));
}

} // namespace postferry::app
