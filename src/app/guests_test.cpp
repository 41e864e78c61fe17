#include "app/guests.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>

namespace postferry::app {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::int64_t noon = 1'709'208'000; // 2024-02-29T12:00:00Z

/// What earlier runs moved, in memory.
class memory_book final : public net::traffic_book {
  public:
    std::vector<net::traffic> rows;
    task<result<std::vector<net::traffic>>> traffic_since(std::int64_t first_hour) override {
        std::vector<net::traffic> out;
        for (const net::traffic& t : rows)
            if (t.hour >= first_hour) out.push_back(t);
        co_return out;
    }
    task<result<void>> add_traffic(std::vector<net::traffic> more, std::int64_t) override {
        rows.insert(rows.end(), more.begin(), more.end());
        co_return result<void>{};
    }
    [[nodiscard]] std::vector<std::string> text() const {
        std::vector<std::string> out;
        for (const net::traffic& t : rows)
            out.push_back(fmt::format("{} {} {}", t.place, t.sent ? "up" : "down", t.octets));
        return out;
    }
};

class guests_test : public testing::Test {
  protected:
    guest_options options;
    std::size_t jobs = 8;
    memory_book book;
    std::chrono::steady_clock::time_point steady{1h};
    std::int64_t unix_seconds = noon;
    boost::asio::io_context io{1};

    std::shared_ptr<guests> open() {
        auto g = guests::make(options, jobs, &book,
                              {.steady = [this] { return steady; }, .unix_seconds = [this] { return unix_seconds; }});
        EXPECT_TRUE(run(g->load()));
        return g;
    }
    template <class T> T run(task<T> work) {
        std::optional<T> out;
        boost::asio::co_spawn(io, std::move(work), [&](std::exception_ptr thrown, T value) {
            if (thrown) std::rethrow_exception(thrown);
            out.emplace(std::move(value));
        });
        io.restart();
        io.poll();
        EXPECT_TRUE(out) << "it waits";
        return std::move(out.value());
    }
    /// Whether it is admitted at once; else it waits on.
    std::shared_ptr<void>* admit(const std::shared_ptr<visit>& stay) {
        auto* room = &rooms_.emplace_back();
        boost::asio::co_spawn(
            io,
            [](std::shared_ptr<visit> s, std::shared_ptr<void>* into) -> task<> {
                *into = (co_await s->admit()).value();
            }(stay, room),
            boost::asio::detached);
        settle();
        return room;
    }
    void settle() {
        io.restart();
        io.poll();
    }
    static mailbox::endpoint at(std::string host, std::string user = "alice") {
        mailbox::endpoint e;
        e.kind = mailbox::scheme::imaps;
        e.where = {.host = std::move(host), .port = 993};
        e.user = std::move(user);
        return e;
    }
    static mailbox::endpoint local() {
        mailbox::endpoint e;
        e.kind = mailbox::scheme::maildir;
        e.path = "/srv/mail";
        return e;
    }

