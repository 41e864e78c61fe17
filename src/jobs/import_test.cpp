#include "jobs/test_import.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

namespace postferry::jobs {
namespace {

using store::batch_mode;
using store::tables;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using stage = import_view::stage;

class jobs_import : public accounts_test {};
INSTANTIATE_TEST_SUITE_P(on, jobs_import, testing::Values(sql::dialect::sqlite, sql::dialect::postgresql),
                         [](const auto& p) { return p.param == sql::dialect::sqlite ? "sqlite" : "postgresql"; });

TEST_P(jobs_import, where_notices_go_is_kept_and_checked) {
    const auto bad = preview("target_user,target_password,notify\na@new.org,p,perhaps\n", form(batch_mode::upsert));
    EXPECT_THAT(faults(bad), Contains(HasSubstr("notify: must be yes, no, or the address")));
    const auto seen =
        preview("source_user,source_password,target_user,target_password,notify\n"
                "a,p,a@new.org,p,YES\nb,p,b@new.org,p,0\nc,p,c@new.org,p,Own@else.org\nd,p,d@new.org,p,\n",
                form(batch_mode::upsert));
    EXPECT_THAT(faults(seen), IsEmpty());
    EXPECT_THAT(seen.notes, Contains(HasSubstr("notify is kept with each mailbox; no notices are sent yet")));
    commit(seen);
    std::vector<std::string> kept;
    for (const store::migration& m : mailboxes()) kept.push_back(m.notify);
    EXPECT_THAT(kept, ElementsAre("yes", "no", "own@else.org", ""));
}

constexpr const char* two = "source_user,source_password,target_user,target_password,aliases,quota\n"
                            "alice, a1,Alice@new.org,n1,al info@other.org,5 GB\n"
                            "bob,b1,bob@new.org,n2,,\n";

TEST_P(jobs_import, what_is_in_the_file_is_in_the_store) {
    const auto seen = preview(two, form(batch_mode::upsert));
    EXPECT_EQ(seen.at, stage::checked);
    EXPECT_THAT(faults(seen), IsEmpty());
    EXPECT_EQ(seen.summary, "accounts.csv: preset postferry, separator \",\", UTF-8, 2 rows");
    EXPECT_THAT(seen.new_domains, ElementsAre("new.org", "other.org"));
    EXPECT_THAT(mailboxes(), IsEmpty());

    const auto done = commit(seen);
    EXPECT_EQ(done.at, stage::committed);
    EXPECT_EQ(done.added.batches, 1U);
    EXPECT_EQ(done.added.domains, 2U);
    EXPECT_EQ(done.added.accounts, 2U);
    EXPECT_EQ(done.added.aliases, 2U);
    EXPECT_EQ(done.added.mailboxes, 2U);
    const auto all = mailboxes();
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].source_url, "imaps://old.example.org");
    EXPECT_EQ(all[0].source_server, "old.example.org:993");
    EXPECT_EQ(all[0].target_user, "Alice@new.org");
    EXPECT_EQ(all[0].position, 2U);
    EXPECT_EQ(all[0].state, store::mailbox_state::ready);
    EXPECT_EQ(password(all[0].id, "source"), " a1");
    EXPECT_EQ(password(all[0].id, "target"), "n1");
    EXPECT_EQ(password(all[0].id, "account"), "(none)");
    const auto alice = account("alice@new.org").value();
    EXPECT_EQ(all[0].account, alice.id);
    EXPECT_EQ(alice.quota, 5'000'000'000U);
    EXPECT_EQ(alice.state, store::account_state::planned);
    const auto batch = must([](tables& t) { return t.batches.find(store::default_project, "first"); }).value();
    EXPECT_EQ(batch.mode, batch_mode::upsert);
    EXPECT_EQ(batch.created_by, "person/1");
    EXPECT_THAT(done.batch_ids, ElementsAre(batch.id));
    EXPECT_EQ(must([](tables& t) { return t.batches.tally(1); }).at(0).mailboxes, 2U);
    const auto events = must([](tables& t) { return t.events.list({.kind_prefix = "audit.import"}, {}); });
    ASSERT_EQ(events.rows.size(), 1U);
    EXPECT_THAT(events.rows[0].after, HasSubstr("\"mailboxes\":2"));
    EXPECT_EQ(events.rows[0].after.find("n1"), std::string::npos);
}

TEST_P(jobs_import, the_same_file_twice_adds_nothing) {
    for (const auto mode : {batch_mode::upsert, batch_mode::create_only}) {
        const auto with = form(mode, std::string(store::name_of(mode)));
        const std::string csv = fmt::format("source_user,source_password,target_user,target_password,aliases\n"
                                            "x,y,{0}@new.org,n1,a{0}\n",
                                            store::name_of(mode));
        const auto first = preview(csv, with);
        EXPECT_EQ(commit(first).added.mailboxes, 1U);
        const auto again = commit(first); // the same import
        const auto other = commit(preview(csv, with));
        for (const import_view& v : {again, other}) {
            EXPECT_EQ(v.added.mailboxes + v.added.accounts + v.added.aliases + v.added.batches + v.added.domains, 0U);
            EXPECT_EQ(v.added.known_mailboxes, 1U);
            EXPECT_EQ(v.added.known_accounts, 1U);
            EXPECT_EQ(v.added.known_aliases, 1U);
        }
    }
    EXPECT_EQ(mailboxes().size(), 2U);
    // With another password: that is what it is sent again for.
    EXPECT_EQ(commit(preview("source_user,source_password,target_user,target_password\nx,y2,upsert@new.org,n1\n",
                             form(batch_mode::upsert, "upsert")))
                  .added.known_mailboxes,
              1U);
    EXPECT_EQ(password(mailboxes()[0].id, "source"), "y2");
}

TEST_P(jobs_import, every_fault_bears_row_and_column) {
    commit(preview("target_user,target_password,aliases\nold@new.org,p,taken\n", form(batch_mode::create_only, "old")));
    const auto seen = preview("target_user,target_password,aliases,batch,domain\n"
                              "no address,p,,,\n"
                              "a@new.org,,,,\n"
                              "b@new.org,p,x@new.org,,\n"
                              "c@new.org,p,x@new.org,,\n"
                              "x@new.org,p,,,\n"
                              "d@new.org,p,d@new.org bad/alias,,\n"
                              "D@NEW.org,p,,,\n"
                              "d@new.org,p,,,\n"
                              "e@new.org,p,old@new.org taken@new.org,,\n"
                              "taken@new.org,p,,,\n"
                              "f,p,,,new.org\n",
                              form(batch_mode::create_only, "new"));
    EXPECT_EQ(seen.rows, 11U);
    EXPECT_EQ(seen.faulty_rows, 8U);
    EXPECT_THAT(faults(seen),
                ElementsAre(HasSubstr("row 2, target_user: "), HasSubstr("row 3, target_password: is empty"),
                            "row 5, aliases: x@new.org is an alias of row 4 already",
                            "row 6, target_user: x@new.org is an alias of row 4",
                            "row 7, aliases: d@new.org is the account itself", HasSubstr("row 7, aliases: "),
                            "row 9, target_user: is the same account as row 8",
                            "row 10, aliases: old@new.org is an account",
                            "row 10, aliases: taken@new.org is an alias onto old@new.org already",
                            "row 11, target_user: taken@new.org is an alias of row 10"));
    // Nothing starts on a file with faults, unless told so.
    auto refused = wait_for(imports().commit(seen.id, false, "person/1"));
    ASSERT_FALSE(refused);
    EXPECT_TRUE(store::refusal::is(refused.error(), store::refusal::not_allowed));
    EXPECT_EQ(mailboxes().size(), 1U);
    const auto done = commit(seen, true);
    EXPECT_EQ(done.added.skipped_rows, 8U);
    EXPECT_EQ(done.added.mailboxes, 3U);
    EXPECT_EQ(faults(done).size(), 10U);
}

TEST_P(jobs_import, modes_ask_for_what_they_need) {
    commit(preview("target_user,target_password\nthere@new.org,p\n", form(batch_mode::create_only, "made")));
    const auto there = account("there@new.org").value();
    must([&](tables& t) { return t.directory.set_states({{there.id, store::account_state::active, ""}}); });
    const std::string csv = "target_user,target_password\nthere@new.org,p\n";
    EXPECT_THAT(faults(preview(csv, form(batch_mode::create_only, "again"))),
                ElementsAre("row 2, target_user: the account there@new.org exists already"));
    EXPECT_THAT(faults(preview(csv, form(batch_mode::passwords_only, "passwords"))), IsEmpty());
    EXPECT_THAT(faults(preview(csv, form(batch_mode::upsert, "u"))),
                ElementsAre(HasSubstr("row 2, source_user: is empty"), HasSubstr("source_password: is empty")));
    // Any login will do where only messages move.
    const auto messages =
        preview("source_user,source_password,target_password\nalice,p,q\n", form(batch_mode::messages_only, "m"));
    EXPECT_THAT(faults(messages), IsEmpty());
    EXPECT_EQ(commit(messages).added.accounts, 0U);
    EXPECT_FALSE(mailboxes().back().account);
    // A batch keeps its mode.
    EXPECT_THAT(faults(preview(csv, form(batch_mode::passwords_only, "made"))),
                ElementsAre("row 2, batch: the batch made is create-only, and this import passwords-only"));
}

TEST_P(jobs_import, an_unknown_domain_is_a_fault_when_none_shall_be_made) {
    auto with = form(batch_mode::create_only);
    with.make_domains = false;
    const std::string csv = "target_user,target_password,aliases\na@new.org,p,x@other.org\n";
    EXPECT_THAT(faults(preview(csv, with)), ElementsAre("row 2, target_user: the domain new.org is not known",
                                                        "row 2, aliases: the domain other.org is not known"));
    must([](tables& t) { return t.directory.add(store::domain{.name = "new.org"}); });
    must([](tables& t) { return t.directory.add(store::domain{.name = "other.org"}); });
    EXPECT_THAT(faults(preview(csv, with)), IsEmpty());
}

TEST_P(jobs_import, rows_go_to_the_batch_they_name) {
    const auto done = commit(preview("target_user,target_password,batch\na@n.org,p,x\nb@n.org,p,\nc@n.org,p,x\n",
                                     form(batch_mode::create_only, "rest")));
    EXPECT_EQ(done.added.batches, 2U);
    EXPECT_EQ(done.batch_ids.size(), 2U);
    const auto x = must([](tables& t) { return t.batches.find(store::default_project, "x"); }).value();
    EXPECT_EQ(must([x](tables& t) { return t.batches.tally(x.id); }).at(0).mailboxes, 2U);
    EXPECT_THAT(faults(preview("target_user,target_password\na@n.org,p\n", form(batch_mode::create_only, ""))),
                ElementsAre(HasSubstr("batch: is empty")));
}

TEST_P(jobs_import, each_server_is_asked_once) {
    std::vector<std::string> asked;
    imports({.probe = [&asked](mailbox::endpoint where) -> task<result<void>> {
        asked.push_back(where.where.host);
        if (where.where.host == "gone.example.org")
            co_return fail(retry_class::config, phase::connect, "the connection was refused");
        co_return result<void>{};
    }});
    auto with = form(batch_mode::messages_only);
    with.check_hosts = true;
    const auto seen = preview("source_user,source_password,target_password,source_host\n"
                              "a,p,q,gone.example.org\nb,p,q,\nc,p,q,gone.example.org\n",
                              with);
    EXPECT_THAT(asked, testing::UnorderedElementsAre("gone.example.org", "old.example.org", "new.example.org"));
    EXPECT_THAT(faults(seen),
                ElementsAre(HasSubstr("row 2, source_host: the server gone.example.org:993 cannot be used"),
                            HasSubstr("row 4, source_host: the server gone.example.org:993 cannot be used")));
}

TEST_P(jobs_import, places_of_this_machine_are_for_its_owner) {
    auto with = form(batch_mode::messages_only);
    with.defaults.source.url = "maildir:/srv/mail/{user}";
    const std::string csv = "source_user,target_password\nalice,q\n";
    EXPECT_THAT(faults(preview(csv, with)), ElementsAre(HasSubstr("row 2, source_url: is a place on the machine")));
    with.local_places = true;
    EXPECT_EQ(commit(preview(csv, with)).added.mailboxes, 1U);
    EXPECT_EQ(mailboxes().at(0).source_url, "maildir:/srv/mail/alice");
    with.defaults.source.url = "imaps://old.example.org";
    with.defaults.target.url = "pop3s://new.example.org";
    EXPECT_THAT(faults(preview("source_user,source_password,target_password\na,p,q\n", with)),
                ElementsAre(HasSubstr("POP3 takes no mail")));
}

TEST_P(jobs_import, an_administrators_login_and_the_accounts_own_password_are_both_kept) {
    auto with = form(batch_mode::upsert);
    with.defaults.target.url = "imaps://new.example.org?admin=root";
    with.defaults.target.password = secret("rootpw");
    commit(preview(two, with));
    const auto all = mailboxes();
    EXPECT_EQ(all.at(0).target_url, "imaps://new.example.org/?admin=root");
    EXPECT_EQ(password(all[0].id, "target"), "rootpw");
    EXPECT_EQ(password(all[0].id, "account"), "n1");
}

TEST_P(jobs_import, files_that_make_no_sense_are_imports_that_failed) {
    for (const std::string csv : {"", "source_user,source_password\n", "a,b\n1,2\n", "\xff\xfe\x61\x00",
                                  "target_user,target_password\na@b.org,\"p\n"}) {
        const auto seen = preview(csv, form(batch_mode::create_only));
        EXPECT_EQ(seen.at, stage::failed) << csv;
        ASSERT_TRUE(seen.why) << csv;
        EXPECT_FALSE(wait_for(imports().commit(seen.id, true, "person/1")));
        EXPECT_TRUE(imports().forget(seen.id));
        EXPECT_FALSE(imports().find(seen.id));
    }
    EXPECT_THAT(mailboxes(), IsEmpty());
}

TEST_P(jobs_import, uploads_that_a_killed_process_left_are_removed) {
    const auto left = folder_ / "postferry-import-0123", fresh = folder_ / "postferry-import-4567",
               other = folder_ / "postferry-else";
    for (const auto& file : {left, fresh, other}) std::ofstream(file) << "x";
    for (const auto& file : {left, other})
        std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
    preview(two, form(batch_mode::upsert));
    EXPECT_FALSE(std::filesystem::exists(left));
    EXPECT_TRUE(std::filesystem::exists(fresh)) << "somebody may be sending it";
    EXPECT_TRUE(std::filesystem::exists(other));
}

TEST_P(jobs_import, imports_and_faults_are_bounded) {
    imports({.most = 3, .most_rows = 2'000});
    std::string csv = "target_user,target_password\n";
    for (int i = 0; i < 1'500; ++i) csv += "nobody,p\n";
    const auto bad = preview(csv, form(batch_mode::create_only));
    EXPECT_EQ(bad.fault_count, 1'500U);
    EXPECT_EQ(faults(bad).size(), import_desk::most_faults);
    EXPECT_EQ(imports().faults(bad.id, 998, 10).value().size(), 2U);
    EXPECT_THAT(imports().faults(bad.id, 5'000, 10).value(), IsEmpty());
    for (int i = 0; i < 600; ++i) csv += "nobody,p\n";
    const auto large = preview(csv, form(batch_mode::create_only));
    EXPECT_EQ(large.at, stage::failed);
    EXPECT_THAT(large.why->message(), HasSubstr("has more than 2,000 rows"));
    for (int i = 0; i < 2; ++i) preview(two, form(batch_mode::upsert));
    EXPECT_FALSE(imports().find(bad.id)) << "the oldest goes first";
}

TEST_P(jobs_import, what_changed_between_preview_and_commit_is_found) {
    const auto seen =
        preview("target_user,target_password,aliases\na@n.org,p,x\nb@n.org,p,\n", form(batch_mode::create_only));
    EXPECT_EQ(seen.faulty_rows, 0U);
    commit(preview("target_user,target_password\nx@n.org,p\n", form(batch_mode::create_only, "other")));
    const auto done = commit(seen);
    EXPECT_EQ(done.added.mailboxes, 1U);
    EXPECT_EQ(done.added.skipped_rows, 1U);
    EXPECT_THAT(faults(done), ElementsAre("row 2, aliases: x@n.org is an account"));
}

} // namespace
} // namespace postferry::jobs
