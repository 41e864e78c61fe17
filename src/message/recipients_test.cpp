#include "message/recipients.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::message {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;

auto all_in(std::string_view body) { return addresses_in(body, 100); }

TEST(addresses_in, an_address_list) {
    EXPECT_THAT(all_in("a@x.example"), ElementsAre("a@x.example"));
    EXPECT_THAT(all_in(" Ada L. <ada@x.example>,\r\n \"Bob, the @ second\" <bob@x.example> , c@y.example\r\n"),
                ElementsAre("ada@x.example", "bob@x.example", "c@y.example"));
    EXPECT_THAT(all_in("Friends: a@x.example, <b@x.example>;, c@x.example"),
                ElementsAre("a@x.example", "b@x.example", "c@x.example"));
    EXPECT_THAT(all_in("<@hop.example,@next.example:a@x.example>"), ElementsAre("a@x.example"));
    EXPECT_THAT(all_in("a@x.example (was (once) b@x.example), undisclosed-recipients:;"), ElementsAre("a@x.example"));
}

TEST(addresses_in, what_a_display_name_holds_is_no_address) {
    EXPECT_THAT(all_in("info@x.example via <list@y.example>"), ElementsAre("list@y.example"));
    EXPECT_THAT(all_in("\"a@x.example\" <b@x.example>"), ElementsAre("b@x.example"));
}

TEST(addresses_in, what_is_none) {
    EXPECT_THAT(all_in(""), IsEmpty());
    EXPECT_THAT(all_in("\"a b\"@x.example, @x.example, a@, a, a@b@c, <a b@x.example>, a@[127.0.0.1]"), IsEmpty());
    EXPECT_THAT(all_in("\"never closed <a@x.example>"), IsEmpty());
    EXPECT_THAT(all_in("(never closed a@x.example"), IsEmpty());
    EXPECT_THAT(all_in("<never@closed.example"), ElementsAre("never@closed.example"));
    EXPECT_THAT(all_in(std::string(65, 'a') + "@x.example"), IsEmpty());
    EXPECT_THAT(all_in("a@" + std::string(300, 'x')), IsEmpty());
    EXPECT_THAT(addresses_in("a@x,b@x,c@x", 2), ElementsAre("a@x", "b@x"));
}

TEST(received_for, the_clause_of_a_received_field) {
    EXPECT_THAT(received_for("from a (for x@y.example) by b (Postfix)\r\n\twith ESMTP id 1 for <ada@x.example>; Mon"),
                Optional(std::string_view("ada@x.example")));
    EXPECT_THAT(received_for("by b FOR ada@x.example; Mon"), Optional(std::string_view("ada@x.example")));
    EXPECT_EQ(received_for("from a by b with LMTP; Mon, for <a@x.example>"), std::nullopt);
    EXPECT_EQ(received_for("from a for 3 days"), std::nullopt);
}

struct tallied : ::testing::Test {
    std::vector<std::string> own{"Ada@x.example", "ada@old.example"};
    bool deliveries = false;

    /// "address messages fields newest" of what was found.
    std::vector<std::string> of(std::initializer_list<std::string_view> headers) const {
        recipient_tally tally({.own = own, .deliveries = deliveries});
        std::int64_t when = 100;
        for (const std::string_view h : headers) tally.add(h, when++);
        std::vector<std::string> out;
        for (const recipient& r : tally.found()) {
            std::string fields;
            for (const std::string_view f : r.fields) fields += std::string(fields.empty() ? "" : ",") + std::string(f);
            out.push_back(fmt::format("{} {} {} {}", r.address, r.messages, fields, r.newest_unix.value_or(0)));
        }
        return out;
    }
};

TEST_F(tallied, to_counts_from_the_third_message_on) {
    EXPECT_THAT(of({"To: info@x.example\n", "To: Info@X.example, sales@x.example\n", "TO: info@x.example\n"}),
                ElementsAre("info@x.example 3 To 102"));
}

TEST_F(tallied, to_explains_nothing_where_something_else_does) {
    EXPECT_THAT(of({"To: info@x.example, ada@x.example\n", "To: info@x.example\nCc: ada+shop@X.example\n",
                    "To: info@x.example\nFrom: ada@old.example\n", "To: info@x.example\nList-Id: <l.x.example>\n",
                    "To: info@x.example\n", "To: info@x.example\n"}),
                IsEmpty());
}

TEST_F(tallied, the_same_message_counts_once) {
    EXPECT_THAT(of({"To: i@x.example\nMessage-ID: <1@y>\n", "To: i@x.example\nMessage-ID: <1@y>\n",
                    "To: i@x.example\nMessage-ID: <2@y>\n"}),
                IsEmpty());
    EXPECT_THAT(of({"To: i@x.example, i@x.example, I@x.example\n"}), IsEmpty());
}

TEST_F(tallied, one_delivery_is_enough) {
    constexpr std::string_view delivered = "Delivered-To: <info@x.example>\nX-Original-To: ada+a@x.example\n"
                                           "Received: by mx for <sales@x.example>; Mon\nTo: info@x.example\n";
    EXPECT_THAT(of({delivered}), IsEmpty());
    deliveries = true;
    EXPECT_THAT(of({delivered}), ElementsAre("info@x.example 1 To,Delivered-To 100", "sales@x.example 1 Received 100"));
}

TEST_F(tallied, of_a_mailing_list_only_the_last_delivery_counts) {
    deliveries = true;
    EXPECT_THAT(of({"Delivered-To: subscriber@x.example\nDelivered-To: list@x.example\nList-ID: <list.x.example>\n"}),
                ElementsAre("subscriber@x.example 1 Delivered-To 100"));
}

TEST_F(tallied, the_date_is_the_headers_where_the_place_tells_none) {
    recipient_tally tally({.own = own, .deliveries = true});
    tally.add("Delivered-To: i@x.example\nDate: Thu, 1 Jan 1970 00:01:00 +0000\n", std::nullopt);
    ASSERT_EQ(tally.found().size(), 1U);
    EXPECT_EQ(tally.found().front().newest_unix, 60);
}

TEST_F(tallied, it_is_bounded) {
    recipient_tally tally({.own = own, .deliveries = true});
    for (std::size_t i = 0; i < recipient_tally::most_addresses; ++i)
        tally.add(fmt::format("Delivered-To: {}@x.example\n", i), 1);
    EXPECT_FALSE(tally.full());
    tally.add("Delivered-To: one-more@x.example\nX-Original-To: 7@x.example\n", 1);
    EXPECT_TRUE(tally.full());
    EXPECT_EQ(tally.found().size(), recipient_tally::most_addresses);
    EXPECT_EQ(tally.found().front().address, "7@x.example");
    EXPECT_EQ(tally.messages(), recipient_tally::most_addresses + 1);
}

} // namespace
} // namespace postferry::message
