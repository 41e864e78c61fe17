#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace postferry::client {

/// What a server may make us keep or wait for before it is taken for a broken or hostile one. No honest server comes
/// near. A single line and a single message are bounded by the parsers (imap::parser_limits, pop3::parser_limits,
/// smtp::reply_parser).
struct server_limits {
    std::size_t answers = 10'000'000; ///< to one command: the flags of as many messages fit
    /// So many times answer_patience, spent waiting since something last came to its end. An hour, if a server that
    /// says nothing is given three minutes: some search for so long and say so now and then.
    unsigned patience_with_talk = 20;
    std::size_t names = 300'000;               ///< told in one listing of folders
    std::size_t name_octets = 64U << 20U;      ///< of these names; of all access rights as well
    std::size_t namespaces = 1'000;            ///< and quotas
    std::uint64_t messages = 10'000'000;       ///< of one folder
    std::size_t uid_ranges = 20'000'000;       ///< of all folders looked at together: the gaps between UIDs
    std::size_t maildrop_messages = 1'000'000; ///< told by a POP3 server
};

/// Notices a server that goes on talking and never comes to an end.
class talk_watch {
  public:
    talk_watch(const server_limits& limits, std::chrono::milliseconds patience) noexcept
        : answers_(limits.answers), patience_(patience * limits.patience_with_talk) {}

    void waited(std::chrono::steady_clock::duration time) noexcept { waited_ += time; }
    void answered() noexcept { ++told_; }
    void brought(std::uint64_t octets) noexcept { ///< of a message
        octets_ += octets;
        if (octets_ >= least_progress) progressed();
    }
    void message_ended() noexcept { progressed(); }
    void command_ended() noexcept {
        progressed();
        told_ = 0;
    }
    /// Since the last command came to its end.
    [[nodiscard]] std::size_t told() const noexcept { return told_; }
    [[nodiscard]] bool is_endless() const noexcept { return waited_ > patience_ || told_ > answers_; }

  private:
    static constexpr std::uint64_t least_progress = 64U << 10U; ///< one octet now and then is no progress
    void progressed() noexcept {
        waited_ = {};
        octets_ = 0;
    }

    std::size_t answers_;
    std::chrono::milliseconds patience_;
    std::size_t told_ = 0;
    std::chrono::steady_clock::duration waited_{0};
    std::uint64_t octets_ = 0;
};

} // namespace postferry::client
