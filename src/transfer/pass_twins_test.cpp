// One message in several folders of the source.
#include "support/pass_bench.hpp"

#include <gtest/gtest.h>

namespace postferry::transfer {
namespace {

using namespace support;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class pass_twins_test : public testing::Test, public pass_bench {
  protected:
    pass_twins_test() { fill(*this); }

    static void label(pass_bench& b, const std::string& folder, std::uint64_t id, std::vector<std::string> flags = {}) {
        const std::string text(id == 3 ? 1'000 : 20, 'x'); // one that streams
        b.source.folders[folder].add(
            fake_message{.body = mail(fmt::format("m{}", id), text), .flags = std::move(flags), .id = id});
    }
    // Seven places of four messages: 1 is under three labels, 2 and 3 under two, 4 under one.
    static void fill(pass_bench& b) {
        for (const std::uint64_t id : {1U, 2U, 3U}) label(b, "INBOX", id, {"\\Seen"});
        for (const std::uint64_t id : {3U, 1U, 4U}) label(b, "Work", id, {"\\Seen"});
        for (const std::uint64_t id : {1U, 2U}) label(b, "Zoo", id, {"\\Seen"});
    }
    static std::size_t read(const pass_bench& b) { return b.source.done("fetch"); }

    // With as many folders as the source, each message once in each.
    static void expect_whole(const pass_bench& b, const mailbox_report& r, std::string_view when = "") {
        EXPECT_EQ(r.state, mailbox_state::synced) << when;
        EXPECT_EQ(r.messages.residual(), 0) << when;
        EXPECT_EQ(content(b.source), content(b.target)) << when;
    }
};

TEST_F(pass_twins_test, are_read_once_and_placed_everywhere) {
    const mailbox_report r = run();
    expect_whole(*this, r);
    EXPECT_EQ(sheet(r.messages), "8 = 8 + 0 + 0 + 0");
    EXPECT_EQ(read(*this), 4U);
    EXPECT_EQ(target.done("take"), 4U);
    for (const folder_report& f : r.folders) EXPECT_EQ(f.messages.copied, source.folders.at(f.source).messages.size());
    EXPECT_EQ(sheet(run().messages), "8 = 0 + 8 + 0 + 0");
    EXPECT_EQ(read(*this), 0U);
    EXPECT_EQ(verify().verify->identical, 8U);
}

TEST_F(pass_twins_test, over_several_connections) {
    options.connections = 3;
    options.messages_per_connection = 1;
    expect_whole(*this, run());
    EXPECT_EQ(read(*this), 4U);
}

TEST_F(pass_twins_test, have_rows_of_their_own) {
    run();
    source.folders["Zoo"].set_flags(1, {"\\Answered"}); // no Gmail would, but each row stands for itself
    source.folders["Zoo"].set_flags(2, {});
    EXPECT_EQ(run().flags_updated, 2U);
    EXPECT_EQ(content(source), content(target));
    source.folders["Work"].erase(2);
    EXPECT_EQ(sheet(run().messages), "7 = 0 + 7 + 0 + 0");
}

TEST_F(pass_twins_test, with_other_flags_are_read_by_themselves) {
    source.folders["Zoo"].set_flags(1, {"\\Seen", "\\Flagged"});
    expect_whole(*this, run());
    EXPECT_EQ(read(*this), 5U);
}

TEST_F(pass_twins_test, whose_folder_keeps_other_keywords_are_read_by_themselves) {
    for (auto& [name, f] : source.folders)
        for (auto& [uid, m] : f.messages) m.flags = {"$Label1"};
    target.folders["Work"].permanent_flags = {"\\Seen"};
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "8 = 8 + 0 + 0 + 0");
    for (const auto& [uid, m] : target.folders["Work"].messages) EXPECT_THAT(m.flags, ElementsAre());
    for (const auto& [uid, m] : target.folders["Zoo"].messages) EXPECT_THAT(m.flags, ElementsAre("$Label1"));
}

TEST_F(pass_twins_test, come_later_than_their_first_place) {
    run();
    const std::size_t before = target.messages();
    label(*this, "Zoo", 3, {"\\Seen"});
    const mailbox_report r = run();
    expect_whole(*this, r);
    EXPECT_EQ(target.messages(), before + 1);
    EXPECT_EQ(read(*this), 0U) << "it was brought to INBOX by the run before";
}

TEST_F(pass_twins_test, one_new_message_does_not_have_the_names_of_thousands_asked_for) {
    for (std::uint64_t id = 100; id < 700; ++id) label(*this, "INBOX", id, {"\\Seen"});
    run();
    label(*this, "Zoo", 3, {"\\Seen"});
    expect_whole(*this, run());
    EXPECT_EQ(read(*this), 1U);
    EXPECT_EQ(source.done("name INBOX"), 0U);
}

TEST_F(pass_twins_test, where_the_target_does_not_copy_are_read_for_each_folder) {
    for (const auto& why :
         {std::optional<error>(), std::optional(refusal(retry_class::permanent, "", "Not for you"))}) {
        pass_bench b;
        fill(b);
        b.target.copies = why.has_value();
        b.target.refuses_copy = why;
        expect_whole(b, b.run());
        EXPECT_EQ(read(b), 8U);
        EXPECT_LE(b.target.done("copy"), 1U) << "it is not asked again and again";
        EXPECT_THAT(b.notes, Contains(HasSubstr("are read for each of them")));
    }
}

TEST_F(pass_twins_test, are_judged_by_themselves_where_their_first_place_was_refused) {
    target.refuses = "m1@";
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "8 = 5 + 0 + 0 + 3");
    EXPECT_EQ(r.failures.size(), 3U);
    target.refuses.clear();
    expect_whole(*this, run());
}

TEST_F(pass_twins_test, that_meet_a_full_target_are_left_for_the_next_run) {
    target.quota = 6;
    const mailbox_report r = run();
    ASSERT_TRUE(r.stopped_by);
    EXPECT_THAT(r.stopped_by->advice, HasSubstr("Make room"));
    EXPECT_THAT(r.stopped_by->what, HasSubstr("(folder Zoo)"));
    target.quota.reset();
    expect_whole(*this, run());
}

TEST_F(pass_twins_test, whose_first_place_is_gone_from_the_target_are_read) {
    target.swallows = [](const std::string& body) { return body.contains("m2@"); };
    run();
    target.swallows = nullptr;
    options.kind = pass_kind::repair;
    run();
    options.kind = pass_kind::bulk;
    expect_whole(*this, run());
}

TEST_F(pass_twins_test, two_folders_that_become_one_hold_each_message_as_often_as_the_source) {
    options.rules.maps.push_back(parse_map_rule("Zoo=>Work").value());
    EXPECT_EQ(sheet(run().messages), "8 = 8 + 0 + 0 + 0");
    EXPECT_EQ(target.folders["Work"].messages.size(), 5U);
}

TEST_F(pass_twins_test, equal_names_in_one_folder_are_messages_of_their_own) {
    label(*this, "Zoo", 2, {"\\Seen"});
    expect_whole(*this, run());
}

// The line dies at each operation of either end, with what was under way stored or not; a second run ends it.
TEST_F(pass_twins_test, come_neither_twice_nor_never_wherever_the_line_dies) {
    for (const bool at_source : {true, false}) {
        for (const bool stores : {true, false}) {
            for (std::uint64_t dies = 1;; ++dies) {
                pass_bench b;
                fill(b);
                b.options.attempts = 1;
                fake_server& server = at_source ? b.source : b.target;
                server.dies_at = dies;
                b.target.stores_after_death = stores;
                b.run();
                const bool survived = server.count < dies;
                server.dies_at.reset();
                const std::string when = fmt::format("{} dies at {}", at_source ? "source" : "target", dies);
                expect_whole(b, b.run(), when);
                EXPECT_EQ(b.run().messages.copied, 0U) << when;
                if (survived || HasFailure()) break;
            }
        }
    }
}

// Without the ledger of the run that was killed, too.
TEST_F(pass_twins_test, are_found_again_without_a_ledger) {
    run();
    lose_ledger();
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "8 = 0 + 8 + 0 + 0");
    EXPECT_EQ(content(source), content(target));
    EXPECT_THAT(target.operations, Not(Contains(HasSubstr("copy "))));
}

} // namespace
} // namespace postferry::transfer
