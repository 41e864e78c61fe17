#include "mailbox/endpoint.hpp"
#include "mailbox/endpoint_url.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace postferry::mailbox {
namespace {

endpoint must(std::string_view url, std::optional<std::string_view> row_user = std::nullopt) {
    auto e = parse_endpoint(url, row_user);
    EXPECT_TRUE(e) << url << ": " << (e ? "" : e.error().message());
    return e.value_or(endpoint{});
}

std::string refusal(std::string_view url, std::optional<std::string_view> row_user = std::nullopt) {
    auto e = parse_endpoint(url, row_user);
    if (e) return "accepted";
    EXPECT_EQ(e.error().cls, retry_class::config);
    EXPECT_EQ(e.error().where, phase::usage);
    return e.error().message();
}

TEST(endpoint, defaults_follow_the_scheme) {
    const endpoint plain = must("imap://alice@old.example.org");
    EXPECT_EQ(plain.user, "alice");
    EXPECT_EQ(plain.where.host, "old.example.org");
    EXPECT_EQ(plain.where.port, 143);
    EXPECT_EQ(plain.tls.mode, net::tls_mode::detect);
    EXPECT_EQ(plain.tls.verify, net::tls_verify::ca);
    const endpoint secure = must("IMAPS://alice@Old.Example.ORG/");
    EXPECT_EQ(secure.kind, scheme::imaps);
    EXPECT_EQ(secure.where.host, "old.example.org");
    EXPECT_EQ(secure.where.port, 993);
    EXPECT_EQ(secure.tls.mode, net::tls_mode::implicit);
}

TEST(endpoint, reads_every_parameter) {
    const endpoint e = must("imap://alice@[2001:db8::1]:10143?tls=require&ca=/etc/my%20ca.pem&auth=external&cert=c.pem&"
                            "key=k.pem&admin=root&admin-form=star&prefix=Old/Mail&max-connections=4");
    EXPECT_EQ(e.where.host, "2001:db8::1");
    EXPECT_EQ(e.where.port, 10143);
    EXPECT_EQ(e.tls.mode, net::tls_mode::require);
    EXPECT_EQ(e.tls.ca_file, "/etc/my ca.pem");
    EXPECT_EQ(e.auth, sasl::choice::external);
    EXPECT_EQ(e.tls.certificate_file, "c.pem");
    EXPECT_EQ(e.tls.key_file, "k.pem");
    EXPECT_EQ(e.admin, "root");
    EXPECT_EQ(e.form, admin_form::star);
    EXPECT_EQ(e.prefix, "Old/Mail");
    EXPECT_EQ(e.max_connections, 4U);
    EXPECT_EQ(e.display(), "imap://alice@[2001:db8::1]:10143");
}

TEST(endpoint, the_last_at_sign_ends_the_user_name) {
    EXPECT_EQ(must("imap://alice@example.org@host").user, "alice@example.org");
    EXPECT_EQ(must("imap://alice%40example.org@host").user, "alice@example.org");
    EXPECT_EQ(must("imap://alice@example.org@host").display(), "imap://alice%40example.org@host");
    EXPECT_EQ(must("imap://host").user, "");
    EXPECT_EQ(must("imap://host").display(), "imap://host");
}

TEST(endpoint, display_reads_back_to_the_same_end) {
    for (const std::string_view url :
         {"imaps://a%2Fb%3Ac%25d%20%C3%A9@h:1", "imap://x@[::1]", "imaps://u@h", "imap://u@h:993"}) {
        const endpoint once = must(url);
        const endpoint twice = must(once.display());
        EXPECT_EQ(twice.user, once.user);
        EXPECT_EQ(twice.display(), url);
    }
}

TEST(endpoint, pins_may_be_several_and_keep_their_plus) {
    const std::string a = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+A=";
    const std::string b = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB/BB=";
    const endpoint e = must("imaps://a@h?verify=pin:sha256/" + a + "&verify=pin:sha256/" + b);
    EXPECT_EQ(e.tls.verify, net::tls_verify::pin);
    EXPECT_EQ(e.tls.pins, (std::vector<std::string>{a, b}));
    EXPECT_NE(refusal("imaps://a@h?verify=pin:sha256/short="), "accepted");
    EXPECT_NE(refusal("imaps://a@h?verify=off&verify=pin:sha256/" + a).find("twice"), std::string::npos);
    EXPECT_EQ(must("imaps://a@h?verify=off").tls.verify, net::tls_verify::off);
}

TEST(endpoint, a_row_fills_the_placeholders_and_cannot_change_the_url) {
    EXPECT_EQ(must("imap://{user}@h", "bob@example.org").user, "bob@example.org");
    EXPECT_EQ(must("imap://{local}@imap.{domain}?prefix={domain}", "bob@example.org").user, "bob");
    EXPECT_EQ(must("imap://{local}@imap.{domain}", "bob@example.org").where.host, "imap.example.org");
    const endpoint odd = must("imap://{user}@h?tls=require", "x@evil/?tls=off&#:");
    EXPECT_EQ(odd.user, "x@evil/?tls=off&#:");
    EXPECT_EQ(odd.where.host, "h");
    EXPECT_EQ(odd.tls.mode, net::tls_mode::require);
    EXPECT_EQ(must("imap://{user}@{domain}").where.host, "{domain}");
    EXPECT_NE(refusal("imap://{user}@{domain}", "bob").find("no domain"), std::string::npos);
    for (const std::string_view host : {"{domain}/x", "a%40{domain}", "-{domain}", "a..{domain}", "{domain}%0A"})
        EXPECT_FALSE(parse_endpoint(fmt::format("imap://{{user}}@{}", host))) << host;
    EXPECT_FALSE(parse_endpoint("imap://{user}@{domain}", "bob@{user}")) << "what a row says is no placeholder";
    EXPECT_TRUE(has_placeholder("imap://x@imap.{domain}"));
    EXPECT_FALSE(has_placeholder("imap://{x}@h"));
}

TEST(endpoint, other_protocols_have_their_own_ports_and_tls) {
    EXPECT_EQ(must("pop3://a@h").where.port, 110);
    EXPECT_EQ(must("pop3://a@h").tls.mode, net::tls_mode::detect);
    EXPECT_EQ(must("pop3s://a@h").where.port, 995);
    EXPECT_EQ(must("pop3s://a@h").tls.mode, net::tls_mode::implicit);
    EXPECT_EQ(must("pop3s://a@h").display(), "pop3s://a@h");
    EXPECT_EQ(must("lmtp://a@h:24").display(), "lmtp://a@h");
    EXPECT_EQ(must("imap://a@h?quirks=gmail,-dovecot").quirks, "gmail,-dovecot");
}

TEST(endpoint, an_imap_source_may_name_where_pop3_tells_its_unique_ids) {
    const endpoint e = must("imaps://a@h?uidl=pop3s://pop.h:1995");
    ASSERT_TRUE(e.uidl);
    EXPECT_EQ(e.uidl->kind, scheme::pop3s);
    EXPECT_EQ(e.uidl->where.host, "pop.h");
    EXPECT_EQ(e.uidl->where.port, 1995);
    EXPECT_EQ(must("imap://a@h?uidl=pop3%3A%2F%2Fh").uidl->where.port, 110);
    EXPECT_EQ(e.display(), "imaps://a@h") << "the ledger's key does not change with it";
    for (const char* wrong :
         {"imap://a@h?uidl=imap://h", "imap://a@h?uidl=pop3://b@h", "imap://a@h?uidl=h", "pop3://a@h?uidl=pop3://h",
          "pop3://a@h?prefix=x", "pop3://a@h?quirks=gmail", "imap://a@h?uidl=pop3://h%3Ftls=off"})
        EXPECT_FALSE(parse_endpoint(wrong)) << wrong;
}

TEST(endpoint, a_place_on_this_machine_is_an_absolute_path) {
    EXPECT_EQ(must("maildir:/srv/mail/alice/").path, "/srv/mail/alice");
    EXPECT_EQ(must("maildir:///srv/mail/alice").path, "/srv/mail/alice");
    EXPECT_EQ(must("mbox:/srv/a%20b%3F").path, "/srv/a b?");
    EXPECT_EQ(must("mbox:/srv/a%20b%3F").display(), "mbox:/srv/a%20b%3F");
    EXPECT_EQ(must("maildir:/srv/{domain}/{local}", "al@example.org").path, "/srv/example.org/al");
    EXPECT_EQ(must("maildir:/srv/{user}", "a..b").path, "/srv/a..b");
    for (const std::string_view user : {"../etc", "..", "..@example.org", "a@..", "a/b"})
        EXPECT_NE(refusal("maildir:/srv/{user}", user).find("path"), std::string::npos) << user;
    for (const std::string_view url : {"maildir:mail", "maildir://host/mail", "maildir:", "mbox:/a%zz"})
        EXPECT_FALSE(refusal(url).empty()) << url;
    EXPECT_NE(refusal("maildir:/x?tls=off").find("means nothing"), std::string::npos);
    EXPECT_NE(refusal("mbox:/x#y").find("%23"), std::string::npos);
}

TEST(endpoint, how_an_mbox_is_read) {
    using enum message::mbox_format;
    EXPECT_EQ(must("mbox:/m").mbox, automatic);
    EXPECT_EQ(must("mbox:/m?format=auto").mbox, automatic);
    EXPECT_EQ(must("mbox:/m?format=mboxrd").mbox, mboxrd);
    EXPECT_EQ(must("mbox:/m?format=mboxo").mbox, mboxo);
    EXPECT_EQ(must("mbox:/m?format=mboxcl2&prefix=old").mbox, mboxcl2);
    EXPECT_NE(refusal("mbox:/m?format=mboxcl").find("format= takes auto, mboxrd, mboxo or mboxcl2"), std::string::npos);
    EXPECT_NE(refusal("imap://a@b?format=mboxrd").find("means nothing"), std::string::npos);
}

TEST(endpoint, a_password_in_the_url_is_refused_and_never_repeated) {
    for (const std::string_view url :
         {"imap://alice:hunter2@h", "imap://alice:hunter2@h?tls=off", "imap://alice:hunter2?x@h",
          "imap://alice:hunter2#@h", "imap://a@h?password=hunter2", "imap://a@h?tls=hunter2", "imap://a@h?hunter2",
          "imap://alice:hunter2/@h", "imap://a:1?hunter2@h"}) {
        const std::string text = refusal(url);
        EXPECT_NE(text, "accepted") << url;
        EXPECT_EQ(text.find("hunter2"), std::string::npos) << text;
    }
    EXPECT_NE(refusal("imap://alice:hunter2@h").find("--source-password-file"), std::string::npos);
}

TEST(endpoint, faults_say_what_is_allowed) {
    const std::pair<std::string_view, std::string_view> cases[] = {
        {"", "scheme"},
        {"old.example.org", "scheme"},
        {"http://h", "Write imap://, imaps://"},
        {"imap:alice@h", "//"},
        {"imap://", "no host"},
        {"imap://@h", "empty"},
        {"imap://a@h:0", "1 to 65535"},
        {"imap://a@h:65536", "1 to 65535"},
        {"imap://a@h:", "1 to 65535"},
        {"imap://a@::1", "brackets"},
        {"imap://a@[::1", "not closed"},
        {"imap://a@[1::2::3]", "IPv6"},
        {"imap://a@[::1]x", "port"},
        {"imap://a@h/INBOX", "--include"},
        {"imap://a%4@h", "percent-encoding"},
        {"imap://a%00@h", "percent-encoding"},
        {"imap://a%ff@h", "percent-encoding"},
        {"imap://a/b@h", "%2F"},
        {"imap://a@h_!", "host name"},
        {"imap://a@m\xc3\xbcller.example", "xn--"},
        {"imap://a@h?tls=maybe", "detect, require, implicit or off"},
        {"imap://a@h?verify=no", "pin:sha256/BASE64"},
        {"imap://a@h?auth=ntlm", "scram-sha-256"},
        {"imap://a@h?tls=off&tls=off", "twice"},
        {"imap://a@h?tls", "no value"},
        {"imap://a@h?max-connections=0", "1 to 100"},
        {"imap://a@h?colour=red", "unknown parameter colour="},
        {"imap://a@h?cert=x", "belong together"},
        {"imap://a@h?auth=external", "cert=FILE"},
        {"imap://a@h?admin-form=star", "needs admin="},
        {"imap://a@h?admin=b&admin-form=plus", "slash (domain/admin/user)"},
        {"imap://a@h?verify=off&ca=x", "no effect"},
    };
    for (const auto& [url, part] : cases) {
        const std::string text = refusal(url);
        EXPECT_NE(text.find(part), std::string::npos) << url << " -> " << text;
    }
    EXPECT_NE(refusal("imap://a@" + std::string(9000, 'h')), "accepted");
}

TEST(endpoint, a_place_url_says_all_but_who) {
    for (const std::string_view url :
         {"imap://old.example.org", "imaps://old.example.org:10993", "imap://old.example.org/?tls=require&ca=a%20b.pem",
          "imaps://[2001:db8::1]/?verify=off&auth=plain&admin=root%40x&admin-form=star&prefix=Old/"
          "Mail&max-connections=4",
          "imap://h/?cert=c.pem&key=k.pem&auth=external&compress=off", "pop3s://h:1995/?tls=off",
          "imap://h/?auth=xoauth2&oauth=work&uidl=pop3s%3A//p.example.org%3A1995", "maildir:/srv/mail/a%20b?prefix=x",
          "mbox:/srv/mail/a?format=mboxcl2", "lmtp://h:1024/?tls=implicit"}) {
        auto e = parse_endpoint(url);
        ASSERT_TRUE(e) << url;
        e->user = "alice";
        e->password = secret("hunter2");
        EXPECT_EQ(place_url(*e), url);
    }
    EXPECT_EQ(place_url(must("IMAP://alice@Old.Example.org:143/?tls=detect")), "imap://old.example.org");
    EXPECT_EQ(place_url(endpoint{}), "");
    EXPECT_EQ(server_key(must("imaps://Old.example.org")), "old.example.org:993");
    EXPECT_EQ(server_key(must("maildir:/srv/mail/a")), "local");
}

} // namespace
} // namespace postferry::mailbox
