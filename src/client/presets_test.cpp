#include "client/presets.hpp"

#include <gmock/gmock.h>

namespace postferry::client {
namespace {

using testing::HasSubstr;

std::string chosen(std::string_view host, std::vector<std::string> capabilities = {}, std::string_view greeting = {}) {
    const chosen_preset c = choose_preset(host, capabilities, greeting);
    EXPECT_FALSE(c.why.empty());
    return std::string(c.what->name);
}

TEST(presets, by_host) {
    EXPECT_EQ(chosen("imap.gmail.com"), "gmail");
    EXPECT_EQ(chosen("IMAP.GMAIL.COM"), "gmail");
    EXPECT_EQ(chosen("outlook.office365.com"), "office365");
    EXPECT_EQ(chosen("imap-mail.outlook.com"), "office365");
    EXPECT_EQ(chosen("imap.mail.yahoo.com"), "yahoo");
    EXPECT_EQ(chosen("imap.aol.com"), "yahoo");
    EXPECT_EQ(chosen("imap.mail.me.com"), "icloud");
    EXPECT_EQ(chosen("p42-imap.mail.me.com"), "icloud");
    EXPECT_EQ(chosen("imap.gmail.com.example.org"), "generic");
    EXPECT_EQ(chosen("notgmail.com"), "generic");
    EXPECT_EQ(chosen("127.0.0.1"), "generic");
}

TEST(presets, by_what_the_server_says) {
    EXPECT_EQ(chosen("mail.example.org", {"IMAP4REV1", "X-GM-EXT-1"}), "gmail");
    EXPECT_EQ(chosen("mail.example.org", {}, "The Microsoft Exchange IMAP4 service is ready."), "exchange");
    EXPECT_EQ(chosen("mail.example.org", {"IMAP4REV1"}, "Dovecot ready."), "generic");
    EXPECT_EQ(choose_preset("mail.example.org", std::vector<std::string>{"X-GM-EXT-1"}).why, "capability X-GM-EXT-1");
}

TEST(presets, the_published_figures) {
    const guest_limits& gmail = *find_preset("gmail");
    EXPECT_EQ(gmail.octets_down_per_day, 2'500'000'000U);
    EXPECT_EQ(gmail.octets_up_per_day, 500'000'000U);
    EXPECT_EQ(gmail.connections_per_account, 15U);
    EXPECT_EQ(find_preset("office365")->messages_when_throttled, 4);
    EXPECT_EQ(find_preset("hotmail"), nullptr);
    EXPECT_EQ(preset_names(), "gmail, office365, exchange, yahoo, icloud, generic");
}

} // namespace
} // namespace postferry::client
