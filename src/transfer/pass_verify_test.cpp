// Proof from both sides.
#include "support/pass_bench.hpp"

namespace postferry::transfer {
namespace {

using namespace support;
using testing::ElementsAre;
using testing::HasSubstr;

class pass_verify_test : public testing::Test, public pass_bench {
  protected:
    void SetUp() override {
        for (int i = 1; i <= 4; ++i) source.inbox().add(mail(fmt::format("in{}", i)));
        source.inbox().add(mail("same"));
        source.inbox().add(mail("same"));
        source.folders["Lists"].add(mail("list"));
        run();
    }
    /// "identical missing different extra altered changed".
    static std::string counts(const mailbox_report& r) {
        if (!r.verify) return "none";
        const verify_report& v = *r.verify;
        return fmt::format("{} {} {} {} {} {}", v.identical, v.missing, v.different, v.extra, v.altered_by_server,
                           v.changed_since);
    }
};

TEST_F(pass_verify_test, identical) {
    const auto before = content(target);
    const mailbox_report r = verify();
    EXPECT_EQ(r.state, mailbox_state::completed);
    EXPECT_EQ(r.mark, grade::perfect);
    EXPECT_EQ(counts(r), "7 0 0 0 0 0");
    EXPECT_EQ(sheet(r.messages), "7 = 0 + 7 + 0 + 0");
    EXPECT_EQ(content(target), before);
    EXPECT_EQ(target.done("prepare") + target.done("create") + target.done("store"), 0U);
    EXPECT_EQ(source.done("fetch"), 7U) << "each message is read once";
    EXPECT_EQ(target.done("fetch"), 7U);
}

TEST_F(pass_verify_test, needs_no_ledger) {
    lose_ledger();
    const mailbox_report r = verify();
    EXPECT_EQ(counts(r), "7 0 0 0 0 0");
    EXPECT_EQ(r.state, mailbox_state::completed);
}

TEST_F(pass_verify_test, different) {
    target.inbox().messages.at(3).body = mail("in3", "tampered");
    const mailbox_report r = verify();
    EXPECT_EQ(counts(r), "6 0 1 0 0 0");
    EXPECT_EQ(r.state, mailbox_state::failed);
    ASSERT_EQ(r.failures.size(), 1U);
    EXPECT_EQ(r.failures[0].source_uid, 3U);
    EXPECT_THAT(r.failures[0].reason, HasSubstr("UID 3"));
}

// docs/quirks.md#empty-body: a message of no octets is failed by copy and by verify, and the sheet closes.
TEST_F(pass_verify_test, what_the_source_lists_but_does_not_send) {
    source.no_body = {{"INBOX", source.inbox().add(mail("hollow"))}};
    run();
    const mailbox_report r = verify();
    EXPECT_EQ(counts(r), "7 1 0 0 0 0");
    EXPECT_EQ(sheet(r.messages), "8 = 0 + 7 + 0 + 1");
    ASSERT_EQ(r.failures.size(), 1U);
    lose_ledger();
    EXPECT_THAT(verify().failures.at(0).reason, HasSubstr("sends nothing"));
}

TEST_F(pass_verify_test, one_octet_more_or_less_is_different) {
    // Within the text: at its end servers do that on their own.
    std::string &less = target.inbox().messages.at(1).body, &more = target.inbox().messages.at(2).body;
    less.erase(less.size() - 4, 1);
    more.insert(more.size() - 4, "x");
    EXPECT_EQ(counts(verify()), "5 0 2 0 0 0");
}

TEST_F(pass_verify_test, altered_by_the_server) {
    source.inbox().add(mail("nul", std::string("a\0b", 3)));
    target.alters = [](std::string body) {
        std::ranges::replace(body, '\0', '\x80');
        return body;
    };
    run();
    const mailbox_report r = verify();
    EXPECT_EQ(counts(r), "7 0 0 0 1 0");
    EXPECT_EQ(sheet(r.messages), "8 = 0 + 8 + 0 + 0");
    EXPECT_EQ(r.mark, grade::investigate);
}

TEST_F(pass_verify_test, missing) {
    source.inbox().add(mail("new"));
    const mailbox_report r = verify();
    EXPECT_EQ(counts(r), "7 1 0 0 0 0");
    EXPECT_EQ(r.state, mailbox_state::failed);
    EXPECT_EQ(sheet(r.messages), "8 = 0 + 7 + 0 + 1");
}

TEST_F(pass_verify_test, a_repeat_that_is_missing_is_missing) {
    lose_ledger();
    target.inbox().erase(6);
    EXPECT_EQ(counts(verify()), "6 1 0 0 0 0");
}

TEST_F(pass_verify_test, removed_by_its_owner) {
    target.inbox().erase(2);
    const mailbox_report r = verify();
    EXPECT_EQ(counts(r), "6 0 0 0 0 1");
    EXPECT_EQ(r.state, mailbox_state::completed);
}

TEST_F(pass_verify_test, received_by_its_owner) {
    target.inbox().add(mail("received"));
    EXPECT_EQ(counts(verify()), "7 0 0 0 0 1");
}

TEST_F(pass_verify_test, extra) {
    lose_ledger();
    target.inbox().add(mail("foreign"));
    const mailbox_report r = verify();
    EXPECT_EQ(counts(r), "7 0 0 1 0 0");
    EXPECT_EQ(r.state, mailbox_state::completed);
}

TEST_F(pass_verify_test, left_out_by_a_rule) {
    source.inbox().add(mail("big", std::string(400, 'x')));
    options.max_octets = 300;
    run();
    const mailbox_report r = verify();
    EXPECT_EQ(counts(r), "7 0 0 0 0 0");
    EXPECT_EQ(sheet(r.messages), "8 = 0 + 7 + 1 + 0");
    EXPECT_EQ(r.state, mailbox_state::completed);
}

TEST_F(pass_verify_test, a_folder_that_is_not_there) {
    target.folders.erase("Lists");
    const mailbox_report r = verify();
    EXPECT_EQ(counts(r), "6 1 0 0 0 0");
    EXPECT_NE(r.state, mailbox_state::completed);
}

// UIDs of another UIDVALIDITY prove nothing: what is not there was not removed by its owner.
TEST_F(pass_verify_test, a_target_that_was_made_anew_is_not_proven_by_the_books) {
    target.inbox() = {};
    target.inbox().uid_validity = 900;
    const mailbox_report r = verify();
    EXPECT_EQ(counts(r), "1 6 0 0 0 0");
    EXPECT_NE(r.state, mailbox_state::completed);
}

TEST_F(pass_verify_test, a_source_that_was_made_anew_is_not_proven_by_the_books) {
    fake_folder anew;
    anew.uid_validity = 900;
    anew.add(mail("other"));
    anew.add(mail("in2"));
    source.inbox() = std::move(anew);
    target.inbox().erase(1);
    const mailbox_report r = verify();
    EXPECT_EQ(r.verify->missing, 1U);
    EXPECT_EQ(r.verify->identical, 2U);
    EXPECT_NE(r.state, mailbox_state::completed);
}

TEST_F(pass_verify_test, a_folder_that_cannot_be_read_is_not_proven) {
    for (fake_server* side : {&source, &target}) {
        const auto lists = side->folders.at("Lists");
        side->on_operation = [side](std::string_view op) {
            if (op == "scan Lists") side->folders.erase("Lists");
        };
        const mailbox_report r = verify();
        EXPECT_NE(r.state, mailbox_state::completed) << (side == &source ? "source" : "target");
        side->on_operation = {};
        side->folders["Lists"] = lists;
    }
}

TEST_F(pass_verify_test, folders_that_were_merged_share_what_is_there) {
    target = {};
    lose_ledger();
    source.folders["A"].add(mail("same"));
    source.folders["B"].add(mail("same"));
    source.folders["B"].add(mail("only"));
    options.rules.maps = {*parse_map_rule("[AB]=>Both")};
    run();
    EXPECT_EQ(counts(verify()), "10 0 0 0 0 0");
    target.folders["Both"].add(mail("received"));
    EXPECT_EQ(counts(verify()), "10 0 0 0 0 1") << "it counts once";
    lose_ledger();
    EXPECT_EQ(counts(verify()), "10 0 0 1 0 0");
    target.folders["Both"].erase(1);
    EXPECT_EQ(counts(verify()), "9 1 0 1 0 0") << "one copy is no proof of two";
}

TEST_F(pass_verify_test, a_lost_line_is_made_anew) {
    for (fake_server* side : {&source, &target}) {
        const std::uint64_t from = side->count;
        verify();
        const std::uint64_t operations = side->count - from;
        for (std::uint64_t k = 1; k <= operations; ++k) {
            side->dies_at = side->count + k;
            const mailbox_report r = verify();
            EXPECT_EQ(counts(r), "7 0 0 0 0 0") << k;
            EXPECT_EQ(r.state, mailbox_state::completed) << k;
        }
    }
}

TEST_F(pass_verify_test, stops_on_request) {
    source.on_operation = [&](std::string_view op) {
        if (op == "fetch INBOX 3") running->stop();
    };
    EXPECT_EQ(verify().state, mailbox_state::interrupted);
}

} // namespace
} // namespace postferry::transfer
