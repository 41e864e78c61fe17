// Domains, accounts, aliases and imports through the API, on both databases, over a directory in memory.
#include "api/test_client.hpp"
#include "jobs/test_import.hpp"

#include <gmock/gmock.h>

namespace postferry::api {
namespace {

using http::method;
using testing::HasSubstr;
using testing::Not;

class api_directory : public jobs::accounts_test {
  protected:
    void SetUp() override {
        accounts_test::SetUp();
        std::ofstream(folder_ / "hook") << "#!/bin/sh\n"
                                        << "echo $POSTFERRY_DOMAIN $POSTFERRY_FREEZE $POSTFERRY_FROZEN >> "
                                        << folder_.string() << "/hooked\n[ ! -e " << folder_.string()
                                        << "/refuse ] || { echo no >&2; exit 3; }\n";
        std::filesystem::permissions(folder_ / "hook", std::filesystem::perms::owner_all);
        asked_ = std::make_unique<jobs::directory_desk>(
            *db_, *drivers_, jobs::directory_desk_options{.freeze_hook = {(folder_ / "hook").string()}});
        service_ = std::make_unique<service>(parts{.db = *db_,
                                                   .hashing = directory::hash_pool::shared(),
                                                   .vault = vault_.get(),
                                                   .directory = asked_.get(),
                                                   .imports = &imports(),
                                                   .uploads = folder_});
    }
    void TearDown() override {
        service_.reset();
        asked_.reset();
        accounts_test::TearDown();
    }
    test_reply ask(method verb, std::string target, std::string body = {}, http::field_list fields = {}) {
        return ask_service(*service_, {.verb = verb,
                                       .target = std::move(target),
                                       .body = std::move(body),
                                       .fields = std::move(fields),
                                       .from = {.address = "unix", .uid = 0}});
    }
    test_reply must(unsigned status, method verb, std::string target, std::string body = {},
                    http::field_list fields = {}) {
        auto r = ask(verb, target, std::move(body), std::move(fields));
        EXPECT_EQ(r.status, status) << http::name_of(verb) << " " << target << ": " << r.text;
        return r;
    }
    std::string hooked() {
        std::ostringstream all;
        all << std::ifstream(folder_ / "hooked").rdbuf();
        return std::move(all).str();
    }
    std::vector<std::string> audited() {
        std::vector<std::string> out;
        const auto events = accounts_test::must(
            [](store::tables& t) { return t.events.list({.kind_prefix = "audit."}, {.limit = 500}); });
        for (const auto& e : events.rows) {
            EXPECT_EQ(e.before.find("s3cret"), std::string::npos);
            EXPECT_EQ(e.after.find("s3cret"), std::string::npos);
            out.push_back(e.kind.substr(6));
        }
        return out;
    }

