#include "directory/command.hpp"

#include "net/event.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <optional>
#include <spawn.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

// glibc 2.36 forgets to say that it is C.
extern "C" {
#include <sys/pidfd.h>
}

namespace postferry::directory {

namespace asio = boost::asio;

namespace {

using descriptor = asio::posix::stream_descriptor;

// After SIGKILL everything ends at once, but for what is stuck in the kernel; its pipes are not waited for.
constexpr std::chrono::seconds patience_after_kill{5};

std::unexpected<error> system_error(int code, std::string_view what, std::string_view program) {
    const bool wrong = code == ENOENT || code == EACCES || code == ENOEXEC || code == ENOTDIR || code == ELOOP;
    return fail(wrong ? retry_class::config : retry_class::local, phase::create,
                fmt::format("{} {}: {}", what, quote_server_text(program),
                            std::error_code(code, std::generic_category()).message()));
}

struct pipe_ends {
    int read = -1, write = -1;
    pipe_ends() = default;
    pipe_ends(const pipe_ends&) = delete;
    pipe_ends& operator=(const pipe_ends&) = delete;
    ~pipe_ends() {
        drop(read);
        drop(write);
    }
    [[nodiscard]] bool open() noexcept {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
        read = ends[0];
        write = ends[1];
        return true;
    }
    static void drop(int& end) noexcept {
        if (end >= 0) ::close(end);
        end = -1;
    }
    static int take(int& end) noexcept { return std::exchange(end, -1); }
};

std::vector<char*> as_vector(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (std::string& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

/// posix_spawn's two kinds of wishes.
class spawn_wishes {
  public:
    spawn_wishes(int in, int out, int err) {
        posix_spawn_file_actions_init(&actions_);
        posix_spawn_file_actions_adddup2(&actions_, in, 0);
        posix_spawn_file_actions_adddup2(&actions_, out, 1);
        posix_spawn_file_actions_adddup2(&actions_, err, 2);
        posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
        posix_spawn_file_actions_addchdir_np(&actions_, "/");
        posix_spawnattr_init(&attributes_);
        sigset_t all, none;
        sigfillset(&all);
        sigemptyset(&none);
        posix_spawnattr_setsigdefault(&attributes_, &all);
        posix_spawnattr_setsigmask(&attributes_, &none);
        posix_spawnattr_setpgroup(&attributes_, 0);
        posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    }
    spawn_wishes(const spawn_wishes&) = delete;
    spawn_wishes& operator=(const spawn_wishes&) = delete;
    ~spawn_wishes() {
        posix_spawn_file_actions_destroy(&actions_);
        posix_spawnattr_destroy(&attributes_);
    }
    [[nodiscard]] int spawn(pid_t& pid, std::vector<std::string> arguments,
                            std::vector<std::string> environment) const {
        return ::posix_spawn(&pid, arguments.front().c_str(), &actions_, &attributes_, as_vector(arguments).data(),
                             as_vector(environment).data());
    }

  private:
    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
};

/// The program while it runs. All on one strand.
class running {
  public:
    running(executor ex, line_handler take_line)
        : out_(ex), err_(ex), end_(ex), something_(ex), executor_(std::move(ex)), take_line_(std::move(take_line)) {}
    running(const running&) = delete;
    running& operator=(const running&) = delete;
    ~running() {
        // Only what SIGKILL could not end is still there: it is left to init.
        if (!reaped_ && pid_ > 0) ::waitid(P_PID, static_cast<id_t>(pid_), nullptr, WEXITED | WNOHANG);
    }

    [[nodiscard]] result<void> start(const command& what) {
        pipe_ends in, out, err;
        if (!in.open() || !out.open() || !err.open())
            return system_error(errno, "no descriptors to run", what.arguments.front());
        // Into the pipe before there is anybody to read it: it fits, and nobody can close it on us.
        const std::string_view input = what.input.reveal();
        if (input.size() > max_input)
            return fail(retry_class::config, phase::create, "more input than a command is given");
        if (::write(in.write, input.data(), input.size()) != static_cast<ssize_t>(input.size()))
            return system_error(errno, "cannot write to", what.arguments.front());
        std::vector<std::string> environment;
        for (const auto& [name, value] : what.environment) environment.push_back(fmt::format("{}={}", name, value));
        const spawn_wishes wishes(in.read, out.write, err.write);
        if (const int code = wishes.spawn(pid_, what.arguments, std::move(environment)); code != 0) {
            pid_ = -1;
            return system_error(code, "cannot run", what.arguments.front());
        }
        const int watch = ::pidfd_open(pid_, 0);
        if (watch < 0) {
            const int code = errno;
            kill();
            reap();
            return system_error(code, "cannot watch", what.arguments.front());
        }
        end_.assign(watch);
        out_.assign(pipe_ends::take(out.read));
        err_.assign(pipe_ends::take(err.read));
        return {};
    }

    /// Until it has ended and all it said is read.
    task<result<command_end>> finish(std::string program, deadline until) {
        spawn_on_strand(read_all(out_, take_line_ ? nullptr : &said_.out));
        spawn_on_strand(read_all(err_, &said_.err));
        spawn_on_strand(wait_for_end());
        bool killed = false;
        while (at_work_ > 0) {
            if (!killed && co_await must_end(program, until)) {
                kill();
                killed = true;
                // From here on the wait is for what is dying, and nobody can shorten it.
                co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
                until = deadline::in(patience_after_kill);
            }
            const bool told = until.when() == deadline::clock::time_point::max() ? (co_await something_.wait(), true)
                                                                                 : co_await wait_until(until);
            if (!told && killed) close();
        }
        if (failure_) co_return std::unexpected(std::move(*failure_));
        co_return std::move(said_);
    }

  private:
    task<bool> wait_until(deadline until) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until.when() - deadline::clock::now());
        co_return co_await something_.wait_for(std::max(left, std::chrono::milliseconds(0)));
    }

    task<bool> must_end(const std::string& program, deadline until) {
        if (failure_) co_return true;
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none)
            failure_ = fail(retry_class::cancelled, phase::create,
                            fmt::format("{} was stopped: cancelled", quote_server_text(program)))
                           .error();
        else if (until.passed())
            failure_ = fail(retry_class::transient, phase::create,
                            fmt::format("{} was stopped: it did not end in time", quote_server_text(program)),
                            "See what it waits for, or raise the driver's patience")
                           .error();
        co_return failure_.has_value();
    }

