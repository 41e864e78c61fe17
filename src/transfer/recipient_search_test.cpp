#include "support/fake_mailbox.hpp"
#include "transfer/recipient_search.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::transfer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct recipient_search_test : testing::Test {
    support::fake_server server;
    message::recipient_wish wish{.own = {"ada@x.example"}, .deliveries = true};
    recipient_limits limits;

    static std::string delivered_to(std::string_view whom, std::string_view id = "") {
        return fmt::format("Delivered-To: {}\r\n{}\r\n\r\ntext", whom,
                           id.empty() ? "" : fmt::format("Message-ID: {}", id));
    }

    result<message::recipients_found> find() {
        boost::asio::io_context io;
        support::fake_mailbox box(server);
        std::optional<result<message::recipients_found>> out;
        boost::asio::co_spawn(io, find_recipients(box, wish, limits),
                              [&](const std::exception_ptr& thrown, result<message::recipients_found> found) {
                                  EXPECT_FALSE(thrown);
                                  out = std::move(found);
                              });
        io.run();
        return std::move(out.value());
    }
    /// "address messages"
    static std::vector<std::string> said(const message::recipients_found& found) {
        std::vector<std::string> out;
        for (const auto& r : found.all) out.push_back(fmt::format("{} {}", r.address, r.messages));
        return out;
    }
};

TEST_F(recipient_search_test, it_looks_where_mail_arrives) {
    for (const char* name : {"Work", "Gesendet", "Trash", "Old"})
        server.folders[name].add(delivered_to(std::string(name) + "@x.example"));
    server.folders["Old"].attributes = {"\\Junk"};
    server.folders["Shared"].personal = false;
    server.folders["Shared"].add(delivered_to("shared@x.example"));
    server.inbox().add(delivered_to("info@x.example"));
    server.inbox().add(delivered_to("info@x.example"));
    server.inbox().add(delivered_to("ada@x.example"));
    const auto found = find();
    ASSERT_TRUE(found);
    EXPECT_THAT(said(*found), ElementsAre("info@x.example 2", "work@x.example 1"));
    EXPECT_EQ(found->messages, 4U);
    EXPECT_EQ(found->folders, 2U);
    EXPECT_THAT(found->notes, IsEmpty());
    EXPECT_EQ(found->all.front().newest_unix, support::some_day);
    EXPECT_EQ(server.done("fetch"), 0U) << "headers only";
}

TEST_F(recipient_search_test, the_newest_messages_within_bounds) {
    for (int i = 1; i <= 9; ++i) server.inbox().add(delivered_to(fmt::format("a{}@x.example", i)));
    server.inbox().erase(8);
    server.folders["Work"].add(delivered_to("work@x.example"));
    server.folders["Zzz"].add(delivered_to("zzz@x.example"));
    limits = {.of_inbox = 3, .of_folder = 1, .folders = 1, .at_once = 2};
    const auto found = find();
    ASSERT_TRUE(found);
    EXPECT_THAT(said(*found), ElementsAre("a6@x.example 1", "a7@x.example 1", "a9@x.example 1", "work@x.example 1"));
    EXPECT_THAT(found->notes, ElementsAre("not looked at: 1 further folder"));
}

TEST_F(recipient_search_test, octets_are_bounded) {
    for (int i = 1; i <= 9; ++i) server.inbox().add(delivered_to(fmt::format("a{}@x.example", i)));
    limits.at_once = 1;
    limits.octets = 50;
    const auto found = find();
    ASSERT_TRUE(found);
    EXPECT_LT(found->messages, 4U);
    EXPECT_THAT(found->notes, ElementsAre(HasSubstr("no more than 50")));
}

TEST_F(recipient_search_test, the_same_message_in_two_folders_is_one) {
    server.inbox().add(delivered_to("info@x.example", "<1@y>"));
    server.folders["Work"].add(delivered_to("info@x.example", "<1@y>"));
    EXPECT_THAT(said(find().value()), ElementsAre("info@x.example 1"));
}

TEST_F(recipient_search_test, a_folder_that_goes_away_is_a_note_and_a_dead_line_an_error) {
    server.folders["Work"].add(delivered_to("work@x.example"));
    server.inbox().add(delivered_to("info@x.example"));
    server.on_operation = [this](std::string_view what) {
        if (what == "scan Work") server.folders.erase("Work");
    };
    auto found = find();
    ASSERT_TRUE(found);
    EXPECT_THAT(said(*found), ElementsAre("info@x.example 1"));
    EXPECT_THAT(found->notes, ElementsAre(HasSubstr("Work could not be read: ")));
    server.on_operation = {};
    server.count = 0;
    server.dies_at = 3;
    EXPECT_FALSE(find());
}

} // namespace
} // namespace postferry::transfer
