#include "mailbox/file_pool.hpp"

#include <mutex>

namespace postferry::mailbox {

namespace {

constexpr std::size_t threads = 16;

} // namespace

std::shared_ptr<file_pool> file_pool::shared() {
    static std::mutex mutex;
    static std::weak_ptr<file_pool> known;
    const std::lock_guard lock(mutex);
    std::shared_ptr<file_pool> pool = known.lock();
    if (!pool) known = pool = std::make_shared<file_pool>(threads);
    return pool;
}

} // namespace postferry::mailbox
