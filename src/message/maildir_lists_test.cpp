#include "message/line_ends.hpp"
#include "message/maildir_lists.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::message {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(uidlist, is_read_as_dovecot_writes_it) {
    const auto list = read_uidlist("3 V1795350897 N101 G5153e8146fe1026be417000083ecc375\n"
                                   "1 :1795350895.M1.vm,S=16,W=19\n"
                                   "7 W2481 S2400 P0123abc :1276528487.M364837P9451.kurkku,S=1355,W=1394:2,\n");
    ASSERT_TRUE(list);
    EXPECT_EQ(list->uid_validity, 1795350897U);
    EXPECT_EQ(list->uid_next, 101U);
    EXPECT_EQ(list->guid, "5153e8146fe1026be417000083ecc375");
    ASSERT_EQ(list->records.size(), 2U);
    EXPECT_EQ(list->records[0].unique, "1795350895.M1.vm,S=16,W=19");
    EXPECT_EQ(list->records[0].uidl(), "");
    EXPECT_EQ(list->records[1].uid, 7U);
    EXPECT_EQ(list->records[1].unique, "1276528487.M364837P9451.kurkku,S=1355,W=1394");
    EXPECT_EQ(list->records[1].uidl(), "0123abc");
    EXPECT_EQ(list->records[1].fields, "W2481 S2400 P0123abc");
}

TEST(uidlist, appended_records_raise_uidnext_above_the_header) {
    const auto list = read_uidlist("3 V9 N1 Gx\n1 :a\n2 :b\n");
    ASSERT_TRUE(list);
    EXPECT_EQ(list->uid_next, 3U);
}

TEST(uidlist, version_1_and_couriers_are_the_same) {
    for (const auto& list : {read_uidlist("1 99 12\n3 a:2,S\n11 b\n"), read_courier_uiddb("1 99 12\n3 a\n11 b\n")}) {
        ASSERT_TRUE(list);
        EXPECT_EQ(list->uid_validity, 99U);
        EXPECT_EQ(list->uid_next, 12U);
        ASSERT_EQ(list->records.size(), 2U);
        EXPECT_EQ(list->records[0].unique, "a");
        EXPECT_EQ(list->records[1].uid, 11U);
    }
}

TEST(uidlist, what_is_no_record_is_skipped_and_counted) {
    const auto list =
        read_uidlist("3 V9 N5\n1 :a\n\nx :b\n1 :again\n0 :zero\n4294967295 :last\n2\n3 :\n3 :x/y\n3 :.h\n4 :c\n");
    ASSERT_TRUE(list);
    EXPECT_EQ(list->records.size(), 2U);
    EXPECT_EQ(list->skipped_lines, 9U);
    EXPECT_EQ(list->uid_next, 5U);
    EXPECT_FALSE(list->torn);
}

TEST(uidlist, a_line_whose_writer_was_cut_off_does_not_count) {
    const auto list = read_uidlist("3 V9 N5\n1 :a\n2 :1795350895.M1");
    ASSERT_TRUE(list);
    EXPECT_EQ(list->records.size(), 1U);
    EXPECT_TRUE(list->torn);
}

TEST(uidlist, without_a_header_there_are_no_uids) {
    for (const char* text : {"", "3 V9 N5", "3 N5\n1 :a\n", "2 9 5\n1 a\n", "garbage\n", "3 V0 N1\n", "1 x 5\n"})
        EXPECT_FALSE(read_uidlist(text)) << text;
}

TEST(uidlist, is_written_as_dovecot_reads_it) {
    EXPECT_EQ(uidlist_header(9, 5, "ab"), "3 V9 N5 Gab\n");
    EXPECT_EQ(uidlist_line(1, "", "", "a,S=1"), "1 :a,S=1\n");
    EXPECT_EQ(uidlist_line(2, "", "UIDL-2", "b"), "2 PUIDL-2 :b\n");
    EXPECT_EQ(uidlist_line(3, "W1 G2", "", "c"), "3 W1 G2 :c\n");
    EXPECT_EQ(uidlist_line(4, "", "two words", "d"), "4 :d\n");
}

TEST(courier_sizelist, tells_what_its_pop3_calls_the_messages) {
    const std::string text = "/3 5 1795356512\n17.M5P30.vm,S=99:2, 104 1:1795356512:0\n18.M6:2,S 104 3:99\n"
                             "x\n19.a 104 0:99:0\n20.b many 4:99:0\n/x 1 4:99:0\n21.c 104 5:99:0";
    const auto list = read_courier_sizelist(text);
    ASSERT_EQ(list.size(), 2U);
    EXPECT_EQ(list[0].unique, "17.M5P30.vm,S=99");
    EXPECT_EQ(list[0].uidl, "UID1-1795356512");
    EXPECT_EQ(list[1].uidl, "UID3-99");
    EXPECT_THAT(read_courier_sizelist(""), IsEmpty());
    EXPECT_THAT(read_courier_sizelist("5 1795356512\n17.a 104\n"), IsEmpty());
}

