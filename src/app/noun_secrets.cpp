#include "app/noun_secrets.hpp"

#include "app/credentials.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace postferry::app {

result<void> put_secrets(const noun_context& c, std::span<const secret_option> options, boost::json::object& body) {
    for (const auto& [option, field] : options) {
        if (!c.words.has(option)) continue;
        auto value = read_secret_file(c.words.text(option), option);
        if (!value) return std::unexpected(std::move(value.error()));
        body[boost::json::string_view(field.data(), field.size())] = std::string(value->reveal());
    }
    return {};
}

result<secret> ask_password(const std::string& prompt, std::string_view option) {
    auto answer = password_sources::of_process().ask(prompt);
    if (!answer) return misused("there is no terminal to ask for the password", fmt::format("Give {} FILE", option));
    if (!*answer) return std::move(*answer);
    if ((*answer)->empty()) return misused("the password is empty");
    return std::move(*answer);
}

result<secret> new_password(const noun_context& c, const std::string& whose) {
    constexpr std::string_view option = "--password-file";
    if (c.words.has(option)) return read_secret_file(c.words.text(option), option);
    auto first = ask_password(fmt::format("New password for {}: ", whose), option);
    if (!first) return first;
    auto again = ask_password("Once more: ", option);
    if (!again) return again;
    if (first->reveal() != again->reveal()) return misused("the two passwords are not the same; nothing was changed");
    return first;
}

result<void> write_secret(const std::string& file, const secret& what) {
    const auto trouble = [&] {
        return fail(retry_class::local, phase::usage,
                    fmt::format("{} cannot be written: {}", file, std::strerror(errno)),
                    errno == EEXIST ? "Name another file, or remove that one" : "");
    };
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return trouble();
    const secret line(std::string(what.reveal()) + "\n");
    const auto n = ::write(fd, line.reveal().data(), line.reveal().size());
    const bool whole = n >= 0 && static_cast<std::size_t>(n) == line.reveal().size() && ::fsync(fd) == 0;
    if (::close(fd) == 0 && whole) return {};
    ::unlink(file.c_str());
    return trouble();
}

} // namespace postferry::app
