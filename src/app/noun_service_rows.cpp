// What the nouns about the service itself and its people take.
#include "app/noun_rows.hpp"
#include "app/noun_settings_rows.hpp"

namespace postferry::app {

namespace {

constexpr noun_option limit{.name = "--limit", .value = "N", .text = "at most so many; else all"};

} // namespace

std::vector<noun_option> settings_options() {
    return {
        {.name = "--jobs", .value = "N", .text = "its mailboxes at a time, over all workers; 0: no limit of its own"},
        {.name = "--priority", .value = "N", .text = "-100 to 100, of mailboxes that are added; higher first"},
        {.name = "--window",
         .value = "WINDOW",
         .text = "when mail is moved: 'mon-fri 20:00-06:00 Europe/Berlin'",
         .list = true},
        {.name = "--delta-every",
         .value = "TIME",
         .text = "bring synced mailboxes up to date: 30m, 4h, 1d; none: not by themselves"},
        {.name = "--retries", .value = "N", .text = "after failures that may go away, 0 to 100"},
        {.name = "--provisioning",
         .value = "NAME",
         .text = "the [provisioning.NAME] of the configuration that makes accounts; none"},
        {.name = "--existing",
         .value = "WHAT",
         .text = "of --mode upsert, with accounts that are there",
         .choices = "update keep refuse"},
        {.name = "--alias-discovery",
         .value = "WHERE",
         .text = "look for aliases in mail, and propose them: standard: To; extended: also where it was delivered to",
         .choices = "username standard extended"},
        {.name = "--include", .value = "FOLDER-GLOB", .text = "only these folders", .list = true},
        {.name = "--exclude", .value = "FOLDER-GLOB", .text = "not these", .list = true},
        {.name = "--map", .value = "REGEX=>REPLACEMENT", .text = "rename folders", .list = true},
        {.name = "--since", .value = "YYYY-MM-DD", .text = "only messages received on or after this day"},
        {.name = "--max-size", .value = "SIZE", .text = "skip larger messages"},
        {.name = "--repair",
         .value = "LIST",
         .text = "what may be done to messages that the target refuses; none: nothing"},
        {.name = "--acl", .value = "", .text = "copy the access rights of folders"},
        {.name = "--sample", .value = "P%", .text = "verification compares the content of so many messages only"},
        {.name = "--hook",
         .value = "PROGRAM",
         .text = "runs when a mailbox is completed; given again: its arguments",
         .list = true},
        {.name = "--hook-password", .value = "", .text = "the target's password on its standard input"},
        {.name = "--hook-patience", .value = "TIME", .text = "how long it may take (default 60s)"},
        {.name = "--settings",
         .value = "FILE",
         .text = "JSON: settings as `batch status --json` shows them; the options go before it"},
        {.name = "--unset",
         .value = "SETTING",
         .text = "back to its default: windows, copy.since ... as JSON names it",
         .list = true},
    };
}

std::vector<noun_verb> service_rows() {
    constexpr noun_option of_project{
        .name = "--project", .value = "PROJECT", .text = "of this project, by name or number"};
    constexpr noun_option of_batch{.name = "--batch", .value = "BATCH", .text = "of this batch"};
    constexpr noun_option of_mailbox{.name = "--mailbox", .value = "MAILBOX", .text = "of this mailbox"};
    constexpr noun_option kind{
        .name = "--kind", .value = "KIND", .text = "what the kind begins with: mailbox.state, batch., audit."};
    constexpr noun_option actor{
        .name = "--actor", .value = "ACTOR", .text = "by this hand: person/3, token/7, cli/0, worker/..."};
    const noun_verb set{.noun = "setting",
                        .verb = "set",
                        .summary = "say what batches begin with",
                        .options =
                            [&] {
                                std::vector<noun_option> o{of_project};
                                for (noun_option& more : settings_options()) o.push_back(more);
                                return o;
                            }(),
                        .explanation = "What is not named stays. Batches that are there already are not changed.",
                        .examples =
                            "  postferry setting set --window 'mon-fri 20:00-06:00 Europe/Berlin' --delta-every 4h\n"
                            "  postferry setting set --project schools --jobs 10"};
    return {
        {.noun = "server", .verb = "list", .summary = "list mail servers that are at work or have limits"},
        {.noun = "server",
         .verb = "limit",
         .summary = "say how much may be asked of one, by all workers together",
         .arguments = {{"SERVER"}},
         .options = {{.name = "--connections", .value = "N", .text = "at a time; off: no limit"},
                     {.name = "--messages", .value = "N", .text = "a second; off: no limit"},
                     {.name = "--rate", .value = "SIZE", .text = "octets a second, as 4MB; off: no limit"}},
         .explanation = "SERVER is HOST:PORT, as server list shows it. Without an option its limits are shown.",
         .examples = "  postferry server limit imap.example.org:993 --connections 20 --rate 10MB"},
        {.noun = "server",
         .verb = "pause",
         .summary = "leave one in peace for a while",
         .arguments = {{"SERVER"}},
         .options = {{.name = "--for", .value = "TIME", .text = "so long: 30m, 4h, 2d (default 1h)"},
                     {.name = "--until", .value = "TIME", .text = "until then: '2026-11-27 22:00' here, or RFC 3339"},
                     {.name = "--reason", .value = "TEXT", .text = "shown to everybody"}},
         .examples = "  postferry server pause imap.example.org:993 --for 4h --reason 'backup of the old server'"},
        {.noun = "server", .verb = "resume", .summary = "end such a pause", .arguments = {{"SERVER"}}},
        {.noun = "workers",
         .verb = "list",
         .summary = "list them, running ones first",
         .options = {{.name = "--all", .value = "", .text = "with those that are gone"}}},
        {.noun = "setting",
         .verb = "get",
         .summary = "print what batches begin with",
         .options = {of_project},
         .explanation = "Of the company, or of a project, whose settings go before."},
        set,
        {.noun = "log",
         .verb = {},
         .summary = "print the lines of a batch's or mailbox's log",
         .options = {of_batch,
                     of_mailbox,
                     {.name = "--level",
                      .value = "LEVEL",
                      .text = "at least so important",
                      .choices = "debug info warning error"},
                     {.name = "--follow", .value = "", .text = "go on with what comes, until Ctrl-C"}},
         .explanation = "One of --batch and --mailbox is needed. The newest lines come last.",
         .examples = "  postferry log --batch spring-move --level warning --follow\n  postferry log --mailbox "
                     "alice@example.org"},
        {.noun = "event",
         .verb = "list",
         .summary = "list what has happened, the newest first",
         .options = {of_project,
                     of_batch,
                     of_mailbox,
                     kind,
                     actor,
                     {.name = "--from", .value = "TIME", .text = "since then: '2026-11-27 22:00' here, or RFC 3339"},
                     {.name = "--to", .value = "TIME", .text = "until then"},
                     {.name = "--limit", .value = "N", .text = "at most so many (default 100; 0: all)"}},
         .examples =
             "  postferry event list --kind audit. --from '2026-11-27'\n  postferry event list --batch spring-move"},
        {.noun = "event",
         .verb = "follow",
         .summary = "print what happens, until Ctrl-C",
         .options = {of_project,
                     of_batch,
                     of_mailbox,
                     kind,
                     actor,
                     {.name = "--after", .value = "ID", .text = "begin behind this event"}},
         .explanation = "Taken up again by itself when the connection is lost; nothing is missed.",
         .examples = "  postferry event follow --kind batch. --json"},
    };
}

std::vector<noun_verb> people_rows() {
    constexpr std::string_view roles = "viewer operator admin owner";
    constexpr noun_option password_file{
        .name = "--password-file", .value = "FILE", .text = "first line: the password; else it is asked for"};
    return {
        {.noun = "user", .verb = "list", .summary = "list people", .options = {limit}},
        {.noun = "user",
         .verb = "add",
         .summary = "add somebody",
         .arguments = {{"NAME"}},
         .options = {{.name = "--role", .value = "ROLE", .text = "(default viewer)", .choices = roles},
                     {.name = "--owner", .value = "", .text = "the same as --role owner"},
                     {.name = "--display", .value = "TEXT", .text = "the name that others see"},
                     password_file,
                     {.name = "--no-password", .value = "", .text = "cannot sign in; only tokens can be made"}},
         .explanation = "A viewer looks; an operator runs batches, retries and waives; an admin cares for domains, "
                        "accounts, passwords and\n"
                        "settings; an owner also for people. The first owner is made on the service's machine: by its "
                        "local socket, or,\n"
                        "when no service runs, in its store, which the configuration names.",
         .examples =
             "  postferry user add anna --owner\n  postferry user add bob --role operator --password-file bob.txt"},
        {.noun = "user",
         .verb = "edit",
         .summary = "change role or display name",
         .arguments = {{"USER"}},
         .options = {{.name = "--role", .value = "ROLE", .text = "", .choices = roles},
                     {.name = "--display", .value = "TEXT", .text = "the name that others see"}}},
        {.noun = "user",
         .verb = "passwd",
         .summary = "give a new password",
         .arguments = {{"USER"}},
         .options = {password_file},
         .explanation = "Sessions that were begun with the old one end."},
        {.noun = "user",
         .verb = "disable",
         .summary = "let nobody in by this name; sessions and tokens end",
         .arguments = {{"USER"}}},
        {.noun = "user", .verb = "enable", .summary = "the opposite", .arguments = {{"USER"}}},
        {.noun = "user",
         .verb = "delete",
         .summary = "delete somebody, with sessions and tokens",
         .arguments = {{"USER"}}},
        {.noun = "token", .verb = "list", .summary = "list tokens: an owner sees everybody's", .options = {limit}},
        {.noun = "token",
         .verb = "create",
         .summary = "make a token; it is shown this once",
         .arguments = {{"NAME"}},
         .options = {{.name = "--scope",
                      .value = "SCOPE",
                      .text = "(default read)",
                      .choices = "read operate admin",
                      .list = true},
                     {.name = "--user",
                      .value = "USER",
                      .text = "whose; through the local socket it is needed where there are several"},
                     {.name = "--expires", .value = "TIME", .text = "30d, 12w, or a moment: '2027-01-31', RFC 3339"},
                     {.name = "--output",
                      .value = "FILE",
                      .text = "write it there, readable for you alone, instead of showing it"}},
         .explanation = "It may do what its scopes and its user's role both allow.",
         .examples =
             "  postferry token create backup-script --user anna --scope read --expires 365d --output token.txt\n"
             "  postferry batch list --url https://ferry.example.org --token-file token.txt"},
        {.noun = "token", .verb = "delete", .summary = "delete a token", .arguments = {{"TOKEN"}}},
    };
}

} // namespace postferry::app
