// A sampled proof.
#include "support/pass_bench.hpp"

namespace postferry::transfer {
namespace {

using namespace support;
using testing::HasSubstr;

class pass_sample_test : public testing::Test, public pass_bench {
  protected:
    void SetUp() override {
        for (int i = 1; i <= 40; ++i) source.inbox().add(mail(fmt::format("in{}", i)));
        for (int i = 1; i <= 10; ++i) source.folders["Work"].add(mail(fmt::format("work{}", i)));
        run();
        options.sample = {.messages = 10, .share = {}, .seed = 7};
    }
    static std::string counts(const mailbox_report& r) {
        const verify_report& v = *r.verify;
        return fmt::format("{} {} {} {} {} {}", v.identical, v.missing, v.different, v.extra, v.altered_by_server,
                           v.changed_since);
    }
};

TEST_F(pass_sample_test, only_the_sample_is_read) {
    const mailbox_report r = verify();
    EXPECT_EQ(r.state, mailbox_state::completed);
    EXPECT_EQ(counts(r), "10 0 0 0 0 0");
    EXPECT_EQ(sheet(r.messages), "50 = 0 + 50 + 0 + 0");
    std::uint64_t octets = 0;
    for (const auto& [name, f] : source.folders)
        for (const auto& [uid, m] : f.messages) octets += m.body.size();
    EXPECT_EQ(r.octets.source, octets) << "what is not read is known all the same";
    EXPECT_EQ(source.done("fetch"), 10U);
    EXPECT_EQ(target.done("fetch"), 10U);
    EXPECT_EQ(target.done("header"), 0U) << "the ledger names the partners";
    EXPECT_EQ(target.done("prepare") + target.done("create"), 0U);
    EXPECT_DOUBLE_EQ(r.verify->sampled, 0.2);
    EXPECT_EQ(r.verify->compared, 10U);
    EXPECT_EQ(r.verify->seed, 7U);
    EXPECT_NEAR(r.verify->at_most, 0.2589, 0.001);
    EXPECT_EQ(r.mark, grade::perfect);
}

TEST_F(pass_sample_test, every_folder_has_its_share) {
    verify();
    EXPECT_EQ(source.done("fetch Work"), 3U);
    EXPECT_EQ(source.done("fetch INBOX"), 7U);
}

TEST_F(pass_sample_test, the_seed_decides) {
    verify();
    const auto first = source.operations;
    verify();
    EXPECT_EQ(source.operations, first);
    options.sample.seed = 8;
    verify();
    EXPECT_NE(source.operations, first);
}

TEST_F(pass_sample_test, a_difference_is_found_by_some_seed_and_by_the_whole) {
    target.inbox().messages.at(3).body = mail("in3", "tampered");
    int found = 0;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        options.sample.seed = seed;
        const mailbox_report r = verify();
        found += static_cast<int>(r.verify->different);
        EXPECT_EQ(r.state, r.verify->different > 0 ? mailbox_state::failed : mailbox_state::completed);
    }
    EXPECT_GT(found, 2);
    EXPECT_LT(found, 25) << "about one in five";
    options.sample = {.messages = 50, .share = {}, .seed = 1};
    const mailbox_report r = verify();
    EXPECT_EQ(r.verify->different, 1U);
    EXPECT_FALSE(r.verify->seed) << "a sample of all is no sample";
    EXPECT_EQ(r.verify->sampled, 1);
}

TEST_F(pass_sample_test, what_is_missing_is_found_wherever_it_is) {
    source.inbox().add(mail("new"));
    const mailbox_report r = verify();
    EXPECT_EQ(r.verify->missing, 1U);
    EXPECT_EQ(r.state, mailbox_state::failed);
    EXPECT_EQ(sheet(r.messages), "51 = 0 + 50 + 0 + 1");
}

TEST_F(pass_sample_test, needs_no_ledger) {
    lose_ledger();
    target.inbox().erase(5);
    target.inbox().add(mail("foreign"));
    const mailbox_report r = verify();
    EXPECT_EQ(counts(r).substr(2), " 1 0 1 0 0");
    EXPECT_EQ(sheet(r.messages), "50 = 0 + 49 + 0 + 1");
    EXPECT_EQ(target.done("header"), 50U);
    std::uint64_t octets = 0;
    for (const auto& [name, f] : source.folders)
        for (const auto& [uid, m] : f.messages) octets += m.body.size();
    EXPECT_EQ(r.octets.present + r.octets.failed, octets);
    EXPECT_LE(target.done("fetch"), 10U);
}

TEST_F(pass_sample_test, what_headers_cannot_tell_apart_is_read) {
    lose_ledger();
    for (int i = 0; i < 3; ++i) source.inbox().add("Subject: nameless\r\n\r\n" + std::to_string(i) + "\r\n");
    for (const int i : {2, 0}) target.inbox().add("Subject: nameless\r\n\r\n" + std::to_string(i) + "\r\n");
    const mailbox_report r = verify();
    EXPECT_EQ(r.verify->missing, 1U);
    ASSERT_EQ(r.failures.size(), 1U);
    EXPECT_EQ(r.failures[0].source_uid, 42U);
    EXPECT_EQ(r.verify->extra, 0U);
}

TEST_F(pass_sample_test, removed_and_received_by_its_owner) {
    target.inbox().erase(2);
    target.inbox().add(mail("received"));
    const mailbox_report r = verify();
    EXPECT_EQ(r.verify->changed_since, 2U);
    EXPECT_EQ(r.verify->missing, 0U);
    EXPECT_EQ(r.state, mailbox_state::completed);
}

TEST_F(pass_sample_test, a_share) {
    options.sample = {.messages = {}, .share = 0.5, .seed = 1};
    EXPECT_EQ(verify().verify->compared, 25U);
}

// The number that the target told was never given away: its owner cannot have deleted the message.
TEST_F(pass_sample_test, what_was_never_stored_is_missing_however_it_is_verified) {
    target.inbox().messages.erase(40);
    target.inbox().uid_next = 40;
    EXPECT_EQ(verify().verify->missing, 1U);
    options.sample = {};
    const mailbox_report r = verify();
    EXPECT_EQ(r.verify->missing, 1U);
    EXPECT_EQ(r.state, mailbox_state::failed);
}

} // namespace
} // namespace postferry::transfer
