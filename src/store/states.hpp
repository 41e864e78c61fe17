#pragma once
// The states of mailboxes, batches and messages, in the words that the console, the API and the metrics use, and which
// may follow which. Values only. docs/states.md shows the same tables; states_test.cpp holds the two together.
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

namespace postferry::store {

/// Of one mailbox of a batch.
enum class mailbox_state : std::uint8_t {
    draft,             ///< entered, nothing checked yet
    needs_credentials, ///< a login was refused or a password is missing; somebody must give one
    validating,
    invalid, ///< reason says what
    ready,   ///< checked; waits for somebody to start its batch
    queued,  ///< waits for a worker
    provisioning,
    discovering,
    copying,
    throttled, ///< a server asked for a pause: until, by
    paused,    ///< pause_reason says why
    synced,    ///< everything is there that was there at the last pass; until = next delta
    verifying,
    completed, ///< only after verification
    completed_with_exceptions,
    failed, ///< reason_class
    cancelled,
    rolled_back,
};

/// Of a batch: that of its mailboxes together, and what somebody has decided about all of them.
enum class batch_state : std::uint8_t {
    draft,
    validating,
    ready,
    scheduled, ///< start_at lies ahead
    syncing,
    synced,
    ready_for_cutover,
    review_for_cutover, ///< could be cut over, but somebody should look at what failed
    cutting_over,
    soaking,
    completed,
    archived, ///< credentials are gone, nothing can be run any more
    stopped,
    rolled_back,
};

/// Of one message, as reports and lists call it.
enum class message_state : std::uint8_t { copied, present, skipped, failed_retryable, failed_permanent, waived };

enum class pause_reason : std::uint8_t { manual, window, quota };

/// The words of an enumeration, in the order of its values.
template <class E> inline constexpr std::array<std::string_view, 0> words_of{};
template <>
inline constexpr std::array<std::string_view, 18> words_of<mailbox_state>{"draft",
                                                                          "needs_credentials",
                                                                          "validating",
                                                                          "invalid",
                                                                          "ready",
                                                                          "queued",
                                                                          "provisioning",
                                                                          "discovering",
                                                                          "copying",
                                                                          "throttled",
                                                                          "paused",
                                                                          "synced",
                                                                          "verifying",
                                                                          "completed",
                                                                          "completed_with_exceptions",
                                                                          "failed",
                                                                          "cancelled",
                                                                          "rolled_back"};
template <>
inline constexpr std::array<std::string_view, 14> words_of<batch_state>{"draft",
                                                                        "validating",
                                                                        "ready",
                                                                        "scheduled",
                                                                        "syncing",
                                                                        "synced",
                                                                        "ready_for_cutover",
                                                                        "review_for_cutover",
                                                                        "cutting_over",
                                                                        "soaking",
                                                                        "completed",
                                                                        "archived",
                                                                        "stopped",
                                                                        "rolled_back"};
template <>
inline constexpr std::array<std::string_view, 6> words_of<message_state>{
    "copied", "present", "skipped", "failed_retryable", "failed_permanent", "waived"};
template <> inline constexpr std::array<std::string_view, 3> words_of<pause_reason>{"manual", "window", "quota"};

template <class E> inline constexpr std::size_t count_of = words_of<E>.size();

template <class E>
    requires(count_of<E> > 0)
[[nodiscard]] constexpr std::string_view name_of(E value) noexcept {
    return words_of<E>[static_cast<std::size_t>(value)];
}

/// nullopt: no such word. Words are compared to the letter.
template <class E>
    requires(count_of<E> > 0)
[[nodiscard]] constexpr std::optional<E> parse(std::string_view word) noexcept {
    const auto at = std::ranges::find(words_of<E>, word);
    if (at == words_of<E>.end()) return std::nullopt;
    return static_cast<E>(at - words_of<E>.begin());
}

/// A set of states.
template <class E> class state_set {
  public:
    constexpr state_set() = default;
    constexpr state_set(std::initializer_list<E> states) noexcept {
        for (const E s : states) bits_ |= bit(s);
    }
    [[nodiscard]] constexpr bool has(E s) const noexcept { return (bits_ & bit(s)) != 0; }
    [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }
    [[nodiscard]] constexpr int size() const noexcept { return std::popcount(bits_); }
    constexpr void add(E s) noexcept { bits_ |= bit(s); }
    /// Every state in it, in the order of their values.
    template <class F> constexpr void each(F f) const {
        for (std::size_t i = 0; i < count_of<E>; ++i)
            if (has(static_cast<E>(i))) f(static_cast<E>(i));
    }
    constexpr bool operator==(const state_set&) const = default;

  private:
    static constexpr std::uint32_t bit(E s) noexcept { return std::uint32_t{1} << static_cast<unsigned>(s); }
    std::uint32_t bits_ = 0;
};

using mailbox_states = state_set<mailbox_state>;
using batch_states = state_set<batch_state>;

/// A worker is at it, under a lease.
inline constexpr mailbox_states running_states{mailbox_state::provisioning, mailbox_state::discovering,
                                               mailbox_state::copying, mailbox_state::verifying};
/// Nothing more will happen unless somebody asks for it.
inline constexpr mailbox_states final_states{mailbox_state::completed, mailbox_state::completed_with_exceptions,
                                             mailbox_state::cancelled, mailbox_state::rolled_back};

/// What may follow a state. A state never follows itself here: another moment or reason within a state is no change.
[[nodiscard]] constexpr mailbox_states followers(mailbox_state from) noexcept {
    using enum mailbox_state;
    switch (from) {
    case draft: return {needs_credentials, validating, cancelled};
    case needs_credentials: return {draft, validating, ready, queued, cancelled, rolled_back};
    case validating: return {draft, needs_credentials, invalid, ready, cancelled};
    case invalid: return {draft, needs_credentials, validating, cancelled};
    case ready: return {draft, needs_credentials, validating, queued, paused, cancelled};
    // A worker may begin with any step: a sweep knows its account and its folders.
    case queued:
        return {needs_credentials, ready,  provisioning, discovering, copying, throttled, paused, synced,
                verifying,         failed, cancelled};
    // Back to queued: the worker is gone, and another takes it up.
    case provisioning:
        return {needs_credentials,         queued, discovering, copying, throttled, paused, completed,
                completed_with_exceptions, failed, cancelled};
    case discovering:
        return {needs_credentials, queued, copying, throttled, paused, synced, verifying, failed, cancelled};
    case copying: return {needs_credentials, queued, throttled, paused, synced, verifying, failed, cancelled};
    case throttled:
        return {needs_credentials, queued, provisioning, discovering, copying, paused, verifying, failed, cancelled};
    case paused: return {needs_credentials, ready, queued, synced, failed, cancelled, rolled_back};
    case synced: return {needs_credentials, queued, paused, failed, cancelled, rolled_back};
    // What verification misses is copied once more.
    case verifying:
        return {needs_credentials,         queued, copying,  throttled, paused, synced, completed,
                completed_with_exceptions, failed, cancelled};
    // A sweep after the end: copying. Verification comes again behind it.
    case completed: return {queued, copying, completed_with_exceptions, rolled_back};
    case completed_with_exceptions: return {queued, copying, verifying, completed, rolled_back};
    case failed: return {needs_credentials, validating, ready, queued, paused, cancelled, rolled_back};
    case cancelled: return {draft, ready, queued, rolled_back};
    case rolled_back: return {draft, ready};
    }
    return {};
}

[[nodiscard]] constexpr batch_states followers(batch_state from) noexcept {
    using enum batch_state;
    switch (from) {
    case draft: return {validating, ready, stopped, archived};
    case validating: return {draft, ready, stopped};
    case ready: return {draft, validating, scheduled, syncing, stopped, archived};
    case scheduled: return {ready, syncing, stopped};
    // Without a gateway to switch over, a batch may end where its mailboxes end.
    case syncing: return {scheduled, synced, ready_for_cutover, review_for_cutover, cutting_over, completed, stopped};
    case synced: return {syncing, ready_for_cutover, review_for_cutover, cutting_over, completed, stopped, rolled_back};
    case ready_for_cutover: return {syncing, synced, review_for_cutover, cutting_over, stopped, rolled_back};
    case review_for_cutover: return {syncing, synced, ready_for_cutover, cutting_over, stopped, rolled_back};
    case cutting_over: return {syncing, review_for_cutover, soaking, completed, stopped, rolled_back};
    case soaking: return {cutting_over, completed, stopped, rolled_back};
    // A sweep of every mailbox after the end: cutting_over again.
    case completed: return {syncing, cutting_over, soaking, archived, rolled_back};
    case archived: return {};
    case stopped: return {draft, ready, scheduled, syncing, synced, cutting_over, archived, rolled_back};
    case rolled_back: return {draft, ready, archived};
    }
    return {};
}

template <class E> [[nodiscard]] constexpr bool allowed(E from, E to) noexcept { return followers(from).has(to); }

} // namespace postferry::store
