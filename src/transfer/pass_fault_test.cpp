// The property that matters most: whatever dies, and at whatever moment, nothing is lost and nothing is there twice.
#include "support/pass_bench.hpp"

#include <ostream>
#include <random>

namespace postferry::transfer {
namespace {

using namespace support;
using testing::IsEmpty;

struct scenario;
void PrintTo(const scenario& s, std::ostream* out);

struct scenario {
    std::string name;
    std::function<void(pass_bench&)> before; ///< the world as the pass finds it; may run passes of its own
};

void PrintTo(const scenario& s, std::ostream* out) { *out << s.name; }

/// Everything that makes matching hard: exact repeats, one Message-ID with several bodies, no header, equal
/// fingerprints, and a message that streams.
void fill(fake_folder& in, fake_folder& lists) {
    in.add(mail("plain"), {"\\Seen"});
    in.add(mail("repeated"));
    in.add(mail("shared", "first body"), {"$Label1"});
    in.add(mail("shared", "second body"), {"$Label1"});
    in.add("\r\nno header at all\r\n");
    in.add("\r\nno header either\r\n");
    in.add(mail("repeated"));
    in.add(mail("repeated"));
    in.add("Subject: weak\r\n\r\none\r\n");
    in.add("Subject: weak\r\n\r\ntwo\r\n");
    lists.add(mail("big", std::string(700, 'b')), {"\\Flagged"});
    lists.add(mail("plain"));
    lists.add(mail("last"));
}
void fill(pass_bench& b) { fill(b.source.inbox(), b.source.folders["Lists"]); }

void renumber(fake_folder& f) {
    fake_folder anew;
    anew.uid_validity = f.uid_validity + 1;
    for (auto& [uid, m] : f.messages) anew.add(m);
    f = std::move(anew);
}

std::vector<scenario> scenarios() {
    return {
        {"first_copy", [](pass_bench& b) { fill(b); }},
        {"late_store",
         [](pass_bench& b) {
             fill(b);
             b.target.stores_after_death = true;
         }},
        {"no_uidplus",
         [](pass_bench& b) {
             fill(b);
             b.target.uidplus = false;
         }},
        {"no_uidplus_late_store",
         [](pass_bench& b) {
             fill(b);
             b.target.uidplus = false;
             b.target.stores_after_death = true;
         }},
        {"no_multiappend",
         [](pass_bench& b) {
             fill(b);
             b.target.batch_messages = 1;
             b.target.batches_in_flight = 4;
         }},
        {"no_condstore",
         [](pass_bench& b) {
             fill(b);
             b.source.condstore = b.target.condstore = false;
         }},
        {"flagged_is_lost",
         [](pass_bench& b) {
             fill(b);
             b.source.inbox().add(mail("marked"), {"\\Flagged", "\\Seen"});
             b.target.keeps_flagged = false;
         }},
        {"flagged_is_lost_late_store",
         [](pass_bench& b) {
             fill(b);
             b.target.keeps_flagged = false;
             b.target.stores_after_death = true;
             b.run();
             for (int i = 0; i < 3; ++i) b.source.inbox().add(mail("marked", fmt::format("{}", i)), {"\\Flagged"});
             b.source.inbox().set_flags(1, {"\\Flagged"});
         }},
        {"target_was_not_empty",
         [](pass_bench& b) {
             fill(b);
             b.target.inbox().add(mail("repeated"));
             b.target.inbox().add(mail("shared", "second body"), {"$Label1"});
             b.target.inbox().add("\r\nno header either\r\n");
         }},
        {"second_pass",
         [](pass_bench& b) {
             fill(b);
             b.run();
             b.source.inbox().add(mail("repeated"));
             b.source.inbox().add(mail("new"), {"$Label2"});
             b.source.inbox().set_flags(1, {"\\Answered"});
             b.source.inbox().set_flags(2, {"\\Seen", "$Label2"});
         }},
        {"second_pass_without_uidplus",
         [](pass_bench& b) {
             fill(b);
             b.target.uidplus = false;
             b.run();
             for (int i = 0; i < 4; ++i) b.source.inbox().add(mail("repeated"));
             b.source.inbox().add(mail("new"));
         }},
        {"merged",
         [](pass_bench& b) {
             fill(b.source.folders["A"], b.source.folders["B"]);
             fill(b.source.folders["B"], b.source.folders["A"]);
             b.options.rules.maps = {*parse_map_rule("[AB]=>Both")};
         }},
        {"merged_without_uidplus",
         [](pass_bench& b) {
             fill(b.source.folders["A"], b.source.folders["B"]);
             b.options.rules.maps = {*parse_map_rule("[AB]=>Both")};
             b.target.uidplus = false;
             b.run();
             for (int i = 0; i < 3; ++i) b.source.folders["A"].add(mail("repeated"));
             b.source.folders["B"].add(mail("repeated"));
             b.source.folders["B"].add(mail("plain"));
         }},
        {"ledger_lost",
         [](pass_bench& b) {
             fill(b);
             b.run();
             b.lose_ledger();
             b.source.inbox().add(mail("repeated"));
             b.source.folders["Lists"].add(mail("shared", "third body"));
         }},
        {"source_renumbered",
         [](pass_bench& b) {
             fill(b);
             b.run();
             renumber(b.source.inbox());
             b.source.inbox().add(mail("repeated"));
         }},
        {"target_renumbered",
         [](pass_bench& b) {
             fill(b);
             b.run();
             renumber(b.target.inbox());
             b.source.inbox().add(mail("repeated"));
         }},
    };
}

class pass_fault_test : public testing::TestWithParam<scenario> {
  protected:
    std::unique_ptr<pass_bench> prepared() const {
        auto b = std::make_unique<pass_bench>();
        GetParam().before(*b);
        return b;
    }
    /// The world is as it should be, and the books know it.
    static void expect_settled(pass_bench& b, const mailbox_report& r) {
        EXPECT_EQ(r.state, mailbox_state::synced) << (r.stopped_by ? r.stopped_by->message() : "residual");
        EXPECT_EQ(r.messages.residual(), 0);
        EXPECT_EQ(r.messages.failed, 0U);
        auto from = pass_bench::content(b.source);
        const auto to = pass_bench::content(b.target);
        if (!b.options.rules.maps.empty())
            for (std::string& m : from)
                if (m.starts_with("A|") || m.starts_with("B|")) m.replace(0, 1, "Both");
        std::ranges::sort(from);
        std::vector<std::string> lost, twice;
        std::ranges::set_difference(from, to, std::back_inserter(lost));
        std::ranges::set_difference(to, from, std::back_inserter(twice));
        EXPECT_THAT(lost, IsEmpty());
        EXPECT_THAT(twice, IsEmpty());
        const mailbox_report idle = b.run();
        EXPECT_EQ(sheet(idle.messages), fmt::format("{0} = 0 + {0} + 0 + 0", b.source.messages()));
        EXPECT_EQ(b.source.done("fetch") + b.source.done("header"), 0U) << "there is nothing left to read";
    }
    /// Lets `side` die at each of its operations.
    void each_death(const std::function<fake_server&(pass_bench&)>& side) {
        const auto healthy = prepared();
        const std::uint64_t from = side(*healthy).count;
        const std::string sum = sheet(healthy->run().messages);
        const std::uint64_t operations = side(*healthy).count - from;
        ASSERT_GE(operations, 5U);
        for (std::uint64_t k = 1; k <= operations && !HasFailure(); ++k) {
            SCOPED_TRACE(fmt::format("died at operation {} of {}", k, operations));
            const auto stubborn = prepared();
            side(*stubborn).dies_at = side(*stubborn).count + k;
            const mailbox_report r = stubborn->run();
            SCOPED_TRACE("one run, several attempts");
            EXPECT_EQ(sheet(r.messages), sum) << "what this run brought is copied, whatever died in between";
            expect_settled(*stubborn, r);
        }
        for (std::uint64_t k = 1; k <= operations && !HasFailure(); ++k) {
            SCOPED_TRACE(fmt::format("died at operation {} of {}, and so did the run", k, operations));
            const auto b = prepared();
            side(*b).dies_at = side(*b).count + k;
            b->options.attempts = 1;
            const mailbox_report first = b->run();
            EXPECT_TRUE(first.stopped_by);
            EXPECT_GE(first.messages.residual(), 0);
            expect_settled(*b, b->run());
        }
    }
};

TEST_P(pass_fault_test, the_target_dies) {
    each_death([](pass_bench& b) -> fake_server& { return b.target; });
}

TEST_P(pass_fault_test, the_source_dies) {
    each_death([](pass_bench& b) -> fake_server& { return b.source; });
}

// What a kill -9 leaves behind: the servers went on, and nothing came into the books any more.
TEST_P(pass_fault_test, we_die) {
    const auto healthy = prepared();
    std::uint64_t calls = 0;
    healthy->books->before = [&](std::string_view) -> std::optional<error> {
        ++calls;
        return std::nullopt;
    };
    healthy->run();
    for (std::uint64_t k = 1; k <= calls && !HasFailure(); ++k) {
        SCOPED_TRACE(fmt::format("killed at ledger call {} of {}", k, calls));
        const auto b = prepared();
        std::uint64_t call = 0;
        b->books->before = [&](std::string_view) -> std::optional<error> {
            if (++call < k) return std::nullopt;
            return error{.cls = retry_class::local,
                         .where = phase::ledger,
                         .what = "killed",
                         .server_said = {},
                         .advice = {},
                         .response_code = {}};
        };
        EXPECT_EQ(b->run().state, mailbox_state::failed);
        b->books->before = {};
        expect_settled(*b, b->run());
    }
}

TEST_P(pass_fault_test, we_are_stopped) {
    const auto healthy = prepared();
    const std::uint64_t from = healthy->target.count;
    healthy->run();
    const std::uint64_t operations = healthy->target.count - from;
    for (std::uint64_t k = 1; k <= operations && !HasFailure(); ++k) {
        SCOPED_TRACE(fmt::format("stopped at operation {} of {}", k, operations));
        const auto b = prepared();
        const std::uint64_t until = b->target.count + k;
        b->target.on_operation = [&](std::string_view) {
            if (b->target.count == until) b->running->stop();
        };
        const mailbox_report r = b->run();
        b->target.on_operation = {};
        EXPECT_TRUE(r.state == mailbox_state::interrupted || r.state == mailbox_state::synced);
        EXPECT_GE(r.messages.residual(), 0);
        const std::uint64_t on_target = b->target.messages();
        const mailbox_report next = b->run();
        expect_settled(*b, next);
        EXPECT_LE(next.messages.copied + on_target, b->source.messages())
            << "what was brought before the stop is known";
    }
}

// Both servers die again and again, in one run and over several; each seed is another fate.
TEST_P(pass_fault_test, everything_dies_again_and_again) {
    for (std::uint32_t seed = 1; seed <= 12 && !HasFailure(); ++seed) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        const auto b = prepared();
        std::minstd_rand fate(seed);
        unsigned lives = 8;
        for (fake_server* side : {&b->source, &b->target}) {
            side->on_operation = [&, side](std::string_view) {
                if (lives == 0 || fate() % 11 != 0) return;
                --lives;
                side->dies_at = side->count;
            };
        }
        b->options.attempts = 1 + seed % 3;
        for (int runs = 0; runs < 4; ++runs) b->run();
        b->source.on_operation = b->target.on_operation = {};
        expect_settled(*b, b->run());
    }
}

INSTANTIATE_TEST_SUITE_P(scenarios, pass_fault_test, testing::ValuesIn(scenarios()),
                         [](const auto& p) { return p.param.name; });

} // namespace
} // namespace postferry::transfer
