#include "app/runner.hpp"

#include "app/check.hpp"
#include "app/log.hpp"
#include "app/pass_assembly.hpp"
#include "app/report_list.hpp"
#include "transfer/pass.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <fmt/format.h>

#include <csignal>
#include <map>
#include <mutex>
#include <signal.h>
#include <thread>

namespace postferry::app {

namespace {

using transfer::mailbox_pass;

/// Progress of one mailbox on its way to the console: not every message is worth a lock.
class throttle {
  public:
    bool lets_through(const transfer::progress& p) {
        const auto now = std::chrono::steady_clock::now();
        if (p.state == last_state_ && now - last_ < std::chrono::milliseconds(100)) return false;
        last_state_ = p.state;
        last_ = now;
        return true;
    }

  private:
    transfer::mailbox_state last_state_ = transfer::mailbox_state::queued;
    std::chrono::steady_clock::time_point last_{};
};

// Mailboxes that are begun: those at work, and some that wait for a server without keeping the others from working.
std::size_t begun_at_a_time(std::size_t jobs, std::size_t accounts) { return std::min(accounts, jobs * 4 + 16); }

class run {
  public:
    run(boost::asio::io_context& io, const run_options& options, const std::vector<account>& accounts,
        store::ledger_books* books, token_desk& tokens, console& out)
        : io_(io), options_(options), accounts_(accounts), books_(books), out_(out),
          jobs_(std::clamp<std::size_t>(accounts.size(), 1, options.jobs)),
          leaving_([this] { one_more(); }, [this](std::exception_ptr thrown) { one_less(thrown); }),
          guests_(guests::make(options.guest, jobs_, books)),
          desk_{.share = shares_for(static_cast<std::uint32_t>(jobs_), options.timeout),
                .at = guests_,
                .tokens = tokens,
                .leaving = leaving_},
          control_(boost::asio::make_strand(io_)), signals_(control_, SIGINT, SIGTERM), clock_(control_) {}

    int go() {
        watch_terminal();
        watch_signals();
        next_tick();
        boost::asio::co_spawn(control_, begin(), [this](std::exception_ptr thrown) {
            const std::lock_guard lock(mutex_);
            if (!thrown) return;
            crashed_ = thrown;
            boost::asio::post(control_, [this] { end(); });
        });
        const std::size_t threads = std::min<std::size_t>(jobs_, std::max(1U, std::thread::hardware_concurrency()));
        std::vector<std::jthread> others;
        for (std::size_t i = 1; i < threads; ++i) others.emplace_back([this] { io_.run(); });
        io_.run();
        others.clear();
        if (crashed_) std::rethrow_exception(crashed_);
        const int code = out_.finish();
        if (broken_off_) leave(code);
        if (stopping_) close_ears();
        return code;
    }

  private:
    task<> begin() {
        // Without its past a budget would only be too generous.
        if (auto ok = co_await guests_->load(); !ok) log::warning({}, "{}", ok.error().message());
        running_ = begun_at_a_time(jobs_, accounts_.size());
        for (std::size_t i = running_; i > 0; --i) spawn_worker();
        if (accounts_.empty()) end();
    }

    void end() {
        signals_.cancel();
        ended_ = true;
        clock_.cancel();
    }

    void spawn_worker() {
        const executor strand = boost::asio::make_strand(io_);
        boost::asio::co_spawn(strand, work(strand), [this](std::exception_ptr thrown) { one_less(thrown); });
    }

    void one_less(std::exception_ptr thrown) {
        const std::lock_guard lock(mutex_);
        if (thrown && !crashed_) crashed_ = thrown;
        if (--running_ > 0) return;
        boost::asio::post(control_, [this] { end(); });
    }

    // The run ends when those who say goodbye are gone too.
    void one_more() {
        const std::lock_guard lock(mutex_);
        ++running_;
    }

    // A check has changed nothing, so there is nothing to let go of in order; and a server that it waits for may be
    // silent for long.
    void break_off() {
        broken_off_ = true;
        io_.stop();
    }

    [[noreturn]] static void leave(int code) {
        log::stop();
        std::_Exit(code);
    }

    // What is still to be written after the end must not fall to a terminal that says goodbye twice.
    void close_ears() {
        boost::system::error_code ignored;
        signals_.clear(ignored);
        std::signal(SIGHUP, SIG_IGN);
    }

    // A terminal that was closed. nohup, and whoever else had it ignored, is obeyed.
    void watch_terminal() {
        struct sigaction now{};
        if (::sigaction(SIGHUP, nullptr, &now) == 0 && now.sa_handler != SIG_IGN) signals_.add(SIGHUP);
    }

    std::optional<std::size_t> take_next() {
        const std::lock_guard lock(mutex_);
        if (stopping_ || next_ >= accounts_.size()) return std::nullopt;
        return next_++;
    }

    task<> work(executor strand) {
        while (const auto i = take_next()) co_await one(*i, strand);
    }

