#include "app/help.hpp"

#include "app/noun_table.hpp"

#include <fmt/format.h>

#include <array>

namespace postferry::app {

std::string_view summary_of(command c) noexcept {
    switch (c) {
    case command::copy: return "copy one mailbox from SOURCE to TARGET";
    case command::migrate: return "copy many mailboxes, several at a time, from a CSV of accounts";
    case command::plan: return "say what would be copied, and change nothing";
    case command::check: return "try out both ends: connect, TLS, log in, quotas, names, sizes";
    case command::verify: return "prove that everything arrived: balance sheet and content of every message";
    case command::report: return "show again what passes have reported; make keys and check signatures";
    }
    return {};
}

std::string_view usage_of(command c) noexcept {
    switch (c) {
    case command::copy: return "postferry copy SOURCE TARGET [options]";
    case command::migrate: return "postferry migrate ACCOUNTS.csv [--source URL] [--target URL] [options]";
    case command::plan: return "postferry plan SOURCE TARGET [options]\n       postferry plan ACCOUNTS.csv [options]";
    case command::check:
        return "postferry check SOURCE TARGET [options]\n       postferry check ACCOUNTS.csv [options]";
    case command::verify:
        return "postferry verify SOURCE TARGET [options]\n       postferry verify ACCOUNTS.csv [options]";
    case command::report:
        return "postferry report [FILTER ...] [--state FILE] [--report FILE ...]\n"
               "       postferry report --check-signature REPORT --key FILE.pub\n"
               "       postferry report --make-key FILE";
    }
    return {};
}

std::string_view explanation_of(command c) noexcept {
    switch (c) {
    case command::copy:
        return "Copies every message with its flags and date, the folders and the subscriptions. The source is only\n"
               "read. Run it again at any time: it copies what is new and goes on where it was interrupted.";
    case command::migrate:
        return "Every row of ACCOUNTS.csv is a mailbox. What a row does not say comes from --source and --target.\n"
               "A mailbox that fails does not stop the others. Run it again for what is new or failed.";
    case command::plan:
        return "Logs in at both ends, compares, and shows the folder mapping with the reasons, messages and sizes,\n"
               "what is there already, collisions of names, and about how long it will take.";
    case command::check:
        return "The pre-flight. Tells for each end what works and what does not, step by step, and what would go\n"
               "wrong later: messages too large for the target, a quota too small, names that collide. Names what is\n"
               "different about each server, and why it is thought so: quirks=NAME,-NAME in a URL overrules that.";
    case command::verify:
        return "Counts on both servers, not in the ledger, and compares the content of every message byte for byte.";
    case command::report:
        return "The ledger keeps the last report of each kind of pass of each mailbox. This shows the last one, and "
               "writes\n"
               "it as JSON, CSV or one HTML page. FILTER is a part of a mailbox's name at either end.";
    }
    return {};
}

std::string_view examples_of(command c) noexcept {
    switch (c) {
    case command::copy:
        return "Examples:\n"
               "  postferry copy imaps://alice@old.example.org imaps://alice@new.example.org\n"
               "  postferry copy imap://alice@example.org@old imaps://alice@new \\\n"
               "      --source-password-file old.txt --target-password-file new.txt \\\n"
               "      --exclude 'Trash' --map 'Old/(.*)=>Archive/\\1'";
    case command::migrate:
        return "Examples:\n"
               "  postferry migrate accounts.csv --source imaps://old.example.org --target imaps://new.example.org\n"
               "  postferry migrate accounts.csv --source 'imaps://old.example.org?admin=root' \\\n"
               "      --source-password-file root.txt --target 'imaps://{local}@new.example.org' \\\n"
               "      --jobs 20 --report report.json";
    case command::plan:
        return "Examples:\n"
               "  postferry plan imaps://alice@old.example.org imaps://alice@new.example.org\n"
               "  postferry plan accounts.csv --source imaps://old --target imaps://new --report plan.json";
    case command::check:
        return "Examples:\n"
               "  postferry check imaps://alice@old.example.org imaps://alice@new.example.org\n"
               "  postferry check accounts.csv --source imaps://old --target imaps://new --skip-invalid";
    case command::verify:
        return "Examples:\n"
               "  postferry verify imaps://alice@old.example.org imaps://alice@new.example.org\n"
               "  postferry verify accounts.csv --source imaps://old --target imaps://new --report proof.json";
    case command::report:
        return "Examples:\n"
               "  postferry report --report all.html --report all.csv\n"
               "  postferry report alice@ --pass verify --report alice.html\n"
               "  postferry report --make-key report.key\n"
               "  postferry report --report all.json --sign-key report.key\n"
               "  postferry report --check-signature all.json --key report.key.pub";
    }
    return {};
}

std::span<const exit_meaning> exit_meanings() noexcept {
    static constexpr std::array<exit_meaning, 8> all{{
        {"0", "everything asked for is done and every balance sheet closes"},
        {"1", "some mailbox is incomplete or has failed items; the others are done"},
        {"2", "wrong usage, configuration or CSV; the ledger is damaged, too new or in use; nothing was started"},
        {"3", "nothing could start: no server reached, certificate not accepted, or no login succeeded"},
        {"4", "stopped by a budget or a window; run again later"},
        {"5", "local trouble: disk full, memory, permission; the state is safe"},
        {"130", "interrupted (Ctrl-C); the state is safe, run again"},
        {"143", "terminated, or the terminal was closed; the state is safe, run again"},
    }};
    return all;
}

std::string_view endpoints_text() noexcept {
    return "SOURCE and TARGET: imap://USER@HOST[:PORT] (TLS as soon as the server offers it, never a password in the\n"
           "clear) or imaps://USER@HOST[:PORT]. More in the query, as in imaps://alice@old?verify=off&admin=root:\n"
           "  tls=detect|require|implicit|off   verify=ca|pin:sha256/BASE64|off   ca=FILE\n"
           "  auth=auto|plain|login|cram-md5|scram-sha-1|scram-sha-256|xoauth2|oauthbearer|external\n"
           "  cert=FILE&key=FILE   admin=USER   admin-form=sasl|star|slash   prefix=FOLDER   max-connections=N\n"
           "  oauth=NAME   with auth=xoauth2 or oauthbearer: the [oauth.NAME] of the configuration that gets tokens\n"
           "  quirks=NAME,-NAME   what is different about the server, forced or left off (docs/quirks.md)\n"
           "  compress=auto|on|off   uidl=pop3s://HOST: where POP3 tells the unique IDs of an IMAP source's INBOX\n"
           "On this machine: maildir:/PATH (the folder that holds cur, new and tmp) and mbox:/PATH (a file, or a\n"
           "folder of files). A source only: pop3://USER@HOST, pop3s://USER@HOST: its INBOX, and nothing is deleted\n"
           "there. A target only: lmtp://USER@HOST[:24], which takes deliveries and keeps no folders, flags or dates.\n"
           "Passwords: asked for on a terminal, or --source-password-file, --target-password-file, the environment\n"
           "(POSTFERRY_SOURCE_PASSWORD, POSTFERRY_TARGET_PASSWORD), or the CSV. Never in the URL.";
}

std::string main_footer() {
    std::string out =
        "Begin with:\n"
        "  postferry check imaps://alice@old.example.org imaps://alice@new.example.org\n"
        "  postferry copy  imaps://alice@old.example.org imaps://alice@new.example.org\n"
        "\n"
        "Each command explains itself: postferry copy --help. The manual: man postferry\n"
        "For the shell: postferry completion bash|zsh|fish\n"
        "A file for what the command line need not say: postferry config example|check\n"
        "What Postferry remembers, backed up, moved and tidied: postferry store --help\n"
        "\n"
        "As a service, with batches, a schedule and an API: postferry serve, postferry worker. Through it:\n";
    for (const noun_about& n : nouns()) out += fmt::format("  {:<10} {}\n", n.noun, n.summary);
    out += "Each has its verbs: postferry batch --help\n\n";
    out += endpoints_text();
    out += "\n\nExit codes:\n";
    for (const exit_meaning& e : exit_meanings()) out += fmt::format("  {:<3}  {}\n", e.code, e.text);
    out.pop_back();
    return out;
}

} // namespace postferry::app
