#include "app/credentials.hpp"

#include "app/accounts.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <termios.h>
#include <tuple>
#include <unistd.h>

namespace postferry::app {

namespace {

constexpr std::size_t max_secret = 64 * 1024;

std::unexpected<error> refuse(std::string what, std::string advice = {}) {
    return fail(retry_class::config, phase::usage, std::move(what), std::move(advice));
}

class file_descriptor {
  public:
    explicit file_descriptor(int fd) noexcept : fd_(fd) {}
    ~file_descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    file_descriptor(const file_descriptor&) = delete;
    file_descriptor& operator=(const file_descriptor&) = delete;
    [[nodiscard]] int get() const noexcept { return fd_; }

  private:
    int fd_;
};

/// Switches echo, line editing and signals off, and back when it goes.
class raw_terminal {
  public:
    explicit raw_terminal(int fd) noexcept : fd_(fd), good_(::tcgetattr(fd, &before_) == 0) {
        if (!good_) return;
        termios quiet = before_;
        quiet.c_lflag &= static_cast<tcflag_t>(~(ECHO | ECHONL | ICANON | ISIG));
        good_ = ::tcsetattr(fd, TCSAFLUSH, &quiet) == 0;
    }
    ~raw_terminal() {
        if (good_) ::tcsetattr(fd_, TCSAFLUSH, &before_);
    }
    raw_terminal(const raw_terminal&) = delete;
    raw_terminal& operator=(const raw_terminal&) = delete;
    [[nodiscard]] bool good() const noexcept { return good_; }

  private:
    int fd_;
    termios before_{};
    bool good_;
};

void show(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(n));
    }
}

/// A line with backspace and Ctrl-U; nothing when the person gives up.
std::optional<std::string> read_line(int fd) {
    std::string line;
    // No growth, so that no copy of the password stays behind in freed memory.
    line.reserve(max_secret);
    for (;;) {
        char c = 0;
        const ssize_t n = ::read(fd, &c, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0 || c == 0x03 || (c == 0x04 && line.empty())) return std::nullopt;
        if (c == '\n' || c == '\r') return line;
        if (c == 0x7f || c == 0x08) {
            // A whole UTF-8 character goes.
            while (!line.empty() && (static_cast<unsigned char>(line.back()) & 0xc0) == 0x80) line.pop_back();
            if (!line.empty()) line.pop_back();
        } else if (c == 0x15) {
            line.clear();
        } else if (line.size() < max_secret) {
            line += c;
        }
    }
}

struct side {
    std::string_view name;
    const std::string& url;
    login_options& login;
    const char* variable;
};

result<void> read_oauth_secrets(oauth_options& o) {
    if (!o.wanted()) return {};
    for (const auto& [file, into, name] :
         {std::tuple{&o.client_secret_file, &o.client_secret, "--oauth-client-secret-file"},
          std::tuple{&o.refresh_token_file, &o.refresh_token, "--oauth-refresh-token-file"}}) {
        if (file->empty()) continue;
        auto value = read_secret_file(*file, name);
        if (!value) return std::unexpected(value.error());
        *into = std::move(*value);
    }
    return {};
}

result<void> complete(const side& s, bool one_mailbox, const password_sources& from) {
    if (auto ok = read_oauth_secrets(s.login.oauth); !ok) return ok;
    const bool token = !s.login.token_file.empty();
    const std::filesystem::path& file = token ? s.login.token_file : s.login.password_file;
    if (!file.empty()) {
        auto value = read_secret_file(file, fmt::format("--{}-{}-file", s.name, token ? "token" : "password"));
        if (!value) return std::unexpected(value.error());
        s.login.password = std::move(*value);
        return {};
    }
    if (const char* value = from.environment(s.variable); value != nullptr && *value != '\0') {
        s.login.password = secret(value);
        return {};
    }
    if (s.login.usual_password.given()) {
        auto value = s.login.usual_password.value();
        if (!value) return std::unexpected(value.error());
        s.login.password = std::move(*value);
        return {};
    }
    if (s.url.empty()) return {};
    const auto e = mailbox::parse_endpoint(s.url);
    if (!e || !needs_password(*e) || (!one_mailbox && !has_common_login(*e))) return {};
    const bool client = s.login.oauth.wanted() || !s.login.oauth_name.empty() || !e->oauth.empty();
    if (client && takes_token(*e)) return {};
    const std::string who = e->admin.empty() ? e->display() : fmt::format("{} as {}", e->display(), e->admin);
    auto answer = from.ask(fmt::format("Password for the {} {}: ", s.name, who));
    if (answer && *answer) s.login.password = std::move(**answer);
    if (answer && !*answer) return std::unexpected(answer->error());
    if (one_mailbox && s.login.password.empty())
        return refuse(fmt::format("there is no password for the {} {}", s.name, who),
                      fmt::format("Give --{}-password-file, or set {}", s.name, s.variable));
    return {};
}

} // namespace

result<secret> read_secret_file(const std::filesystem::path& file, std::string_view what) {
    const file_descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) return refuse(fmt::format("{}: cannot read {}: {}", what, file.string(), std::strerror(errno)));
    std::string text(max_secret + 1, '\0');
    std::size_t size = 0;
    for (;;) {
        const ssize_t n = ::read(fd.get(), text.data() + size, text.size() - size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return refuse(fmt::format("{}: cannot read {}: {}", what, file.string(), std::strerror(errno)));
        size += static_cast<std::size_t>(n);
        if (n == 0 || size == text.size()) break;
    }
    // The whole buffer is wiped with this owner, whatever part of it was the secret.
    const secret whole(std::move(text));
    std::string_view line = whole.reveal().substr(0, size);
    line = line.substr(0, line.find_first_of("\r\n"));
    if (line.size() > max_secret)
        return refuse(fmt::format("{}: the first line of {} is too long", what, file.string()));
    if (line.empty()) return refuse(fmt::format("{}: the first line of {} is empty", what, file.string()));
    if (line.find('\0') != std::string_view::npos)
        return refuse(fmt::format("{}: {} holds a NUL octet", what, file.string()));
    return secret(std::string(line));
}

result<secret> ask_on_terminal(int fd, const std::string& prompt) {
    const raw_terminal quiet(fd);
    if (!quiet.good()) return refuse("the terminal cannot be switched to read a password");
    show(fd, prompt);
    auto line = read_line(fd);
    show(fd, "\n");
    if (!line) return fail(retry_class::cancelled, phase::usage, "no password was given");
    return secret(std::move(*line));
}

password_sources password_sources::of_process() {
    return {.environment = [](const char* name) { return static_cast<const char*>(std::getenv(name)); },
            .ask = [](const std::string& prompt) -> std::optional<result<secret>> {
                // Without a person on standard input nobody would see the question.
                if (::isatty(STDIN_FILENO) == 0) return std::nullopt;
                const file_descriptor tty(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
                if (tty.get() < 0) return std::nullopt;
                return ask_on_terminal(tty.get(), prompt);
            }};
}

result<void> complete_passwords(run_options& options, const password_sources& from) {
    const bool one = options.one_mailbox();
    const side source{"source", options.source_url, options.source, "POSTFERRY_SOURCE_PASSWORD"};
    if (auto ok = complete(source, one, from); !ok) return ok;
    return complete({"target", options.target_url, options.target, "POSTFERRY_TARGET_PASSWORD"}, one, from);
}

} // namespace postferry::app
