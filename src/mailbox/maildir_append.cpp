// Bringing messages: each is written to tmp/ and synced, several at once; then, under the lock of the UID list, a batch
// is renamed into cur/, the folder synced, the list written and synced. Only then it counts as stored.
#include "base/text.hpp"
#include "mailbox/maildir_delivery.hpp"
#include "mailbox/maildir_mailbox.hpp"
#include "net/event.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <deque>

namespace postferry::mailbox {

namespace {

/// So long the next message is waited for before what is there is stored.
constexpr std::chrono::milliseconds batch_patience{20};
constexpr std::uint64_t most_piece = 1U << 20U; ///< of a message that is too large to be held

bool concerns_one_message(const error& why) {
    return why.cls == retry_class::permanent || why.response_code == "OVERQUOTA";
}

} // namespace

class maildir_append {
  public:
    maildir_append(maildir_mailbox& box, append_feed& feed, executor ex)
        : box_(box), feed_(feed), executor_(ex), changed_(std::make_shared<net::event>(ex)) {}

    task<result<void>> run() {
        using namespace boost::asio::experimental::awaitable_operators;
        co_await (write_all() && store_all());
        if (!failure_) co_return result<void>{};
        // What is in tmp/ and was not told of would lie there for ever.
        for (const auto& d : window_)
            while (!d->settled) co_await changed_->wait();
        co_await box_.options_.files->run([this] {
            for (const auto& d : window_) d->discard();
            return true;
        });
        co_return std::unexpected(*failure_);
    }

  private:
    using item = std::shared_ptr<delivery>;

    void die(error why) {
        if (!failure_) {
            failure_ = std::move(why);
            feed_.abandon(*failure_);
        }
        changed_->notify();
    }

    // From the feed to tmp/ -------------------------------------------------------------------------------------

    [[nodiscard]] bool has_room() const {
        std::uint64_t held = 0;
        for (const item& d : window_) held += d->settled ? 0 : d->held_octets;
        return window_.size() < box_.options_.window_messages && held < box_.options_.window_octets;
    }

    task<> write_all() {
        while (!failure_) {
            while (!has_room() && !failure_) {
                pressed_ = true;
                changed_->notify();
                co_await changed_->wait();
            }
            pressed_ = false;
            if (failure_) break;
            if (!feed_.ready() && !co_await feed_.wait(batch_patience)) {
                idle_ = true;
                changed_->notify();
            }
            const std::optional<append_item> next = co_await feed_.next();
            idle_ = false;
            if (!next || failure_) break;
            if (!co_await take(*next)) break;
        }
        ended_ = true;
        changed_->notify();
    }

    /// False: nothing more can be taken.
    task<bool> take(const append_item& what) {
        auto folder = co_await folder_of(what.handle);
        if (!folder) {
            die(folder.error());
            co_return false;
        }
        const auto d = std::make_shared<delivery>(*folder, what);
        std::uint64_t left = what.octets;
        while (left > 0) {
            const auto c = co_await feed_.read();
            if (!c) {
                // The source broke off within it: it does not count.
                co_await box_.options_.files->run([&d] { return d->discard(); });
                die(c.error());
                co_return false;
            }
            left -= std::min<std::uint64_t>(left, c->octets.size());
            d->add(c->octets);
            if (d->content.size() < std::min(most_piece, box_.options_.window_octets / 4) || left == 0) continue;
            co_await box_.options_.files->run([&d] { return d->write_piece(); });
        }
        feed_.announced();
        d->held_octets = d->content.size();
        window_.push_back(d);
        boost::asio::co_spawn(executor_, finish(box_.options_.files, d, changed_), boost::asio::detached);
        co_return true;
    }

    // Holds what it needs by itself.
    static task<> finish(std::shared_ptr<file_pool> files, item d, std::shared_ptr<net::event> changed) {
        co_await files->run([&d] { return d->finish(); });
        d->settled = true;
        changed->notify();
    }

