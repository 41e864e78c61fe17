#include "client/quirks.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace postferry::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct words {
    std::string greeting;
    std::vector<std::string> capabilities = {};
    std::vector<std::pair<std::string, std::string>> id = {};
    std::string host = "imap.example.org";
};

std::vector<std::string> names(const words& w, std::string_view wishes = {}) {
    const auto parsed = parse_quirks(wishes);
    EXPECT_TRUE(parsed);
    std::vector<std::string> out;
    for (const applied_quirk& q : choose_quirks({w.host, w.greeting, w.capabilities, w.id}, *parsed)) {
        EXPECT_FALSE(q.why.empty());
        out.emplace_back(q.what->name);
    }
    return out;
}

server_habits habits(const words& w, std::string_view wishes = {}) {
    return habits_of(choose_quirks({w.host, w.greeting, w.capabilities, w.id}, *parse_quirks(wishes)));
}

// Greetings and ID answers as the servers give them.
TEST(quirks, are_recognised_by_what_the_server_says) {
    EXPECT_THAT(names({"Gimap ready for requests from 1.2.3.4", {"IMAP4REV1", "X-GM-EXT-1"}}), ElementsAre("gmail"));
    EXPECT_THAT(names({"Microsoft Exchange Server 2003 IMAP4rev1 server version 6.5.7638.1 (mx.example.org) ready."}),
                ElementsAre("exchange-2003", "exchange"));
    EXPECT_THAT(names({"The Microsoft Exchange IMAP4 service is ready."}), ElementsAre("exchange"));
    EXPECT_THAT(names({"The Microsoft Exchange IMAP4 service is ready. [TABPADIAUAA=]"}),
                ElementsAre("exchange", "exchange-online"));
    EXPECT_THAT(names({"IMAP4rev1 Hello", {"IMAP4REV1", "XYMHIGHESTMODSEQ"}}), ElementsAre("yahoo"));
    EXPECT_THAT(names({"(2606B15-0579518368c0) p00-iscream-55668b59f7-6f7mg"}), ElementsAre("icloud"));
    EXPECT_THAT(names({"Courier-IMAP ready. Copyright 1998-2018 Double Precision, Inc."}), ElementsAre("courier"));
    EXPECT_THAT(names({"mail Cyrus IMAP 3.6.1-Debian-3.6.1-4 server ready"}), ElementsAre("cyrus"));
    EXPECT_THAT(names({"Dovecot ready."}), ElementsAre("dovecot"));
    EXPECT_THAT(names({"qa07.lab.zimbra.com Zimbra IMAP4rev1 service ready"}), ElementsAre("zimbra"));
    EXPECT_THAT(names({"Domino IMAP4 Server Release 10.0.1FP3 ready Wed, 30 Oct 2019 09:28:06 +0100"}),
                ElementsAre("domino"));
    EXPECT_THAT(names({"IMAPrev1"}), ElementsAre("hmailserver"));
    EXPECT_THAT(names({"Yandex IMAP4rev1 at sas8-bccc92f57f23.qloud-c.yandex.net:993 ready to talk with, "
                       "2019-Oct-18 07:41:00, 0fHtH613ZiE1"}),
                ElementsAre("yandex"));
    EXPECT_THAT(names({"Coremail System IMap Server Ready(163com[726cd87d])"}), ElementsAre("netease"));
    EXPECT_THAT(names({"QQMail XMIMAP4Server ready"}), ElementsAre("qq"));
    EXPECT_THAT(names({"mail.example.edu IMAP4rev1 2007f.404 at Mon, 3 Mar 2014 08:00:00 -0800 (PST)"}),
                ElementsAre("uw"));
    EXPECT_THAT(names({"Zoho Mail IMAP4rev1 Server Ready"}), ElementsAre("zoho"));
    EXPECT_THAT(names({"[CAPABILITY IMAP4REV1 AUTH=LOGIN] IMAP4rev1 DavMail server ready"}), ElementsAre("davmail"));
    EXPECT_THAT(names({"Kopano IMAP gateway ready"}), ElementsAre("kopano"));
    EXPECT_THAT(names({"ready to serve"}), IsEmpty());
}

TEST(quirks, are_recognised_by_id_where_the_greeting_was_changed) {
    EXPECT_THAT(names({"hello", {}, {{"name", "Dovecot"}}}), ElementsAre("dovecot"));
    EXPECT_THAT(names({"hello", {}, {{"name", "Cyrus IMAPD"}, {"version", "3.6"}}}), ElementsAre("cyrus"));
    EXPECT_THAT(names({"hello", {}, {{"name", "Zimbra"}, {"version", "8.8.15"}}}), ElementsAre("zimbra"));
    EXPECT_THAT(names({"hello", {}, {{"name", "Microsoft.Exchange.Imap4.Imap4Server"}, {"version", "15.20"}}}),
                ElementsAre("exchange"));
    EXPECT_THAT(names({"hello", {}, {{"name", "RZimapd"}, {"vendor", "Strato GmbH"}}}), ElementsAre("strato"));
    EXPECT_THAT(names({"hello", {}, {{"name", "gluon"}}}), ElementsAre("proton"));
    EXPECT_THAT(names({"hello", {}, {{"support-url", "http://Dovecot"}}}), IsEmpty());
}

TEST(quirks, are_recognised_by_the_host_where_nothing_else_tells) {
    EXPECT_THAT(names({"IMAP server ready", {}, {}, "imap.ionos.de"}), ElementsAre("ionos"));
    EXPECT_THAT(names({"Welcome", {}, {}, "imap.mail.ru"}), ElementsAre("mailru"));
    EXPECT_THAT(names({"IMAP4 ready", {}, {}, "imap.163.com"}), ElementsAre("netease"));
    EXPECT_THAT(names({"Welcome", {}, {}, "imap.notmail.ru"}), IsEmpty());
}

TEST(quirks, can_be_forced_and_left_off) {
    EXPECT_THAT(names({"Dovecot ready."}, "-dovecot"), IsEmpty());
    EXPECT_THAT(names({"hello"}, "gmail,one-by-one"), ElementsAre("gmail", "one-by-one"));
    EXPECT_THAT(names({"Dovecot ready."}, "-dovecot,exchange"), ElementsAre("exchange"));
    EXPECT_EQ(habits({"Dovecot ready."}).command_octets, 60'000U);
    EXPECT_EQ(habits({"Dovecot ready."}, "short-commands").command_octets, 1'000U);
    EXPECT_EQ(habits({"Dovecot ready."}, "-dovecot").command_octets, server_habits{}.command_octets);
}

TEST(quirks, an_unknown_name_is_refused_and_the_known_ones_are_named) {
    const auto wrong = parse_quirks("gmail,-outlok");
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().cls, retry_class::config);
    EXPECT_THAT(wrong.error().what, HasSubstr("\"outlok\""));
    for (const quirk& q : all_quirks()) EXPECT_THAT(wrong.error().advice, HasSubstr(std::string(q.name)));
    EXPECT_FALSE(parse_quirks("gmail,,yahoo"));
    EXPECT_FALSE(parse_quirks("-"));
    EXPECT_TRUE(parse_quirks(""));
}

TEST(quirks, have_names_of_their_own_and_a_sentence) {
    std::set<std::string_view> seen;
    for (const quirk& q : all_quirks()) {
        EXPECT_TRUE(seen.insert(q.name).second) << q.name;
        EXPECT_FALSE(q.about.empty()) << q.name;
        EXPECT_EQ(find_quirk(q.name), &q);
    }
    EXPECT_EQ(find_quirk("nobody"), nullptr);
}

} // namespace
} // namespace postferry::client
