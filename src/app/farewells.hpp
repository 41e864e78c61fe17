#pragma once
#include "mailbox/mailbox.hpp"
#include "net/awaitable.hpp"

#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace postferry::app {

/// Ends of mailboxes that say goodbye to their servers while the next mailbox has begun: the place at a server is free
/// again when the connection is gone. From any thread.
class farewells {
  public:
    /// @param begun, ended called for each, on any thread; `ended` with what was thrown, if anything
    farewells(std::function<void()> begun, std::function<void(std::exception_ptr)> ended)
        : begun_(std::move(begun)), ended_(std::move(ended)) {}

    /// @param strand the end's own  @param kept what the end refers to
    void see_off(const executor& strand, std::unique_ptr<mailbox::source> end, std::shared_ptr<void> kept);
    /// No more patience: closes those that are on their way, and those that come.
    void hurry();

  private:
    std::function<void()> begun_;
    std::function<void(std::exception_ptr)> ended_;
    std::mutex mutex_;
    bool hurried_ = false;
    std::vector<std::pair<executor, std::weak_ptr<mailbox::source>>> leaving_;
};

} // namespace postferry::app