    void spawn_on_strand(task<> work) {
        ++at_work_;
        asio::co_spawn(executor_, std::move(work), [this](std::exception_ptr) {
            --at_work_;
            something_.notify();
        });
    }

    /// @param kept null: lines, for the handler
    task<> read_all(descriptor& from, std::string* kept) {
        std::array<char, 16384> buffer;
        std::string line;
        while (true) {
            const auto [ec, n] =
                co_await from.async_read_some(asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
            if (ec) break;
            const std::string_view text(buffer.data(), n);
            if (kept != nullptr)
                kept->append(text.substr(0, max_kept - std::min(max_kept, kept->size())));
            else if (!failure_)
                take_lines(line, text);
        }
        if (kept == nullptr && !line.empty() && !failure_) give_line(line);
    }

    void take_lines(std::string& line, std::string_view text) {
        while (!text.empty() && !failure_) {
            const std::size_t end = std::min(text.find('\n'), text.size());
            line += text.substr(0, end);
            if (line.size() > max_command_line) {
                failure_ = fail(retry_class::protocol, phase::list,
                                fmt::format("a command printed a line of more than {} octets", max_command_line))
                               .error();
                return something_.notify();
            }
            if (end == text.size()) return;
            give_line(line);
            line.clear();
            text.remove_prefix(end + 1);
        }
    }

    void give_line(std::string_view line) {
        if (line.ends_with('\r')) line.remove_suffix(1);
        auto ok = take_line_(line);
        if (ok) return;
        failure_ = std::move(ok.error());
        something_.notify();
    }

    task<> wait_for_end() {
        const auto [ec] = co_await end_.async_wait(descriptor::wait_read, asio::as_tuple(asio::use_awaitable));
        if (!ec) reap();
    }

    /// Its number is ours until it is reaped, and so is its group's.
    void kill() noexcept {
        if (!reaped_) ::kill(-pid_, SIGKILL);
    }

    void reap() noexcept {
        siginfo_t how{};
        while (::waitid(P_PID, static_cast<id_t>(pid_), &how, WEXITED) != 0 && errno == EINTR) {
        }
        reaped_ = true;
        said_.exit_code = how.si_code == CLD_EXITED ? how.si_status : 128 + how.si_status;
    }

    void close() noexcept {
        boost::system::error_code ignored;
        for (descriptor* d : {&out_, &err_, &end_}) d->close(ignored);
    }

    descriptor out_, err_, end_;
    net::event something_;
    executor executor_;
    line_handler take_line_;
    std::optional<error> failure_;
    command_end said_;
    pid_t pid_ = -1;
    int at_work_ = 0;
    bool reaped_ = false;
};

/// In a coroutine thread of its own: it outlives the cancellation that ends it, and its caller is not to notice how.
task<result<command_end>> carry_out(executor ex, command what, deadline until, line_handler take_line) {
    co_await asio::this_coro::throw_if_cancelled(false);
    running child(std::move(ex), std::move(take_line));
    if (auto ok = child.start(what); !ok) co_return std::unexpected(std::move(ok.error()));
    co_return co_await child.finish(what.arguments.front(), until);
}

} // namespace

task<result<command_end>> run_command(command what, deadline until, line_handler take_line) {
    const executor ex = co_await asio::this_coro::executor;
    if (what.arguments.empty() || !what.arguments.front().starts_with('/'))
        co_return fail(retry_class::config, phase::create, "a command must begin with the absolute path of a program");
    co_return co_await asio::co_spawn(ex, carry_out(ex, std::move(what), until, std::move(take_line)),
                                      asio::use_awaitable);
}

} // namespace postferry::directory
