// Targets that refuse messages as they are, and what becomes of them.
#include "support/pass_bench.hpp"
#include "support/repair_checks.hpp"

namespace postferry::transfer {
namespace {

using namespace support;
using namespace std::string_literals;
using message::repair;
using message::repair_set;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

/// The words of Cyrus (imap/message.c, message_copy_strict), in its order.
std::optional<error> cyrus(const fake_message& m, retry_class cls = retry_class::permanent) {
    const auto no = [cls](const char* words) { return refusal(cls, "", words); };
    if (!m.literal8 && m.body.find('\0') != std::string::npos) return no("NO Message contains NUL characters");
    if (has_bare_line_end(m.body)) return no("NO Message contains bare newlines");
    if (!header_fault(m.body).empty()) return no("NO Message contains invalid header");
    return std::nullopt;
}

class pass_repair_test : public testing::Test, public pass_bench {
  protected:
    pass_repair_test() {
        target.batch_messages = 8;
        for (int i = 0; i < 5; ++i) source.inbox().add(mail(fmt::format("good{}", i)));
    }
    void bring(std::string body) { odd_.push_back(source.inbox().add(std::move(body))); }
    /// All arrived, the odd ones in the form that these repairs give them.
    void expect_arrived(repair_set set) {
        std::vector<std::string> expected;
        for (const auto& [uid, m] : source.inbox().messages)
            expected.push_back(std::ranges::find(odd_, uid) == odd_.end() ? m.body : repaired(m.body, set));
        EXPECT_THAT(bodies(target.inbox()), testing::UnorderedElementsAreArray(expected));
    }
    /// Nothing is brought twice, and verify knows what was done.
    void expect_proven(std::uint64_t altered) {
        const mailbox_report again = run();
        EXPECT_EQ(again.messages.copied, 0U);
        EXPECT_EQ(target.messages(), source.messages());
        const mailbox_report proof = verify();
        EXPECT_EQ(proof.verify->missing + proof.verify->different + proof.verify->extra, 0U);
        EXPECT_EQ(proof.verify->altered_by_repair, altered);
        EXPECT_EQ(proof.verify->altered_by_server, 0U);
        EXPECT_EQ(proof.mark, altered > 0 ? grade::investigate : grade::perfect);
    }
    std::vector<std::uint32_t> odd_;
};

constexpr std::string_view head = "Message-ID: <odd@old.example>\r\nSubject: odd\r\n";

TEST_F(pass_repair_test, nothing_is_changed_where_nothing_is_refused) {
    bring(std::string(head) + "broken\nline\n\nx\0y"s);
    const mailbox_report r = run();
    EXPECT_THAT(r.repairs, IsEmpty());
    EXPECT_THAT(content(target), testing::ContainerEq(content(source)));
    EXPECT_EQ(r.mark, grade::perfect);
}

TEST_F(pass_repair_test, a_folder_that_changes_while_it_is_looked_at_is_planned_once_more) {
    target.judges = [](const fake_message& m) { return cyrus(m); };
    target.batch_messages = 1;
    bring(std::string(head) + "\r\nx\0y\r\n"s);
    source.on_operation = [this, looks = 0](std::string_view op) mutable {
        if (op == "examine INBOX" && ++looks == 2) ++source.inbox().uid_validity;
    };
    EXPECT_EQ(sheet(run().messages), "6 = 1 + 5 + 0 + 0");
    EXPECT_EQ(source.logins, 2U) << "and not a third time";
    expect_arrived({repair::nul});
}

TEST_F(pass_repair_test, nul_is_replaced) {
    target.judges = [](const fake_message& m) { return cyrus(m); };
    bring(std::string(head) + "\r\nx\0y\r\n"s);
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "6 = 6 + 0 + 0 + 0");
    EXPECT_THAT(r.repairs, ElementsAre(Pair("nul", 1U)));
    EXPECT_THAT(r.failures, IsEmpty());
    EXPECT_THAT(r.folders[0].notes, ElementsAre("repaired after a refusal: nul in 1 messages"));
    EXPECT_EQ(r.mark, grade::investigate);
    EXPECT_EQ(r.octets.copied, r.octets.source);
    expect_arrived({repair::nul});
    expect_proven(1);
}

TEST_F(pass_repair_test, literal8_comes_first_where_it_is_offered) {
    target.judges = [](const fake_message& m) { return cyrus(m); };
    target.binary = true;
    bring(std::string(head) + "\r\nx\0y\r\n"s);
    const mailbox_report r = run();
    EXPECT_THAT(r.repairs, ElementsAre(Pair("literal8", 1U)));
    expect_arrived({});
    EXPECT_EQ(verify().verify->identical, 6U);
}

TEST_F(pass_repair_test, literal8_that_is_encoded_anew_is_known_by_the_books) {
    target.judges = [](const fake_message& m) { return cyrus(m); };
    target.binary = true;
    target.alters = [](std::string body) {
        const std::size_t nul = body.find('\0');
        return nul == std::string::npos ? body : body.replace(nul, 1, "=00");
    };
    bring(std::string(head) + "\r\nx\0y\r\n"s);
    EXPECT_THAT(run().repairs, ElementsAre(Pair("literal8", 1U)));
    expect_proven(1);
}

TEST_F(pass_repair_test, literal8_that_is_refused_too_is_followed_by_nul) {
    target.judges = [](const fake_message& m) -> std::optional<error> {
        if (m.literal8) return refusal(retry_class::permanent, "UNKNOWN-CTE", "NO cannot decode");
        return cyrus(m);
    };
    target.binary = true;
    bring(std::string(head) + "\r\nx\0y\r\n"s);
    EXPECT_THAT(run().repairs, ElementsAre(Pair("nul", 1U)));
    expect_proven(1);
}

TEST_F(pass_repair_test, one_fault_leads_to_the_next) {
    target.judges = [](const fake_message& m) { return cyrus(m); };
    bring("From anna Mon\n" + std::string(head) + "no field\nDate: x\n\nx\0y"s);
    const mailbox_report r = run();
    EXPECT_THAT(r.repairs, ElementsAre(Pair("header", 1U), Pair("line-endings", 1U), Pair("nul", 1U)));
    expect_arrived({repair::nul, repair::line_endings, repair::header});
    expect_proven(1);
}

TEST_F(pass_repair_test, every_fault_by_itself) {
    bring("no header at all\r\n");
    bring(std::string(head) + "\r\nbare\nlf\r\n");
    bring(std::string(head) + "\r\nno end");
    bring("Message-ID: <l@x>\r\n\r\n" + std::string(2'000, 'x') + "\r\n");
    bring("Message-ID: <8@x>\r\nSubject: \xf6\r\n\r\nx\r\n");
    target.judges = [](const fake_message& m) -> std::optional<error> {
        const auto no = [](const char* said) { return refusal(retry_class::permanent, "", said); };
        if (!fault_left(m.body, repair_set::all()).empty()) return no("NO APPEND failed");
        return std::nullopt;
    };
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "10 = 10 + 0 + 0 + 0");
    EXPECT_THAT(r.repairs, ElementsAre(Pair("final-newline", 1U), Pair("header", 1U), Pair("header-8bit", 1U),
                                       Pair("line-endings", 1U), Pair("long-lines", 1U)));
    expect_arrived(repair_set::all());
    expect_proven(5);
}

TEST_F(pass_repair_test, bad_costs_the_line_and_not_the_message) {
    target.judges = [](const fake_message& m) -> std::optional<error> {
        if (has_long_line(m.body)) return refusal(retry_class::protocol, "", "BAD Command Argument Error. 11");
        return std::nullopt;
    };
    bring(std::string(head) + "\r\n" + std::string(12'000, 'x') + "\r\n");
    bring(std::string(head) + "X-Id: " + std::string(12'000, 'y') + "\r\n\r\nx\r\n");
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::synced) << (r.stopped_by ? r.stopped_by->message() : "");
    EXPECT_EQ(sheet(r.messages), "7 = 7 + 0 + 0 + 0");
    EXPECT_THAT(r.repairs, ElementsAre(Pair("long-lines", 1U), Pair("long-lines-wrapped", 1U)));
    EXPECT_LE(target.logins, 6U);
    expect_arrived({repair::long_lines});
    expect_proven(2);
}

TEST_F(pass_repair_test, large_messages_stream_in_bounded_memory) {
    target.judges = [](const fake_message& m) { return cyrus(m); };
    std::string body = std::string(head) + "\r\n";
    while (body.size() < 20'000) body += "a line with a bare end\n";
    bring(body);
    const mailbox_report r = run();
    EXPECT_THAT(r.repairs, ElementsAre(Pair("line-endings", 1U)));
    expect_arrived({repair::line_endings});
    expect_proven(1);
}

TEST_F(pass_repair_test, what_no_repair_cures_fails_with_the_first_words) {
    target.judges = [n = 0](const fake_message& m) mutable -> std::optional<error> {
        if (m.body.find("odd@") == std::string::npos) return std::nullopt;
        return refusal(retry_class::permanent, "", fmt::format("NO not this one ({})", ++n));
    };
    target.batch_messages = 1;
    bring(std::string(head) + "\r\nbare\nlf");
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "6 = 5 + 0 + 0 + 1");
    ASSERT_EQ(r.failures.size(), 1U);
    EXPECT_THAT(r.failures[0].reason, HasSubstr("NO not this one (1)"));
    EXPECT_THAT(r.failures[0].reason,
                HasSubstr("Repairs tried in vain: final-newline; line-endings; final-newline, line-endings"));
    EXPECT_THAT(r.repairs, IsEmpty());
    target.judges = {};
    EXPECT_EQ(sheet(run().messages), "6 = 1 + 5 + 0 + 0");
    EXPECT_THAT(content(target), testing::UnorderedElementsAreArray(content(source)));
}

TEST_F(pass_repair_test, no_repair_means_none) {
    options.repairs = {};
    target.batch_messages = 1;
    target.judges = [](const fake_message& m) { return cyrus(m); };
    bring(std::string(head) + "\r\nx\0y\r\n"s);
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "6 = 5 + 0 + 0 + 1");
    EXPECT_THAT(r.failures[0].reason, testing::Not(HasSubstr("tried")));
    EXPECT_EQ(source.done("fetch"), 6U) << "nor is it looked at again";
}

TEST_F(pass_repair_test, only_what_is_allowed_is_tried) {
    options.repairs = {repair::line_endings, repair::literal8};
    target.judges = [](const fake_message& m) { return cyrus(m); };
    bring(std::string(head) + "\r\nx\0y\nz\r\n"s);
    EXPECT_EQ(sheet(run().messages), "6 = 5 + 0 + 0 + 1");
    target.binary = true;
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "6 = 1 + 5 + 0 + 0");
    EXPECT_THAT(r.repairs, ElementsAre(Pair("line-endings", 1U), Pair("literal8", 1U)));
}

TEST_F(pass_repair_test, a_virus_is_not_brought_in_another_form) {
    target.judges = [](const fake_message& m) -> std::optional<error> {
        if (m.body.find("odd@") == std::string::npos) return std::nullopt;
        return refusal(retry_class::permanent, "", "NO Message refused because it contains a virus");
    };
    bring(std::string(head) + "\r\nbare\nlf");
    const mailbox_report r = run();
    EXPECT_THAT(r.failures[0].reason, testing::Not(HasSubstr("tried")));
    EXPECT_THAT(r.failures[0].reason, HasSubstr("virus"));
}

// Whatever dies when: nothing is lost, nothing is there twice, and what is there is known.
TEST_F(pass_repair_test, the_lines_die_at_every_operation) {
    for (const bool source_dies : {true, false}) {
        for (std::uint64_t at = 1; at < 80; ++at) {
            SCOPED_TRACE(fmt::format("{} dies at {}", source_dies ? "source" : "target", at));
            source = target = {};
            odd_.clear();
            lose_ledger();
            source.inbox().add(mail("a"));
            target.judges = [](const fake_message& m) { return cyrus(m); };
            target.stores_after_death = at % 2 == 0;
            bring(std::string(head) + "\r\nx\0y\nz"s);
            bring("Message-ID: <long@x>\r\n broken\r\nnothing\r\nTo: x\r\n\r\n" + std::string(400, 'x') + "\r\n");
            (source_dies ? source : target).dies_at = at;
            const mailbox_report r = run();
            ASSERT_EQ(r.state, mailbox_state::synced) << (r.stopped_by ? r.stopped_by->message() : "");
            ASSERT_EQ(r.messages.residual(), 0);
            ASSERT_EQ(target.messages(), 3U);
            expect_arrived({repair::nul, repair::line_endings, repair::header});
        }
    }
}

// Of a repaired message nothing is left but its form: the fingerprint alone may not decide, the size is another.
TEST_F(pass_repair_test, a_lost_ledger_causes_no_duplicates) {
    target.judges = [](const fake_message& m) -> std::optional<error> {
        if (!fault_left(m.body, repair_set::all()).empty()) return refusal(retry_class::permanent, "", "NO");
        return std::nullopt;
    };
    bring(std::string(head) + "\r\nx\0y\nz"s);
    bring("Message-ID: <long@x>\r\n\r\n" + std::string(3'000, '\xf6') + "\r\n");
    bring("no header\r\n");
    bring("From anna\r\nSubject: x\r\n\r\n" + std::string(400, 'x'));
    run();
    ASSERT_EQ(target.messages(), 9U);
    lose_ledger();
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "9 = 0 + 9 + 0 + 0");
    EXPECT_EQ(target.messages(), 9U);
    const mailbox_report proof = verify();
    EXPECT_EQ(proof.verify->identical, 5U);
    EXPECT_EQ(proof.verify->altered_by_repair, 3U);
    EXPECT_EQ(proof.verify->altered_by_server, 1U) << "NUL and LF are what servers change, too";
}

TEST_F(pass_repair_test, a_source_that_changes_its_mind_is_no_reason_to_store_half_a_message) {
    target.judges = [](const fake_message& m) { return cyrus(m); };
    for (const std::size_t octets : {100U, 5'000U}) {
        bring(std::string(head) + "\r\n" + std::string(octets, 'x') + "\n");
        bool changed = false;
        source.on_operation = [&](std::string_view op) {
            const auto looked = source.done("fetch INBOX 6");
            if (op != "fetch INBOX 6" || looked != 2 || std::exchange(changed, true)) return;
            source.inbox().messages.at(6).body += "more\nlines\n";
        };
        const mailbox_report r = run();
        EXPECT_EQ(r.messages.residual(), 0);
        for (const auto& [uid, m] : target.inbox().messages) EXPECT_EQ(fault_left(m.body, {repair::line_endings}), "");
        source = target = {};
        break;
    }
}

} // namespace
} // namespace postferry::transfer
