#include "store/ledger_file.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <map>
#include <mutex>
#include <utility>

namespace postferry::store {

namespace asio = boost::asio;

namespace {

template <class T, class Call, class Handler> class waiting_job final : public ledger_job {
  public:
    waiting_job(kind k, Call call, Handler handler)
        : ledger_job(k), call_(std::move(call)), work_(asio::make_work_guard(handler)), handler_(std::move(handler)) {}

    bool run(ledger_repository& ledger) override {
        outcome_.emplace(call_(ledger));
        return outcome_->has_value();
    }
    void fail(const error& why) override { outcome_.emplace(std::unexpected(why)); }
    void complete() override {
        // Ours until post() has returned: the last answer may end its context's run(), and the context with it, while
        // this thread is still inside.
        const auto work = std::move(work_);
        auto executor = work.get_executor();
        asio::post(executor, asio::bind_executor(
                                 executor, [handler = std::move(handler_), outcome = std::move(*outcome_)]() mutable {
                                     std::move(handler)(std::move(outcome));
                                 }));
    }

  private:
    Call call_; // asked again if a shared transaction is lost: it must leave its values alone
    asio::executor_work_guard<asio::associated_executor_t<Handler>> work_;
    Handler handler_;
    std::optional<result<T>> outcome_;
};

} // namespace

/// Which mailboxes are at work, by their keys: two passes on one would copy everything twice.
class ledger_file::open_mailboxes : public std::enable_shared_from_this<open_mailboxes> {
  public:
    using key = std::pair<std::string, std::string>;

    /// A mailbox being opened; let go unless kept.
    class claim {
      public:
        claim(std::shared_ptr<open_mailboxes> all, key k) : all_(std::move(all)), key_(std::move(k)) {}
        claim(claim&&) = default;
        claim& operator=(claim&&) = delete;
        ~claim() {
            if (all_) all_->drop(key_);
        }
        mailbox_id keep(std::optional<mailbox_id> id) && { return std::exchange(all_, nullptr)->keep(key_, id); }

      private:
        std::shared_ptr<open_mailboxes> all_;
        key key_;
    };

    std::optional<claim> take(const key& k) {
        const std::lock_guard lock(mutex_);
        if (!open_.try_emplace(k, 0).second) return std::nullopt;
        return claim(shared_from_this(), k);
    }
    void close(mailbox_id id) noexcept {
        const std::lock_guard lock(mutex_);
        std::erase_if(open_, [id](const auto& entry) { return entry.second == id; });
    }

  private:
    mailbox_id keep(const key& k, std::optional<mailbox_id> id) {
        const std::lock_guard lock(mutex_);
        return open_[k] = id ? *id : --unknown_;
    }
    void drop(const key& k) {
        const std::lock_guard lock(mutex_);
        open_.erase(k);
    }

