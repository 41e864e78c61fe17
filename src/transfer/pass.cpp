#include "transfer/pass.hpp"

#include "net/join.hpp"
#include "transfer/detail/pass_stream.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace postferry::transfer {

namespace {

constexpr std::chrono::milliseconds longest_pause{60'000};
constexpr unsigned turns_of_suspects = 4;

task<result<void>> pause(std::chrono::milliseconds time) {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, time);
    co_await timer.async_wait(boost::asio::use_awaitable);
    co_return result<void>{};
}

// Once both ends have answered, a refused port is a server that restarts, not a wrong setting.
bool worth_another(const error& why, bool ever_connected) {
    switch (why.cls) {
    case retry_class::transient:
    case retry_class::throttled: return true;
    // Who never spoke IMAP to us will not do so in a second.
    case retry_class::protocol: return ever_connected;
    case retry_class::config: return ever_connected && (why.where == phase::connect || why.where == phase::resolve);
    case retry_class::auth:
    case retry_class::permanent:
    case retry_class::local:
    case retry_class::cancelled: return false;
    }
    return false;
}

} // namespace

mailbox_pass::state::state(pass_names names, pass_options options, pass_environment environment)
    : names_(std::move(names)), options_(std::move(options)), env_(std::move(environment)) {}

mailbox_pass::state::~state() = default;

mailbox_pass::mailbox_pass(pass_names names, pass_options options, pass_environment environment)
    : state_(std::make_unique<state>(std::move(names), std::move(options), std::move(environment))) {}

mailbox_pass::~mailbox_pass() = default;

task<mailbox_report> mailbox_pass::run() { return state_->run(); }

task<result<mailbox_plan>> mailbox_pass::plan() { return state_->plan(); }

task<mailbox_report> mailbox_pass::verify() { return state_->verify(); }

void mailbox_pass::stop() noexcept { state_->stop(); }

error mailbox_pass::state::stopped() const {
    return {.cls = retry_class::cancelled,
            .where = phase::usage,
            .what = "Stopped on request",
            .server_said = {},
            .advice = "What was copied is recorded; run the same command again to go on",
            .response_code = {}};
}

void mailbox_pass::state::stop() noexcept {
    stop_ = true;
    end_streams(stopped());
    // The source is let go at once; the target still answers for what it was given.
    if (source_) source_->close();
    if (target_ && changes_nothing_) target_->close();
    if (stoppable_ != nullptr) stoppable_->cancel();
}

// For what may take long and loses nothing when it is cancelled: connecting, looking around, and waiting before another
// attempt.
task<result<void>> mailbox_pass::state::unless_stopped(task<result<void>> work) {
    if (stop_) co_return std::unexpected(stopped());
    const executor ex = co_await boost::asio::this_coro::executor;
    boost::asio::steady_timer until_stop(ex, boost::asio::steady_timer::time_point::max());
    stoppable_ = &until_stop;
    auto race = boost::asio::experimental::make_parallel_group(
        boost::asio::co_spawn(ex, std::move(work), boost::asio::deferred),
        until_stop.async_wait(boost::asio::deferred));
    auto [order, thrown, value, ec] = co_await race.async_wait(boost::asio::experimental::wait_for_one(),
                                                               boost::asio::as_tuple(boost::asio::use_awaitable));
    stoppable_ = nullptr;
    if (order[0] != 0) co_return std::unexpected(stopped());
    if (thrown) std::rethrow_exception(thrown);
    co_return std::move(value);
}

task<result<void>> mailbox_pass::state::wait(std::chrono::milliseconds time) { return unless_stopped(pause(time)); }

