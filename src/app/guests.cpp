#include "app/guests.hpp"

#include "base/text.hpp"
#include "client/imap_session.hpp"
#include "net/day_budget.hpp"
#include "net/token_bucket.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>

namespace postferry::app {

namespace {

using time = net::allowance::time;

constexpr auto shrunk_for = std::chrono::minutes(5);
constexpr auto slowed_for = std::chrono::hours(1);
const std::string at_work = "mailboxes at work";

// With a budget a command asks for few messages, so that not much is under way when it is spent.
constexpr std::size_t messages_under_a_budget = 100;

std::string key_of(const mailbox::endpoint& where) { return fmt::format("{}:{}", where.where.host, where.where.port); }

std::string trimmed(double n) { return fmt::format("{:g}", n); }

} // namespace

struct guests::server {
    std::string key;
    /// None: no limit. One that is set stays as long as the server, and may get another rate.
    std::atomic<net::token_bucket*> octets = nullptr, messages = nullptr;
    std::unique_ptr<net::token_bucket> logins;
    std::atomic<std::size_t> turn = SIZE_MAX;
    std::array<net::day_budget, 2> day; ///< received, sent
    std::vector<std::unique_ptr<net::token_bucket>> own;

    /// Under the lock of the guests.
    void set(std::atomic<net::token_bucket*>& which, std::optional<double> per_second, double burst, time now) {
        net::token_bucket* bucket = which.load();
        if (bucket != nullptr)
            bucket->change(per_second.value_or(unlimited), per_second ? burst : unlimited, now);
        else if (per_second)
            which = own.emplace_back(std::make_unique<net::token_bucket>(*per_second, burst, now)).get();
    }
    void set_octets(std::optional<double> per_second, time now) {
        // Short turns: a fifth of a second each, so that nobody who shares the rate waits long for the others.
        const std::size_t one =
            per_second ? std::max<std::size_t>(static_cast<std::size_t>(*per_second / 5), 512) : SIZE_MAX;
        set(octets, per_second, static_cast<double>(one), now);
        turn = one;
    }
    void set_messages(std::optional<double> per_second, time now) {
        set(messages, per_second, std::max(per_second.value_or(1), 1.0), now);
    }

  private:
    static constexpr double unlimited = 1e15;
};

struct guests::account {
    std::string key;
    std::array<net::day_budget, 2> day; ///< received, sent
    std::mutex mutex;
    client::chosen_preset preset;
    std::unique_ptr<net::token_bucket> slow; ///< since it asked for a pause
    time slow_until{};
};

/// One connection.
class guests::line final : public net::allowance {
  public:
    line(std::shared_ptr<visit> stay, bool target, net::gate::permit permit)
        : stay_(std::move(stay)), target_(target), permit_(std::move(permit)), server_(*end().where),
          account_(*end().who), budget_(&account_.day[target ? 1 : 0]), server_budget_(&server_.day[target ? 1 : 0]) {}
    ~line() override { stay_->put_back(target_, std::move(permit_)); }

    time moved(net::direction way, std::size_t octets, time now) override {
        const std::size_t which = way == net::direction::sent ? 1 : 0;
        const std::int64_t unix = stay_->at_->unix_now();
        account_.day[which].add(octets, unix);
        server_.day[which].add(octets, unix);
        net::token_bucket* rate = server_.octets;
        return rate != nullptr ? rate->take(static_cast<double>(octets), now) : now;
    }

    [[nodiscard]] std::size_t turn() const noexcept override {
        // What has been read counts, also when it is thrown away: not much more than the budget is to be read.
        std::size_t most = server_.turn;
        for (const net::day_budget* b : {budget_, server_budget_})
            if (const auto n = b->limit(); n != 0)
                most = std::min(most, static_cast<std::size_t>(std::max<std::uint64_t>(n / 64, 4096)));
        return most;
    }

    result<time> begin_messages(std::size_t messages, time now) override {
        if (auto spent = spent_budget()) return std::unexpected(std::move(*spent));
        if (messages == 0) return now;
        const auto units = static_cast<double>(messages);
        net::token_bucket* rate = server_.messages;
        time when = rate != nullptr ? rate->take(units, now) : now;
        const std::lock_guard lock(account_.mutex);
        if (account_.slow && now < account_.slow_until) when = std::max(when, account_.slow->take(units, now));
        return when;
    }

