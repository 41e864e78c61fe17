#pragma once
// A store that does not answer is told of once, and once more when it answers again: what fails meanwhile has the same
// reason.
#include "store/database.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

namespace postferry::app {

class outage_teller {
  public:
    struct line {
        bool over = false;
        std::string text;
    };
    /// Once a second or so. The beginning is told when its reason is known: within some seconds, as reads do not wait
    /// for long. `now`: by this machine's clock.
    [[nodiscard]] std::optional<line> look(const std::optional<store::outage>& current, const std::string& store,
                                           store::unix_ms now) {
        if (current && !since_ && !current->what.empty()) {
            since_ = current->since;
            return line{
                .text = fmt::format("{} does not answer: {}. What is under way waits for it", store, current->what)};
        }
        if (current || !since_) return std::nullopt;
        const auto seconds = std::max<store::unix_ms>(now - *since_, 0) / 1000;
        since_.reset();
        return line{.over = true, .text = fmt::format("{} answers again, after {} s", store, seconds)};
    }

  private:
    std::optional<store::unix_ms> since_; ///< of the outage that was told of
};

/// A failure that says nothing but that the store does not answer (store/database.hpp).
[[nodiscard]] inline bool is_of_outage(const error& why) noexcept {
    return why.cls == retry_class::transient && why.where == phase::ledger;
}

} // namespace postferry::app
