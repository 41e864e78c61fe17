// What `postferry batch` and `postferry mailbox` take.
#include "app/noun_rows.hpp"
#include "app/noun_settings_rows.hpp"

#include <iterator>

namespace postferry::app {

namespace {

constexpr std::string_view mailbox_states =
    "draft needs_credentials validating invalid ready queued provisioning discovering copying "
    "throttled paused synced verifying completed completed_with_exceptions failed "
    "cancelled rolled_back";
constexpr std::string_view modes = "create-only upsert messages-only passwords-only";
constexpr std::string_view grades = "perfect good investigate poor";
constexpr std::string_view levels = "debug info warning error";

constexpr noun_option limit{.name = "--limit", .value = "N", .text = "at most so many; else all"};
constexpr noun_option watch{.name = "--watch", .value = "", .text = "then watch it, as batch watch does"};
constexpr noun_option mode{
    .name = "--mode", .value = "MODE", .text = "what is done about accounts (default messages-only)", .choices = modes};
constexpr noun_option project{.name = "--project", .value = "PROJECT", .text = "name or number (default: default)"};
constexpr noun_option start_at{
    .name = "--start-at",
    .value = "TIME",
    .text = "when it starts after `batch start`: '2026-11-27 22:00' here, or RFC 3339; now: at once"};
constexpr noun_option of_batch{.name = "--batch", .value = "BATCH", .text = "where several batches have that user"};

std::vector<noun_option> with_settings(std::vector<noun_option> first) {
    const auto more = settings_options();
    first.insert(first.end(), more.begin(), more.end());
    return first;
}

noun_verb command(std::string_view verb, std::string_view summary, std::string_view explanation, bool watched) {
    noun_verb v{
        .noun = "batch", .verb = verb, .summary = summary, .arguments = {{"BATCH"}}, .explanation = explanation};
    if (watched) v.options = {watch};
    return v;
}

std::vector<noun_verb> batch_commands() {
    return {command("start", "queue what is ready",
                    "A batch with --start-at waits for that moment. What was paused goes on.", true),
            command("pause", "begin nothing any more; what runs is stopped in good order", {}, false),
            command("resume", "queue again what was paused by hand", {}, true),
            command("cancel", "end it; what has been copied stays",
                    "What is wanted after all: batch start, or mailbox retry.", false),
            command("retry", "queue again what failed, nothing else", "Nothing arrives twice.", true),
            command("finish", "the last pass over every mailbox, then verification",
                    "When nobody writes to the old server any more. Completed ones are swept once more.", true),
            command("archive", "put it away for good; its passwords are removed",
                    "Nothing of it can be run any more. Reports and logs stay.", false)};
}

std::vector<noun_verb> batch_making() {
    return {
        {.noun = "batch",
         .verb = "list",
         .summary = "list batches, the newest first",
         .options = {{.name = "--state",
                      .value = "STATE",
                      .text = "only these; archived ones are listed only so",
                      .list = true},
                     {.name = "--project", .value = "PROJECT", .text = "name or number"},
                     {.name = "--name", .value = "TEXT", .text = "somewhere in the name"},
                     limit},
         .examples = "  postferry batch list --state syncing --state failed\n  postferry batch list --json | jq .name"},
        {.noun = "batch",
         .verb = "create",
         .summary = "make an empty batch",
         .arguments = {{"NAME"}},
         .options = with_settings({mode, project, start_at}),
         .examples =
             "  postferry batch create spring-move --mode upsert --provisioning new --window 'mon-fri 20:00-06:00 "
             "Europe/Berlin' \\\n      --delta-every 4h --exclude Trash"},
        {.noun = "batch",
         .verb = "preview",
         .summary = "look at a CSV row by row, and change nothing",
         .arguments = {{"BATCH"}, {"FILE"}},
         .options = import_options(false),
         .explanation =
             "Names row and column of every fault. docs/cli.md#accountscsv has the shapes that are recognised.",
         .examples = "  postferry batch preview spring-move accounts.csv --source imaps://old.example.org --target "
                     "imaps://new.example.org"},
        {.noun = "batch",
         .verb = "import",
         .summary = "add the mailboxes of a CSV",
         .arguments = {{"BATCH"}, {"FILE"}},
         .options = import_options(true),
         .explanation = "A batch that is not there is made. Rows that are there already are left as they are, so a "
                        "longer file may\n"
                        "be brought again. With faults nothing is added, unless --skip-invalid is given.",
         .examples = "  postferry batch import spring-move accounts.csv --source imaps://old.example.org --target "
                     "imaps://new.example.org\n"
                     "  postferry batch import spring-move accounts.csv --source 'imaps://old?admin=root' "
                     "--source-password-file root.txt "
                     "\\\n      --target 'imaps://{local}@new' --mode upsert --skip-invalid"},
        {.noun = "batch",
         .verb = "set",
         .summary = "change name, mode, start or settings, also in mid-run",
         .arguments = {{"BATCH"}},
         .options = with_settings({{.name = "--name", .value = "NAME", .text = "another name"},
                                   {.name = "--mode", .value = "MODE", .text = "of a draft only", .choices = modes},
                                   start_at}),
         .explanation = "What is not named stays. Mailboxes that are at work take a change up with their next pass.",
         .examples = "  postferry batch set spring-move --jobs 4 --window '20:00-06:00 Europe/Berlin'\n"
                     "  postferry batch set spring-move --unset windows"},
        {.noun = "batch", .verb = "delete", .summary = "delete a draft with its mailboxes", .arguments = {{"BATCH"}}},
        {.noun = "batch",
         .verb = "purge-credentials",
         .summary = "remove every password of its mailboxes now",
         .arguments = {{"BATCH"}},
         .explanation = "Those that still need one wait for it (needs_credentials)."}};
}

std::vector<noun_verb> batch_looking() {
    return {
        {.noun = "batch",
         .verb = "status",
         .summary = "say what is done, what is not, and what to do next",
         .arguments = {{"BATCH"}},
         .explanation = "Exit code 1 when a mailbox needs somebody: failed, invalid, needs_credentials.",
         .examples = "  postferry batch status spring-move\n  postferry batch status 12 --json | jq .mailbox_states"},
        {.noun = "batch",
         .verb = "mailboxes",
         .summary = "list its mailboxes",
         .arguments = {{"BATCH"}},
         .options =
             {{.name = "--state", .value = "STATE", .text = "only these", .choices = mailbox_states, .list = true},
              {.name = "--grade", .value = "GRADE", .text = "only these", .choices = grades},
              {.name = "--user", .value = "TEXT", .text = "how the user begins at either end; *TEXT: somewhere in it"},
              limit},
         .examples = "  postferry batch mailboxes spring-move --state failed --state needs_credentials"},
        {.noun = "batch",
         .verb = "watch",
         .summary = "show it live until it is done",
         .arguments = {{"BATCH"}},
         .explanation = "On a terminal a table that is drawn anew; else a line for each change. Ctrl-C ends the "
                        "watching only: the batch\n"
                        "goes on. Exit code 0 when every mailbox is synced or completed, 1 when some are not."},
        {.noun = "batch",
         .verb = "log",
         .summary = "print its log",
         .arguments = {{"BATCH"}},
         .options = {{.name = "--level", .value = "LEVEL", .text = "at least so important", .choices = levels},
                     {.name = "--folder", .value = "FOLDER", .text = "only of this folder"},
                     {.name = "--mailbox", .value = "MAILBOX", .text = "only of this one: number or user"},
                     {.name = "--follow", .value = "", .text = "go on with what comes, until Ctrl-C"},
                     {.name = "--output", .value = "FILE", .text = "write it there, whole or not at all"},
                     {.name = "--delete", .value = "", .text = "delete it instead"}},
         .examples = "  postferry batch log spring-move --level warning\n  postferry batch log spring-move --output "
                     "spring-move.log"},
        {.noun = "batch",
         .verb = "report",
         .summary = "write the last report of every mailbox",
         .arguments = {{"BATCH"}},
         .options = {{.name = "--report",
                      .value = "FILE",
                      .text = "write it there, whole or not at all: .json, .csv or .html",
                      .list = true},
                     {.name = "--format",
                      .value = "FORMAT",
                      .text = "to standard output (default json)",
                      .choices = "json csv html"}},
         .explanation = "docs/report.md explains it. Exit code 1 when a mailbox is incomplete or has failed items that "
                        "nobody waived.",
         .examples = "  postferry batch report spring-move --report spring-move.html --report spring-move.csv\n"
                     "  postferry batch report spring-move | jq .totals"}};
}

} // namespace

std::vector<noun_verb> batch_rows() {
    std::vector<noun_verb> out = batch_making();
    for (auto more : {batch_looking(), batch_commands()}) std::ranges::move(more, std::back_inserter(out));
    return out;
}

std::vector<noun_verb> mailbox_rows() {
    const std::vector<noun_argument> one{{"MAILBOX"}};
    const auto simple = [&](std::string_view verb, std::string_view summary) {
        return noun_verb{.noun = "mailbox", .verb = verb, .summary = summary, .arguments = one, .options = {of_batch}};
    };
    const noun_verb credentials{
        .noun = "mailbox",
        .verb = "credentials",
        .summary = "give its passwords anew, or remove them",
        .arguments = one,
        .options =
            {of_batch,
             {.name = "--source-password-file", .value = "FILE", .text = "first line: the password at the source"},
             {.name = "--target-password-file", .value = "FILE", .text = "the same at the target"},
             {.name = "--source-token-file", .value = "FILE", .text = "first line: an OAuth 2 refresh token"},
             {.name = "--target-token-file", .value = "FILE", .text = "the same for the target"},
             {.name = "--source", .value = "", .text = "ask for the source's password on the terminal (default)"},
             {.name = "--target", .value = "", .text = "ask for the target's"},
             {.name = "--remove", .value = "", .text = "remove all of them now"}},
        .explanation = "They are sealed at once, and shown nowhere. What is not named stays. A mailbox that waited for "
                       "them goes on.",
        .examples = "  postferry mailbox credentials alice@example.org\n"
                    "  postferry mailbox credentials 1207 --source-password-file alice.txt"};
    const noun_verb waive{
        .noun = "mailbox",
        .verb = "waive",
        .summary = "accept that messages stay behind, or take that back",
        .arguments = {{"MAILBOX"}, {.name = "FOLDER:UID", .optional = true, .many = true}},
        .options = {of_batch,
                    {.name = "--reason", .value = "TEXT", .text = "why; it is kept with your name"},
                    {.name = "--file", .value = "FILE", .text = "lines of FOLDER, tab, UID; # begins a comment"},
                    {.name = "--all", .value = "", .text = "all that the last pass could not copy"},
                    {.name = "--undo", .value = "", .text = "they count again"}},
        .explanation = "From the next pass on they no longer count against the mailbox. mailbox failures lists them.",
        .examples =
            "  postferry mailbox waive alice@example.org 'Archive/2009:4711' --reason 'empty on the old server too'"};
    return {
        simple("show", "say all about it"),
        {.noun = "mailbox",
         .verb = "add",
         .summary = "add one mailbox to a batch",
         .arguments = {{"BATCH"}, {"SOURCE"}, {"TARGET"}},
         .options = {{.name = "--source-password-file",
                      .value = "FILE",
                      .text = "first line: the password at the source"},
                     {.name = "--target-password-file", .value = "FILE", .text = "the same at the target"},
                     {.name = "--priority", .value = "N", .text = "-100 to 100; higher first"}},
         .explanation =
             "SOURCE and TARGET are URLs with the user, as for postferry copy. Without a password it waits for one.",
         .examples =
             "  postferry mailbox add spring-move imaps://alice@old.example.org imaps://alice@new.example.org \\\n"
             "      --source-password-file old.txt --target-password-file new.txt"},
        simple("retry", "queue it again after a failure"),
        simple("start", "queue it"),
        simple("pause", "stop it in good order, until it is resumed"),
        simple("resume", "queue it again after a pause"),
        simple("cancel", "end it; what has been copied stays"),
        simple("finish", "the last pass, then verification"),
        {.noun = "mailbox",
         .verb = "priority",
         .summary = "what goes before others",
         .arguments = {{"MAILBOX"}, {"N"}},
         .options = {of_batch},
         .explanation = "-100 to 100, usually 0; higher first."},
        credentials,
        {.noun = "mailbox",
         .verb = "link",
         .summary = "make a link by which its owner gives the new password",
         .arguments = one,
         .options = {of_batch,
                     {.name = "--days", .value = "N", .text = "how long it works: 1 to 30 (default 7)"},
                     {.name = "--remove", .value = "", .text = "end the links to it that were not used"}},
         .explanation = "For a mailbox that needs credentials. The link works once, is shown once, and takes the place "
                        "of those before it. What its owner gives there is tried on the old server before it is kept; "
                        "then the mailbox goes on (docs/recredential.md).",
         .examples = "  postferry mailbox link alice@example.org --days 3"},
        {.noun = "mailbox",
         .verb = "log",
         .summary = "print its log",
         .arguments = one,
         .options = {of_batch,
                     {.name = "--level", .value = "LEVEL", .text = "at least so important", .choices = levels},
                     {.name = "--folder", .value = "FOLDER", .text = "only of this folder"},
                     {.name = "--output", .value = "FILE", .text = "write it there, whole or not at all"}}},
        simple("failures", "list the messages that the last pass could not copy"),
        waive,
        simple("delete", "take it out of its batch, while nothing runs"),
    };
}

} // namespace postferry::app
