#pragma once
#include "client/server_limits.hpp"
#include "mailbox/mailbox.hpp"

namespace postferry::mailbox::detail {

/// What a server has told of one folder.
struct scanned {
    folder_state state;
    std::optional<error> failure;
    uid_set present;
    bool by_fetch = false; ///< that is how it was listed
};

/// Keeps the UIDs that a server tells, of many folders, as long as they are as many as a mailbox may have.
class uid_keeper {
  public:
    explicit uid_keeper(const client::server_limits& limits) : limits_(limits) {}

    void add(scanned& s, std::uint32_t uid) {
        if (s.failure) return;
        const std::size_t before = s.present.ranges().size();
        s.present.add(uid);
        settle(s, before);
    }
    void add(scanned& s, const uid_set& more) {
        if (s.failure) return;
        const std::size_t before = s.present.ranges().size();
        s.present.add(more);
        settle(s, before);
    }
    void take(scanned& s, const imap::response& r) {
        if (const auto* e = std::get_if<imap::esearch_data>(&r); e != nullptr && e->all) add(s, *e->all);
        if (const auto* n = std::get_if<imap::search_data>(&r))
            for (const std::uint32_t uid : n->numbers) add(s, uid);
    }
    /// It is told anew.
    void drop(scanned& s) {
        ranges_ -= s.present.ranges().size();
        s.present = {};
    }
    /// All of it has been told.
    void end(scanned& s) {
        if (!s.failure && s.present.count() > limits_.messages) give_up(s);
    }
    [[nodiscard]] const std::optional<error>& overfull() const noexcept { return overfull_; }

  private:
    void settle(scanned& s, std::size_t before) {
        ranges_ = ranges_ - before + s.present.ranges().size();
        if (ranges_ > limits_.uid_ranges) give_up(s);
    }
    void give_up(scanned& s) {
        drop(s);
        s.failure = fail(retry_class::permanent, phase::scan, "The server tells of more messages than any mailbox has",
                         "Ask whoever runs it what is wrong with the account")
                        .error();
        overfull_ = s.failure;
    }

    const client::server_limits& limits_;
    std::size_t ranges_ = 0;
    std::optional<error> overfull_;
};

} // namespace postferry::mailbox::detail
