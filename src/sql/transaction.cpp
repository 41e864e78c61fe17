#include "sql/transaction.hpp"

#include <algorithm>
#include <thread>

namespace postferry::sql {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// The pauses between attempts, until patience ends.
class waiting {
  public:
    explicit waiting(const patience& how) noexcept : how_(how), pause_(how.first_pause) {}

    /// true: a pause has passed, try again.
    bool once_more() {
        const auto now = steady_clock::now();
        if (!end_) end_ = now + how_.total;
        const auto left = std::chrono::ceil<milliseconds>(*end_ - now);
        if (left <= milliseconds(0)) return false;
        const auto pause = std::min(pause_, left);
        pause_ = std::min(pause_ * 2, how_.longest_pause);
        if (how_.pause) return how_.pause(pause);
        std::this_thread::sleep_for(pause);
        return true;
    }

  private:
    const patience& how_;
    milliseconds pause_;
    std::optional<steady_clock::time_point> end_;
};

/// `unsure`: the failure is of a commit that may have happened.
result<void> attempt(connection& db, durability how, const std::function<result<void>()>& work, bool& unsure) {
    auto done = db.begin(how);
    if (done) done = work();
    if (done) {
        done = db.commit();
        unsure = !done && db.last_trouble() == trouble::gone;
    }
    return done;
}

/// Of a commit whose answer was lost. true: it has happened.
result<bool> look_up(connection& db, waiting& pauses) {
    while (true) {
        auto happened = db.was_committed();
        if (happened || !repeatable(db.last_trouble()) || !pauses.once_more()) return happened;
    }
}

} // namespace

result<void> transact(connection& db, durability how, const std::function<result<void>()>& work, const patience& wait) {
    waiting pauses(wait);
    while (true) {
        bool unsure = false;
        auto done = attempt(db, how, work, unsure);
        if (done) return done;
        // Asked before rollback(), which may find trouble of its own.
        const bool again = repeatable(db.last_trouble());
        db.rollback();
        if (unsure) {
            auto happened = look_up(db, pauses);
            if (!happened) return std::unexpected(std::move(happened.error()));
            if (*happened) return {};
        }
        if (!again || !pauses.once_more()) return done;
    }
}

result<void> read_single(connection& db, const std::function<result<void>()>& work, const patience& wait) {
    waiting pauses(wait);
    for (int attempts = 1;; ++attempts) {
        db.begin_single();
        auto done = work();
        db.end_single();
        if (done || !repeatable(db.last_trouble())) return done;
        // A line that was cut while nobody used it shows only now: the first time there is nothing to wait for.
        const bool at_once = attempts == 1 && db.last_trouble() == trouble::gone;
        if (!at_once && !pauses.once_more()) return done;
    }
}

} // namespace postferry::sql