  private:
    std::deque<std::shared_ptr<void>> rooms_;
};

TEST_F(guests_test, max_connections_holds_for_the_server_and_nobody_else_waits) {
    mailbox::endpoint slow = at("slow");
    slow.max_connections = 1;
    const auto g = open();
    const auto a = g->receive(slow, at("new", "a")), b = g->receive(slow, at("new", "b")),
               c = g->receive(at("fast"), at("new", "c"));
    const auto *in_a = admit(a), *in_b = admit(b), *in_c = admit(c);
    EXPECT_TRUE(*in_a);
    EXPECT_FALSE(*in_b);
    EXPECT_TRUE(*in_c);
    const_cast<std::shared_ptr<void>*>(in_a)->reset();
    settle();
    EXPECT_TRUE(*in_b);
}

TEST_F(guests_test, a_cap_for_every_server_gives_way_to_that_of_an_end) {
    options.connections_per_server = 1;
    mailbox::endpoint wide = at("wide");
    wide.max_connections = 2;
    const auto g = open();
    const auto a = g->receive(at("old", "a"), local()), b = g->receive(at("old", "b"), local()),
               c = g->receive(wide, local()), d = g->receive(wide, local());
    const auto *in_a = admit(a), *in_b = admit(b), *in_c = admit(c), *in_d = admit(d);
    EXPECT_TRUE(*in_a);
    EXPECT_FALSE(*in_b);
    EXPECT_TRUE(*in_c && *in_d);
}

TEST_F(guests_test, jobs_are_mailboxes_at_work_and_a_place_is_given_back) {
    jobs = 1;
    const auto g = open();
    const auto a = g->receive(at("x"), local()), b = g->receive(at("y"), local());
    auto* in_a = admit(a);
    const auto* in_b = admit(b);
    EXPECT_TRUE(*in_a);
    EXPECT_FALSE(*in_b);
    in_a->reset(); // as a throttled mailbox does while it waits
    settle();
    EXPECT_TRUE(*in_b);
}

TEST_F(guests_test, a_line_that_is_made_anew_keeps_its_place_and_a_second_one_asks) {
    mailbox::endpoint one = at("old");
    one.max_connections = 1;
    const auto g = open();
    const auto stay = g->receive(one, local());
    const auto* in = admit(stay);
    EXPECT_TRUE(*in);
    auto line = run(stay->connect(false));
    ASSERT_TRUE(line);
    EXPECT_EQ(run(stay->connect(false)).error().cls, retry_class::transient) << "there is room for one";
    line->reset();
    EXPECT_TRUE(run(stay->connect(false)));
    EXPECT_EQ(run(stay->connect(true)).value(), nullptr) << "a place on this machine has no limits";
}

TEST_F(guests_test, rates_are_shared_by_all_mailboxes_of_a_server) {
    options.octets_per_second = 10'000;
    options.messages_per_second = 2;
    const auto g = open();
    const auto a = g->receive(at("old", "a"), local()), b = g->receive(at("old", "b"), local());
    const auto line_a = run(a->connect(false)).value(), line_b = run(b->connect(false)).value();
    EXPECT_EQ(line_a->turn(), 2'000U);
    EXPECT_EQ(line_a->messages_at_once(), 2U);
    EXPECT_EQ(line_a->moved(net::direction::received, 2'000, steady), steady);
    EXPECT_EQ(line_b->moved(net::direction::received, 2'000, steady), steady + 200ms);
    EXPECT_EQ(line_a->moved(net::direction::sent, 1'000, steady), steady + 300ms);
    EXPECT_EQ(line_a->begin_messages(2, steady).value(), steady);
    EXPECT_EQ(line_b->begin_messages(1, steady).value(), steady + 500ms);
}

TEST_F(guests_test, a_servers_own_rate_goes_before_the_runs_and_is_shared_among_processes) {
    options.octets_per_second = 10'000;
    const auto g = open();
    const auto a = g->receive(at("old", "a"), local());
    const auto line = run(a->connect(false)).value();
    EXPECT_EQ(line->turn(), 2'000U);
    g->share({{.key = "old:993", .workers = 4}});
    EXPECT_EQ(line->turn(), 512U);
    g->share({{.key = "old:993", .octets_per_second = 40'000, .workers = 2}});
    EXPECT_EQ(line->turn(), 4'000U);
    EXPECT_EQ(line->messages_at_once(), SIZE_MAX);
    g->share({{.key = "old:993", .messages_per_second = 6, .workers = 2}});
    EXPECT_EQ(line->messages_at_once(), 3U);
    g->share({});
    EXPECT_EQ(line->turn(), 2'000U);
    EXPECT_GT(line->messages_at_once(), 1'000'000U);
}

TEST_F(guests_test, what_other_processes_moved_counts) {
    options.octets_per_day = 1'000;
    const auto g = open();
    const auto a = g->receive(at("old", "a"), local());
    const auto line = run(a->connect(false)).value();
    line->moved(net::direction::received, 400, steady);
    ASSERT_TRUE(run(g->refresh()));
    EXPECT_TRUE(line->begin_messages(1, steady));
    book.rows.push_back({.place = book.rows.at(0).place, .sent = false, .hour = book.rows.at(0).hour, .octets = 600});
    EXPECT_TRUE(line->begin_messages(1, steady)) << "not known yet";
    ASSERT_TRUE(run(g->refresh()));
    EXPECT_FALSE(line->begin_messages(1, steady));
    ASSERT_TRUE(run(g->refresh())) << "nothing is counted twice";
    EXPECT_EQ(book.rows.size(), 2U);
}

TEST_F(guests_test, a_budget_is_spent_survives_the_run_and_returns) {
    options.octets_per_day = 1'000;
    {
        const auto g = open();
        const auto stay = g->receive(at("old"), at("new", "al"));
        const auto from = run(stay->connect(false)).value(), to = run(stay->connect(true)).value();
        EXPECT_LE(from->messages_at_once(), 100U);
        from->moved(net::direction::received, 999, steady);
        from->moved(net::direction::sent, 50'000, steady); // commands: not what is counted there
        EXPECT_TRUE(from->begin_messages(1, steady));
        from->moved(net::direction::received, 1, steady);
        const auto spent = from->begin_messages(1, steady);
        ASSERT_FALSE(spent);
        EXPECT_EQ(spent.error().cls, retry_class::throttled);
        EXPECT_EQ(spent.error().response_code, "BUDGET");
        EXPECT_EQ(spent.error().backoff_ms, 24U * 3'600'000);
        EXPECT_THAT(spent.error().what, HasSubstr("The daily budget of old:993 alice (1.0 kB) is spent"));
        EXPECT_TRUE(to->begin_messages(1, steady)) << "each end has its own";
        EXPECT_TRUE(run(g->save()));
    }
    EXPECT_THAT(book.text(), ElementsAre("old:993 alice down 1000"));
    unix_seconds += 3'600;
    const auto g = open();
    const auto stay = g->receive(at("old"), local());
    const auto refused = run(stay->connect(false));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().backoff_ms, 23U * 3'600'000);
    EXPECT_TRUE(run(g->receive(at("old", "bela"), local())->connect(false))) << "another account";
    unix_seconds += 23 * 3'600;
    EXPECT_TRUE(run(stay->connect(false)));
}

TEST_F(guests_test, an_account_that_is_let_go_of_is_known_again) {
    options.octets_per_day = 1'000;
    const auto g = open();
    {
        const auto line = run(g->receive(at("old"), local())->connect(false)).value();
        line->moved(net::direction::received, 1'000, steady);
    }
    EXPECT_TRUE(run(g->save())); // lets go of it
    EXPECT_FALSE(run(g->receive(at("old"), local())->connect(false)));
    EXPECT_TRUE(run(g->save()));
    EXPECT_THAT(book.text(), ElementsAre("old:993 alice down 1000")) << "and nothing is counted twice";
}

TEST_F(guests_test, what_no_budget_counts_is_not_written) {
    const auto g = open();
    const auto line = run(g->receive(at("old"), local())->connect(false)).value();
    line->moved(net::direction::received, 1'000'000, steady);
    EXPECT_TRUE(run(g->save()));
    EXPECT_THAT(book.rows, IsEmpty());
}

TEST_F(guests_test, a_server_may_have_a_budget_over_all_its_accounts) {
    options.server_octets_per_day = 1'000;
    const auto g = open();
    const auto a = run(g->receive(at("old", "a"), local())->connect(false)).value();
    const auto b = run(g->receive(at("old", "b"), local())->connect(false)).value();
    a->moved(net::direction::received, 600, steady);
    b->moved(net::direction::received, 600, steady);
    EXPECT_FALSE(a->begin_messages(1, steady));
    EXPECT_THAT(a->begin_messages(1, steady).error().what, HasSubstr("old:993 ("));
}

TEST_F(guests_test, presets_by_host_by_capability_and_by_name) {
    const auto g = open();
    const auto gmail = g->receive(at("imap.gmail.com"), at("mail.example.org", "x"));
    EXPECT_EQ(gmail->limits_of(false).preset.what->name, "gmail");
    EXPECT_THAT(gmail->limits_of(false).texts, Contains("2.5 GB a day from the account"));
    EXPECT_EQ(gmail->limits_of(true).preset.what->name, "generic");
    EXPECT_THAT(gmail->limits_of(true).texts, IsEmpty());
    gmail->met(true, std::vector<std::string>{"IMAP4REV1", "X-GM-EXT-1"}, "");
    EXPECT_EQ(gmail->limits_of(true).preset.why, "capability X-GM-EXT-1");
    EXPECT_THAT(gmail->limits_of(true).texts, Contains("500 MB a day to the account"));

    options.presets[1] = "generic";
    options.octets_per_day = 7'000'000;
    const auto other = open()->receive(at("imap.gmail.com"), at("mail.example.org", "x"));
    other->met(true, std::vector<std::string>{"X-GM-EXT-1"}, "");
    EXPECT_EQ(other->limits_of(true).preset.why, "--preset");
    EXPECT_THAT(other->limits_of(false).texts, Contains("7.0 MB a day from the account"));
}

TEST_F(guests_test, a_throttled_exchange_gets_few_messages_for_an_hour) {
    options.presets[0] = "office365";
    const auto g = open();
    const auto stay = g->receive(at("old"), local());
    const auto line = run(stay->connect(false)).value();
    EXPECT_EQ(line->begin_messages(1'000, steady).value(), steady);
    stay->throttled(false, fail(retry_class::throttled, phase::fetch, "slow").error());
    EXPECT_EQ(line->begin_messages(4, steady).value(), steady);
    EXPECT_EQ(line->begin_messages(4, steady).value(), steady + 1s);
    steady += 1h;
    EXPECT_EQ(line->begin_messages(1'000, steady).value(), steady);
}

TEST_F(guests_test, too_many_connections_mean_fewer_for_a_while) {
    error cap = fail(retry_class::throttled, phase::login, "old refused the login").error();
    cap.server_said = "NO [ALERT] Too many simultaneous connections. (Failure)";
    const auto g = open();
    const auto a = g->receive(at("old"), at("n", "a")), b = g->receive(at("old"), at("n", "b"));
    auto *in_a = admit(a), *in_b = admit(b);
    EXPECT_TRUE(*in_a && *in_b);
    b->turned_away(false, cap);
    in_b->reset();
    auto* again = admit(b);
    EXPECT_FALSE(*again) << "the account has one connection, and that is what it bears";
    in_a->reset();
    settle();
    EXPECT_TRUE(*again);
    again->reset();
    steady += 5min;
    EXPECT_TRUE(*admit(a));
    EXPECT_TRUE(*admit(b));
}

} // namespace
} // namespace postferry::app
