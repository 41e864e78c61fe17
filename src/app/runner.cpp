#include "app/runner.hpp"

#include "app/check.hpp"
#include "app/connect.hpp"
#include "app/guests.hpp"
#include "app/log.hpp"
#include "app/report_list.hpp"
#include "app/tokens.hpp"
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

// Connections of one mailbox to each of its servers, from what a server may be asked for in all (two, or what
// max-connections= says) and how many mailboxes share that.
std::size_t connections_of(const mailbox::endpoint& from, const mailbox::endpoint& to, std::size_t jobs) {
    constexpr std::uint32_t usual = 2;
    const std::size_t all = std::min(from.max_connections.value_or(usual), to.max_connections.value_or(usual));
    return std::max<std::size_t>(all / jobs, 1);
}

class run {
  public:
    run(boost::asio::io_context& io, const run_options& options, const std::vector<account>& accounts,
        store::ledger_books* books, token_desk& tokens, console& out)
        : io_(io), options_(options), accounts_(accounts), books_(books), out_(out),
          jobs_(std::clamp<std::size_t>(accounts.size(), 1, options.jobs)),
          share_(shares_for(static_cast<std::uint32_t>(jobs_), options.timeout)),
          guests_(guests::make(options.guest, jobs_, books)), tokens_(tokens), control_(boost::asio::make_strand(io_)),
          signals_(control_, SIGINT, SIGTERM), clock_(control_) {}

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

    // The next mailbox begins while a server says goodbye to this one; the place at the server is free again when the
    // connection is gone. The run ends when all are gone.
    // @param kept what the end refers to
    void see_off(executor strand, std::unique_ptr<mailbox::source> end, std::shared_ptr<void> kept) {
        const std::shared_ptr<mailbox::source> leaving = std::move(end);
        {
            const std::lock_guard lock(mutex_);
            ++running_;
            std::erase_if(leaving_, [](const auto& l) { return l.second.expired(); });
            leaving_.emplace_back(strand, leaving);
            if (stopping_) leaving->close();
        }
        boost::asio::co_spawn(strand, farewell(leaving, std::move(kept)),
                              [this](std::exception_ptr thrown) { one_less(thrown); });
    }

    static task<> farewell(std::shared_ptr<mailbox::source> end, std::shared_ptr<void> kept) {
        co_await end->leave();
        end.reset(); // before what it refers to
        kept.reset();
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
        const mailbox::endpoint from = accounts_[i].source(), to = accounts_[i].target();
        const std::string name = from.display();
        const std::uint64_t number = i + 1;
        const std::shared_ptr<mailbox::name_book> names = books_->names(name, to.display());
        const std::shared_ptr<visit> stay = guests_->receive(from, to);
        const std::array tokens{tokens_.tokens_of(from, side::source, accounts_[i].source_token()),
                                tokens_.tokens_of(to, side::target, accounts_[i].target_token())};
        const services with{
            .share = share_, .names = names.get(), .stay = stay.get(), .tokens = {tokens[0].get(), tokens[1].get()}};
        if (options_.what == command::check) {
            const auto room = co_await stay->admit();
            out_.begun(number, name);
            if (!stopping_) out_.checked(number, co_await check_mailbox(from, to, options_, with));
            co_return;
        }
        const auto limiter = std::make_shared<throttle>();
        transfer::pass_environment env;
        env.open_source = [from, with, names, stay, tokens] { return open_source(from, with); };
        env.open_target = [to, with, names, stay, tokens] { return open_target(to, with); };
        env.admit = [stay] { return stay->admit(); };
        env.see_off = [this, strand, names](std::unique_ptr<mailbox::source> end) {
            see_off(strand, std::move(end), names);
        };
        env.on_throttled = [stay](bool target, const error& why) { stay->throttled(target, why); };
        env.books = books_;
        env.on_progress = [this, limiter, number, name](const transfer::progress& p) {
            if (limiter->lets_through(p)) out_.progress(number, name, p);
        };
        env.on_failure = [this, number, name](const transfer::failure& f) { out_.failure(number, name, f); };
        env.on_note = [name](std::string_view text) { log::info(name, "{}", text); };
        const auto pass = std::make_shared<mailbox_pass>(transfer::pass_names{.source = name, .target = to.display()},
                                                         pass_options(from, to), std::move(env));
        enlist(number, strand, pass);
        if (options_.what == command::plan || options_.dry_run) {
            const auto began = std::chrono::steady_clock::now();
            out_.begun(number, name);
            auto plan = co_await pass->plan();
            if (never_begun(*stay)) co_return dismiss(number);
            plan_entry entry;
            if (plan) entry.plan = std::move(*plan);
            entry.plan.source = name;
            entry.plan.target = to.display();
            if (!plan) entry.failed = plan.error();
            entry.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
            out_.planned(number, std::move(entry));
        } else if (options_.pass == transfer::pass_kind::verify) {
            const transfer::mailbox_report report = co_await pass->verify();
            if (never_begun(*stay)) co_return dismiss(number);
            out_.ended(number, report);
        } else {
            const transfer::mailbox_report report = co_await pass->run();
            if (never_begun(*stay)) co_return dismiss(number);
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

    transfer::pass_options pass_options(const mailbox::endpoint& from, const mailbox::endpoint& to) const {
        transfer::pass_options o;
        o.connections = connections_of(from, to, jobs_);
        o.kind = options_.pass;
        o.rules = options_.rules;
        o.copy_rights = options_.acl;
        o.delete_extra = options_.delete_extra;
        o.sample = options_.sample;
        if (options_.waived) o.waived = options_.waived->of(from.display());
        o.max_octets = options_.max_size;
        if (options_.since)
            o.since_unix = std::chrono::duration_cast<std::chrono::seconds>(options_.since->time_since_epoch()).count();
        o.limits = share_.pipeline;
        o.no_wait = options_.no_wait;
        o.repairs = options_.repairs;
        return o;
    }

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
            for (auto& [strand, end] : leaving_)
                boost::asio::post(strand, [end] {
                    if (const auto still = end.lock()) still->close();
                });
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
    shares share_;
    std::shared_ptr<guests> guests_;
    token_desk& tokens_;
    boost::asio::strand<boost::asio::io_context::executor_type> control_; ///< of the signals and the clock
    boost::asio::signal_set signals_;
    boost::asio::steady_timer clock_;
    std::mutex mutex_;
    std::size_t next_ = 0, running_ = 0;
    static constexpr std::uint64_t ticks_to_save = 25;
    std::uint64_t ticks_ = 0;
    std::atomic<bool> stopping_ = false, ended_ = false, broken_off_ = false;
    std::map<std::uint64_t, std::pair<executor, std::shared_ptr<mailbox_pass>>> passes_;
    std::vector<std::pair<executor, std::weak_ptr<mailbox::source>>> leaving_;
    std::exception_ptr crashed_;
};

} // namespace

int run_accounts(boost::asio::io_context& io, const run_options& options, const std::vector<account>& accounts,
                 store::ledger_books* books, token_desk& tokens, console& out) {
    run r(io, options, accounts, books, tokens, out);
    return r.go();
}

} // namespace postferry::app
