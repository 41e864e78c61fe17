#include "app/manual.hpp"

#include "app/help.hpp"
#include "app/noun_table.hpp"
#include "app/option_table.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::app {

namespace {

/// Text for roff: "\" and "-" are themselves, and no line begins a request.
std::string roff(std::string_view text) {
    std::string out;
    bool begins = true;
    for (const char c : text) {
        if (begins && (c == '.' || c == '\'')) out += "\\&";
        begins = c == '\n';
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else
            out += c;
    }
    return out;
}

/// Lines that stay as they are.
std::string verbatim(std::string_view text) { return fmt::format(".nf\n{}\n.fi\n", roff(text)); }

std::string option_text(const option_entry& o) {
    return fmt::format(".TP\n\\fB{}\\fR{}\n{}.\n", roff(o.name),
                       o.value.empty() ? "" : fmt::format(" \\fI{}\\fR", roff(o.value)), roff(o.text));
}

std::string noun_option_text(const noun_option& o) {
    std::string text(o.text);
    if (!o.choices.empty()) text += fmt::format("{}{}", text.empty() ? "" : ": ", o.choices);
    return option_text(
        {.name = std::string(o.name), .value = std::string(o.value), .text = std::move(text), .group = {}});
}

std::string grouped_options(const std::vector<option_entry>& options) {
    std::string out;
    std::string_view group;
    for (const option_entry& o : options) {
        if (o.name == "--help") continue; // said once for all commands
        if (o.group != group) out += fmt::format(".SS {}\n", roff(o.group));
        group = o.group;
        out += option_text(o);
    }
    return out;
}

/// The commands over the service's API: verbs with their options.
std::string nouns_text() {
    std::string out = "These reach the service by its local socket, or by --url with --token-file. PROJECT, BATCH, "
                      "DOMAIN and so on are names or numbers.\n";
    out = roff(out) + "All of them take:\n";
    for (const noun_option& o : common_noun_options()) out += noun_option_text(o);
    for (const noun_about& n : nouns()) {
        out += fmt::format(".SS {}\n{}.\n", n.noun, roff(n.summary));
        if (!n.explanation.empty()) out += verbatim(n.explanation);
        for (const noun_verb* v : verbs_of(n.noun)) {
            out += fmt::format(".TP\n\\fB{}\\fR\n{}.\n", roff(usage_of(*v)), roff(v->summary));
            if (!v->explanation.empty()) out += roff(v->explanation) + "\n";
            if (v->options.empty()) continue;
            out += ".RS\n";
            for (const noun_option& o : v->options) out += noun_option_text(o);
            out += ".RE\n";
        }
    }
    return out;
}

std::string commands_text() {
    std::string out;
    for (const command c : commands) {
        out += fmt::format(".SS {}\n", name_of(c));
        out += verbatim(usage_of(c));
        out += fmt::format(".PP\n{}\n", roff(explanation_of(c)));
        // "Examples:" stands above them in --help, too.
        out += fmt::format(".PP\n{}", verbatim(examples_of(c)));
    }
    out += ".SS config\n";
    out += verbatim("postferry config check [-c FILE]\npostferry config example");
    out += ".PP\nSays what is wrong in the configuration file, all of it, or what holds; writes a file with every key "
           "explained.\n";
    out += ".SS store\n";
    out += verbatim("postferry store backup|restore|move|purge|rotate-key|status ...");
    out += ".PP\nBacks up, restores, moves and tidies what is remembered: postferry store \\-\\-help.\n";
    out += ".SS completion\n";
    out += verbatim("postferry completion bash|zsh|fish");
    out += ".PP\nWrites a script that teaches the shell these commands and options.\n";
    return out;
}

} // namespace

std::string manual_page() {
    std::string out = R"(.\" Made by `postferry man` from the tables that --help is made from. Do not edit.
.TH POSTFERRY 1 "" "postferry" "User Commands"
.SH NAME
postferry \- move mailboxes from an old mail server to a new one
.SH SYNOPSIS
.nf
)";
    for (const command c : commands) out += roff(usage_of(c)) + "\n";
    for (const noun_about& n : nouns()) {
        const noun_verb* alone = find_verb(n.noun, "");
        out +=
            alone != nullptr ? roff(usage_of(*alone)) + "\n" : fmt::format("postferry {} VERB ... [options]\n", n.noun);
    }
    out += R"(postferry serve|worker [\-c FILE]
postferry config check|example
postferry store backup|restore|move|purge|rotate\-key|status
postferry completion bash|zsh|fish
postferry help [COMMAND]
postferry \-\-version
.fi
.SH DESCRIPTION
Copies mailboxes from IMAP, POP3, Maildir or mbox to IMAP, Maildir, mbox or (as a last resort) LMTP.
Nothing is lost silently: each message of the source ends as copied, present already, skipped by a rule that was given,
or failed with the server's own words.
Nothing arrives twice: run the same command again at any time, and it goes on where it was.
The source is only read.
.SH COMMANDS
)";
    out += commands_text();
    out += ".SH OPTIONS\nAll commands take \\fB\\-h\\fR and \\fB\\-\\-help\\fR. Of copy, migrate, plan, check and "
           "verify:\n";
    out += grouped_options(options_of(command::copy));
    out += ".SH OPTIONS OF REPORT\n" + grouped_options(options_of(command::report));
    out += ".SH COMMANDS OVER THE SERVICE'S API\n" + nouns_text();
    out += ".SH MAILBOXES\n" + verbatim(endpoints_text());
    out += ".SH EXIT STATUS\n";
    for (const exit_meaning& e : exit_meanings()) out += fmt::format(".TP\n{}\n{}.\n", e.code, roff(e.text));
    out += R"(.SH ENVIRONMENT
.TP
\fBPOSTFERRY_SOURCE_PASSWORD\fR, \fBPOSTFERRY_TARGET_PASSWORD\fR
The passwords, where no file is named.
.TP
\fBPOSTFERRY_CONFIG\fR
The configuration file; none, when it is empty.
.TP
\fBPOSTFERRY_SOCKET\fR, \fBPOSTFERRY_URL\fR, \fBPOSTFERRY_TOKEN_FILE\fR
Where the service is, for the commands over its API, and the token for the URL.
.TP
\fBTMPDIR\fR
Where what is too large for memory waits; else /var/tmp.
.SH FILES
.TP
\fIpostferry.db\fR
The ledger, in the current folder or where \fB\-\-state\fR says: what was copied already. It holds no passwords and no
message text. Keep it until the migration is over.
.TP
\fI/etc/postferry/postferry.toml\fR
The configuration, where no other is named. Nothing needs one.
.TP
\fI/run/postferry/postferry.sock\fR
The service's local socket.
.SH SEE ALSO
docs/cli.md explains every option, docs/service.md the service, docs/api.md its API, docs/report.md the report and its grades, docs/quirks.md what servers do.
)";
    return out;
}

} // namespace postferry::app
