#include "jobs/test_import.hpp"

#include <fmt/format.h>

namespace postferry::jobs {
namespace {

using store::account_state;
using store::batch_mode;
using store::mailbox_state;
using store::tables;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using how = provision_end::how;

class jobs_provision : public accounts_test {
  protected:
    /// Imports, queues all of the batch, and has the desk called for the first of it as a worker would.
    void given(const std::string& csv, import_form with) {
        commit(preview(csv, std::move(with)));
        std::vector<store::record_id> ids;
        for (const store::migration& m : mailboxes()) ids.push_back(m.id);
        must([&](tables& t) {
            return store::change_states(t, ids, [this](const store::migration& m) {
                if (m.state != mailbox_state::ready) return store::changes{};
                return store::changes{{.to = mailbox_state::queued, .actor = "t", .due = now_.load()}};
            });
        });
    }
    provision_end run(const store::migration& m) {
        must([&](tables& t) {
            return store::change_state(t, m.id, {.to = mailbox_state::provisioning, .actor = "worker/w"});
        });
        return wait_for(desk_->run(work_of(m), "worker/w", {}));
    }
    static work work_of(store::migration m) {
        work w;
        w.mailbox = std::move(m);
        return w;
    }
    provision_end run_first() { return run(mailboxes().at(0)); }
    std::string states() {
        std::string out;
        for (const store::migration& m : mailboxes())
            out += fmt::format("{}{}{}{}", out.empty() ? "" : ", ", store::name_of(m.state),
                               m.reason_class.empty() ? "" : " ", m.reason_class);
        return out;
    }
    std::string alias_states() {
        std::string out;
        for (const store::alias& a : must([](tables& t) { return t.directory.aliases({}, {}); }).rows)
            out += fmt::format("{} {}\n", a.address, store::name_of(a.state));
        return out;
    }
};
INSTANTIATE_TEST_SUITE_P(on, jobs_provision, testing::Values(sql::dialect::sqlite, sql::dialect::postgresql),
                         [](const auto& p) { return p.param == sql::dialect::sqlite ? "sqlite" : "postgresql"; });

std::string create_csv(int count) {
    std::string csv = "target_user,target_password,aliases\n";
    for (int i = 0; i < count; ++i) csv += fmt::format("u{0}@new.org,p{0},a{0}\n", i);
    return csv;
}

TEST_P(jobs_provision, a_batch_that_only_creates_is_done_in_bites) {
    given(create_csv(3), form(batch_mode::create_only));
    const auto end = run_first();
    EXPECT_EQ(end.what, how::done) << (end.why ? end.why->message() : "");
    EXPECT_THAT(end.notes, ElementsAre("account u0@new.org: created", "alias a0@new.org: created"));
    EXPECT_THAT(directory_->bites, ElementsAre(3U));
    EXPECT_EQ(directory_->passwords(), "u0@new.org p0\nu1@new.org p1\nu2@new.org p2\n");
    EXPECT_EQ(directory_->aliases.at("a2@new.org"), "u2@new.org");
    // The caller ends its own; the others are done with it.
    EXPECT_EQ(states(), "provisioning, completed, completed");
    EXPECT_EQ(alias_states(), "a0@new.org created\na1@new.org created\na2@new.org created\n");
    EXPECT_EQ(account("u1@new.org")->state, account_state::active);
    EXPECT_TRUE(directory_->domains.contains("new.org"));
}

TEST_P(jobs_provision, a_bite_costs_few_statements_however_many_accounts_it_has) {
    const int all = provisioner_desk::bite;
    given(create_csv(all), form(batch_mode::create_only));
    const auto first = mailboxes().at(0);
    must([&](tables& t) {
        return store::change_state(t, first.id, {.to = mailbox_state::provisioning, .actor = "worker/w"});
    });
    const int before = asked_.statements;
    EXPECT_EQ(wait_for(desk_->run(work_of(first), "worker/w", {})).what, how::done);
    // A statement has 256 rows at most, one of new rows a power of four: some 20 of them write or read every row.
    EXPECT_LE(asked_.statements - before, 20 + 20 * all / 256);
    EXPECT_THAT(directory_->bites, ElementsAre(static_cast<std::size_t>(all)));
    const auto done =
        must([](tables& t) { return t.migrations.ids({.states = {mailbox_state::completed}}, {.limit = 5'000}); });
    EXPECT_EQ(done.rows.size(), static_cast<std::size_t>(all - 1));
    // What happened to one is told as if it had been alone.
    std::string told;
    for (const store::event& e :
         must([&](tables& t) { return t.events.list({.migration = done.rows.back()}, {}); }).rows)
        told += fmt::format("{} {} {}\n", e.kind, e.before, e.after);
    EXPECT_EQ(told, "mailbox.state ready queued\naccount.state planned active\nmailbox.state queued provisioning\n"
                    "mailbox.state provisioning completed\n");
}

TEST_P(jobs_provision, an_account_that_is_there_is_an_error_and_nothing_of_it_is_touched) {
    directory_->accounts.emplace(
        "u1@new.org", memory_directory::entry{.spec = {.address = directory::address::parse("u1@new.org").value()}});
    given(create_csv(2), form(batch_mode::create_only));
    EXPECT_EQ(run_first().what, how::done);
    EXPECT_EQ(states(), "provisioning, failed config");
    EXPECT_THAT(mailboxes()[1].reason, HasSubstr("exists"));
    EXPECT_EQ(directory_->passwords(), "u0@new.org p0\nu1@new.org \n");
    EXPECT_EQ(account("u1@new.org")->state, account_state::failed);
    EXPECT_EQ(alias_states(), "a0@new.org created\na1@new.org approved\n");
}

TEST_P(jobs_provision, an_attempt_that_was_cut_off_is_no_reason_to_call_an_account_somebody_elses) {
    given(create_csv(1), form(batch_mode::create_only));
    directory_->gone = true;
    auto end = run_first();
    EXPECT_EQ(end.what, how::failed);
    EXPECT_EQ(end.why->cls, retry_class::transient);
    EXPECT_EQ(account("u0@new.org")->state, account_state::planned);
    // Between the driver's answer and the store's the process died: the mark of the attempt is still there.
    must([id = account("u0@new.org")->id](tables& t) {
        return t.directory.set_states({{id, account_state::planned, "being made, attempt 01234567"}});
    });
    directory_->gone = false;
    directory_->accounts.emplace(
        "u0@new.org", memory_directory::entry{.spec = {.address = directory::address::parse("u0@new.org").value()}});
    end = wait_for(desk_->run(work_of(mailboxes()[0]), "worker/w", {}));
    EXPECT_EQ(end.what, how::done);
    EXPECT_THAT(end.notes.at(0), HasSubstr("cut off"));
}

TEST_P(jobs_provision, what_may_go_away_leaves_the_others_queued) {
    given(create_csv(3), form(batch_mode::create_only));
    directory_->gone = true;
    EXPECT_EQ(run_first().what, how::failed);
    EXPECT_EQ(states(), "provisioning, queued, queued");
    EXPECT_GT(mailboxes()[1].due, now_.load());
    EXPECT_EQ(alias_states(), "a0@new.org approved\na1@new.org approved\na2@new.org approved\n");
}

TEST_P(jobs_provision, a_stopped_desk_gives_back_what_it_claimed) {
    given(create_csv(2), form(batch_mode::create_only));
    std::stop_source stop;
    stop.request_stop();
    EXPECT_EQ(wait_for(desk_->run(work_of(mailboxes()[0]), "worker/w", stop.get_token())).what, how::stopped);
    EXPECT_EQ(directory_->calls, 0);
    EXPECT_EQ(mailboxes()[1].due, now_.load());
}

TEST_P(jobs_provision, upsert_makes_or_changes_and_goes_on) {
    const std::string csv = "source_user,source_password,target_user,target_password,quota,name\n"
                            "a,x,a@new.org,pa,5 GB,Anna\nb,x,b@new.org,pb,,\n";
    directory_->accounts.emplace(
        "a@new.org", memory_directory::entry{.spec = {.address = directory::address::parse("a@new.org").value()}});
    given(csv, form(batch_mode::upsert));
    const auto end = run_first();
    EXPECT_EQ(end.what, how::go_on) << (end.why ? end.why->message() : "");
    EXPECT_THAT(end.notes, ElementsAre("account a@new.org: updated"));
    EXPECT_EQ(directory_->passwords(), "a@new.org pa\n") << "each mailbox's account before its own first pass";
    EXPECT_EQ(directory_->accounts.at("a@new.org").spec.quota, 5'000'000'000U);
    EXPECT_EQ(directory_->accounts.at("a@new.org").spec.name, "Anna");
    // Once more asks nothing.
    const int calls = directory_->calls;
    EXPECT_EQ(wait_for(desk_->run(work_of(mailboxes()[0]), "worker/w", {})).what, how::go_on);
    EXPECT_EQ(directory_->calls, calls);
}

TEST_P(jobs_provision, accounts_that_exist_may_be_kept_or_refused) {
    const std::string csv = "source_user,source_password,target_user,target_password\na,x,a@new.org,pa\n";
    const directory::address a = directory::address::parse("a@new.org").value();
    directory_->accounts.emplace("a@new.org", memory_directory::entry{.spec = {.address = a}});
    auto with = form(batch_mode::upsert, "keep");
    with.settings.existing = batch_settings::existing_account::keep;
    given(csv, with);
    EXPECT_EQ(run(mailboxes()[0]).what, how::go_on);
    with = form(batch_mode::upsert, "refuse");
    with.settings.existing = batch_settings::existing_account::refuse;
    given(csv, with);
    const auto end = run(mailboxes()[1]);
    EXPECT_EQ(end.what, how::failed);
    EXPECT_EQ(end.why->cls, retry_class::config);
    EXPECT_EQ(directory_->passwords(), "a@new.org \n");
}

TEST_P(jobs_provision, messages_only_needs_the_account) {
    const std::string csv = "source_user,source_password,target_user,target_password\na,x,a@new.org,pa\n";
    given(csv, form(batch_mode::messages_only));
    auto end = run_first();
    EXPECT_EQ(end.what, how::failed);
    EXPECT_THAT(end.why->message(), HasSubstr("there is no account a@new.org on the new server"));
    EXPECT_THAT(directory_->accounts, IsEmpty());
    directory_->accounts.emplace(
        "a@new.org", memory_directory::entry{.spec = {.address = directory::address::parse("a@new.org").value()}});
    EXPECT_EQ(wait_for(desk_->run(work_of(mailboxes()[0]), "worker/w", {})).what, how::go_on);
}

TEST_P(jobs_provision, passwords_only_sets_the_password_and_nothing_else) {
    given("target_user,target_password\na@new.org,pa\nb@new.org,pb\nc@new.org,{BLF-CRYPT}$2y$10$abcdefghijklmn\n",
          form(batch_mode::passwords_only));
    for (const char* name : {"a@new.org", "c@new.org"})
        directory_->accounts.emplace(
            name, memory_directory::entry{.spec = {.address = directory::address::parse(name).value()}});
    EXPECT_EQ(run_first().what, how::done);
    EXPECT_EQ(states(), "provisioning, failed config, completed");
    EXPECT_EQ(directory_->passwords(), "a@new.org pa\nc@new.org {BLF-CRYPT}$2y$10$abcdefghijklmn\n");
    EXPECT_EQ(directory_->accounts.at("c@new.org").spec.password.form, directory::new_password::kind::hashed);
}

TEST_P(jobs_provision, a_freeze_holds) {
    const auto freeze = [this](bool provisioning, bool passwords) {
        must([=](tables& t) -> result<store::domain> {
            auto d = t.directory.find_domain(store::default_project, "new.org");
            (*d)->provisioning_frozen = provisioning;
            (*d)->passwords_frozen = passwords;
            return t.directory.update(**d);
        });
    };
    given(create_csv(1), form(batch_mode::create_only));
    freeze(true, false);
    auto end = run_first();
    EXPECT_EQ(end.what, how::failed);
    EXPECT_EQ(end.why->cls, retry_class::config);
    EXPECT_THAT(end.why->message(), HasSubstr("provisioning of new.org is frozen"));
    EXPECT_EQ(directory_->calls, 0);
    freeze(false, true);
    EXPECT_EQ(wait_for(desk_->run(work_of(mailboxes()[0]), "worker/w", {})).what, how::done)
        << "a new account gets its first password";
    given("target_user,target_password\nu0@new.org,other\n", form(batch_mode::passwords_only, "p"));
    end = run(mailboxes()[1]);
    EXPECT_THAT(end.why->message(), HasSubstr("passwords of new.org are frozen"));
    given("source_user,source_password,target_user,target_password\na,x,u0@new.org,other\n",
          form(batch_mode::upsert, "u"));
    end = run(mailboxes()[2]);
    EXPECT_EQ(end.what, how::go_on) << (end.why ? end.why->message() : "");
    EXPECT_THAT(end.notes.at(0), HasSubstr("passwords of new.org are frozen"));
    EXPECT_EQ(directory_->passwords(), "u0@new.org p0\n");
}

TEST_P(jobs_provision, a_domain_takes_the_companys_defaults_and_its_own) {
    must([](tables& t) {
        return t.settings.put(std::string(company_scope), std::string(company_defaults),
                              R"({"account_quota":1000,"user_limit":7,"language":"de"})");
    });
    given(create_csv(1), form(batch_mode::create_only));
    must([](tables& t) -> result<store::domain> {
        auto d = t.directory.find_domain(store::default_project, "new.org");
        (*d)->overrides = R"({"user_limit":9})";
        return t.directory.update(**d);
    });
    EXPECT_EQ(run_first().what, how::done);
    EXPECT_EQ(directory_->domains.at("new.org").max_accounts, 9U);
    EXPECT_EQ(directory_->accounts.at("u0@new.org").spec.quota, 1000U);
    EXPECT_EQ(directory_->accounts.at("u0@new.org").spec.language, "de");
}

TEST_P(jobs_provision, aliases_that_nobody_approved_are_not_made) {
    given(create_csv(1), form(batch_mode::create_only));
    must([](tables& t) {
        return t.directory.add(std::vector<store::alias>{{.domain = 1,
                                                          .address = "guess@new.org",
                                                          .goes_to = "u0@new.org",
                                                          .origin = store::alias_origin::discovered}});
    });
    EXPECT_EQ(run_first().what, how::done);
    EXPECT_FALSE(directory_->aliases.contains("guess@new.org"));
    EXPECT_EQ(alias_states(), "a0@new.org created\nguess@new.org proposed\n");
}

TEST_P(jobs_provision, a_driver_that_is_not_configured_is_named) {
    auto with = form(batch_mode::create_only);
    with.settings.provisioning = "elsewhere";
    given(create_csv(1), with);
    const auto end = run_first();
    EXPECT_EQ(end.what, how::failed);
    EXPECT_THAT(end.why->message(), HasSubstr("[provisioning.elsewhere]"));
}

} // namespace
} // namespace postferry::jobs