    std::mutex mutex_;
    std::map<key, mailbox_id> open_; // 0 = being opened
    mailbox_id unknown_ = 0;
};

ledger_file::ledger_file(std::string name, bool read_only, std::optional<file_lock> lock,
                         std::unique_ptr<sql::connection> db)
    : name_(std::move(name)), read_only_(read_only), open_(std::make_shared<open_mailboxes>()), lock_(std::move(lock)),
      thread_(std::move(db)) {}

ledger_file::~ledger_file() = default;

template <class T, class Call> task<result<T>> ledger_file::submit(ledger_job::kind kind, Call call) {
    const auto initiate = [this](auto handler, ledger_job::kind k, Call c) {
        auto job = std::make_unique<waiting_job<T, Call, decltype(handler)>>(k, std::move(c), std::move(handler));
        if (!read_only_ || k == ledger_job::kind::read) return thread_.push(std::move(job));
        job->fail(
            fail(retry_class::local, phase::ledger, fmt::format("{} was opened for reading only", name_)).error());
        job->complete();
    };
    return asio::async_initiate<const asio::use_awaitable_t<>, void(result<T>)>(initiate, asio::use_awaitable, kind,
                                                                                std::move(call));
}

task<result<mailbox_id>> ledger_file::open_mailbox(std::string source_key, std::string target_key) {
    auto claim = open_->take({source_key, target_key});
    if (!claim)
        co_return fail(retry_class::config, phase::ledger,
                       fmt::format("{} to {} is listed twice", source_key, target_key),
                       "Remove one of the two; a mailbox is copied by one pass at a time");
    // Looking first spares a run with nothing to do its only write.
    using found = std::optional<mailbox_id>;
    auto known = co_await submit<found>(ledger_job::kind::read, [source_key, target_key](ledger_repository& ledger) {
        return ledger.find_mailbox(source_key, target_key);
    });
    if (!known) co_return std::unexpected(std::move(known.error()));
    if (!*known && !read_only_) {
        auto added =
            co_await submit<mailbox_id>(ledger_job::kind::write, [source_key, target_key](ledger_repository& ledger) {
                return ledger.add_mailbox(source_key, target_key);
            });
        if (!added) co_return std::unexpected(std::move(added.error()));
        known = *added;
    }
    co_return std::move(*claim).keep(*known);
}

void ledger_file::close_mailbox(mailbox_id mailbox) noexcept { open_->close(mailbox); }

task<result<std::vector<ledger_folder>>> ledger_file::folders(mailbox_id mailbox) {
    return submit<std::vector<ledger_folder>>(ledger_job::kind::read,
                                              [=](ledger_repository& ledger) { return ledger.folders(mailbox); });
}

task<result<std::vector<ledger_brief>>> ledger_file::rows(folder_id folder) {
    return submit<std::vector<ledger_brief>>(ledger_job::kind::read,
                                             [=](ledger_repository& ledger) { return ledger.rows(folder); });
}

task<result<std::vector<ledger_row>>> ledger_file::full_rows(folder_id folder, std::uint32_t first_uid,
                                                             std::uint32_t last_uid) {
    return submit<std::vector<ledger_row>>(ledger_job::kind::read, [=](ledger_repository& ledger) {
        return ledger.full_rows(folder, first_uid, last_uid);
    });
}

task<result<std::vector<failed_item>>> ledger_file::failures(folder_id folder) {
    return submit<std::vector<failed_item>>(ledger_job::kind::read,
                                            [=](ledger_repository& ledger) { return ledger.failures(folder); });
}

task<result<std::vector<std::pair<std::uint32_t, std::uint8_t>>>> ledger_file::repaired(folder_id folder) {
    return submit<std::vector<std::pair<std::uint32_t, std::uint8_t>>>(
        ledger_job::kind::read, [=](ledger_repository& ledger) { return ledger.repaired(folder); });
}

task<result<ledger_folder>> ledger_file::begin_folder(mailbox_id mailbox, std::string source_name,
                                                      std::string target_name, std::uint32_t source_uid_validity,
                                                      std::uint32_t target_uid_validity, std::uint32_t target_mark) {
    // Flushed: if the power fails in the middle of the copy, the next run must know from which UID on to look for what
    // this one has appended. Rows may be lost then; messages are found again, but only above a mark that is there.
    ledger_repository::opened_folder folder{.source_name = std::move(source_name),
                                            .target_name = std::move(target_name),
                                            .source_uid_validity = source_uid_validity,
                                            .target_uid_validity = target_uid_validity,
                                            .target_mark = target_mark};
    return submit<ledger_folder>(ledger_job::kind::synced_write,
                                 [mailbox, folder = std::move(folder)](ledger_repository& ledger) {
                                     return ledger.begin_folder(mailbox, folder);
                                 });
}

task<result<std::uint32_t>> ledger_file::flag_set(folder_id folder, std::string canonical) {
    return submit<std::uint32_t>(ledger_job::kind::write,
                                 [folder, canonical = std::move(canonical)](ledger_repository& ledger) {
                                     return ledger.flag_set(folder, canonical);
                                 });
}

task<result<void>> ledger_file::record(folder_id folder, std::vector<ledger_row> rows,
                                       std::vector<failed_item> failures) {
    return submit<void>(ledger_job::kind::write,
                        [folder, rows = std::move(rows), failures = std::move(failures)](ledger_repository& ledger) {
                            return ledger.record(folder, rows, failures);
                        });
}

task<result<void>> ledger_file::update_flags(folder_id folder,
                                             std::vector<std::pair<std::uint32_t, std::uint32_t>> uid_and_flag_set) {
    return submit<void>(ledger_job::kind::write,
                        [folder, changes = std::move(uid_and_flag_set)](ledger_repository& ledger) {
                            return ledger.update_flags(folder, changes);
                        });
}

task<result<void>> ledger_file::forget(folder_id folder, std::vector<std::uint32_t> source_uids) {
    return submit<void>(ledger_job::kind::write, [folder, uids = std::move(source_uids)](ledger_repository& ledger) {
        return ledger.forget(folder, uids);
    });
}

task<result<void>> ledger_file::set_state(folder_id folder, std::vector<std::uint32_t> source_uids,
                                          transfer::item_state state) {
    return submit<void>(ledger_job::kind::write,
                        [folder, uids = std::move(source_uids), state](ledger_repository& ledger) {
                            return ledger.set_state(folder, uids, state);
                        });
}

task<result<void>> ledger_file::keep_report(transfer::kept_report report) {
    return submit<void>(ledger_job::kind::write,
                        [report = std::move(report)](ledger_repository& ledger) { return ledger.keep_report(report); });
}

task<result<std::vector<transfer::kept_report>>> ledger_file::reports() {
    return submit<std::vector<transfer::kept_report>>(ledger_job::kind::read,
                                                      [](ledger_repository& ledger) { return ledger.reports().all(); });
}

task<result<void>> ledger_file::finish_folder(ledger_folder state) {
    return submit<void>(ledger_job::kind::write,
                        [state = std::move(state)](ledger_repository& ledger) { return ledger.finish_folder(state); });
}

task<result<std::vector<net::traffic>>> ledger_file::traffic_since(std::int64_t first_hour) {
    return submit<std::vector<net::traffic>>(
        ledger_job::kind::read, [first_hour](ledger_repository& ledger) { return ledger.traffic().since(first_hour); });
}

task<result<void>> ledger_file::add_traffic(std::vector<net::traffic> more, std::int64_t first_hour) {
    if (read_only_) co_return result<void>{};
    co_return co_await submit<void>(ledger_job::kind::write,
                                    [more = std::move(more), first_hour](ledger_repository& ledger) {
                                        return ledger.traffic().add(more, first_hour);
                                    });
}

task<result<std::optional<name_book::page>>> ledger_file::find_names(name_key key) {
    return submit<std::optional<name_book::page>>(
        ledger_job::kind::read, [key = std::move(key)](ledger_repository& ledger) { return ledger.names().find(key); });
}

task<result<name_book::page>> ledger_file::create_names(name_key key, std::uint32_t uid_validity) {
    // Not flushed: numbers are, with all that was committed before them.
    return submit<name_book::page>(ledger_job::kind::write,
                                   [key = std::move(key), uid_validity](ledger_repository& ledger) {
                                       return ledger.names().create(key, uid_validity);
                                   });
}

task<result<std::vector<name_book::entry>>> ledger_file::add_names(name_key key, std::vector<std::string> names) {
    // Flushed: a target may keep the numbers as UIDs, and must never see one again for another message.
    return submit<std::vector<name_book::entry>>(
        ledger_job::kind::synced_write, [key = std::move(key), names = std::move(names)](ledger_repository& ledger) {
            return ledger.names().add(key, names);
        });
}

task<result<void>> ledger_file::remove_names(name_key key, std::vector<std::uint32_t> uids) {
    return submit<void>(ledger_job::kind::write,
                        [key = std::move(key), uids = std::move(uids)](ledger_repository& ledger) {
                            return ledger.names().remove(key, uids);
                        });
}

} // namespace postferry::store
