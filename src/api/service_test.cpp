// Who may do what, and how requests are taken.
#include "api/test_client.hpp"
#include "api/token_text.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace postferry::api {
namespace {

using http::method;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class api_service : public api_test {
  protected:
    void add_ada() {
        const auto made =
            as_root(method::post, "/users", R"({"name":"Ada","role":"admin","password":"correct horse"})");
        ASSERT_EQ(made.status, 201U) << made.text;
    }
    test_reply sign_in(std::string_view name, std::string_view password) {
        return ask({.verb = method::post,
                    .target = "/session",
                    .body = fmt::format(R"({{"name":"{}","password":"{}"}})", name, password)});
    }
};

// Every route asks for its role: nobody gets in without one, and each role gets no further than it may.
TEST_F(api_service, holds_every_route_to_its_role) {
    const std::array<std::pair<std::string_view, access>, 4> roles{
        {{"viewer", access::read}, {"operator", access::operate}, {"admin", access::admin}, {"owner", access::owner}}};
    std::map<std::string_view, std::string> tokens;
    for (const auto& [role, may] : roles) tokens[role] = token_of(role);
    for (const route& r : service_->routes().routes()) {
        if (r.needs == access::anyone) continue;
        std::string target(r.pattern);
        for (std::size_t at; (at = target.find('{')) != std::string::npos;)
            target.replace(at, target.find('}') - at + 1, "999999");
        const auto nobody = ask({.verb = r.verb, .target = target, .body = "{}"});
        EXPECT_EQ(nobody.status, 401U) << http::name_of(r.verb) << target;
        for (const auto& [role, may] : roles) {
            // A token never makes its owner's people and tokens: scopes end at admin.
            const access most = std::min(may, access::admin);
            const auto got = with_token(tokens[role], r.verb, target, "{}");
            // One that leaks must not outlive itself by making others.
            const bool of_tokens = r.pattern.starts_with("/tokens") && !http::is_safe(r.verb);
            EXPECT_EQ(got.status == 403, most < (of_tokens ? access::admin : r.needs))
                << role << " " << http::name_of(r.verb) << target << got.text;
            EXPECT_NE(got.status, 401U);
            EXPECT_NE(got.status, 500U) << got.text;
        }
    }
}

TEST_F(api_service, signs_in_and_out_with_a_cookie) {
    add_ada();
    const auto in = sign_in("ADA", "correct horse");
    ASSERT_EQ(in.status, 201U) << in.text;
    const std::string set = in.field("Set-Cookie");
    EXPECT_THAT(set, HasSubstr("HttpOnly; SameSite=Strict"));
    const std::string cookie = set.substr(0, set.find(';'));
    const std::string csrf(in.json().at("csrf").as_string());
    const auto me = ask({.target = "/me", .fields = {{"Cookie", "a=b; " + cookie}}});
    EXPECT_EQ(me.json().at("name").as_string(), "ada");
    EXPECT_EQ(me.json().at("csrf").as_string(), csrf);

    // Without the header that only our own pages can send, a cookie changes nothing.
    const std::string body = R"({"name":"t","scopes":["read"]})";
    EXPECT_EQ(ask({.verb = method::post, .target = "/tokens", .body = body, .fields = {{"Cookie", cookie}}}).status,
              403U);
    EXPECT_EQ(ask({.verb = method::post,
                   .target = "/tokens",
                   .body = body,
                   .fields = {{"Cookie", cookie}, {"X-CSRF-Token", csrf + "x"}}})
                  .status,
              403U);
    EXPECT_EQ(ask({.verb = method::post,
                   .target = "/tokens",
                   .body = body,
                   .fields = {{"Cookie", cookie}, {"X-CSRF-Token", csrf}}})
                  .status,
              201U);

    EXPECT_EQ(
        ask({.verb = method::del, .target = "/session", .fields = {{"Cookie", cookie}, {"X-CSRF-Token", csrf}}}).status,
        204U);
    EXPECT_EQ(ask({.target = "/me", .fields = {{"Cookie", cookie}}}).status, 401U);
}

TEST_F(api_service, ends_sessions_that_are_idle_or_old) {
    add_ada();
    const std::string set = sign_in("ada", "correct horse").field("Set-Cookie");
    const http::field_list cookie{{"Cookie", set.substr(0, set.find(';'))}};
    now_ += 11 * 3'600'000;
    EXPECT_EQ(ask({.target = "/me", .fields = cookie}).status, 200U);
    now_ += 11 * 3'600'000;
    EXPECT_EQ(ask({.target = "/me", .fields = cookie}).status, 200U); // it was used
    now_ += 13 * 3'600'000;
    EXPECT_EQ(ask({.target = "/me", .fields = cookie}).status, 401U);
}

TEST_F(api_service, slows_down_who_guesses) {
    add_ada();
    for (int i = 0; i < 6; ++i) EXPECT_EQ(sign_in("ada", "wrong").status, 401U);
    const auto late = sign_in("ada", "correct horse");
    EXPECT_EQ(late.status, 429U);
    EXPECT_EQ(late.field("Retry-After"), "1");
    // Whether the name exists is not told.
    EXPECT_EQ(sign_in("nobody", "wrong").status, 429U); // the address waits, too
}

TEST_F(api_service, tokens_have_scopes_and_ends) {
    add_ada();
    const auto make = [&](std::string_view more) {
        return as_root(method::post, "/tokens", fmt::format(R"({{"name":"t","user":1{}}})", more));
    };
    const auto read = make(R"(,"scopes":["read"],"expires":"2026-11-22T19:00:00Z")");
    ASSERT_EQ(read.status, 201U) << read.text;
    const std::string token(read.json().at("token").as_string());
    EXPECT_THAT(token, StartsWith("pf_"));
    EXPECT_EQ(with_token(token, method::get, "/me").status, 200U);
    EXPECT_EQ(with_token(token, method::post, "/users", "{}").status, 403U);
    now_ += 3'600'001;
    EXPECT_EQ(with_token(token, method::get, "/me").status, 401U);
    EXPECT_EQ(with_token("pf_nonsense", method::get, "/me").status, 401U);
    EXPECT_EQ(make(R"(,"scopes":["everything"])").status, 422U);
    EXPECT_EQ(make(R"(,"scopes":[])").status, 422U);
    // It is shown once.
    EXPECT_THAT(as_root(method::get, "/tokens").text, Not(HasSubstr(token)));
}

TEST_F(api_service, an_edit_names_what_it_was_made_from) {
    add_ada();
    const auto shown = as_root(method::get, "/users/1");
    const std::string etag = shown.field("ETag");
    EXPECT_EQ(as_root(method::patch, "/users/1", R"({"role":"viewer"})").status, 428U);
    const auto edited = as_root(method::patch, "/users/1", R"({"display":"Ada L."})", {{"If-Match", etag}});
    EXPECT_EQ(edited.status, 200U) << edited.text;
    EXPECT_NE(edited.field("ETag"), etag);
    EXPECT_EQ(as_root(method::patch, "/users/1", R"({"role":"viewer"})", {{"If-Match", etag}}).status, 412U);
    EXPECT_EQ(as_root(method::get, "/users/1").json().at("role").as_string(), "admin");
}

TEST_F(api_service, does_once_what_bears_an_idempotency_key) {
    const http::field_list key{{"Idempotency-Key", "a-1"}};
    const std::string body = R"({"name":"bob","role":"viewer"})";
    const auto first = as_root(method::post, "/users", body, key);
    const auto again = as_root(method::post, "/users", body, key);
    EXPECT_EQ(first.status, 201U) << first.text;
    EXPECT_EQ(again.status, 201U);
    EXPECT_EQ(again.text, first.text);
    EXPECT_EQ(again.field("Idempotency-Replayed"), "true");
    EXPECT_EQ(as_root(method::post, "/users", R"({"name":"eve","role":"viewer"})", key).status, 422U);
    // A refusal changed nothing, so the key is free for the corrected request.
    const http::field_list other{{"Idempotency-Key", "a-2"}};
    EXPECT_EQ(as_root(method::post, "/users", "{}", other).status, 422U);
    EXPECT_EQ(as_root(method::post, "/users", R"({"name":"eve","role":"viewer"})", other).status, 201U);
}

TEST_F(api_service, names_the_fields_that_are_wrong) {
    const auto got = as_root(method::post, "/users", R"({"name":"a b","role":"king","password":"short","more":1})");
    EXPECT_EQ(got.status, 422U);
    std::vector<std::string> names;
    const auto problem = got.json();
    for (const auto& e : problem.at("errors").as_array()) names.emplace_back(e.at("field").as_string());
    EXPECT_THAT(names, ElementsAre("/name", "/role", "/password", "/more"));
    EXPECT_THAT(got.text, Not(HasSubstr("short\""))); // the password is not repeated
}

TEST_F(api_service, pages_through_lists) {
    for (int i = 0; i < 5; ++i) as_root(method::post, "/users", fmt::format(R"({{"name":"u{}","role":"viewer"}})", i));
    std::vector<std::string> seen;
    std::string next = "?limit=2";
    while (!next.empty()) {
        const auto page = as_root(method::get, "/users" + next).json();
        for (const auto& u : page.at("items").as_array()) seen.emplace_back(u.at("name").as_string());
        next = page.at("next").is_null() ? "" : "?limit=2&cursor=" + std::string(page.at("next").as_string());
    }
    EXPECT_THAT(seen, ElementsAre("u0", "u1", "u2", "u3", "u4"));
    EXPECT_EQ(as_root(method::get, "/users?limit=0").status, 422U);
    EXPECT_EQ(as_root(method::get, "/users?limit=501").status, 422U);
    EXPECT_EQ(as_root(method::get, "/users?cursor=12").status, 422U);
}

// A page is written without the object that a single mailbox is shown by.
TEST_F(api_service, shows_a_mailbox_in_a_page_as_it_shows_it_alone) {
    as_root(method::post, "/batches", R"({"name":"b"})");
    as_root(method::post, "/batches", R"({"name":"empty"})");
    for (int i = 1; i <= 3; ++i) {
        store::migration m{.batch = 1,
                           .source_url = fmt::format("imap://old.example:143/?n={}", i),
                           .target_url = "imap://new.example:143/",
                           .source_user = "quote \" back \\ bell \a tab \t \xc3\xa9",
                           .reason = i == 2 ? "" : "why",
                           .until = i == 2 ? std::nullopt : std::optional<store::unix_ms>(now_ + 250),
                           .priority = -i,
                           .counts = {.messages_source = 1, .messages_copied = 3, .octets_source = 1ULL << 62U}};
        ASSERT_TRUE(wait_for(db_->write([m](store::tables& t) { return t.migrations.add({m}); })));
    }
    std::vector<boost::json::value> alone;
    for (const char* id : {"1", "2", "3"})
        alone.push_back(as_root(method::get, std::string("/mailboxes/") + id).json());
    EXPECT_EQ(alone[0].at("until").as_string(), rfc3339_of(now_ + 250));
    EXPECT_EQ(alone[1].at("until"), boost::json::value()) << "nothing is left of the row before";
    EXPECT_EQ(alone[0].at("messages").at("residual").as_int64(), -2);
    EXPECT_EQ(alone[0].at("source_user").as_string(), "quote \" back \\ bell \a tab \t \xc3\xa9");

    const auto first = as_root(method::get, "/batches/1/mailboxes?limit=2").json();
    EXPECT_THAT(first.at("items").as_array(), ElementsAre(alone[0], alone[1]));
    const std::string next(first.at("next").as_string());
    const auto rest = as_root(method::get, "/batches/1/mailboxes?limit=2&cursor=" + next).json();
    EXPECT_THAT(rest.at("items").as_array(), ElementsAre(alone[2]));
    EXPECT_TRUE(rest.at("next").is_null());
    // Several states are several statements.
    EXPECT_EQ(as_root(method::get, "/mailboxes?state=draft,ready&limit=2").json(), first);

    EXPECT_EQ(as_root(method::get, "/batches/2/mailboxes").text, R"({"items":[],"next":null})");
    EXPECT_EQ(as_root(method::get, "/batches/1/mailboxes?state=failed").text, R"({"items":[],"next":null})");
    EXPECT_EQ(as_root(method::get, "/batches/3/mailboxes").status, 404U) << "there is no such batch";
}

TEST_F(api_service, keeps_a_record_of_every_change) {
    add_ada();
    const auto etag = as_root(method::get, "/users/1").field("ETag");
    as_root(method::patch, "/users/1", R"({"role":"viewer","password":"another one"})", {{"If-Match", etag}});
    const auto events = as_root(method::get, "/events?kind=audit.user.update");
    const auto page = events.json();
    const auto& e = page.at("items").as_array().at(0);
    EXPECT_EQ(e.at("actor").as_string(), "cli/0");
    EXPECT_EQ(e.at("before").at("role").as_string(), "admin");
    EXPECT_EQ(e.at("after").at("role").as_string(), "viewer");
    EXPECT_EQ(e.at("detail").at("password_changed").as_bool(), true);
    EXPECT_THAT(events.text, Not(HasSubstr("argon2")));
}

TEST_F(api_service, streams_events_behind_the_last_one_seen) {
    add_ada();
    const auto stream =
        ask({.target = "/events/stream", .fields = {{"Last-Event-ID", "0"}}, .from = {.address = "unix", .uid = 0}});
    EXPECT_EQ(stream.status, 200U);
    EXPECT_THAT(stream.text, StartsWith("retry: "));
}

TEST_F(api_service, a_stream_ends_with_the_rights_of_who_listens) {
    const std::string token = token_of("viewer");
    const auto stream =
        ask({.target = "/events/stream", .fields = {{"Authorization", "Bearer " + token}}, .on_piece = [&] {
                 EXPECT_EQ(as_root(method::del, "/tokens/1").status, 204U);
                 as_root(method::post, "/projects", R"({"name":"not for everybody"})");
                 return true;
             }});
    EXPECT_EQ(stream.text, "retry: 2000\n\n");
}

TEST_F(api_service, a_stream_tells_what_happens) {
    int pieces = 0;
    const auto stream =
        ask({.target = "/events/stream?kind=audit.project", .from = {.address = "unix", .uid = 0}, .on_piece = [&] {
                 as_root(method::post, "/projects", R"({"name":"acme"})");
                 return ++pieces < 2;
             }});
    EXPECT_THAT(stream.text, HasSubstr("event: audit.project.create\ndata: {"));
}

TEST_F(api_service, what_is_kept_of_a_body_tells_nothing_of_it) {
    const std::string body = R"({"name":"bob","role":"viewer","password":"correct horse"})";
    EXPECT_EQ(as_root(method::post, "/users", body, {{"Idempotency-Key", "k"}}).status, 201U);
    const auto kept =
        wait_for(db_->write([](store::tables& t) { return t.requests.begin({.key = "k", .actor = "cli/0"}); }));
    ASSERT_TRUE(kept && *kept);
    EXPECT_NE((*kept)->request_hash, hash_of(body));
    EXPECT_EQ(as_root(method::post, "/users", body, {{"Idempotency-Key", "k"}}).status, 201U) << "and is known again";
}

TEST_F(api_service, nobody_keeps_somebody_out_by_guessing_her_name) {
    add_ada();
    for (int i = 0; i < 20; ++i)
        ask({.verb = method::post,
             .target = "/session",
             .body = R"({"name":"ada","password":"wrong"})",
             .from = {.address = fmt::format("2001:db8:0:{:x}::1", i % 4), .uid = {}}});
    EXPECT_EQ(sign_in("ada", "correct horse").status, 201U);
    // Whoever owns an IPv6 address owns its network.
    EXPECT_EQ(ask({.verb = method::post,
                   .target = "/session",
                   .body = R"({"name":"ada","password":"correct horse"})",
                   .from = {.address = "2001:db8:0:1:ffff::9", .uid = {}}})
                  .status,
              201U)
        << "five failures are free";
}

TEST_F(api_service, answers_what_is_not_there) {
    EXPECT_EQ(as_root(method::get, "/nowhere").status, 404U);
    EXPECT_EQ(as_root(method::get, "/users/0").status, 404U);
    EXPECT_EQ(as_root(method::get, "/users/99").status, 404U);
    EXPECT_EQ(as_root(method::get, "/users/x").status, 404U);
    const auto wrong = as_root(method::put, "/users");
    EXPECT_EQ(wrong.status, 405U);
    EXPECT_EQ(wrong.field("Allow"), "GET, POST");
}

TEST_F(api_service, a_stranger_on_the_local_socket_is_nobody) {
    EXPECT_EQ(ask({.target = "/me", .from = {.address = "unix", .uid = 4'000'000}}).status, 401U);
}

} // namespace
} // namespace postferry::api
