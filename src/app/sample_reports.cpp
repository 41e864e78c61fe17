#include "app/sample_reports.hpp"

namespace postferry::app::samples {

using transfer::mailbox_report;
using transfer::mailbox_state;

namespace {

error login_refused() {
    return {.cls = retry_class::auth,
            .where = phase::login,
            .what = "the server refused the login of alice",
            .server_said = "Authentication failed.",
            .advice = "Check user name and password",
            .response_code = "AUTHENTICATIONFAILED"};
}

endpoint_check good_end(std::string name) {
    endpoint_check e;
    e.quirks = {{.name = "dovecot", .why = "its greeting says \"Dovecot\"", .about = "takes commands of 64 kB"}};
    e.name = std::move(name);
    e.steps = {
        {.name = "resolve", .state = step_state::ok, .text = "192.0.2.1", .advice = {}, .seconds = 0.01},
        {.name = "login", .state = step_state::ok, .text = "alice by SCRAM-SHA-256", .advice = {}, .seconds = 0.1}};
    e.capabilities = {"IMAP4rev1", "UIDPLUS"};
    e.tls = "TLSv1.3 TLS_AES_256_GCM_SHA384";
    e.login = "SCRAM-SHA-256";
    e.delimiter = "/";
    e.preset = "gmail";
    e.preset_why = "host imap.gmail.com";
    e.limits = {"15 connections an account", "2.5 GB a day from the account"};
    return e;
}

} // namespace

mailbox_report synced() {
    mailbox_report r;
    r.source = "imaps://alice@old";
    r.target = "imaps://alice@new";
    r.state = mailbox_state::synced;
    r.messages = {.source = 5000, .copied = 4820, .present = 180};
    r.octets = {.source = 145'000'000, .copied = 140'000'000, .present = 5'000'000};
    r.flags_updated = 7;
    r.folders = {{.source = "INBOX/Été",
                  .target = "INBOX.Été",
                  .messages = r.messages,
                  .octets = r.octets,
                  .state = "synced",
                  .notes = {}}};
    r.seconds = 12.34;
    return r;
}

mailbox_report with_failures() {
    mailbox_report r = synced();
    r.source = "imaps://bob@old";
    r.target = "imaps://bob@new";
    r.messages = {.source = 5000, .copied = 4812, .present = 180, .skipped = 6, .failed = 2};
    r.mark = transfer::grade::investigate;
    r.keywords_dropped = {"Project/X"};
    r.skip_rules = {{"--max-size 25 MB", 6}};
    r.warnings = {"12 dates are stored differently by the target"};
    r.vanished = 3;
    r.failures = {{.folder = "Archive/2019\xff",
                   .source_uid = 4711,
                   .octets = 61'000'000,
                   .message_id = "<big@example.org>",
                   .cls = retry_class::permanent,
                   .reason = "server said: [LIMIT] Mail size is larger than the maximum size allowed"},
                  {.folder = "INBOX",
                   .source_uid = 9,
                   .octets = 12,
                   .message_id = "",
                   .cls = retry_class::protocol,
                   .reason = "body is empty",
                   .waived = true}};
    r.folders[0].notes = {"keyword Project/X not allowed by the target"};
    return r;
}

mailbox_report verified() {
    mailbox_report r = synced();
    r.state = mailbox_state::completed;
    r.pass = transfer::pass_kind::verify;
    r.messages = {.source = 5000, .copied = 0, .present = 5000};
    r.verify = transfer::verify_report{.identical = 4998, .extra = 1, .altered_by_server = 2, .changed_since = 4};
    return r;
}

mailbox_report sampled() {
    mailbox_report r = verified();
    r.source = "imaps://dora@old";
    r.verify = transfer::verify_report{
        .identical = 599, .altered_by_repair = 1, .kept = 2, .compared = 600, .seed = 42, .at_most = 0.00498};
    r.verify->sampled = 0.12;
    r.repairs = {{"nul", 1}};
    return r;
}

mailbox_report with_deletions() {
    mailbox_report r = synced();
    r.source = "imaps://<script>alert(1)</script>@old";
    r.pass = transfer::pass_kind::final;
    r.deleted = r.folders[0].deleted = 3;
    r.not_deleted = {"Trash: 9 messages that vanished from the source stay: the source lists no message"};
    return r;
}

mailbox_report wrong_password() {
    mailbox_report r;
    r.source = "imaps://alice@old";
    r.target = "imaps://alice@new";
    r.state = mailbox_state::failed;
    r.mark = transfer::grade::poor;
    r.stopped_by = login_refused();
    r.seconds = 0.2;
    return r;
}

plan_entry planned() {
    using verdict = transfer::mapped_folder::verdict;
    plan_entry p;
    p.plan.source = "imaps://alice@old";
    p.plan.target = "imaps://alice@new";
    transfer::planned_folder inbox;
    inbox.folder = {
        .source = "INBOX", .target = "INBOX", .use = transfer::special_use::inbox, .subscribed = true, .why = {}};
    inbox.messages = 1200;
    inbox.octets = 34'000'000;
    inbox.known = 1000;
    inbox.to_copy = 200;
    inbox.exists_on_target = true;
    inbox.target_messages = 1001;
    transfer::planned_folder sent;
    sent.folder = {
        .source = "Gesendet", .target = "Sent", .use = transfer::special_use::sent, .why = "special use \\Sent"};
    sent.messages = 10;
    sent.to_copy = 10;
    transfer::planned_folder trash;
    trash.folder = {.source = "Trash",
                    .target = "",
                    .use = transfer::special_use::trash,
                    .what = verdict::excluded,
                    .why = "--exclude Trash"};
    p.plan.folders = {inbox, sent, trash};
    p.plan.collisions = {{.sources = {"Work", "work"}, .target = "Work", .how = "differ only in case", .fatal = false}};
    p.plan.notes = {"shared folders are left out"};
    p.seconds = 0.4;
    return p;
}

plan_entry planned_deletion() {
    plan_entry p = planned();
    p.plan.deletes = true;
    p.plan.folders[0].to_delete = 3;
    p.plan.folders[0].delete_uids = uid_set::of(7, 9);
    p.plan.not_deleted = {"Trash: 9 messages that vanished from the source would stay: the source lists no message"};
    return p;
}

plan_entry not_planned() {
    plan_entry p;
    p.plan.source = "imaps://alice@old";
    p.plan.target = "imaps://alice@new";
    p.failed = login_refused();
    return p;
}

mailbox_check ready() {
    mailbox_check c;
    c.source = good_end("imaps://alice@old");
    c.target = good_end("imaps://alice@new");
    c.folders = 10;
    c.messages = 5000;
    c.octets = 145'000'000;
    c.oversize = oversize_messages{};
    return c;
}

mailbox_check with_warnings() {
    mailbox_check c = ready();
    c.target.append_limit = 25'000'000;
    c.target.quotas = {{.root = "", .used_octets = 900'000'000, .limit_octets = 1'000'000'000}};
    c.oversize = oversize_messages{.count = 2, .largest = 61'000'000, .limit = 25'000'000};
    c.source.notes = {"Courier moves new mail to cur/ when a folder is opened"};
    c.collisions = {{.sources = {"A", "a"}, .target = "A", .how = "same name", .fatal = true}};
    c.notes = {"the source offers no CONDSTORE"};
    return c;
}

mailbox_check not_ready() {
    mailbox_check c = ready();
    c.messages = c.folders = c.octets = std::nullopt;
    c.oversize = std::nullopt;
    c.target.steps[1] = {.name = "login",
                         .state = step_state::failed,
                         .text = "the server refused the login of alice",
                         .advice = "Check user name and password",
                         .seconds = 0.1,
                         .where = phase::login};
    c.target.steps.push_back({.name = "quota", .state = step_state::not_tried, .text = {}, .advice = {}});
    return c;
}

} // namespace postferry::app::samples
