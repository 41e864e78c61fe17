#include "app/option_table.hpp"

#include "client/presets.hpp"
#include "message/repair.hpp"

#include <fmt/format.h>

namespace postferry::app {

namespace {

/// One value each time it is given: CLI11 would otherwise take every following word, the endpoints too.
void add_list(CLI::App& app, const char* name, std::vector<std::string>& into, const char* text, const char* value,
              const char* group) {
    app.add_option(name, into, text)->type_name(value)->allow_extra_args(false)->group(group);
}

void add_text(CLI::App& app, const char* name, std::string& into, const char* text, const char* value,
              const char* group) {
    app.add_option(name, into, text)->type_name(value)->group(group);
}

void add_endpoint_options(CLI::App& app, raw_options& raw) {
    constexpr const char* group = "Both ends";
    add_text(app, "--source", raw.source,
             "where the rows of the CSV come from; {user}, {local} and {domain} are filled in", "URL", group);
    add_text(app, "--target", raw.target, "where they go", "URL", group);
    add_text(app, "--source-password-file", raw.source_password_file, "first line: the password (of admin=, if set)",
             "FILE", group);
    add_text(app, "--target-password-file", raw.target_password_file, "the same for the target", "FILE", group);
    add_text(app, "--source-token-file", raw.source_token_file,
             "OAuth 2 access token, with auth=xoauth2 or oauthbearer", "FILE", group);
    add_text(app, "--target-token-file", raw.target_token_file, "the same for the target", "FILE", group);
    add_text(app, "--source-oauth", raw.source_oauth, "the [oauth.NAME] of the configuration that gets tokens", "NAME",
             group);
    add_text(app, "--target-oauth", raw.target_oauth, "the same for the target", "NAME", group);
}

void add_selection_options(CLI::App& app, raw_options& raw) {
    constexpr const char* group = "What is copied";
    add_list(app, "--include", raw.include, "only these folders; * stays in a level, ** crosses; may be repeated",
             "FOLDER-GLOB", group);
    add_list(app, "--exclude", raw.exclude, "not these folders; wins over --include", "FOLDER-GLOB", group);
    add_list(app, "--map", raw.map, "rename folders: RE2, the whole name, / between levels; first match wins",
             "REGEX=>REPLACEMENT", group);
    add_text(app, "--since", raw.since, "only messages received on or after this day", "YYYY-MM-DD", group);
    add_text(app, "--max-size", raw.max_size, "skip larger messages: 25MB is 10^6, 25MiB is 2^20 octets each", "SIZE",
             group);
    add_text(app, "--pass", raw.pass, "trial, bulk (default), delta, final, sweep, repair or verify", "PASS", group);
    auto* acl =
        app.add_flag("--acl", raw.acl, "copy the access rights of folders too (RFC 4314), where both servers keep them")
            ->group(group);
    app.add_flag("--no-acl", raw.no_acl, "leave them, whatever the configuration says")->excludes(acl)->group(group);
    app.add_flag("--delete-extra", raw.delete_extra,
                 "delete copies whose message vanished from the source, as --dry-run has shown them")
        ->group(group);
    add_text(app, "--waive", raw.waive, "failures that you accept: lines of FOLDER, tab, UID", "FILE", group);
    add_text(app, "--sample", raw.sample, "verify: compare the content of so many messages only", "N|P%", group);
    add_text(app, "--seed", raw.seed, "draw the same sample as the run that reported this seed", "N", group);
}

void add_run_options(CLI::App& app, raw_options& raw) {
    constexpr const char* group = "The run";
    app.add_option("--jobs", raw.jobs, "mailboxes at a time, 1 to 1000 (default 8)")->type_name("N")->group(group);
    app.add_option("--timeout", raw.timeout,
                   "a server that says nothing for so long is taken for dead, 5 to 3600 (default 180)")
        ->type_name("SECONDS")
        ->group(group);
    add_text(app, "--state", raw.state, "the ledger: what was copied already (default postferry.db)", "FILE", group);
    app.add_option("--repair", raw.repair,
                   "what may be done to messages that the target refuses: all (default), or names (docs/report.md)")
        ->type_name("LIST")
        ->group(group);
    app.add_flag("--no-repair", raw.no_repair, "a message that the target refuses is failed as it is")
        ->excludes("--repair")
        ->group(group);
    app.add_flag("--dry-run", raw.dry_run, "the same as plan: change nothing")->group(group);
    app.add_flag("--skip-invalid", raw.skip_invalid, "list faulty rows of the CSV and go on without them")
        ->group(group);
}

void add_report_files(CLI::App& app, raw_options& raw, const char* group) {
    add_list(app, "--report", raw.report,
             "write the report here, whole or not at all: .json, .csv or .html; may be "
             "repeated",
             "FILE", group);
    add_text(app, "--sign-key", raw.sign_key, "sign each report with this Ed25519 key (PEM), as FILE.sig", "FILE",
             group);
}

void add_ledger_report_options(CLI::App& app, raw_options& raw) {
    constexpr const char* group = "What is shown";
    add_text(app, "--state", raw.state, "the ledger (default postferry.db)", "FILE", group);
    add_text(app, "--pass", raw.pass, "only of this kind of pass; else each mailbox's last one", "PASS", group);
    add_report_files(app, raw, group);
    app.add_flag("--quiet", raw.quiet, "nothing on standard output")->group(group);
    constexpr const char* keys = "Signatures";
    add_text(app, "--make-key", raw.make_key, "make a key: FILE, and FILE.pub to give away", "FILE", keys);
    auto* check = app.add_option("--check-signature", raw.check_signature, "is REPORT what REPORT.sig was made for?")
                      ->type_name("REPORT")
                      ->group(keys);
    app.add_option("--key", raw.key, "the public key for that")->type_name("FILE.pub")->group(keys)->needs(check);
}

void add_output_options(CLI::App& app, raw_options& raw) {
    constexpr const char* group = "Output";
    add_report_files(app, raw, group);
    auto* json = app.add_flag("--json", raw.json, "one JSON event a line on standard output instead of the display")
                     ->group(group);
    auto* quiet = app.add_flag("--quiet", raw.quiet, "no display; failures are still told")->group(group);
    add_text(app, "--log", raw.log, "write a log", "FILE", group);
    add_text(app, "--log-format", raw.log_format, "text (default) or json", "FORMAT", group);
    app.add_flag("-v", raw.verbosity, "more words on standard error; -vv with the wire (no secrets)")
        ->excludes(quiet)
        ->group(group);
    quiet->excludes(json);
}

void add_config_options(CLI::App& app, raw_options& raw) {
    constexpr const char* group = "Configuration";
    auto* file = app.add_option("-c,--config", raw.config,
                                "docs/config.md; else $POSTFERRY_CONFIG, else /etc/postferry/postferry.toml")
                     ->type_name("FILE")
                     ->group(group);
    app.add_flag("--no-config", raw.no_config, "read none")->excludes(file)->group(group);
}

/// All options of a command, as CLI11 keeps them.
template <class Take> void walk(command c, Take take) {
    raw_options raw;
    CLI::App app;
    add_options(app, c, raw);
    for (const CLI::Option* option : app.get_options())
        if (!option->get_lnames().empty() || !option->get_snames().empty()) take(*option);
}

std::string name_of(const CLI::Option& option) {
    return option.get_lnames().empty() ? "-" + option.get_snames().front() : "--" + option.get_lnames().front();
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(','), text.size());
        std::string_view word = text.substr(0, end);
        while (word.starts_with(' ')) word.remove_prefix(1);
        out.emplace_back(word);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

} // namespace

void add_options(CLI::App& app, command c, raw_options& raw) {
    app.add_option("where", raw.where, "");
    if (c == command::report) add_config_options(app, raw);
    if (c == command::report) return add_ledger_report_options(app, raw);
    add_endpoint_options(app, raw);
    add_selection_options(app, raw);
    add_run_options(app, raw);
    add_guest_options(app, raw.guest);
    add_output_options(app, raw);
    add_config_options(app, raw);
}

std::vector<option_entry> options_of(command c) {
    std::vector<option_entry> out;
    walk(c, [&](const CLI::Option& option) {
        if (option.get_group().empty()) return;
        out.push_back({.name = name_of(option),
                       .value = option.get_type_size() == 0 ? std::string{} : option.get_type_name(),
                       .text = option.get_description(),
                       .group = option.get_group()});
    });
    return out;
}

std::vector<std::string> option_names_of(command c) {
    std::vector<std::string> out;
    walk(c, [&](const CLI::Option& option) { out.push_back(name_of(option)); });
    return out;
}

std::vector<std::string> choices_of(const option_entry& option) {
    if (option.value == "PASS") return {"trial", "bulk", "delta", "final", "sweep", "repair", "verify"};
    if (option.value == "FORMAT") return {"text", "json"};
    if (option.value == "GRANT") return {"client-credentials", "refresh-token"};
    if (option.name == "--preset") return words_of(client::preset_names());
    if (option.name != "--repair") return {};
    auto names = words_of(message::names_of(message::repair_set::all()));
    names.insert(names.begin(), "all");
    return names;
}

} // namespace postferry::app
