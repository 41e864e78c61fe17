#include "store/ledger_books.hpp"

#include "store/hold_repository.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

#include <map>
#include <mutex>
#include <unistd.h>
#include <utility>

namespace postferry::store {

/// Which mailboxes are at work, by their keys: two passes on one would copy everything twice.
class ledger_books::open_mailboxes : public std::enable_shared_from_this<open_mailboxes> {
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

result<std::unique_ptr<ledger_books>> ledger_books::open(const std::filesystem::path& where,
                                                         const open_options& options) {
    auto db = database::open(where.string(), {.read_only = options.read_only,
                                              .holder_description = options.holder_description,
                                              .kind_of_thing = "ledger",
                                              .readers = 0});
    if (!db) return std::unexpected(std::move(db.error()));
    auto books = std::make_unique<ledger_books>(**db, options.holder_description);
    books->own_ = std::move(*db);
    return books;
}

ledger_books::ledger_books(database& db, std::string described)
    : ledger_books(db, std::move(described), std::make_shared<open_mailboxes>(), std::nullopt) {}

ledger_books::ledger_books(database& db, std::string described, std::shared_ptr<open_mailboxes> open,
                           std::optional<leased> lease)
    : db_(&db), described_(std::move(described)), open_(std::move(open)), lease_(lease) {}

ledger_books::~ledger_books() = default;

std::unique_ptr<ledger_books> ledger_books::under(record_id migration, std::int64_t token) {
    return std::unique_ptr<ledger_books>(
        new ledger_books(*db_, described_, open_, leased{.migration = migration, .token = token}));
}

namespace {

std::unexpected<error> lease_lost() {
    return refusal::refuse(refusal::lease_lost, "lease lost: another process may be copying the mailbox",
                           "Nothing was written; whoever has it now goes on from what is recorded");
}

} // namespace

template <class Call> auto ledger_books::look(Call call) {
    return db_->read([call = std::move(call)](tables& t) { return call(t.ledger); });
}

template <class Call> auto ledger_books::change(kind k, held_place place, Call call) {
    if (db_->dialect() == sql::dialect::sqlite) place = {}; // the file is locked as a whole
    return db_->ask(k,
                    [call = std::move(call), place, lease = lease_,
                     session = db_->session()](tables& t) -> std::invoke_result_t<Call, ledger_repository&> {
                        result<bool> ours = true;
                        if (lease)
                            ours = t.leases.holds(lease->migration, lease->token);
                        else if (place.folder)
                            ours = hold_repository(t.db).holds_folder(*place.folder, session);
                        else if (place.mailbox)
                            ours = hold_repository(t.db).holds(*place.mailbox, session);
                        if (!ours) return std::unexpected(std::move(ours.error()));
                        if (!*ours) return lease_lost();
                        return call(t.ledger);
                    });
}

task<result<mailbox_id>> ledger_books::open_mailbox(std::string source_key, std::string target_key) {
    auto claim = open_->take({source_key, target_key});
    if (!claim)
        co_return fail(retry_class::config, phase::ledger,
                       fmt::format("{} to {} is listed twice", source_key, target_key),
                       "Remove one of the two; a mailbox is copied by one pass at a time");
    // Looking first spares a run with nothing to do its only write.
    auto known = co_await look(
        [source_key, target_key](ledger_repository& ledger) { return ledger.find_mailbox(source_key, target_key); });
    if (!known) co_return std::unexpected(std::move(known.error()));
    if (!*known && !read_only()) {
        auto added = co_await change(kind::record, {}, [source_key, target_key](ledger_repository& ledger) {
            return ledger.add_mailbox(source_key, target_key);
        });
        if (added)
            known = *added;
        else { // another process may have added it since we looked
            known = co_await look([source_key, target_key](ledger_repository& ledger) {
                return ledger.find_mailbox(source_key, target_key);
            });
            if (!known || !*known) co_return std::unexpected(std::move(added.error()));
        }
    }
    if (*known && !read_only() && db_->dialect() == sql::dialect::postgresql) {
        auto held = co_await hold(**known);
        if (!held) co_return std::unexpected(std::move(held.error()));
    }
    if (*known && !read_only() && lease_)
        if (auto linked = co_await link(**known); !linked) co_return std::unexpected(std::move(linked.error()));
    co_return std::move(*claim).keep(*known);
}

task<result<void>> ledger_books::link(mailbox_id mailbox) {
    const auto linked = co_await db_->read([id = lease_->migration](tables& t) { return t.migrations.find(id); });
    if (!linked) co_return std::unexpected(linked.error());
    if (*linked && (*linked)->ledger_mailbox == mailbox) co_return result<void>();
    co_return co_await db_->write([mailbox, lease = *lease_](tables& t) -> result<void> {
        auto ours = t.leases.holds(lease.migration, lease.token);
        if (!ours) return std::unexpected(std::move(ours.error()));
        if (!*ours) return lease_lost();
        return t.migrations.set_ledger_mailbox(lease.migration, mailbox);
    });
}

task<result<void>> ledger_books::hold(mailbox_id mailbox) {
    ledger_hold wanted{.mailbox = mailbox,
                       .holder = db_->session(),
                       .described = fmt::format("{} (PID {})", described_, getpid()),
                       .migration = lease_ ? std::optional(lease_->migration) : std::nullopt};
    return db_->write([wanted = std::move(wanted)](tables& t) -> result<void> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        return hold_repository(t.db).take(wanted, *now);
    });
}

void ledger_books::close_mailbox(mailbox_id mailbox) noexcept {
    if (mailbox > 0 && !read_only() && db_->dialect() == sql::dialect::postgresql)
        db_->leave(
            [mailbox, session = db_->session()](tables& t) { return hold_repository(t.db).release(mailbox, session); });
    open_->close(mailbox);
}

task<result<std::vector<ledger_folder>>> ledger_books::folders(mailbox_id mailbox) {
    return look([=](ledger_repository& ledger) { return ledger.folders(mailbox); });
}

task<result<std::vector<ledger_brief>>> ledger_books::rows(folder_id folder) {
    return look([=](ledger_repository& ledger) { return ledger.rows(folder); });
}

task<result<std::vector<ledger_row>>> ledger_books::full_rows(folder_id folder, std::uint32_t first_uid,
                                                              std::uint32_t last_uid) {
    return look([=](ledger_repository& ledger) { return ledger.full_rows(folder, first_uid, last_uid); });
}

task<result<std::vector<failed_item>>> ledger_books::failures(folder_id folder) {
    return look([=](ledger_repository& ledger) { return ledger.failures(folder); });
}

task<result<std::vector<std::pair<std::uint32_t, std::uint8_t>>>> ledger_books::repaired(folder_id folder) {
    return look([=](ledger_repository& ledger) { return ledger.repaired(folder); });
}

task<result<ledger_folder>> ledger_books::begin_folder(mailbox_id mailbox, std::string source_name,
                                                       std::string target_name, std::uint32_t source_uid_validity,
                                                       std::uint32_t target_uid_validity, std::uint32_t target_mark) {
    // Flushed: if the power fails in the middle of the copy, the next run must know from which UID on to look for what
    // this one has appended. Rows may be lost then; messages are found again, but only above a mark that is there.
    ledger_repository::opened_folder folder{.source_name = std::move(source_name),
                                            .target_name = std::move(target_name),
                                            .source_uid_validity = source_uid_validity,
                                            .target_uid_validity = target_uid_validity,
                                            .target_mark = target_mark};
    return change(kind::synced_record, {.mailbox = mailbox},
                  [mailbox, folder = std::move(folder)](ledger_repository& ledger) {
                      return ledger.begin_folder(mailbox, folder);
                  });
}

task<result<std::uint32_t>> ledger_books::flag_set(folder_id folder, std::string canonical) {
    return change(kind::record, {.folder = folder},
                  [folder, canonical = std::move(canonical)](ledger_repository& ledger) {
                      return ledger.flag_set(folder, canonical);
                  });
}

task<result<void>> ledger_books::record(folder_id folder, std::vector<ledger_row> rows,
                                        std::vector<failed_item> failures) {
    return change(kind::record, {.folder = folder},
                  [folder, rows = std::move(rows), failures = std::move(failures)](ledger_repository& ledger) {
                      return ledger.record(folder, rows, failures);
                  });
}

task<result<void>> ledger_books::update_flags(folder_id folder,
                                              std::vector<std::pair<std::uint32_t, std::uint32_t>> uid_and_flag_set) {
    return change(kind::record, {.folder = folder},
                  [folder, changes = std::move(uid_and_flag_set)](ledger_repository& ledger) {
                      return ledger.update_flags(folder, changes);
                  });
}

task<result<void>> ledger_books::forget(folder_id folder, std::vector<std::uint32_t> source_uids) {
    return change(kind::record, {.folder = folder}, [folder, uids = std::move(source_uids)](ledger_repository& ledger) {
        return ledger.forget(folder, uids);
    });
}

task<result<void>> ledger_books::set_state(folder_id folder, std::vector<std::uint32_t> source_uids,
                                           transfer::item_state state) {
    return change(kind::record, {.folder = folder},
                  [folder, uids = std::move(source_uids), state](ledger_repository& ledger) {
                      return ledger.set_state(folder, uids, state);
                  });
}

task<result<void>> ledger_books::keep_report(transfer::kept_report report) {
    return change(kind::record, {},
                  [report = std::move(report)](ledger_repository& ledger) { return ledger.keep_report(report); });
}

task<result<std::vector<transfer::kept_report>>> ledger_books::reports() {
    return look([](ledger_repository& ledger) { return ledger.reports().all(); });
}

task<result<void>> ledger_books::finish_folder(ledger_folder state) {
    return change(kind::record, {.folder = state.id},
                  [state = std::move(state)](ledger_repository& ledger) { return ledger.finish_folder(state); });
}

task<result<std::vector<net::traffic>>> ledger_books::traffic_since(std::int64_t first_hour) {
    return look([first_hour](ledger_repository& ledger) { return ledger.traffic().since(first_hour); });
}

task<result<void>> ledger_books::add_traffic(std::vector<net::traffic> more, std::int64_t first_hour) {
    if (read_only()) co_return result<void>{};
    co_return co_await db_->write(
        [more = std::move(more), first_hour](tables& t) { return t.ledger.traffic().add(more, first_hour); });
}

task<result<std::optional<name_book::page>>> ledger_books::find_names(name_key key) {
    return look([key = std::move(key)](ledger_repository& ledger) { return ledger.names().find(key); });
}

task<result<name_book::page>> ledger_books::create_names(name_key key, std::uint32_t uid_validity) {
    // Not flushed: numbers are, with all that was committed before them.
    return change(kind::record, {}, [key = std::move(key), uid_validity](ledger_repository& ledger) {
        return ledger.names().create(key, uid_validity);
    });
}

task<result<std::vector<name_book::entry>>> ledger_books::add_names(name_key key, std::vector<std::string> names) {
    // Flushed: a target may keep the numbers as UIDs, and must never see one again for another message.
    return change(kind::synced_record, {}, [key = std::move(key), names = std::move(names)](ledger_repository& ledger) {
        return ledger.names().add(key, names);
    });
}

task<result<void>> ledger_books::remove_names(name_key key, std::vector<std::uint32_t> uids) {
    return change(kind::record, {}, [key = std::move(key), uids = std::move(uids)](ledger_repository& ledger) {
        return ledger.names().remove(key, uids);
    });
}

} // namespace postferry::store