    task<> one(std::size_t i, executor strand) {
        const pass_ends ends{.from = accounts_[i].source(),
                             .to = accounts_[i].target(),
                             .source_token = accounts_[i].source_token(),
                             .target_token = accounts_[i].target_token()};
        const std::string name = ends.from.display(), target = ends.to.display();
        const std::uint64_t number = i + 1;
        const auto made = pass_assembly::make(desk_, ends, books_->names(name, target));
        const visit& stay = made->stay();
        if (options_.what == command::check) {
            const auto room = co_await made->stay().admit();
            out_.begun(number, name);
            if (!stopping_) out_.checked(number, co_await check_mailbox(ends.from, ends.to, options_, made->with()));
            co_return;
        }
        const auto limiter = std::make_shared<throttle>();
        transfer::pass_environment env = made->environment(strand);
        env.books = books_;
        env.on_progress = [this, limiter, number, name](const transfer::progress& p) {
            if (limiter->lets_through(p)) out_.progress(number, name, p);
        };
        env.on_failure = [this, number, name](const transfer::failure& f) { out_.failure(number, name, f); };
        env.on_note = [name](std::string_view text) { log::info(name, "{}", text); };
        const auto pass = std::make_shared<mailbox_pass>(
            transfer::pass_names{.source = name, .target = target},
            pass_options_of(options_, ends.from, ends.to, desk_.share, jobs_), std::move(env));
        enlist(number, strand, pass);
        if (options_.what == command::plan || options_.dry_run) {
            const auto began = std::chrono::steady_clock::now();
            out_.begun(number, name);
            auto plan = co_await pass->plan();
            if (never_begun(stay)) co_return dismiss(number);
            plan_entry entry;
            if (plan) entry.plan = std::move(*plan);
            entry.plan.source = name;
            entry.plan.target = target;
            if (!plan) entry.failed = plan.error();
            entry.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
            out_.planned(number, std::move(entry));
        } else if (options_.pass == transfer::pass_kind::verify) {
            const transfer::mailbox_report report = co_await pass->verify();
            if (never_begun(stay)) co_return dismiss(number);
            out_.ended(number, report);
        } else {
            const transfer::mailbox_report report = co_await pass->run();
            if (never_begun(stay)) co_return dismiss(number);
            co_await keep(report);
            out_.ended(number, report);
        }
        dismiss(number);
        if (auto ok = co_await guests_->save(); !ok) log::warning(name, "{}", ok.error().message());
    }

    // A ledger that cannot keep the report has kept the rest, or the pass would have failed.
    task<> keep(const transfer::mailbox_report& report) {
        if (never_started(report)) co_return;
        auto kept = co_await books_->keep_report(kept_report_of(report, rfc3339(std::chrono::system_clock::now())));
        if (!kept) log::warning(report.source, "{}", kept.error().message());
    }

    // It waited for its turn when the run was stopped: there is nothing to tell of it.
    bool never_begun(const visit& stay) const { return stopping_ && !stay.was_admitted(); }

    void enlist(std::uint64_t number, executor strand, std::shared_ptr<mailbox_pass> pass) {
        const std::lock_guard lock(mutex_);
        if (stopping_) pass->stop();
        passes_.emplace(number, std::pair(strand, std::move(pass)));
    }

    void dismiss(std::uint64_t number) {
        const std::lock_guard lock(mutex_);
        passes_.erase(number);
    }

    bool changes_nothing() const {
        return options_.what == command::plan || options_.dry_run || options_.pass == transfer::pass_kind::verify;
    }

    void watch_signals() {
        signals_.async_wait([this](boost::system::error_code ec, int number) {
            if (ec) return;
            const std::lock_guard lock(mutex_);
            // The second one: the ledger is safe at any moment, so there is nothing to wait for. A closed terminal may
            // say so twice, by its shell and by itself.
            if (stopping_ && number != SIGHUP) std::_Exit(128 + number);
            log::info({}, "told to stop by signal {}", number);
            if (stopping_.exchange(true)) return watch_signals();
            out_.signalled(number == SIGHUP ? SIGTERM : number);
            if (options_.what == command::check) return break_off();
            out_.say(changes_nothing()
                         ? "stopping; press Ctrl-C again to stop at once"
                         : "stopping: what is under way is finished and recorded; press Ctrl-C again to stop at once");
            for (auto& [key, entry] : passes_) {
                auto& [strand, pass] = entry;
                boost::asio::post(strand, [p = pass] { p->stop(); });
            }
            leaving_.hurry();
            watch_signals();
        });
    }

    // Every few seconds: a run that is killed must not forget much of what budgets count.
    task<> save() {
        if (auto ok = co_await guests_->save(); !ok) log::warning({}, "{}", ok.error().message());
    }

    void next_tick() {
        clock_.expires_after(std::chrono::milliseconds(200));
        clock_.async_wait([this](boost::system::error_code) {
            if (ended_) return;
            out_.tick();
            if (++ticks_ % ticks_to_save == 0) boost::asio::co_spawn(control_, save(), boost::asio::detached);
            next_tick();
        });
    }

    boost::asio::io_context& io_;
    const run_options& options_;
    const std::vector<account>& accounts_;
    store::ledger_books* books_;
    console& out_;
    std::size_t jobs_;
    farewells leaving_;
    std::shared_ptr<guests> guests_;
    pass_desk desk_;
    boost::asio::strand<boost::asio::io_context::executor_type> control_; ///< of the signals and the clock
    boost::asio::signal_set signals_;
    boost::asio::steady_timer clock_;
    std::mutex mutex_;
    std::size_t next_ = 0, running_ = 0;
    static constexpr std::uint64_t ticks_to_save = 25;
    std::uint64_t ticks_ = 0;
    std::atomic<bool> stopping_ = false, ended_ = false, broken_off_ = false;
    std::map<std::uint64_t, std::pair<executor, std::shared_ptr<mailbox_pass>>> passes_;
    std::exception_ptr crashed_;
};

} // namespace

int run_accounts(boost::asio::io_context& io, const run_options& options, const std::vector<account>& accounts,
                 store::ledger_books* books, token_desk& tokens, console& out) {
    run r(io, options, accounts, books, tokens, out);
    return r.go();
}

} // namespace postferry::app