TEST(subscriptions, of_dovecot_are_read_in_both_versions) {
    EXPECT_THAT(parse_subscriptions("V\t2\n\nINBOX\n&AMk-t&AOk-\t&AOA- la plage\nA\n"),
                ElementsAre("INBOX", "Été/à la plage", "A"));
    EXPECT_THAT(parse_subscriptions("INBOX\n&AMk-t&AOk-.&AOA- la plage\nA"),
                ElementsAre("INBOX", "Été/à la plage", "A"));
    EXPECT_THAT(parse_subscriptions(""), IsEmpty());
}

TEST(subscriptions, of_courier_lie_below_inbox) {
    EXPECT_THAT(parse_courier_subscriptions("INBOX\nINBOX.Sent\nINBOX.A.B\n"), ElementsAre("INBOX", "Sent", "A/B"));
    const std::vector<std::string> more{"INBOX", "Été"};
    EXPECT_EQ(add_courier_subscriptions("INBOX\nINBOX.Sent", more), "INBOX\nINBOX.Sent\nINBOX.&AMk-t&AOk-\n");
}

TEST(subscriptions, are_added_in_the_version_that_is_there) {
    const std::vector<std::string> more{"A/B", "INBOX", "Sent"};
    EXPECT_EQ(add_subscriptions("", more), "V\t2\n\nA\tB\nINBOX\nSent\n");
    EXPECT_EQ(add_subscriptions("V\t2\n\nSent\n", more), "V\t2\n\nSent\nA\tB\nINBOX\n");
    EXPECT_EQ(add_subscriptions("Sent\n", more), "Sent\nA.B\nINBOX\n");
    EXPECT_EQ(add_subscriptions("V\t2", more), "V\t2\n\nA\tB\nINBOX\nSent\n"); // its writer was cut off
    EXPECT_THAT(parse_subscriptions("V\t2"), IsEmpty());
}

/// What is stored for a message that arrives in pieces of `step` octets; nothing when it is not reversible.
std::optional<std::string> stored(std::string_view text, std::size_t step) {
    lf_writer writer;
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += step) {
        const std::string_view piece = text.substr(at, step);
        if (writer.write(piece, out) != piece.size()) return std::nullopt;
    }
    writer.finish(out);
    return out;
}

std::string served(std::string_view text, std::size_t step) {
    crlf_writer writer;
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += step) writer.write(text.substr(at, step), out);
    return out;
}

TEST(line_ends, crlf_is_stored_as_lf_and_served_to_the_octet_however_it_is_cut) {
    for (const std::string_view text : {"a\r\nb\r\n\r\nc", "", "\r\n", "x\ry\r\n\rz", "end\r", "a\r\n\rb\r\r"})
        for (std::size_t step = 1; step < 6; ++step) {
            const auto lf = stored(text, step);
            ASSERT_TRUE(lf) << text;
            EXPECT_EQ(lf->find("\r\n"), std::string::npos);
            EXPECT_EQ(served(*lf, step), text);
        }
}

TEST(line_ends, what_could_not_be_served_to_the_octet_is_found) {
    for (const std::string_view text : {"a\nb", "a\r\r\n", "\n", "a\r\nb\n", "\r\n\r\r\nx", "\r\r\r\n"})
        for (std::size_t step = 1; step < 6; ++step) EXPECT_FALSE(stored(text, step)) << text << " in " << step;
}

TEST(line_ends, where_it_stops_what_was_written_can_be_turned_back) {
    for (const std::string text : {"a\r\nb\nc", "a\r\nb\r\r\nc\r\n", "\n", "x\r\r\r\n"})
        for (std::size_t step = 1; step < 6; ++step) {
            lf_writer writer;
            std::string out;
            std::size_t taken = 0;
            while (writer.is_reversible()) taken += writer.write(std::string_view(text).substr(taken, step), out);
            writer.finish(out);
            EXPECT_EQ(served(out, 3) + text.substr(taken), text) << step;
        }
}

TEST(line_ends, bare_lfs_are_counted_across_pieces) {
    const std::string_view text = "a\n\r\nb\r\r\n\n\nc\r";
    for (std::size_t step = 1; step < 6; ++step) {
        bare_lf_counter counter;
        for (std::size_t at = 0; at < text.size(); at += step) counter.add(text.substr(at, step));
        EXPECT_EQ(counter.count(), 3U);
        EXPECT_EQ(served(text, step).size(), text.size() + 3);
    }
}

} // namespace
} // namespace postferry::message
