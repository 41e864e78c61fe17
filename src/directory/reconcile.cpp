#include "directory/reconcile.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <queue>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace postferry::directory {

namespace {

constexpr std::size_t merge_buffer = 32U << 10U; // for each run that is being merged
// Every run costs a descriptor and a buffer while merging; when there are so many they become one.
constexpr std::size_t max_runs = 32;

std::unexpected<error> disk_error(std::string_view doing) {
    const std::string words = std::error_code(errno, std::generic_category()).message();
    return fail(retry_class::local, phase::list, fmt::format("cannot {} a temporary list: {}", doing, words),
                "Make room in the folder for temporary files (TMPDIR)");
}

/// A file without a name, written once and read once: entries as a length of two octets and the text.
class run_file {
  public:
    [[nodiscard]] static result<run_file> make(const std::filesystem::path& folder) {
        const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fd < 0) return disk_error("make");
        return run_file(fd);
    }
    run_file(run_file&& o) noexcept
        : fd_(std::exchange(o.fd_, -1)), buffer_(std::move(o.buffer_)), at_(o.at_), current_(std::move(o.current_)) {}
    run_file& operator=(run_file&& o) noexcept {
        std::swap(fd_, o.fd_);
        buffer_ = std::move(o.buffer_);
        at_ = o.at_;
        current_ = std::move(o.current_);
        return *this;
    }
    ~run_file() {
        if (fd_ >= 0) ::close(fd_);
    }

    [[nodiscard]] result<void> write(std::string_view entry) {
        buffer_ += static_cast<char>(entry.size() >> 8U);
        buffer_ += static_cast<char>(entry.size() & 0xFFU);
        buffer_ += entry;
        return buffer_.size() < merge_buffer ? result<void>() : flush();
    }

    [[nodiscard]] result<void> rewind() {
        if (auto ok = flush(); !ok) return ok;
        if (::lseek(fd_, 0, SEEK_SET) != 0) return disk_error("read");
        return advance();
    }

    /// To the next entry; current() is empty behind the last.
    [[nodiscard]] result<void> advance() {
        current_.clear();
        auto head = need(2);
        if (!head) return std::unexpected(std::move(head.error()));
        if (!*head) return {};
        const auto octet = [&](std::size_t i) {
            return static_cast<std::size_t>(static_cast<unsigned char>(buffer_[at_ + i]));
        };
        const std::size_t size = octet(0) << 8U | octet(1);
        auto whole = need(2 + size);
        if (!whole) return std::unexpected(std::move(whole.error()));
        if (!*whole) return fail(retry_class::local, phase::list, "a temporary list was cut off");
        current_ = buffer_.substr(at_ + 2, size);
        at_ += 2 + size;
        return {};
    }
    [[nodiscard]] const std::string& current() const noexcept { return current_; }

  private:
    explicit run_file(int fd) noexcept : fd_(fd) {}

    [[nodiscard]] result<void> flush() {
        std::string_view rest = buffer_;
        while (!rest.empty()) {
            const ssize_t n = ::write(fd_, rest.data(), rest.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return disk_error("write");
            rest.remove_prefix(static_cast<std::size_t>(n));
        }
        buffer_.clear();
        return {};
    }

    /// Whether so many octets can be had from at_ on.
    [[nodiscard]] result<bool> need(std::size_t octets) {
        if (buffer_.size() - at_ >= octets) return true;
        buffer_.erase(0, at_);
        at_ = 0;
        while (buffer_.size() < octets) {
            const std::size_t had = buffer_.size();
            buffer_.resize(std::max(octets, merge_buffer));
            const ssize_t n = ::read(fd_, buffer_.data() + had, buffer_.size() - had);
            buffer_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return disk_error("read");
            if (n == 0) return false;
        }
        return true;
    }

    int fd_;
    std::string buffer_;
    std::size_t at_ = 0;
    std::string current_;
};

/// Many runs read as one, ascending, repetitions included.
class merger {
  public:
    explicit merger(std::vector<run_file>& runs) : runs_(&runs) {
        for (std::size_t i = 0; i < runs.size(); ++i)
            if (!runs[i].current().empty()) heads_.push_back(i);
        std::ranges::make_heap(heads_, later());
    }
    /// Empty: the end.
    [[nodiscard]] std::string_view front() const noexcept {
        return heads_.empty() ? std::string_view() : (*runs_)[heads_.front()].current();
    }
    [[nodiscard]] result<void> pop() {
        std::ranges::pop_heap(heads_, later());
        run_file& run = (*runs_)[heads_.back()];
        if (auto ok = run.advance(); !ok) return ok;
        if (run.current().empty())
            heads_.pop_back();
        else
            std::ranges::push_heap(heads_, later());
        return {};
    }

  private:
    [[nodiscard]] std::function<bool(std::size_t, std::size_t)> later() const {
        return [this](std::size_t a, std::size_t b) { return (*runs_)[a].current() > (*runs_)[b].current(); };
    }
    std::vector<run_file>* runs_;
    std::vector<std::size_t> heads_; ///< a heap of the runs that still have something
};

} // namespace

