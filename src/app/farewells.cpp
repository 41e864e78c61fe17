#include "app/farewells.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

namespace postferry::app {

namespace {

task<> farewell(std::shared_ptr<mailbox::source> end, std::shared_ptr<void> kept) {
    co_await end->leave();
    end.reset(); // before what it refers to
    kept.reset();
}

} // namespace

void farewells::see_off(const executor& strand, std::unique_ptr<mailbox::source> end, std::shared_ptr<void> kept) {
    const std::shared_ptr<mailbox::source> leaving = std::move(end);
    begun_();
    {
        const std::lock_guard lock(mutex_);
        std::erase_if(leaving_, [](const auto& l) { return l.second.expired(); });
        leaving_.emplace_back(strand, leaving);
        if (hurried_) leaving->close();
    }
    boost::asio::co_spawn(strand, farewell(leaving, std::move(kept)),
                          [ended = ended_](std::exception_ptr thrown) { ended(thrown); });
}

void farewells::hurry() {
    const std::lock_guard lock(mutex_);
    hurried_ = true;
    for (auto& [strand, end] : leaving_)
        boost::asio::post(strand, [end] {
            if (const auto still = end.lock()) still->close();
        });
}

} // namespace postferry::app