task<mailbox_report> mailbox_pass::state::run() {
    const auto started = std::chrono::steady_clock::now();
    report_ = {};
    report_.source = names_.source;
    report_.target = names_.target;
    report_.pass = options_.kind;
    unsigned fruitless = 0;
    while (true) {
        const std::uint64_t before = progress_mark_;
        result<void> ok = stop_ ? result<void>(std::unexpected(stopped())) : co_await attempt();
        co_await let_go(ok.has_value());
        if (mailbox_open_ && !ok) {
            env_.books->close_mailbox(mailbox_);
            mailbox_open_ = false;
        }
        fill_report();
        if (ok) break;
        error why = stop_ ? stopped() : ok.error();
        const bool progress = progress_mark_ > before;
        if (why.cls == retry_class::throttled) {
            if (co_await wait_out(why, progress)) continue;
            report_.stopped_by = std::move(why);
            break;
        }
        fruitless = progress ? 1 : fruitless + 1;
        // Somebody waits for the first word; later, a server that restarts is worth some minutes.
        // Messages that kill lines take turns, and each is given several: that needs more patience than a dead server.
        const bool suspicion = std::exchange(suspicion_, false);
        const unsigned attempts = !ever_connected_                     ? std::min(options_.attempts, 3U)
                                  : suspicion && options_.attempts > 1 ? options_.attempts * turns_of_suspects
                                                                       : options_.attempts;
        const bool in_vain = !ever_connected_ && connecting_ >= options_.first_patience;
        if (!worth_another(why, ever_connected_) || fruitless >= attempts || in_vain) {
            report_.stopped_by = std::move(why);
            break;
        }
        // A line that brought something is simply made anew. Pauses grow only where the server is in trouble, not a
        // message.
        const bool at_once = progress && why.cls == retry_class::transient;
        const unsigned doublings = suspicion ? 0 : std::min(fruitless - 1, 6U);
        const auto doubled = at_once ? std::chrono::milliseconds(0) : options_.first_pause * (1U << doublings);
        const auto time = std::max(std::min<std::chrono::milliseconds>(doubled, longest_pause),
                                   std::chrono::milliseconds(why.backoff_ms));
        note(fmt::format("{}; trying again in {:.1f} s", why.message(), std::chrono::duration<double>(time).count()));
        progress_now(mailbox_state::connecting, {}, why.what);
        (void)co_await wait(time);
    }
    if (mailbox_open_) env_.books->close_mailbox(mailbox_);
    mailbox_open_ = false;
    report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    if (!report_.stopped_by)
        report_.state = report_.messages.residual() == 0 ? mailbox_state::synced : mailbox_state::failed;
    else
        report_.state = report_.stopped_by->cls == retry_class::cancelled   ? mailbox_state::interrupted
                        : report_.stopped_by->cls == retry_class::throttled ? mailbox_state::throttled
                                                                            : mailbox_state::failed;
    report_.warnings.insert(report_.warnings.end(), remarks_.begin(), remarks_.end());
    report_.mark = grade_of(report_);
    admission_.reset();
    progress_now(report_.state);
    co_return report_;
}

task<> mailbox_pass::state::let_go(bool for_good) {
    const auto listen = [this](mailbox::target& to) {
        for (std::string& remark : to.take_remarks()) remarks_.insert(std::move(remark));
    };
    if (target_) listen(*target_);
    for (const pair_of_ends& p : beside_) listen(*p.to);
    std::vector<task<>> leaving;
    const auto part_from = [&](auto& end) {
        if (!end) return;
        if (for_good && env_.see_off && end->leaves_by_itself())
            env_.see_off(std::move(end));
        else
            leaving.push_back(end->leave());
    };
    part_from(source_);
    part_from(target_);
    for (pair_of_ends& p : beside_) {
        part_from(p.from);
        part_from(p.to);
    }
    if (!leaving.empty()) co_await net::join_all(std::move(leaving));
    source_.reset();
    target_.reset();
    beside_.clear();
}

task<result<void>> mailbox_pass::state::attempt() {
    folders_.clear();
    leftovers_.clear();
    halt_.reset();
    replan_.reset();
    if (auto ok = co_await unless_stopped(enter()); !ok) co_return ok;
    progress_now(mailbox_state::connecting);
    if (auto ok = co_await connect(); !ok) co_return ok;
    if (auto ok = co_await unless_stopped(list(false)); !ok) co_return ok;
    if (auto ok = map(); !ok) co_return ok;
    if (auto ok = co_await read_ledger(); !ok) co_return ok;
    decide_moved();
    progress_now(mailbox_state::scanning);
    if (auto ok = co_await unless_stopped(scan_and_prepare()); !ok) co_return ok;
    if (auto ok = co_await apply_limits(); !ok) co_return ok;
    if (auto ok = co_await match_and_open(); !ok) co_return ok;
    if (auto ok = co_await copy(); !ok) co_return ok;
    if (!halt_)
        if (auto ok = co_await confirm_stored(); !ok) co_return ok;
    if (auto ok = co_await update_flags(); !ok) co_return ok;
    if (auto ok = co_await read_back_dates(); !ok) co_return ok;
    if (auto ok = co_await subscribe(); !ok) co_return ok;
    if (auto ok = co_await copy_rights(); !ok) co_return ok;
    if (auto ok = co_await name_failures(); !ok) co_return ok;
    if (auto ok = co_await close_folders(); !ok) co_return ok;
    if (!halt_)
        if (auto ok = co_await delete_extra(); !ok) co_return ok;
    if (halt_) co_return std::unexpected(*halt_);
    co_return result<void>{};
}

std::uint32_t mailbox_pass::state::flag_index(folder_work& f, const std::string& canonical) {
    const std::uint32_t index = f.flag_sets.place(canonical);
    f.flag_set_ids.resize(f.flag_sets.size());
    return index;
}

void mailbox_pass::state::progress_now(mailbox_state s, std::string_view folder, std::string text) {
    progress_.state = s;
    if (!folder.empty()) progress_.folder = folder;
    progress_.note = std::move(text);
    if (env_.on_progress) env_.on_progress(progress_);
}

} // namespace postferry::transfer
