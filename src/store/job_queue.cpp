#include "store/job_queue.hpp"

#include <algorithm>
#include <utility>

namespace postferry::store {

std::shared_ptr<job_queue::sleeper> job_queue::call_one() {
    if (idle_.empty()) return nullptr; // who is at work looks again before it waits
    std::shared_ptr<sleeper> one = std::move(idle_.back());
    idle_.pop_back();
    one->called = true;
    return one;
}

void job_queue::push(std::unique_ptr<database_job> job) {
    std::shared_ptr<sleeper> called;
    {
        const std::lock_guard lock(mutex_);
        if (!stopped_ && waiting_.size() < max_length) {
            waiting_.push_back(std::move(job));
            called = call_one();
        }
    }
    if (called) called->wake.notify_one();
    if (!job) return;
    job->fail(fail(retry_class::local, phase::ledger, full_).error());
    job->complete();
}

job_group job_queue::next(std::size_t most) {
    std::unique_lock lock(mutex_);
    while (waiting_.empty() && !stopped_) {
        const auto me = std::make_shared<sleeper>();
        idle_.push_back(me);
        me->wake.wait(lock, [&] { return me->called; });
    }
    const auto alone = [](const auto& job) { return job->what() == database_job::kind::alone; };
    auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(std::min(waiting_.size(), most));
    if (!waiting_.empty() && alone(waiting_.front()))
        end = waiting_.begin() + 1;
    else
        end = std::find_if(waiting_.begin(), end, alone);
    job_group jobs(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(end));
    waiting_.erase(waiting_.begin(), end);
    return jobs;
}

void job_queue::stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    while (const auto called = call_one()) called->wake.notify_one();
    over_.notify_all();
}

void job_queue::hurry() {
    const std::lock_guard lock(mutex_);
    hurried_ = true;
    over_.notify_all();
}

bool job_queue::pause(std::chrono::milliseconds how_long, bool server_gone) {
    std::unique_lock lock(mutex_);
    return !over_.wait_for(lock, how_long, [&] { return stopped_ || (server_gone && hurried_); });
}

} // namespace postferry::store
