#include "store/job_queue.hpp"

#include <algorithm>
#include <utility>

namespace postferry::store {

void job_queue::push(std::unique_ptr<database_job> job) {
    {
        const std::lock_guard lock(mutex_);
        if (!stopped_ && waiting_.size() < max_length) waiting_.push_back(std::move(job));
    }
    if (!job) {
        wake_.notify_one();
        return;
    }
    job->fail(fail(retry_class::local, phase::ledger, full_).error());
    job->complete();
}

job_group job_queue::next(std::size_t most) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopped_ || !waiting_.empty(); });
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
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
    }
    wake_.notify_all();
}

void job_queue::hurry() {
    {
        const std::lock_guard lock(mutex_);
        hurried_ = true;
    }
    wake_.notify_all();
}

bool job_queue::pause(std::chrono::milliseconds how_long, bool server_gone) {
    std::unique_lock lock(mutex_);
    return !wake_.wait_for(lock, how_long, [&] { return stopped_ || (server_gone && hurried_); });
}

} // namespace postferry::store