    std::unique_ptr<jobs::directory_desk> asked_;
    std::unique_ptr<service> service_;
};
INSTANTIATE_TEST_SUITE_P(on, api_directory, testing::Values(sql::dialect::sqlite, sql::dialect::postgresql),
                         [](const auto& p) { return p.param == sql::dialect::sqlite ? "sqlite" : "postgresql"; });

TEST_P(api_directory, a_domain_and_what_it_has_of_its_own) {
    const auto company = must(200, method::get, "/company");
    EXPECT_EQ(company.text, R"({"domains":{}})");
    must(200, method::put, "/company", R"({"domains":{"user_limit":5,"services":{"imap":"enabled"}}})",
         {{"If-Match", company.field("ETag")}});
    must(412, method::put, "/company", R"({"domains":{}})", {{"If-Match", company.field("ETag")}});
    EXPECT_THAT(
        must(422, method::put, "/company", R"({"domains":{"user_limit":-1,"brand":"B!"}})", {{"If-Match", "\"v1\""}})
            .text,
        HasSubstr("/domains/user_limit"));
    const auto made = must(201, method::post, "/domains", R"({"name":"New.Org","overrides":{"user_limit":7}})");
    EXPECT_EQ(made.json().at("name"), "new.org");
    EXPECT_EQ(made.json().at("display"), "New.Org");
    must(409, method::post, "/domains", R"({"name":"new.org"})");
    EXPECT_THAT(must(422, method::post, "/domains", R"({"name":"no domain"})").text, HasSubstr("/name"));
    EXPECT_EQ(must(200, method::get, "/domains?name=new.org").json().at("items").as_array().size(), 1U);
    EXPECT_EQ(must(200, method::get, "/domains?name=other.org").json().at("items").as_array().size(), 0U);
    const auto edited = must(200, method::patch, "/domains/1", R"({"overrides":{"language":"de"}})",
                             {{"If-Match", made.field("ETag")}});
    EXPECT_EQ(boost::json::serialize(edited.json().at("overrides")), R"({"language":"de"})");
    must(412, method::patch, "/domains/1", R"({"display":"x"})", {{"If-Match", made.field("ETag")}});
    must(204, method::del, "/domains/1", {}, {{"If-Match", edited.field("ETag")}});
    must(404, method::get, "/domains/1");
    EXPECT_THAT(audited(), testing::ElementsAre("company.update", "domain.create", "domain.update", "domain.delete"));
}

TEST_P(api_directory, an_account_is_planned_or_made_at_once) {
    must(404, method::post, "/accounts", R"({"address":"a@new.org"})");
    must(201, method::post, "/domains", R"({"name":"new.org"})");
    const auto planned = must(201, method::post, "/accounts", R"({"address":"A@new.org","quota":5000})");
    EXPECT_EQ(planned.json().at("state"), "planned");
    EXPECT_TRUE(directory_->accounts.empty());
    must(409, method::post, "/accounts", R"({"address":"a@new.org"})");
    EXPECT_THAT(must(422, method::post, "/accounts", R"({"address":"b@new.org","password":"s3cret"})").text,
                HasSubstr("/password"));
    const auto made =
        must(201, method::post, "/accounts", R"({"address":"b@new.org","password":"s3cret","provisioning":"memory"})");
    EXPECT_EQ(made.json().at("state"), "active");
    EXPECT_THAT(made.text, Not(HasSubstr("s3cret")));
    EXPECT_EQ(directory_->passwords(), "b@new.org s3cret\n");
    // What is on the new server is not taken over.
    directory_->accounts.emplace("c@new.org", directory_->accounts.at("b@new.org"));
    EXPECT_THAT(must(409, method::post, "/accounts", R"({"address":"c@new.org","provisioning":"memory"})").text,
                HasSubstr("exists"));
    EXPECT_EQ(must(200, method::get, "/accounts?state=planned").json().at("items").as_array().size(), 1U);
    EXPECT_EQ(must(200, method::get, "/accounts?address=B@").json().at("items").as_array().size(), 1U);
    must(422, method::get, "/accounts?state=elsewhere");
    must(409, method::post, "/accounts/2/suspend", R"({"provisioning":"nobody"})");
    EXPECT_EQ(must(200, method::post, "/accounts/2/suspend", R"({"provisioning":"memory"})").json().at("state"),
              "suspended");
    EXPECT_TRUE(directory_->accounts.at("b@new.org").suspended);
    must(200, method::post, "/accounts/2/resume", R"({"provisioning":"memory"})");
    EXPECT_FALSE(directory_->accounts.at("b@new.org").suspended);
    must(200, method::post, "/accounts/2/password", R"({"provisioning":"memory","password":"s3cret2"})");
    EXPECT_THAT(directory_->passwords(), HasSubstr("b@new.org s3cret2"));
    const auto now = must(200, method::get, "/accounts/2");
    must(200, method::patch, "/accounts/2",
         R"({"quota":7000,"name":"Bob","services":{"imap":"disabled"},"provisioning":"memory"})",
         {{"If-Match", now.field("ETag")}});
    EXPECT_EQ(directory_->accounts.at("b@new.org").spec.quota, 7000U);
    must(422, method::patch, "/accounts/2", R"({"quota":-1})", {{"If-Match", "\"v9\""}});
    must(204, method::del, "/accounts/1", {}, {{"If-Match", planned.field("ETag")}});
    EXPECT_THAT(audited(), testing::IsSupersetOf({"account.create", "account.suspend", "account.resume",
                                                  "account.password", "account.update", "account.delete"}));
}

TEST_P(api_directory, an_alias_waits_for_a_yes) {
    must(201, method::post, "/domains", R"({"name":"new.org"})");
    must(201, method::post, "/accounts", R"({"address":"a@new.org"})");
    EXPECT_EQ(
        must(201, method::post, "/aliases", R"({"address":"x@new.org","goes_to":"a@new.org"})").json().at("state"),
        "proposed");
    must(409, method::post, "/aliases", R"({"address":"x@new.org","goes_to":"a@new.org"})");
    must(409, method::post, "/aliases", R"({"address":"a@new.org","goes_to":"b@new.org"})");
    must(422, method::post, "/aliases", R"({"address":"y@new.org","goes_to":"y@new.org"})");
    EXPECT_TRUE(directory_->aliases.empty());
    EXPECT_EQ(must(200, method::post, "/aliases/1/refuse", R"({"reason":"spam"})").json().at("reason"), "spam");
    EXPECT_EQ(must(200, method::post, "/aliases/1/approve", R"({"provisioning":"memory"})").json().at("state"),
              "created");
    EXPECT_EQ(directory_->aliases.at("x@new.org"), "a@new.org");
    must(409, method::post, "/aliases/1/refuse", "{}");
    EXPECT_EQ(must(200, method::get, "/aliases?state=created").json().at("items").as_array().size(), 1U);
    directory_->aliases.emplace("z@new.org", "a@new.org");
    EXPECT_EQ(must(200, method::post, "/domains/1/discover-aliases", R"({"provisioning":"memory"})").text,
              R"({"proposed":1,"known":1,"left_out":0})");
    EXPECT_EQ(must(200, method::get, "/aliases?address=Z@new.org").json().at("items").at(0).at("state"), "proposed");
    must(204, method::del, "/aliases/1");
}

TEST_P(api_directory, a_freeze_holds_and_is_lifted) {
    must(201, method::post, "/domains", R"({"name":"new.org"})");
    must(422, method::post, "/domains/1/freeze", "{}");
    EXPECT_EQ(must(200, method::post, "/domains/1/freeze", R"({"provisioning":true,"password_changes":true})")
                  .json()
                  .at("provisioning_frozen"),
              true);
    EXPECT_EQ(hooked(), "new.org provisioning 1\nnew.org passwords 1\n");
    EXPECT_THAT(must(409, method::post, "/accounts", R"({"address":"a@new.org","provisioning":"memory"})").text,
                HasSubstr("provisioning of new.org is frozen"));
    must(201, method::post, "/accounts", R"({"address":"a@new.org"})");
    EXPECT_THAT(must(409, method::post, "/accounts/1/password", R"({"provisioning":"memory","password":"x"})").text,
                HasSubstr("passwords of new.org are frozen"));
    std::ofstream(folder_ / "refuse") << "";
    EXPECT_THAT(must(502, method::post, "/domains/1/unfreeze", R"({"provisioning":true})").text,
                HasSubstr("The freeze is lifted here"));
    EXPECT_EQ(must(200, method::get, "/domains/1").json().at("provisioning_frozen"), false);
    EXPECT_THAT(must(502, method::post, "/domains/1/freeze", R"({"provisioning":true})").text,
                HasSubstr("nothing is frozen"));
    EXPECT_EQ(must(200, method::get, "/domains/1").json().at("provisioning_frozen"), false);
}

TEST_P(api_directory, what_is_missing_where) {
    must(201, method::post, "/domains", R"({"name":"new.org"})");
    for (const char* name : {"a", "b"})
        must(201, method::post, "/accounts", fmt::format(R"({{"address":"{}@new.org"}})", name));
    for (const char* name : {"b@new.org", "c@new.org"})
        directory_->accounts.emplace(
            name, jobs::memory_directory::entry{.spec = {.address = directory::address::parse(name).value()}});
    const auto r = must(200, method::post, "/domains/1/reconcile", R"({"new":"memory"})");
    EXPECT_EQ(r.text, R"({"domain":"new.org","both":1,"only_old":1,"only_new":1,"missing_on_new":["a@new.org"],)"
                      R"("missing_on_old":["c@new.org"]})");
    EXPECT_EQ(must(200, method::post, "/domains/1/reconcile", R"({"new":"memory","old":"memory"})").json().at("both"),
              2);
    must(422, method::post, "/domains/1/reconcile", R"({"new":"none"})");
}

TEST_P(api_directory, a_csv_is_looked_at_and_committed) {
    const http::field_list csv{{"Content-Type", "text/csv"}};
    const std::string rows = "target_user,target_password\na@new.org,s3cret\nnobody,x\n";
    must(415, method::post, "/imports?batch=b", rows, {{"Content-Type", "application/json"}});
    EXPECT_THAT(must(422, method::post, "/imports?mode=all&source=x&check_hosts=1", rows, csv).text,
                testing::AllOf(HasSubstr("?mode"), HasSubstr("?source"), HasSubstr("?check_hosts")));
    EXPECT_THAT(must(422, method::post, "/imports?batch=b&mode=create-only&provisioning=nobody", rows, csv).text,
                HasSubstr("?provisioning"));
    const auto seen =
        must(201, method::post, "/imports?batch=b&mode=create-only&provisioning=memory&name=x.csv", rows, csv);
    EXPECT_EQ(seen.json().at("summary"), "x.csv: preset postferry, separator \",\", UTF-8, 2 rows, 1 fault");
    EXPECT_EQ(seen.json().at("state"), "checked");
    const std::string at = seen.field("Location").substr(std::string("/api/v1").size());
    const auto faults = must(200, method::get, at + "/faults");
    EXPECT_THAT(faults.text, HasSubstr(R"("row":3,"line":3,"column":"target_user")"));
    EXPECT_EQ(faults.json().at("next"), nullptr);
    must(409, method::post, at + "/commit", "{}");
    const auto done = must(200, method::post, at + "/commit", R"({"skip_invalid":true,"start":true})");
    EXPECT_EQ(done.json().at("added").at("mailboxes"), 1);
    EXPECT_EQ(done.json().at("added").at("skipped_rows"), 1);
    EXPECT_EQ(mailboxes().at(0).state, store::mailbox_state::queued);
    EXPECT_EQ(password(mailboxes().at(0).id, "account"), "s3cret");
    // The batch is there now: its mode is the import's.
    EXPECT_THAT(must(422, method::post, "/imports?batch=b&mode=upsert", rows, csv).text, HasSubstr("is create-only"));
    EXPECT_EQ(must(201, method::post, "/imports?batch=b", rows, csv).json().at("mode"), "create-only");
    must(204, method::del, at);
    must(404, method::get, at);
    must(404, method::get, "/imports/0/faults");
    for (const auto& entry : std::filesystem::directory_iterator(folder_))
        EXPECT_FALSE(entry.path().filename().string().starts_with("postferry-import")) << entry.path();
    (void)audited();
}

TEST_P(api_directory, passwords_of_all_rows_come_in_fields) {
    const auto seen = must(201, method::post,
                           "/imports?batch=m&check_hosts=false&source=imaps%3A%2F%2Fold.org%2F%3Fadmin%3Droot&target="
                           "imaps%3A%2F%2Fnew.org",
                           "source_user,target_password\nalice,t\n",
                           {{"Content-Type", "text/csv"}, {"Postferry-Source-Password", "s3%20cret"}});
    EXPECT_EQ(seen.json().at("faults"), 0) << seen.text;
    must(200, method::post, seen.field("Location").substr(7) + "/commit", "{}");
    EXPECT_EQ(password(mailboxes().at(0).id, "source"), "s3 cret");
    EXPECT_EQ(mailboxes().at(0).source_url, "imaps://old.org/?admin=root");
}

} // namespace
} // namespace postferry::api
