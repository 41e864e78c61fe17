// What of the addresses in a mailbox's mail is proposed, on both databases.
#include "jobs/alias_search.hpp"
#include "jobs/domain_settings.hpp"
#include "jobs/test_import.hpp"

#include <fmt/format.h>

namespace postferry::jobs {
namespace {

using directory::alias_discovery;
using store::alias_state;
using store::tables;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using transfer::pass_kind;

class jobs_alias_search : public accounts_test {
  protected:
    /// anna and bela of new.org, of a batch that looks for aliases everywhere.
    void SetUp() override {
        accounts_test::SetUp();
        commit(preview("source_user,source_password,target_user,target_password,aliases\n"
                       "anna@old.org,p,anna@new.org,p,\nbela,p,bela@new.org,p,there\n",
                       form(store::batch_mode::upsert)));
        settings_.alias_discovery = alias_discovery::extended;
    }
    alias_search search(pass_kind kind = pass_kind::bulk, std::size_t whose = 0) {
        return must([&](tables& t) { return alias_search_of(t, mailbox(t, whose), settings_, kind); });
    }
    static store::migration mailbox(tables& t, std::size_t whose) {
        return t.migrations.list({}, {}).value().rows.at(whose);
    }
    /// As if it stood in three messages of the year 2026.
    static message::recipients_found found(std::initializer_list<std::string_view> addresses,
                                           std::uint32_t messages = 3) {
        message::recipients_found out{.all = {}, .messages = 10, .folders = 2};
        for (const std::string_view one : addresses)
            out.all.push_back({.address = std::string(one),
                               .messages = messages,
                               .delivered = true,
                               .fields = {"To", "Delivered-To"},
                               .newest_unix = 1'772'409'600});
        return out;
    }
    aliases_proposed propose(const message::recipients_found& what, std::size_t whose = 0) {
        const message::recipient_wish wish{.own = {}, .deliveries = true};
        return must([&](tables& t) { return propose_aliases(t, mailbox(t, whose), wish, what); });
    }
    /// "info@new.org -> anna@new.org proposed 3"
    std::vector<std::string> aliases() {
        std::vector<std::string> out;
        for (const store::alias& a : must([](tables& t) { return t.directory.aliases({}, {}); }).rows)
            out.push_back(
                fmt::format("{} -> {} {} {}", a.address, a.goes_to, store::name_of(a.state), a.seen_messages));
        return out;
    }
    void set(std::size_t nth, alias_state state) {
        must([&](tables& t) {
            return t.directory.set_alias_state(t.directory.aliases({}, {}).value().rows.at(nth).id, state, "");
        });
    }

    batch_settings settings_;
};
INSTANTIATE_TEST_SUITE_P(on, jobs_alias_search, testing::Values(sql::dialect::sqlite, sql::dialect::postgresql),
                         [](const auto& p) { return p.param == sql::dialect::sqlite ? "sqlite" : "postgresql"; });

constexpr const char* csv_alias = "there@new.org -> bela@new.org approved 0";

TEST_P(jobs_alias_search, it_is_done_once_and_with_the_final_pass_again) {
    ASSERT_TRUE(search().wish);
    EXPECT_THAT(search().wish->own, ElementsAre("anna@new.org", "anna@old.org", "anna@new.org"));
    EXPECT_TRUE(search().wish->deliveries);
    EXPECT_FALSE(search(pass_kind::trial).wish);
    EXPECT_FALSE(search(pass_kind::verify).wish);
    propose(found({}));
    EXPECT_FALSE(search(pass_kind::delta).wish);
    EXPECT_TRUE(search(pass_kind::final).wish);
    EXPECT_TRUE(search(pass_kind::delta, 1).wish) << "another mailbox";
}

TEST_P(jobs_alias_search, more_is_looked_for_when_more_is_asked_for) {
    must([](tables& t) { return t.migrations.set_aliases_sought(mailbox(t, 0).id, "standard"); });
    EXPECT_TRUE(search(pass_kind::delta).wish);
    settings_.alias_discovery = alias_discovery::standard;
    EXPECT_FALSE(search(pass_kind::delta).wish);
}

TEST_P(jobs_alias_search, a_batch_goes_before_the_domain_and_that_before_the_company) {
    const auto set = [this](const char* own, const char* company) {
        must([&](tables& t) -> result<int> {
            auto d = t.directory.find_domain(store::default_project, "new.org").value().value();
            d.overrides = own;
            if (auto ok = t.directory.update(d); !ok) return std::unexpected(ok.error());
            const auto kept = t.settings.find(std::string(company_scope), std::string(company_defaults)).value();
            auto ok = t.settings.put(std::string(company_scope), std::string(company_defaults), company,
                                     kept ? std::optional(kept->version) : std::nullopt);
            if (!ok) return std::unexpected(ok.error());
            return 0;
        });
    };
    settings_.alias_discovery.reset();
    EXPECT_FALSE(search().wish) << "nobody has asked for it";
    set("{}", R"({"alias_discovery": "standard"})");
    EXPECT_FALSE(search().wish.value().deliveries);
    set(R"({"alias_discovery": "extended"})", R"({"alias_discovery": "standard"})");
    EXPECT_TRUE(search().wish.value().deliveries);
    set(R"({"alias_discovery": "username"})", R"({"alias_discovery": "standard"})");
    EXPECT_FALSE(search().wish);
    settings_.alias_discovery = alias_discovery::standard;
    EXPECT_TRUE(search().wish);
    settings_.alias_discovery = alias_discovery::username;
    set(R"({"alias_discovery": "extended"})", "{}");
    EXPECT_FALSE(search().wish);
}

TEST_P(jobs_alias_search, whose_domain_is_not_held_has_no_aliases_and_is_told) {
    must([](tables& t) {
        store::migration m = mailbox(t, 0);
        m.account.reset();
        m.target_user = "anna@elsewhere.org";
        return t.migrations.update(m);
    });
    EXPECT_FALSE(search().wish);
    EXPECT_THAT(search().why_not, HasSubstr("anna@elsewhere.org is no address of a domain that is known here"));
    settings_.alias_discovery.reset();
    EXPECT_THAT(search().why_not, IsEmpty());
}

TEST_P(jobs_alias_search, only_what_can_be_an_alias_is_proposed) {
    must([](tables& t) {
        store::migration m = mailbox(t, 0);
        m.target_user = "Nobodys-Account@new.org"; // a mailbox that was added without one
        m.account.reset();
        m.id = 0;
        return t.migrations.add({m});
    });
    const auto p = propose(found({"info@new.org", "x@gmail.example", "bela@new.org", "there@new.org",
                                  "nobodys-account@new.org", "a/b@new.org"}));
    EXPECT_THAT(aliases(), ElementsAre(csv_alias, "info@new.org -> anna@new.org proposed 3"));
    ASSERT_EQ(p.fresh.size(), 1U);
    EXPECT_EQ(p.fresh.front().seen_in, "To, Delivered-To");
    const auto kept = must([](tables& t) { return t.directory.aliases({.address = "info@new.org"}, {}); }).rows.at(0);
    EXPECT_EQ(kept.origin, store::alias_origin::discovered);
    EXPECT_EQ(kept.seen_newest, 1'772'409'600'000);
    EXPECT_EQ(words_of(p, found({})),
              "searched 10 headers of 2 folders for aliases: info@new.org (in 3 messages); it waits to be approved");
}

TEST_P(jobs_alias_search, again_it_is_the_same_proposal_and_what_was_refused_stays_so) {
    propose(found({"info@new.org", "sales@new.org", "made@new.org"}));
    set(2, alias_state::refused); // behind the CSV's: info, sales, made
    set(3, alias_state::created);
    const auto p = propose(found({"info@new.org", "sales@new.org", "made@new.org"}, 8));
    EXPECT_THAT(p.fresh, IsEmpty());
    EXPECT_EQ(p.known, 1U);
    EXPECT_THAT(aliases(),
                ElementsAre(csv_alias, "info@new.org -> anna@new.org proposed 8",
                            "sales@new.org -> anna@new.org refused 3", "made@new.org -> anna@new.org created 3"));
    // In another's mail: it may be meant for both, or for this one.
    propose(found({"info@new.org", "sales@new.org", "made@new.org"}), 1);
    EXPECT_THAT(aliases(), testing::IsSupersetOf({"info@new.org -> bela@new.org proposed 3",
                                                  "sales@new.org -> bela@new.org proposed 3"}));
    EXPECT_EQ(aliases().size(), 6U);
}

TEST_P(jobs_alias_search, it_is_bounded) {
    message::recipients_found many{.all = {}, .messages = 1, .folders = 1};
    for (std::size_t i = 0; i < 60; ++i)
        many.all.push_back(
            {.address = fmt::format("a{}@new.org", i), .messages = 1, .fields = {"To"}, .newest_unix = {}});
    const auto p = propose(many);
    EXPECT_EQ(p.fresh.size(), aliases_proposed::most);
    EXPECT_EQ(p.left_out, 10U);
    EXPECT_THAT(words_of(p, many), HasSubstr("; 10 more were left out"));
}

} // namespace
} // namespace postferry::jobs