    [[nodiscard]] std::size_t messages_at_once() const noexcept override {
        net::token_bucket* messages = server_.messages;
        double rate = messages != nullptr ? messages->per_second() : 0;
        {
            const std::lock_guard lock(account_.mutex);
            if (account_.slow && std::chrono::steady_clock::now() < account_.slow_until)
                rate = rate == 0 ? account_.slow->per_second() : std::min(rate, account_.slow->per_second());
        }
        std::size_t most = rate == 0 ? SIZE_MAX : static_cast<std::size_t>(std::max(rate, 1.0));
        if (budget_->limited() || server_budget_->limited()) most = std::min(most, messages_under_a_budget);
        return most;
    }

    /// Why no message is to be begun.
    [[nodiscard]] std::optional<error> spent_budget() const {
        const std::int64_t unix = stay_->at_->unix_now();
        const auto mine = budget_->spent_until(unix), all = server_budget_->spent_until(unix);
        if (!mine && !all) return std::nullopt;
        const auto until = std::max(mine.value_or(0), all.value_or(0));
        error why{.cls = retry_class::throttled,
                  .where = target_ ? phase::append : phase::fetch,
                  .what = fmt::format("The daily budget of {} ({}) is spent", mine ? account_.key : server_.key,
                                      format_size(mine ? budget_->limit() : server_budget_->limit())),
                  .server_said = {},
                  .advice = {},
                  .response_code = "BUDGET"};
        why.backoff_ms = static_cast<std::uint32_t>(std::clamp<std::int64_t>(until - unix, 1, 90'000) * 1000);
        return why;
    }

  private:
    [[nodiscard]] visit::end& end() const { return stay_->ends_[target_ ? 1 : 0]; }

    std::shared_ptr<visit> stay_;
    bool target_;
    net::gate::permit permit_;
    guests::server& server_;
    guests::account& account_;
    net::day_budget *budget_, *server_budget_; ///< of the direction that the mailbox's messages go
};

guests::guests(guest_options options, net::traffic_book* book, guest_clocks now)
    : options_(std::move(options)), book_(book), now_(std::move(now)), gate_(net::gate::make(now_.steady)) {
    if (!now_.unix_seconds)
        now_.unix_seconds = [] {
            return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
                .count();
        };
}

guests::~guests() = default;

std::shared_ptr<guests> guests::make(guest_options options, std::size_t jobs, net::traffic_book* book,
                                     guest_clocks now) {
    std::shared_ptr<guests> made(new guests(std::move(options), book, std::move(now)));
    made->gate_->limit(at_work, std::max<std::size_t>(jobs, 1));
    return made;
}

task<result<void>> guests::load() {
    if (book_ == nullptr) co_return result<void>{};
    auto all = co_await book_->traffic_since(net::day_budget::hour_of(unix_now()) - net::day_budget::hours_a_day);
    if (!all) co_return std::unexpected(all.error());
    const std::lock_guard lock(mutex_);
    for (net::traffic& t : *all) remembered_[t.place].push_back(std::move(t));
    co_return result<void>{};
}

task<result<void>> guests::save() {
    if (book_ == nullptr) co_return result<void>{};
    std::vector<net::traffic> news;
    {
        const std::lock_guard lock(mutex_);
        for (auto& [key, s] : servers_) gather_news(key, s->day, news);
        for (auto& [key, a] : accounts_) gather_news(key, a->day, news);
        let_go_of_idle_accounts();
    }
    if (news.empty()) co_return result<void>{};
    co_return co_await book_->add_traffic(std::move(news),
                                          net::day_budget::hour_of(unix_now()) - net::day_budget::hours_a_day);
}

/// What a server may be asked for, less what other processes ask it for.
void guests::apply_rates(server& s, const server_share& share, time now) const {
    const double workers = std::max(share.workers, 1);
    const auto part = [workers](const auto& own, const auto& usual) -> std::optional<double> {
        if (own) return static_cast<double>(*own) / workers;
        if (usual) return static_cast<double>(*usual) / workers;
        return std::nullopt;
    };
    s.set_octets(part(share.octets_per_second, options_.octets_per_second), now);
    s.set_messages(part(share.messages_per_second, options_.messages_per_second), now);
}

void guests::share(const std::vector<server_share>& all) {
    const std::lock_guard lock(mutex_);
    const time now = now_.steady();
    std::map<std::string, server_share, std::less<>> next;
    for (const server_share& one : all) next.emplace(one.key, one);
    for (const auto& [key, s] : servers_) {
        const auto before = shares_.find(key), after = next.find(key);
        const server_share none{.key = key};
        const server_share &was = before == shares_.end() ? none : before->second,
                           &is = after == next.end() ? none : after->second;
        if (was != is) apply_rates(*s, is, now);
    }
    shares_ = std::move(next);
}

task<result<void>> guests::refresh() {
    if (auto ok = co_await save(); !ok || book_ == nullptr) co_return ok;
    auto all = co_await book_->traffic_since(net::day_budget::hour_of(unix_now()) - net::day_budget::hours_a_day);
    if (!all) co_return std::unexpected(all.error());
    std::map<std::string, std::array<std::map<std::int64_t, std::uint64_t>, 2>, std::less<>> by_place;
    for (const net::traffic& t : *all) by_place[t.place][t.sent ? 1 : 0][t.hour] += t.octets;
    const std::lock_guard lock(mutex_);
    const auto correct = [&](const std::string& place, std::array<net::day_budget, 2>& day) {
        const auto known = by_place.find(place);
        if (known == by_place.end()) return;
        for (const bool sent : {false, true})
            if (day[sent ? 1 : 0].limited()) day[sent ? 1 : 0].stands_at(std::move(known->second[sent ? 1 : 0]));
        by_place.erase(known);
    };
    for (auto& [key, s] : servers_) correct(key, s->day);
    for (auto& [key, a] : accounts_) correct(key, a->day);
    remembered_.clear();
    for (auto& [place, both] : by_place)
        for (const bool sent : {false, true})
            for (const auto& [hour, octets] : both[sent ? 1 : 0])
                remembered_[place].push_back({.place = place, .sent = sent, .hour = hour, .octets = octets});
    co_return result<void>{};
}

void guests::recall(const std::string& place, std::array<net::day_budget, 2>& day) {
    auto known = remembered_.extract(place);
    if (known.empty()) return;
    for (const net::traffic& t : known.mapped()) day[t.sent ? 1 : 0].remember(t.hour, t.octets);
}

void guests::gather_news(const std::string& place, std::array<net::day_budget, 2>& day,
                         std::vector<net::traffic>& into) {
    for (const bool sent : {false, true}) {
        net::day_budget& b = day[sent ? 1 : 0];
        if (!b.limited()) continue; // nobody asks
        for (const auto& [hour, octets] : b.take_news())
            into.push_back({.place = place, .sent = sent, .hour = hour, .octets = octets});
    }
}

// A run may have a hundred thousand accounts, and few of them at a time.
void guests::let_go_of_idle_accounts() {
    std::erase_if(accounts_, [this](auto& entry) {
        auto& [key, a] = entry;
        if (a.use_count() > 1) return false;
        for (const bool sent : {false, true}) {
            const net::day_budget& b = a->day[sent ? 1 : 0];
            if (!b.limited()) continue;
            for (const auto& [hour, octets] : b.hours())
                remembered_[key].push_back({.place = key, .sent = sent, .hour = hour, .octets = octets});
        }
        return true;
    });
}

std::shared_ptr<guests::server> guests::server_of(const mailbox::endpoint& where) {
    const std::string key = key_of(where);
    if (const auto most = where.max_connections ? where.max_connections : options_.connections_per_server)
        gate_->limit(key, *most);
    const std::lock_guard lock(mutex_);
    std::shared_ptr<server>& s = servers_[key];
    if (s) return s;
    s = std::make_shared<server>();
    s->key = key;
    const time now = now_.steady();
    const auto shared = shares_.find(key);
    apply_rates(*s, shared == shares_.end() ? server_share{.key = key} : shared->second, now);
    if (const auto rate = options_.logins_per_second)
        s->logins = std::make_unique<net::token_bucket>(*rate, std::max(*rate, 1.0), now);
    for (net::day_budget& b : s->day) b.limit(options_.server_octets_per_day.value_or(0));
    recall(key, s->day);
    return s;
}

std::shared_ptr<guests::account> guests::account_of(const mailbox::endpoint& where, bool target) {
    const std::string key = fmt::format("{} {}", key_of(where), where.user);
    std::shared_ptr<account> a;
    {
        const std::lock_guard lock(mutex_);
        std::shared_ptr<account>& found = accounts_[key];
        if (!found) {
            found = std::make_shared<account>();
            found->key = key;
            recall(key, found->day);
        }
        a = found;
    }
    const std::string& named = options_.presets[target ? 1 : 0];
    client::chosen_preset preset = named.empty()
                                       ? client::choose_preset(where.where.host)
                                       : client::chosen_preset{.what = client::find_preset(named), .why = "--preset"};
    if (options_.octets_per_day) a->day[target ? 1 : 0].limit(*options_.octets_per_day);
    apply(*a, preset, target);
    return a;
}

void guests::apply(account& a, const client::chosen_preset& preset, bool target) {
    if (preset.what == nullptr) return;
    const client::guest_limits& p = *preset.what;
    const std::string server_key = a.key.substr(0, a.key.find(' '));
    if (p.connections_per_account != 0) gate_->limit(a.key, p.connections_per_account);
    if (p.connections_per_server != 0) gate_->limit(server_key, p.connections_per_server);
    if (!options_.octets_per_day) a.day[target ? 1 : 0].limit(target ? p.octets_up_per_day : p.octets_down_per_day);
    if (p.logins_per_second > 0 && !options_.logins_per_second) {
        const std::lock_guard lock(mutex_);
        if (const auto at = servers_.find(server_key); at != servers_.end() && !at->second->logins)
            at->second->logins = std::make_unique<net::token_bucket>(p.logins_per_second,
                                                                     std::max(p.logins_per_second, 1.0), now_.steady());
    }
    const std::lock_guard lock(a.mutex);
    a.preset = preset;
}

// A preset that is recognised late may set it; it stays then.
net::token_bucket* guests::logins_of(server& s) {
    const std::lock_guard lock(mutex_);
    return s.logins.get();
}

std::shared_ptr<visit> guests::receive(const mailbox::endpoint& source, const mailbox::endpoint& target) {
    return std::shared_ptr<visit>(new visit(shared_from_this(), source, target));
}

visit::visit(std::shared_ptr<guests> at, const mailbox::endpoint& source, const mailbox::endpoint& target)
    : at_(std::move(at)), ends_{end_at(source, false), end_at(target, true)} {}

visit::~visit() = default;

visit::end visit::end_at(const mailbox::endpoint& where, bool target) {
    end e;
    if (mailbox::is_local(where.kind)) return e;
    e.host = where.where.host;
    e.where = at_->server_of(where);
    e.who = at_->account_of(where, target);
    e.keys = {e.where->key, e.who->key};
    return e;
}

task<result<std::shared_ptr<void>>> visit::admit() {
    std::vector<std::string> keys{at_work};
    for (const end& e : ends_) keys.insert(keys.end(), e.keys.begin(), e.keys.end());
    net::gate::permit all = co_await at_->gate_->enter(std::move(keys));
    for (end& e : ends_) e.reserved = all.split(e.keys);
    job_ = std::move(all);
    inside_ = was_admitted_ = true;
    co_return std::shared_ptr<void>(this, [self = shared_from_this()](void*) {
        self->inside_ = false;
        for (end& e : self->ends_) e.reserved.give_back();
        self->job_.give_back();
    });
}

void visit::put_back(bool target, net::gate::permit permit) {
    end& e = ends_[target ? 1 : 0];
    if (inside_ && !e.reserved) e.reserved = std::move(permit); // for the next connection of this mailbox
}

task<result<std::shared_ptr<net::allowance>>> visit::connect(bool target) {
    end& e = ends_[target ? 1 : 0];
    if (!e.where) co_return std::shared_ptr<net::allowance>();
    net::gate::permit permit = std::move(e.reserved);
    if (!permit) {
        auto more = at_->gate_->try_enter(e.keys);
        if (!more)
            co_return fail(retry_class::transient, phase::connect,
                           fmt::format("No room for another connection to {}", e.host));
        permit = std::move(*more);
    }
    const auto made = std::make_shared<guests::line>(shared_from_this(), target, std::move(permit));
    if (auto spent = made->spent_budget()) co_return std::unexpected(std::move(*spent));
    if (net::token_bucket* logins = at_->logins_of(*e.where); logins != nullptr) {
        const time now = at_->now_.steady();
        if (const time when = logins->take(1, now); when > now) {
            boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, when - now);
            co_await timer.async_wait(boost::asio::use_awaitable);
        }
    }
    co_return made;
}

void visit::met(bool target, std::span<const std::string> capabilities, std::string_view greeting) {
    end& e = ends_[target ? 1 : 0];
    if (!e.who || !at_->options_.presets[target ? 1 : 0].empty()) return;
    at_->apply(*e.who, client::choose_preset(e.host, capabilities, greeting), target);
}

void visit::turned_away(bool target, const error& why) {
    const end& e = ends_[target ? 1 : 0];
    if (!e.where || !client::means_too_many_connections(why)) return;
    // Whoever asks has a place himself, also while its connection is not there: the others are what the server bears.
    const time until = at_->now_.steady() + shrunk_for;
    const auto others = [&](const std::string& key) {
        const std::size_t n = at_->gate_->inside(key);
        return e.reserved && n > 0 ? n - 1 : n;
    };
    if (const std::size_t n = others(e.who->key); n > 0)
        at_->gate_->shrink(e.who->key, n, until);
    else if (const std::size_t all = others(e.where->key); all > 0)
        at_->gate_->shrink(e.where->key, all, until);
}

void visit::throttled(bool target, const error& why) {
    const end& e = ends_[target ? 1 : 0];
    if (!e.who || why.response_code == "BUDGET") return;
    const time now = at_->now_.steady();
    const std::lock_guard lock(e.who->mutex);
    const double rate = e.who->preset.what != nullptr ? e.who->preset.what->messages_when_throttled : 0;
    if (rate == 0) return;
    if (!e.who->slow) e.who->slow = std::make_unique<net::token_bucket>(rate, rate, now);
    e.who->slow_until = now + slowed_for;
}

visit::limits visit::limits_of(bool target) const {
    const end& e = ends_[target ? 1 : 0];
    limits out;
    if (!e.who) return out;
    const std::lock_guard lock(e.who->mutex);
    out.preset = e.who->preset;
    const client::guest_limits& p = *out.preset.what;
    const guest_options& o = at_->options_;
    const std::string_view way = target ? "to" : "from";
    if (p.connections_per_account != 0)
        out.texts.push_back(fmt::format("{} connections an account", p.connections_per_account));
    if (const auto n = e.who->day[target ? 1 : 0].limit(); n != 0)
        out.texts.push_back(fmt::format("{} a day {} the account", format_size(n), way));
    if (const auto n = e.where->day[target ? 1 : 0].limit(); n != 0)
        out.texts.push_back(fmt::format("{} a day {} the server", format_size(n), way));
    if (o.octets_per_second) out.texts.push_back(fmt::format("{}/s", format_size(*o.octets_per_second)));
    if (o.messages_per_second) out.texts.push_back(fmt::format("{} messages/s", trimmed(*o.messages_per_second)));
    if (const net::token_bucket* logins = at_->logins_of(*e.where); logins != nullptr)
        out.texts.push_back(fmt::format("{} logins/s", trimmed(logins->per_second())));
    if (p.messages_when_throttled > 0)
        out.texts.push_back(fmt::format("{} messages/s once throttled", trimmed(p.messages_when_throttled)));
    return out;
}

} // namespace postferry::app
