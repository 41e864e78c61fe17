// What the nouns about projects, the new server's accounts and files of them take.
#include "app/noun_rows.hpp"
#include "app/noun_settings_rows.hpp"

#include <iterator>

namespace postferry::app {

namespace {

constexpr noun_option project{.name = "--project", .value = "PROJECT", .text = "name or number (default: default)"};
constexpr noun_option limit{.name = "--limit", .value = "N", .text = "at most so many; else all"};
constexpr noun_option driver{.name = "--provisioning",
                             .value = "NAME",
                             .text = "the [provisioning.NAME] that does it; the only one, where there is one"};
constexpr noun_option driver_now{
    .name = "--provisioning", .value = "NAME", .text = "at once, by the [provisioning.NAME]; else it is planned"};
constexpr std::string_view account_states = "planned active suspended failed";
constexpr std::string_view alias_states = "proposed approved created failed refused";

std::vector<noun_option> with_domain_settings(std::vector<noun_option> first) {
    const std::vector<noun_option> more{
        {.name = "--brand", .value = "WORD", .text = "what people see"},
        {.name = "--account-quota", .value = "SIZE", .text = "of accounts that name none; 0: no limit"},
        {.name = "--max-account-quota", .value = "SIZE", .text = "the most that an account may have"},
        {.name = "--total-quota", .value = "SIZE", .text = "of all its accounts"},
        {.name = "--user-limit", .value = "N", .text = "accounts; 0: no limit"},
        {.name = "--alias-limit", .value = "N", .text = "aliases; 0: no limit"},
        {.name = "--language", .value = "TAG", .text = "de-AT"},
        {.name = "--time-zone", .value = "ZONE", .text = "Europe/Vienna"},
        {.name = "--alias-discovery",
         .value = "WHERE",
         .text = "of batches that say nothing of it: propose aliases found in mail",
         .choices = "username standard extended"},
        {.name = "--service",
         .value = "NAME=STATE",
         .text = "enabled, disabled or suspended: imap=enabled",
         .list = true},
        {.name = "--unset",
         .value = "SETTING",
         .text = "back to the company's: brand, account_quota, services ...",
         .list = true}};
    first.insert(first.end(), more.begin(), more.end());
    return first;
}

std::vector<noun_verb> project_rows() {
    return {
        {.noun = "project", .verb = "list", .summary = "list projects"},
        {.noun = "project", .verb = "create", .summary = "make a project", .arguments = {{"NAME"}}},
        {.noun = "project", .verb = "rename", .summary = "give it another name", .arguments = {{"PROJECT"}, {"NAME"}}},
        {.noun = "project",
         .verb = "delete",
         .summary = "delete a project that has neither batches nor domains",
         .arguments = {{"PROJECT"}}}};
}

std::vector<noun_verb> domain_rows() {
    const std::vector<noun_argument> one{{"DOMAIN"}};
    const std::vector<noun_option> what{
        {.name = "--provisioning", .value = "", .text = "the making and changing of accounts"},
        {.name = "--passwords", .value = "", .text = "the changing of passwords"},
        project};
    std::vector<noun_option> back = what;
    back.push_back({.name = "--retry", .value = "", .text = "queue again the mailboxes that failed for the freeze"});
    return {
        {.noun = "domain", .verb = "list", .summary = "list domains", .options = {project, limit}},
        {.noun = "domain",
         .verb = "create",
         .summary = "plan a domain; it is made on the new server with its first account",
         .arguments = {{"NAME"}},
         .options =
             with_domain_settings({project, {.name = "--display", .value = "TEXT", .text = "its name for people"}}),
         .examples = "  postferry domain create example.org --account-quota 5GB --language de-AT"},
        {.noun = "domain", .verb = "show", .summary = "say all about it", .arguments = one, .options = {project}},
        {.noun = "domain",
         .verb = "edit",
         .summary = "change what it has set for itself",
         .arguments = one,
         .options =
             with_domain_settings({project, {.name = "--display", .value = "TEXT", .text = "its name for people"}}),
         .explanation = "What is not named stays."},
        {.noun = "domain",
         .verb = "defaults",
         .summary = "show or change what domains have that say nothing themselves",
         .options = with_domain_settings({}),
         .examples = "  postferry domain defaults --account-quota 2GB --time-zone Europe/Vienna"},
        {.noun = "domain",
         .verb = "freeze",
         .summary = "let no accounts be made or changed there, or no passwords",
         .arguments = one,
         .options = what,
         .explanation = "Both, when neither is named. The configuration's hook holds the old system first."},
        {.noun = "domain", .verb = "unfreeze", .summary = "lift a freeze", .arguments = one, .options = back},
        {.noun = "domain",
         .verb = "delete",
         .summary = "forget a domain without accounts; nothing happens on any server",
         .arguments = one,
         .options = {project}},
        {.noun = "reconcile",
         .verb = {},
         .summary = "say which accounts of a domain are on one side only",
         .arguments = one,
         .options = {{.name = "--new",
                      .value = "NAME",
                      .text = "the [provisioning.NAME] of the new server; the only one, where there is one"},
                     {.name = "--old",
                      .value = "NAME",
                      .text = "of the old server; else the accounts that are known here"},
                     project},
         .explanation = "Exit code 1 when accounts are missing on the new server.",
         .examples = "  postferry reconcile example.org --new cyrus"},
    };
}

std::vector<noun_verb> account_rows() {
    const std::vector<noun_argument> one{{"ACCOUNT"}};
    const std::vector<noun_option> values{
        {.name = "--name", .value = "TEXT", .text = "whose it is"},
        {.name = "--quota", .value = "SIZE", .text = "0: no limit; default: the domain's"},
        {.name = "--language", .value = "TAG", .text = "de-AT"},
        {.name = "--time-zone", .value = "ZONE", .text = "Europe/Vienna"}};
    std::vector<noun_option> making{project, driver_now};
    making.insert(making.end(), values.begin(), values.end());
    making.push_back(
        {.name = "--password-file", .value = "FILE", .text = "first line: its password, or its hash as {SCHEME}..."});
    std::vector<noun_option> changing{driver_now};
    changing.insert(changing.end(), values.begin(), values.end());
    changing.push_back({.name = "--service",
                        .value = "NAME=STATE",
                        .text = "enabled, disabled or suspended: imap=enabled",
                        .list = true});
    std::vector<noun_option> importing = import_options(true);
    importing.push_back({.name = "--start", .value = "", .text = "then begin with it"});
    return {
        {.noun = "account",
         .verb = "list",
         .summary = "list accounts",
         .options = {{.name = "--domain", .value = "DOMAIN", .text = "of this one"},
                     {.name = "--state", .value = "STATE", .text = "only these", .choices = account_states},
                     {.name = "--address", .value = "TEXT", .text = "somewhere in the address"},
                     limit}},
        {.noun = "account",
         .verb = "create",
         .summary = "plan an account, or make it at once",
         .arguments = {{"ADDRESS"}},
         .options = making,
         .explanation = "One that exists on the new server is an error, and nothing of it is touched.",
         .examples = "  postferry account create alice@example.org --name 'Alice A.' --quota 5GB --provisioning cyrus "
                     "--password-file alice.txt"},
        {.noun = "account",
         .verb = "import",
         .summary = "make the accounts of a CSV, many at once",
         .arguments = {{"BATCH"}, {"FILE"}},
         .options = importing,
         .explanation = "The same as batch import, but that a batch which is made has the mode create-only: accounts, "
                        "and no mail.",
         .examples = "  postferry account import new-accounts accounts.csv --provisioning cyrus --start"},
        {.noun = "account", .verb = "show", .summary = "say all about it", .arguments = one},
        {.noun = "account",
         .verb = "edit",
         .summary = "change what is planned; with --provisioning the quota on the new server too",
         .arguments = one,
         .options = changing},
        {.noun = "account",
         .verb = "passwd",
         .summary = "set its password on the new server; it is kept nowhere here",
         .arguments = one,
         .options = {driver,
                     {.name = "--password-file",
                      .value = "FILE",
                      .text = "first line: the password; else it is asked for"}}},
        {.noun = "account",
         .verb = "suspend",
         .summary = "let nobody log in any more, on the new server",
         .arguments = one,
         .options = {driver}},
        {.noun = "account",
         .verb = "resume",
         .summary = "as before it was suspended",
         .arguments = one,
         .options = {driver}},
        {.noun = "account", .verb = "delete", .summary = "forget it; nothing happens on any server", .arguments = one},
    };
}

std::vector<noun_verb> alias_rows() {
    const std::vector<noun_argument> some{{.name = "ALIAS", .optional = true, .many = true}};
    const noun_option all{.name = "--all", .value = "", .text = "all that are proposed"};
    const noun_option domain{.name = "--domain", .value = "DOMAIN", .text = "of this one"};
    return {
        {.noun = "alias",
         .verb = "list",
         .summary = "list aliases",
         .options = {domain,
                     {.name = "--state", .value = "STATE", .text = "only these", .choices = alias_states},
                     {.name = "--address", .value = "ADDRESS", .text = "exactly this one"},
                     limit}},
        {.noun = "alias",
         .verb = "propose",
         .summary = "propose one; it is made when somebody has approved it",
         .arguments = {{"ADDRESS"}, {"GOES-TO"}},
         .options = {project}},
        {.noun = "alias",
         .verb = "discover",
         .summary = "propose those that a server's directory lists",
         .arguments = {{"DOMAIN"}},
         .options = {driver, project}},
        {.noun = "alias",
         .verb = "approve",
         .summary = "let it be made, with its account",
         .arguments = some,
         .options = {driver_now, all, domain},
         .explanation =
             "ALIAS is its number, or its address where that leads to one account only. Where the account is "
             "there already, give --provisioning.",
         .examples =
             "  postferry alias approve info@example.org\n  postferry alias approve --all --domain example.org"},
        {.noun = "alias",
         .verb = "refuse",
         .summary = "never make it",
         .arguments = some,
         .options = {{.name = "--reason", .value = "TEXT", .text = "why"}, all, domain}},
        {.noun = "alias",
         .verb = "delete",
         .summary = "forget it; nothing happens on any server",
         .arguments = {{"ALIAS"}}},
    };
}

} // namespace

std::vector<noun_option> import_options(bool writes) {
    std::vector<noun_option> out{
        {.name = "--source",
         .value = "URL",
         .text = "what rows leave out about their source; {user}, {local}, {domain} are filled in"},
        {.name = "--target", .value = "URL", .text = "the same for the target"},
        {.name = "--source-password-file",
         .value = "FILE",
         .text = "first line: of rows without one, or of admin= at the source"},
        {.name = "--target-password-file", .value = "FILE", .text = "the same for the target"},
        {.name = "--mode",
         .value = "MODE",
         .text = "of a batch that is made (default messages-only)",
         .choices = "create-only upsert messages-only passwords-only"},
        {.name = "--provisioning",
         .value = "NAME",
         .text = "of a batch that is made: the [provisioning.NAME] that makes accounts"},
        {.name = "--existing",
         .value = "WHAT",
         .text = "of a batch that is made: with accounts that are there",
         .choices = "update keep refuse"},
        project,
        {.name = "--no-new-domains", .value = "", .text = "a domain that is not known is a fault, and not made"},
        {.name = "--no-host-check", .value = "", .text = "do not try out whether the mail servers answer"}};
    if (writes)
        out.insert(out.begin(),
                   {.name = "--skip-invalid", .value = "", .text = "list faulty rows and go on without them"});
    return out;
}

std::vector<noun_verb> directory_rows() {
    std::vector<noun_verb> out;
    for (auto rows : {project_rows(), domain_rows(), account_rows(), alias_rows()})
        std::ranges::move(rows, std::back_inserter(out));
    return out;
}

} // namespace postferry::app
