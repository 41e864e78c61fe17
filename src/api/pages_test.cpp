// The pages behind links, over both databases: what they give, and what they keep to themselves.
#include "api/first_owner.hpp"
#include "api/page_html.hpp"
#include "api/recredential.hpp"
#include "api/test_client.hpp"
#include "store/change_state.hpp"
#include "support/test_store.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::api {
namespace {

using http::method;
using store::mailbox_state;
using store::tables;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// Knows one password; counts how often it was asked.
class fake_server final : public jobs::login_check {
  public:
    task<result<bool>> lets_in(store::migration who, secret password) override {
        ++asked;
        last_user = who.source_user;
        if (during) during();
        if (gone) co_return fail(retry_class::transient, phase::connect, "no route to host 10.1.2.3");
        co_return password.reveal() == right;
    }
    std::string right = "new & right+1";
    std::string last_user;
    bool gone = false;
    int asked = 0;
    std::function<void()> during;
};

class pages_of : public testing::TestWithParam<sql::dialect> {
  protected:
    template <class F> auto must(F f) {
        auto out = run_to_end(db_->synced(std::move(f)));
        EXPECT_TRUE(out) << out.error().message();
        return std::move(out).value();
    }
    void SetUp() override {
        store::database_options options;
        options.clock = [this] { return now_; };
        db_ = store::database::open(place_.url(), options).value();
        const auto keys = folder_ / "keys";
        ASSERT_TRUE(store::make_key_file(keys));
        vault_ = store::vault::open(keys).value();
        must([this](tables& t) { return vault_->attach(t); });
        service_ = make_service();
    }
    std::unique_ptr<service> make_service() {
        return std::make_unique<service>(parts{.db = *db_,
                                               .hashing = directory::hash_pool::shared(),
                                               .vault = vault_.get(),
                                               .woken = [this] { ++woken_; },
                                               .public_url = "https://move.example.org",
                                               .old_server = &old_});
    }
    ~pages_of() override {
        service_.reset();
        db_.reset();
        std::filesystem::remove_all(folder_);
    }
    /// In a batch that is at work, and waiting for a password.
    store::record_id mailbox(std::string user = "ada@old.example.org", std::string url = "imaps://old.example.org") {
        return must([user, url](tables& t) -> result<store::record_id> {
            auto b = t.batches.add({.name = user + url, .state = store::batch_state::syncing, .created_by = "t"});
            if (!b) return std::unexpected(b.error());
            auto m = store::test_store::mailbox(b->id, 1, mailbox_state::needs_credentials);
            m.source_user = user;
            m.source_url = url;
            auto ids = t.migrations.add({m});
            if (!ids) return std::unexpected(ids.error());
            return ids->front();
        });
    }
    store::migration look(store::record_id id) {
        return must([id](tables& t) { return t.migrations.find(id); }).value();
    }
    test_reply api(method verb, std::string target, std::string body = {}) {
        return ask_service(*service_, {.verb = verb,
                                       .target = std::move(target),
                                       .body = std::move(body),
                                       .from = {.address = "unix", .uid = 0}});
    }
    /// The path of a new link.
    std::string link(store::record_id id, std::string_view body = "{}") {
        const auto made = api(method::post, fmt::format("/mailboxes/{}/recredential-link", id), std::string(body));
        EXPECT_EQ(made.status, 201U) << made.text;
        const std::string url(made.json().at("url").as_string());
        EXPECT_THAT(url, StartsWith("https://move.example.org/r/"));
        return url.substr(std::string_view("https://move.example.org").size());
    }
    std::string owner_link() {
        auto made = run_to_end(new_first_owner_link(*db_, *vault_, "https://move.example.org"));
        EXPECT_TRUE(made) << made.error().message();
        if (!*made) return {};
        return std::string((*made)->reveal().substr(std::string_view("https://move.example.org").size()));
    }
    test_reply get(std::string path, std::string address = "192.0.2.1") {
        return ask_service(
            *service_, {.target = std::move(path), .from = {.address = std::move(address), .uid = {}}, .whole = true});
    }
    test_reply post(std::string path, std::string form, http::field_list more = {}, std::string address = "192.0.2.1") {
        more.emplace_back("Content-Type", "application/x-www-form-urlencoded");
        return ask_service(*service_, {.verb = method::post,
                                       .target = std::move(path),
                                       .body = std::move(form),
                                       .fields = std::move(more),
                                       .from = {.address = std::move(address), .uid = {}},
                                       .whole = true});
    }
    std::vector<std::string> audited() {
        std::vector<std::string> out;
        const auto rows = must([](tables& t) { return t.events.list({.kind_prefix = "audit."}, {.limit = 100}); });
        for (const auto& e : rows.rows) {
            out.push_back(e.kind);
            EXPECT_THAT(e.detail + e.before + e.after, Not(HasSubstr("right+1")));
        }
        return out;
    }
    std::optional<std::string> stored_password(store::record_id id) {
        auto got = must([this, id](tables& t) {
            return vault_->get(
                t, {.kind = store::owner_kind::migration, .owner = std::to_string(id), .purpose = "source"});
        });
        return got ? std::optional(std::string(got->reveal())) : std::nullopt;
    }