    task<result<std::shared_ptr<delivery_folder>>> folder_of(std::string_view handle) {
        if (folder_ && folder_->handle == handle) co_return folder_;
        const auto known = box_.prepared_.find(handle);
        if (known == box_.prepared_.end())
            co_return fail(retry_class::transient, phase::append, "A folder was not prepared for new messages");
        auto directories =
            co_await box_.options_.files->run([&] { return open_maildir(box_.root_.get(), std::string(handle)); });
        if (!directories) co_return std::unexpected(directories.error());
        folder_ = std::make_shared<delivery_folder>();
        folder_->handle = handle;
        folder_->name = box_.name_of(handle);
        folder_->directories = std::move(*directories);
        folder_->root = box_.root_.get();
        folder_->uid_validity = known->second.uid_validity;
        folder_->rules = known->second.rules;
        folder_->index_stamp = known->second.index_stamp;
        folder_->may_store = box_.options_.may_store;
        co_return folder_;
    }

    // From tmp/ to cur/ -----------------------------------------------------------------------------------------

    /// How many of the oldest belong into one batch; 0: it is not its time yet.
    [[nodiscard]] std::size_t batch_ready() const {
        if (window_.empty() || !window_.front()->settled) return 0;
        const delivery& first = *window_.front();
        std::size_t limit = box_.options_.batch_messages;
        if (first.batch_limit != 0) limit = std::min(limit, first.batch_limit);
        std::size_t n = 0;
        std::uint64_t octets = 0;
        while (n < window_.size() && n < limit && octets < box_.options_.batch_octets && window_[n]->settled &&
               !window_[n]->failure && window_[n]->folder == first.folder)
            octets += window_[n++]->stored_octets;
        if (n == 0) return 1; // it failed, and is told so
        const bool full = n == limit || octets >= box_.options_.batch_octets;
        const bool alone = n == window_.size() ? idle_ || ended_
                                               : window_[n]->folder != first.folder || window_[n]->failure.has_value();
        return full || alone || pressed_ ? n : 0;
    }

    task<> store_all() {
        while (!failure_ && (!ended_ || !window_.empty())) {
            const std::size_t n = batch_ready();
            if (n == 0) {
                co_await changed_->wait();
                continue;
            }
            if (window_.front()->failure)
                refuse_front();
            else
                co_await store(n);
        }
    }

    void refuse_front() {
        const item d = window_.front();
        if (!concerns_one_message(*d->failure)) {
            die(*d->failure);
            return;
        }
        window_.pop_front();
        changed_->notify();
        feed_.refused({d->token}, *d->failure);
    }

    task<> store(std::size_t n) {
        std::vector<item> batch(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(n));
        delivery_folder& folder = *batch.front()->folder;
        auto held = co_await box_.lock(folder.directories, "dovecot-uidlist.lock");
        if (!held) {
            die(held.error());
            co_return;
        }
        auto stored = co_await box_.options_.files->run([&] {
            auto done = store_batch(folder, batch);
            held->release();
            return done;
        });
        box_.remarks_.insert(folder.remarks.begin(), folder.remarks.end());
        if (!stored && !concerns_one_message(stored.error())) {
            die(stored.error());
            co_return;
        }
        std::vector<std::uint64_t> tokens;
        std::vector<std::uint32_t> uids;
        for (const item& d : batch) tokens.push_back(d->token);
        window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(n));
        changed_->notify();
        if (!stored) {
            co_await box_.options_.files->run([&batch] {
                for (const item& d : batch) d->discard();
                return true;
            });
            feed_.refused(tokens, stored.error());
            co_return;
        }
        for (const item& d : batch) uids.push_back(d->uid);
        // What append() has learnt must hold when the folder is opened again.
        box_.prepared_[folder.handle].rules = folder.rules;
        box_.prepared_[folder.handle].index_stamp = folder.index_stamp;
        feed_.stored(tokens, folder.uid_validity, uids);
    }

    maildir_mailbox& box_;
    append_feed& feed_;
    executor executor_;
    std::shared_ptr<net::event> changed_; ///< anything below
    std::deque<item> window_;             ///< in the order taken
    std::shared_ptr<delivery_folder> folder_;
    std::optional<error> failure_;
    bool idle_ = false;    ///< the source has nothing for the moment
    bool pressed_ = false; ///< the window is full
    bool ended_ = false;
};

task<result<void>> maildir_mailbox::append(append_feed& feed) {
    maildir_append run(*this, feed, co_await boost::asio::this_coro::executor);
    co_return co_await run.run();
}

} // namespace postferry::mailbox
