#include "flow.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>

namespace postferry::lab {
namespace {

// Small arrivals of one moment share a buffer up to this size.
constexpr std::size_t shared_chunk = 64 * 1024;

} // namespace

void flow::push(std::span<const char> octets, moment due) {
    if (octets.empty() || finished_) return;
    queued_ += octets.size();
    if (!queue_.empty() && queue_.back().due == due && queue_.back().octets.size() + octets.size() <= shared_chunk) {
        auto& last = queue_.back().octets;
        last.insert(last.end(), octets.begin(), octets.end());
        return;
    }
    queue_.push_back({due, {octets.begin(), octets.end()}, 0});
}

void flow::push_end(moment due) {
    if (ended_) return;
    ended_ = true;
    if (!finished_) queue_.push_back({due, {}, 0});
}

void flow::give_up() {
    queue_.clear();
    queued_ = 0;
    blocked_ = false;
    finished_ = true;
}

moment flow::next() const {
    if (queue_.empty() || blocked_) return moment::max();
    return std::max(queue_.front().due, not_before_);
}

flow::outcome flow::write_some(int to, std::span<const char> octets, moment now, std::size_t& written) {
    written = 0;
    while (written < octets.size() && passed_ < limit_ && not_before_ <= now) {
        auto size = std::min<std::uint64_t>(octets.size() - written, limit_ - passed_);
        if (split_ != 0) size = std::min<std::uint64_t>(size, split_);
        const auto done = ::send(to, octets.data() + written, size, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0 && errno == EAGAIN) {
            blocked_ = true;
            break;
        }
        if (done < 0) return outcome::broken;
        written += static_cast<std::size_t>(done);
        passed_ += static_cast<std::uint64_t>(done);
        if (split_ != 0) not_before_ = now + gap_;
    }
    return passed_ >= limit_ ? outcome::at_limit : outcome::going;
}

flow::outcome flow::forward(int to, std::span<const char> octets, moment due, moment now) {
    std::size_t written = 0;
    auto result = outcome::going;
    if (due <= now && queue_.empty() && !blocked_ && !finished_) result = write_some(to, octets, now, written);
    push(octets.subspan(written), due);
    return result;
}

flow::outcome flow::pump(int to, moment now) {
    if (passed_ >= limit_) return outcome::at_limit;
    while (next() <= now) {
        auto& front = queue_.front();
        if (front.octets.empty()) {
            ::shutdown(to, SHUT_WR);
            queue_.pop_front();
            finished_ = true;
            return outcome::going;
        }
        std::size_t written = 0;
        const auto result = write_some(to, std::span{front.octets}.subspan(front.sent), now, written);
        front.sent += written;
        queued_ -= written;
        if (front.sent == front.octets.size()) queue_.pop_front();
        if (result != outcome::going) return result;
    }
    return outcome::going;
}

} // namespace postferry::lab
