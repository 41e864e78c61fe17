#pragma once
// Being a good guest: what all mailboxes of a run may ask of a server together, and one mailbox's part of it.
#include "app/guest_options.hpp"
#include "client/presets.hpp"
#include "mailbox/endpoint.hpp"
#include "net/allowance.hpp"
#include "net/awaitable.hpp"
#include "net/day_budget.hpp"
#include "net/gate.hpp"
#include "net/token_bucket.hpp"
#include "net/traffic_book.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::app {

class visit;

/// What a test replaces.
struct guest_clocks {
    std::function<std::chrono::steady_clock::time_point()> steady = std::chrono::steady_clock::now;
    std::function<std::int64_t()> unix_seconds; ///< none: the system's
};

/// A server's own limits, which go before the run's, and how many processes share them.
struct server_share {
    std::string key; ///< "imap.example.org:993"
    std::optional<std::uint64_t> octets_per_second = {}, messages_per_second = {};
    int workers = 1;
    bool operator==(const server_share&) const = default;
};

/// The servers of a run, by host and port, and their accounts. Outlives all visits. From any thread.
class guests : public std::enable_shared_from_this<guests> {
  public:
    /// @param jobs mailboxes at work at a time  @param book of earlier runs, outlives this; may be null
    [[nodiscard]] static std::shared_ptr<guests> make(guest_options options, std::size_t jobs, net::traffic_book* book,
                                                      guest_clocks now = {});
    ~guests();

    /// What was moved within the last day, from the book; once, before the first visit.
    task<result<void>> load();
    /// What was moved since, into the book: at the end of each mailbox and every few seconds.
    task<result<void>> save();

    /// save(), and then what all processes on one book have moved, this one's part too.
    task<result<void>> refresh();
    /// What is set for servers, and with how many processes they are shared; of those that are not named nothing is.
    void share(const std::vector<server_share>& all);

    /// One mailbox's stay at both ends.
    [[nodiscard]] std::shared_ptr<visit> receive(const mailbox::endpoint& source, const mailbox::endpoint& target);

  private:
    friend class visit;
    struct server;
    struct account;
    class line;

    guests(guest_options options, net::traffic_book* book, guest_clocks now);
    [[nodiscard]] std::shared_ptr<server> server_of(const mailbox::endpoint& where);
    void apply_rates(server& s, const server_share& share, net::allowance::time now) const;
    void recall(const std::string& place, std::array<net::day_budget, 2>& day);
    void gather_news(const std::string& place, std::array<net::day_budget, 2>& day, std::vector<net::traffic>& into);
    void let_go_of_idle_accounts();
    [[nodiscard]] std::shared_ptr<account> account_of(const mailbox::endpoint& where, bool target);
    [[nodiscard]] net::token_bucket* logins_of(server& s);
    void apply(account& a, const client::chosen_preset& preset, bool target);
    [[nodiscard]] std::int64_t unix_now() const { return now_.unix_seconds(); }

    guest_options options_;
    net::traffic_book* book_;
    guest_clocks now_;
    std::shared_ptr<net::gate> gate_;
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<server>, std::less<>> servers_;
    std::map<std::string, std::shared_ptr<account>, std::less<>> accounts_;
    std::map<std::string, server_share, std::less<>> shares_;
    std::map<std::string, std::vector<net::traffic>, std::less<>> remembered_; ///< of places that nobody visits now
};

/// One mailbox's stay at its two servers. One strand.
class visit : public std::enable_shared_from_this<visit> {
  public:
    ~visit();

    /// Waits for a place among the mailboxes at work and for one connection to each end. Whoever holds the answer holds
    /// the places.
    task<result<std::shared_ptr<void>>> admit();
    [[nodiscard]] bool was_admitted() const noexcept { return was_admitted_; }
    /// Room for one connection to an end: the one that admit() got, or a further one. Waits for the rate of logins.
    /// Errors: transient (no room for a further one), throttled (the account's budget is spent; BUDGET).
    task<result<std::shared_ptr<net::allowance>>> connect(bool target);
    /// What the server said of itself after the login: another preset may apply.
    void met(bool target, std::span<const std::string> capabilities, std::string_view greeting);
    /// A connection could not be opened: too many of them mean fewer from now on.
    void turned_away(bool target, const error& why);
    /// The end asked for a pause in mid-work.
    void throttled(bool target, const error& why);

    struct limits {
        client::chosen_preset preset;
        std::vector<std::string> texts; ///< "2.5 GB a day from the account", "15 connections an account"
    };
    /// What holds for an end, for `check`.
    [[nodiscard]] limits limits_of(bool target) const;

  private:
    friend class guests;
    friend class guests::line;
    struct end {
        std::shared_ptr<guests::server> where; ///< none: a place on this machine
        std::shared_ptr<guests::account> who;
        std::vector<std::string> keys;
        net::gate::permit reserved;
        std::string host;
    };
    visit(std::shared_ptr<guests> at, const mailbox::endpoint& source, const mailbox::endpoint& target);
    [[nodiscard]] end end_at(const mailbox::endpoint& where, bool target);
    void put_back(bool target, net::gate::permit permit);

    std::shared_ptr<guests> at_;
    std::array<end, 2> ends_;
    net::gate::permit job_;
    bool inside_ = false, was_admitted_ = false;
};

} // namespace postferry::app
