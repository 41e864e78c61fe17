#include "store/job_queue.hpp"

#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace postferry::store {
namespace {

using namespace std::chrono_literals;

class silent_job final : public database_job {
  public:
    silent_job() : database_job(kind::read) {}
    bool run(tables&) override { return true; }
    void fail(const error&) override {}
    void complete() override {}
};

TEST(job_queue, who_pauses_is_not_woken_in_place_of_who_waits_for_a_job) {
    job_queue queue("full");
    std::atomic<int> taken = 0;
    bool paused_to_the_end = true;
    std::thread pausing([&] { paused_to_the_end = queue.pause(10min, false); });
    std::thread reading([&] {
        for (auto jobs = queue.next(1); !jobs.empty(); jobs = queue.next(1)) {
            taken += static_cast<int>(jobs.size());
            taken.notify_all();
        }
    });
    for (int i = 0; i < 200; ++i) {
        queue.push(std::make_unique<silent_job>());
        // Once the two wait side by side, the job that reaches the wrong one stays there: the test's own time ends it.
        taken.wait(i);
    }
    queue.stop();
    reading.join();
    pausing.join();
    EXPECT_EQ(taken, 200);
    EXPECT_FALSE(paused_to_the_end);
}

TEST(job_queue, each_of_many_is_taken_once_by_several_readers) {
    job_queue queue("full");
    std::atomic<int> taken = 0;
    std::vector<std::jthread> readers;
    for (int i = 0; i < 3; ++i)
        readers.emplace_back([&] {
            for (auto jobs = queue.next(1); !jobs.empty(); jobs = queue.next(1)) taken += static_cast<int>(jobs.size());
        });
    {
        std::vector<std::jthread> callers;
        for (int i = 0; i < 3; ++i)
            callers.emplace_back([&] {
                for (int n = 0; n < 1000; ++n) queue.push(std::make_unique<silent_job>());
            });
    }
    queue.stop();
    readers.clear();
    EXPECT_EQ(taken, 3000);
}

TEST(job_queue, a_server_that_is_gone_is_not_waited_for_by_who_hurries) {
    job_queue queue("full");
    auto pausing = std::async(std::launch::async, [&] { return queue.pause(10min, true); });
    queue.hurry();
    EXPECT_FALSE(pausing.get());
    EXPECT_TRUE(queue.pause(0ms, false)) << "a lock that is held is still waited for";
}

} // namespace
} // namespace postferry::store
