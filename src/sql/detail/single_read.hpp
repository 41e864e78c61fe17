#pragma once
// connection::begin_single(), for both databases.

namespace postferry::sql::detail {

/// Counts what is prepared, so that a second statement, whose snapshot would be another one, is refused wherever it is
/// tested first.
class single_read {
  public:
    static constexpr const char* refused = "a second statement where one was said to be all";

    void begin() noexcept { state_ = state::none_yet; }
    void end() noexcept { state_ = state::off; }
    [[nodiscard]] bool may_prepare() noexcept {
        if (state_ == state::none_yet) {
            state_ = state::had_one;
            return true;
        }
        return state_ == state::off;
    }

  private:
    enum class state { off, none_yet, had_one } state_ = state::off;
};

} // namespace postferry::sql::detail