    static constexpr std::string_view right_form = "password=new+%26+right%2B1";
    store::unix_ms now_ = 1'795'370'400'000;
    int woken_ = 0;
    std::filesystem::path folder_ = [] {
        std::string pattern = testing::TempDir() + "postferry-pages-XXXXXX";
        return std::filesystem::path(mkdtemp(pattern.data()));
    }();
    support::test_database place_{GetParam()};
    fake_server old_;
    std::unique_ptr<store::database> db_;
    std::unique_ptr<store::vault> vault_;
    std::unique_ptr<service> service_;
};

TEST_P(pages_of, take_a_password_that_the_old_server_takes) {
    const auto id = mailbox();
    const auto path = link(id);
    const auto page = get(path);
    EXPECT_EQ(page.status, 200U);
    EXPECT_THAT(page.text,
                AllOf(HasSubstr("ada@old.example.org"), HasSubstr("<form method=\"post\""), Not(HasSubstr("<script"))));
    const auto done = post(path, std::string(right_form));
    EXPECT_EQ(done.status, 200U) << done.text;
    EXPECT_EQ(old_.last_user, "ada@old.example.org");
    EXPECT_EQ(stored_password(id), "new & right+1");
    EXPECT_EQ(look(id).state, mailbox_state::queued);
    EXPECT_EQ(look(id).due, now_);
    EXPECT_EQ(woken_, 1);
    EXPECT_THAT(audited(), testing::UnorderedElementsAre("audit.recredential.link", "audit.recredential.used"));
    // Used up: as if it had never been.
    EXPECT_EQ(get(path).status, 404U);
    EXPECT_EQ(post(path, std::string(right_form)).status, 404U);
    EXPECT_EQ(old_.asked, 1) << "a dead link asks no server";
}

TEST_P(pages_of, stay_valid_after_a_wrong_password_until_the_tries_are_used_up) {
    const auto id = mailbox();
    const auto path = link(id);
    for (int i = 1; i < most_wrong_passwords; ++i) {
        service_ = make_service(); // the throttle forgets, the count does not
        const auto wrong = post(path, "password=old");
        EXPECT_EQ(wrong.status, 422U);
        EXPECT_THAT(wrong.text, HasSubstr(fmt::format("{} more time", most_wrong_passwords - i)));
        EXPECT_THAT(wrong.text, Not(HasSubstr("value=\"old\"")));
    }
    EXPECT_EQ(get(path).status, 200U);
    service_ = make_service();
    EXPECT_EQ(post(path, "password=old").status, 404U);
    EXPECT_EQ(post(path, std::string(right_form)).status, 404U) << "now the right one comes too late";
    EXPECT_EQ(look(id).state, mailbox_state::needs_credentials);
    now_ += 1'000;
    EXPECT_EQ(get(link(id)).status, 200U) << "a new link has its own tries";
}

TEST_P(pages_of, say_one_and_the_same_of_whatever_is_not_valid) {
    const auto id = mailbox();
    const auto used = link(id), path = link(id); // the second ends the first
    const auto other = link(mailbox("eve@old.example.org"));
    std::string forged = path;
    forged[forged.size() / 2] = forged[forged.size() / 2] == 'A' ? 'B' : 'A';
    const auto as_owner = "/first-owner/" + path.substr(3);
    const std::string dead = get("/r/nonsense").text;
    std::set<std::string> pages;
    for (const std::string& bad : {used, forged, as_owner, path + "A", std::string("/r/") + std::string(390, 'A'),
                                   std::string("/r/%00%ff"), std::string("/r/..%2f")}) {
        service_ = make_service();
        const auto page = get(bad);
        EXPECT_EQ(page.status, 404U) << bad;
        if (page.field("Content-Security-Policy").contains("style-src")) EXPECT_EQ(page.text, dead) << bad;
    }
    EXPECT_EQ(post(forged, std::string(right_form)).text, dead);
    EXPECT_EQ(get(path).status, 200U);
    now_ += 7LL * 24 * 3'600'000;
    EXPECT_EQ(get(path).text, dead) << "expired";
    EXPECT_EQ(get(other).text, dead);
    EXPECT_EQ(old_.asked, 0);
}

TEST_P(pages_of, end_when_somebody_else_has_given_the_password_or_ended_them) {
    const auto id = mailbox();
    auto path = link(id);
    must([id](tables& t) {
        return store::change_state(t, id, store::mailbox_change{.to = mailbox_state::cancelled, .actor = "t"});
    });
    EXPECT_EQ(get(path).status, 404U);
    EXPECT_EQ(api(method::post, fmt::format("/mailboxes/{}/recredential-link", id), "{}").status, 409U);
    const auto second = mailbox("eve@old.example.org");
    path = link(second);
    EXPECT_EQ(api(method::del, fmt::format("/mailboxes/{}/recredential-link", second)).status, 204U);
    EXPECT_EQ(get(path).status, 404U);
    // And when it happens while the old server is being asked.
    path = link(second);
    old_.during = [&] {
        must([&](tables& t) {
            return store::change_state(t, second, store::mailbox_change{.to = mailbox_state::cancelled, .actor = "t"});
        });
    };
    EXPECT_EQ(post(path, std::string(right_form)).status, 404U);
    EXPECT_EQ(stored_password(second), std::nullopt);
}

TEST_P(pages_of, wait_for_the_rest_of_a_stopped_batch) {
    const auto id = mailbox();
    const auto path = link(id);
    const auto batch = look(id).batch;
    must([batch](tables& t) {
        return store::change_state(t, batch, store::batch_change{.to = store::batch_state::stopped, .actor = "t"});
    });
    EXPECT_EQ(post(path, std::string(right_form)).status, 200U);
    EXPECT_EQ(look(id).state, mailbox_state::ready);
    EXPECT_EQ(look(id).due, std::nullopt);
}

TEST_P(pages_of, are_made_only_for_a_password_that_the_owner_knows) {
    for (const auto* url :
         {"imaps://old.example.org?admin=root", "imaps://old.example.org?auth=xoauth2", "maildir:/srv/mail/ada"}) {
        const auto id = mailbox("ada@old.example.org", url);
        EXPECT_EQ(api(method::post, fmt::format("/mailboxes/{}/recredential-link", id), "{}").status, 409U) << url;
    }
    EXPECT_EQ(api(method::post, "/mailboxes/999/recredential-link", "{}").status, 404U);
    EXPECT_EQ(api(method::post, fmt::format("/mailboxes/{}/recredential-link", mailbox()), R"({"days":31})").status,
              422U);
}

TEST_P(pages_of, slow_down_whoever_guesses) {
    const auto path = link(mailbox());
    unsigned last = 0;
    for (int i = 0; i < 7 && last != 429; ++i) last = post(path, "password=x").status;
    EXPECT_EQ(last, 429U);
    EXPECT_EQ(old_.asked, 6);
    EXPECT_EQ(post(path, "password=x", {}, "198.51.100.9").status, 429U) << "the link waits, too";
    // Forged links cost a wait as well.
    last = 0;
    for (int i = 0; i < 8 && last != 429; ++i) last = get(fmt::format("/r/forged{}", i), "203.0.113.5").status;
    EXPECT_EQ(last, 429U);
}

TEST_P(pages_of, try_one_password_at_a_time) {
    const auto path = link(mailbox());
    unsigned second = 0;
    old_.during = [&] { second = post(path, std::string(right_form), {}, "198.51.100.9").status; };
    EXPECT_EQ(post(path, "password=old").status, 422U);
    EXPECT_EQ(second, 409U);
    EXPECT_EQ(old_.asked, 1);
}

TEST_P(pages_of, lose_nothing_when_the_old_server_is_gone) {
    const auto path = link(mailbox());
    old_.gone = true;
    const auto page = post(path, std::string(right_form));
    EXPECT_EQ(page.status, 503U);
    EXPECT_THAT(page.text, Not(HasSubstr("10.1.2.3")));
    old_.gone = false;
    EXPECT_EQ(post(path, std::string(right_form)).status, 200U);
}

TEST_P(pages_of, take_forms_of_their_own_only) {
    const auto path = link(mailbox());
    const std::string form(right_form);
    EXPECT_EQ(post(path, form, {{"Sec-Fetch-Site", "cross-site"}}).status, 403U);
    EXPECT_EQ(post(path, form, {{"Sec-Fetch-Site", "same-site"}}).status, 403U);
    EXPECT_EQ(post(path, form, {{"Origin", "https://evil.example"}, {"Host", "move.example.org"}}).status, 403U);
    EXPECT_EQ(
        ask_service(*service_, {.verb = method::post, .target = path, .body = R"({"password":"x"})", .whole = true})
            .status,
        415U);
    EXPECT_EQ(ask_service(*service_, {.verb = method::put, .target = path, .whole = true}).status, 405U);
    EXPECT_EQ(post(path, "").status, 422U);
    EXPECT_EQ(post(path, "password=a%0D%0AA2+LOGOUT").status, 422U) << "no line ends into a login";
    EXPECT_EQ(post(path, "password=" + std::string(501, 'x')).status, 422U);
    EXPECT_EQ(post(path, "password=%zz").status, 400U);
    EXPECT_EQ(old_.asked, 0);
    EXPECT_EQ(post(path, form, {{"Sec-Fetch-Site", "same-origin"}, {"Origin", "null"}}).status, 200U);
}

TEST_P(pages_of, show_names_as_text_whatever_is_in_them) {
    must([](tables& t) { return t.settings.put("company", "name", R"("A <b>&amp; Co\" onload=x")"); });
    const auto page = get(link(mailbox("\"><script>alert(1)</script>@old\r\nSet-Cookie: a=b")));
    EXPECT_EQ(page.status, 200U);
    EXPECT_THAT(page.text, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("<b>")),
                                 HasSubstr("&quot;&gt;&lt;script&gt;"), HasSubstr("A &lt;b&gt;&amp;amp; Co&quot;")));
    for (const auto& [name, value] : page.fields) EXPECT_EQ(value.find_first_of("\r\n"), std::string::npos) << name;
}

TEST_P(pages_of, are_guarded_by_their_headers) {
    for (const auto& page : {get(link(mailbox())), get("/r/nonsense"), get(owner_link())}) {
        EXPECT_THAT(page.field("Content-Security-Policy"),
                    AllOf(StartsWith("default-src 'none'; style-src 'sha256-"), HasSubstr("form-action 'self'"),
                          HasSubstr("frame-ancestors 'none'"), Not(HasSubstr("unsafe"))));
        EXPECT_EQ(page.field("Cache-Control"), "no-store");
        EXPECT_EQ(page.field("Referrer-Policy"), "no-referrer");
        EXPECT_EQ(page.field("X-Content-Type-Options"), "nosniff");
        EXPECT_EQ(page.field("X-Robots-Tag"), "noindex");
    }
}

TEST_P(pages_of, make_the_first_owner_once) {
    const auto path = owner_link();
    EXPECT_EQ(get(path).status, 200U);
    const std::string form = "name=Ada&password=correct+horse&again=correct+horse";
    EXPECT_EQ(post(path, "name=a+b&password=correct+horse&again=correct+horse").status, 422U);
    EXPECT_EQ(post(path, "name=ada&password=short&again=short").status, 422U);
    EXPECT_EQ(post(path, "name=ada&password=correct+horse&again=correct+house").status, 422U);
    EXPECT_THAT(post(path, "name=%22%3E%3Cscript&password=x&again=x").text, Not(HasSubstr("<script")));
    EXPECT_EQ(post(path, form, {{"Sec-Fetch-Site", "cross-site"}}).status, 403U);
    const auto made = post(path, form);
    EXPECT_EQ(made.status, 201U) << made.text;
    EXPECT_EQ(get(path).status, 404U);
    EXPECT_EQ(post(path, form).status, 404U);
    EXPECT_THAT(audited(), testing::ElementsAre("audit.user.create"));
    EXPECT_EQ(owner_link(), "") << "there is an owner";
    const auto in = ask_service(
        *service_,
        {.verb = method::post, .target = "/session", .body = R"({"name":"ada","password":"correct horse"})"});
    EXPECT_EQ(in.status, 201U) << in.text;
    EXPECT_EQ(in.json().at("person").at("role").as_string(), "owner");
}

TEST_P(pages_of, forget_the_first_owner_when_there_is_one_or_a_day_has_passed) {
    const auto old = owner_link(), path = owner_link();
    EXPECT_EQ(get(old).status, 404U) << "the last link counts";
    now_ += 24LL * 3'600'000;
    EXPECT_EQ(get(path).status, 404U);
    const auto third = owner_link();
    EXPECT_EQ(get(third).status, 200U);
    EXPECT_EQ(api(method::post, "/users", R"({"name":"bob","role":"owner","password":"correct horse"})").status, 201U);
    EXPECT_EQ(get(third).status, 404U);
    EXPECT_EQ(post(third, "name=eve&password=correct+horse&again=correct+horse").status, 404U);
}

TEST_P(pages_of, keep_their_secrets_out_of_logs) {
    EXPECT_EQ(shown_path("/r/secret"), "/r/{token}");
    EXPECT_EQ(shown_path("/%72/secret"), "/r/{token}");
    EXPECT_EQ(shown_path("/first-owner/secret"), "/first-owner/{token}");
    EXPECT_EQ(shown_path("/api/v1/batches"), "/api/v1/batches");
}

INSTANTIATE_TEST_SUITE_P(on, pages_of, testing::Values(sql::dialect::sqlite, sql::dialect::postgresql),
                         [](const auto& at) { return at.param == sql::dialect::sqlite ? "sqlite" : "postgresql"; });

TEST(page_html, escapes_bounds_and_replaces) {
    EXPECT_EQ(html_text("<a href=\"x\" id='y'>&"), "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;");
    EXPECT_EQ(html_text("a\xFF\x01z"), "a\xEF\xBF\xBD\xEF\xBF\xBDz");
    EXPECT_EQ(html_text("moc.live\xE2\x80\xAE"), "moc.live\xEF\xBF\xBD") << "no turning of directions";
    EXPECT_EQ(html_text("\xC3\xA4\xC3\xA4", 3), "\xC3\xA4\xE2\x80\xA6") << "cut between characters";
}

} // namespace
} // namespace postferry::api