class sorted_list::state {
  public:
    state(std::size_t memory, std::filesystem::path folder) : memory_(memory), folder_(std::move(folder)) {}

    result<void> add(std::string_view address) {
        held_.push_back(ascii_lower(address));
        held_octets_ += sizeof(std::string) + address.size();
        ++added_;
        return held_octets_ < memory_ ? result<void>() : spill();
    }

    result<std::string_view> next() {
        if (!begun_) {
            if (auto ok = begin(); !ok) return std::unexpected(std::move(ok.error()));
        }
        while (true) {
            const std::string_view head = front();
            if (head.empty()) return head;
            const bool again = head == last_;
            if (!again) last_ = head;
            if (merged_) {
                if (auto ok = merged_->pop(); !ok) return std::unexpected(std::move(ok.error()));
            } else {
                ++held_at_;
            }
            if (!again) return last_;
        }
    }

    [[nodiscard]] std::uint64_t added() const noexcept { return added_; }
    [[nodiscard]] bool begun() const noexcept { return begun_; }

  private:
    [[nodiscard]] std::string_view front() const noexcept {
        if (merged_) return merged_->front();
        return held_at_ < held_.size() ? std::string_view(held_[held_at_]) : std::string_view();
    }

    result<void> spill() {
        std::ranges::sort(held_);
        auto run = run_file::make(folder_);
        if (!run) return std::unexpected(std::move(run.error()));
        for (const std::string& one : held_)
            if (auto ok = run->write(one); !ok) return ok;
        if (auto ok = run->rewind(); !ok) return ok;
        held_.clear();
        held_octets_ = 0;
        runs_.push_back(std::move(*run));
        return runs_.size() < max_runs ? result<void>() : unite();
    }

    result<void> unite() {
        auto one = run_file::make(folder_);
        if (!one) return std::unexpected(std::move(one.error()));
        merger all(runs_);
        while (!all.front().empty()) {
            if (auto ok = one->write(all.front()); !ok) return ok;
            if (auto ok = all.pop(); !ok) return ok;
        }
        if (auto ok = one->rewind(); !ok) return ok;
        runs_.clear();
        runs_.push_back(std::move(*one));
        return {};
    }

    result<void> begin() {
        begun_ = true;
        std::ranges::sort(held_);
        if (runs_.empty()) return {};
        if (auto ok = spill(); !ok) return ok;
        merged_.emplace(runs_);
        return {};
    }

    std::size_t memory_, held_octets_ = 0, held_at_ = 0;
    std::filesystem::path folder_;
    std::vector<std::string> held_;
    std::vector<run_file> runs_;
    std::optional<merger> merged_;
    std::string last_;
    std::uint64_t added_ = 0;
    bool begun_ = false;
};

sorted_list::sorted_list(std::size_t memory, std::filesystem::path folder)
    : state_(std::make_unique<state>(memory, std::move(folder))) {}
sorted_list::sorted_list(sorted_list&&) noexcept = default;
sorted_list& sorted_list::operator=(sorted_list&&) noexcept = default;
sorted_list::~sorted_list() = default;

result<void> sorted_list::add(std::string_view address) {
    if (address.empty() || address.size() > max_entry)
        return fail(retry_class::config, phase::list,
                    fmt::format("an address of {} octets is in the list", address.size()));
    if (state_->begun() || added() >= max_entries)
        return fail(retry_class::config, phase::list, "the list takes no more addresses");
    return state_->add(address);
}

std::uint64_t sorted_list::added() const noexcept { return state_->added(); }

result<std::string_view> sorted_list::next() { return state_->next(); }

result<reconcile_counts> reconcile(sorted_list& left, sorted_list& right,
                                   const std::function<result<void>(std::string_view, presence)>& take) {
    reconcile_counts counts;
    auto l = left.next();
    auto r = right.next();
    while (true) {
        if (!l) return std::unexpected(std::move(l.error()));
        if (!r) return std::unexpected(std::move(r.error()));
        if (l->empty() && r->empty()) return counts;
        const bool from_left = !l->empty() && (r->empty() || *l <= *r);
        const bool from_right = !r->empty() && (l->empty() || *r <= *l);
        const auto where = !from_right ? presence::only_left : !from_left ? presence::only_right : presence::both;
        ++(where == presence::both ? counts.both : where == presence::only_left ? counts.only_left : counts.only_right);
        if (auto ok = take(from_left ? *l : *r, where); !ok) return std::unexpected(std::move(ok.error()));
        if (from_left) l = left.next();
        if (from_right) r = right.next();
    }
}

task<result<void>> add_accounts(sorted_list& list, provisioner& from, domain_name domain) {
    co_return co_await from.list_accounts(std::move(domain), [&list](std::span<account_entry> page) -> result<void> {
        for (const account_entry& entry : page)
            if (auto ok = list.add(entry.address); !ok) return ok;
        return {};
    });
}

} // namespace postferry::directory
