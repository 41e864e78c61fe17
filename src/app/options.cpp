#include "app/options.hpp"

#include "app/help.hpp"
#include "app/option_checks.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postferry::app {

namespace {

constexpr std::array<command, 6> commands{command::copy,  command::migrate, command::plan,
                                          command::check, command::verify,  command::report};

/// Usage as people write it; CLI11's own would list every positional as optional.
class formatter : public CLI::Formatter {
  public:
    formatter() { column_width(36); }

    std::string make_usage(const CLI::App* app, std::string) const override {
        for (const command c : commands)
            if (app->get_name() == name_of(c)) return fmt::format("Usage: {}\n\n{}\n", usage_of(c), explanation_of(c));
        return "Usage: postferry COMMAND [options]\n";
    }

    /// "--state FILE"; not the ranges, defaults and exclusions, which the text says in words.
    std::string make_option_opts(const CLI::Option* option) const override {
        return option->get_type_size() == 0 ? std::string{} : " " + option->get_type_name();
    }

    /// Positionals are in the usage line.
    std::string make_positionals(const CLI::App*) const override { return {}; }
};

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
    app.add_flag("--acl", raw.acl, "copy the access rights of folders too (RFC 4314), where both servers keep them")
        ->group(group);
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

command_line fault(std::string_view command_name, std::string_view text) {
    command_line out;
    out.exit_code = 2;
    out.err =
        fmt::format("postferry: {}\nTry: postferry {}{}--help\n", text, command_name, command_name.empty() ? "" : " ");
    return out;
}

/// The words that this version does not know yet, before CLI11 calls them unexpected.
std::optional<std::string> find_not_yet(std::span<const char* const> arguments) {
    bool command_seen = false;
    for (const std::string_view word : arguments) {
        if (word == "--") break;
        const bool option = word.starts_with('-');
        if (option || !command_seen)
            if (auto sentence = not_in_this_version(word)) return sentence;
        command_seen = command_seen || !option;
    }
    return std::nullopt;
}

std::optional<command> command_named(std::span<const char* const> arguments) {
    for (const std::string_view word : arguments) {
        if (word.starts_with('-')) continue;
        for (const command c : commands)
            if (word == name_of(c)) return c;
        break;
    }
    return std::nullopt;
}

void describe(CLI::App& app, std::optional<command> wanted, raw_options& raw) {
    app.formatter(std::make_shared<formatter>());
    app.set_version_flag("--version", std::string("postferry ") + POSTFERRY_VERSION);
    app.footer(std::string(main_footer()));
    app.require_subcommand(1);
    for (const command c : commands) {
        CLI::App* sub = app.add_subcommand(std::string(name_of(c)), std::string(summary_of(c)));
        // Start-up is timed: only the command that was asked for gets its options.
        if (c != wanted) continue;
        sub->description({});
        sub->footer(std::string(examples_of(c)));
        sub->add_option("where", raw.where, "");
        if (c == command::report) {
            add_ledger_report_options(*sub, raw);
            continue;
        }
        add_endpoint_options(*sub, raw);
        add_selection_options(*sub, raw);
        add_run_options(*sub, raw);
        add_guest_options(*sub, raw.guest);
        add_output_options(*sub, raw);
    }
}

} // namespace

std::string_view name_of(command c) noexcept {
    switch (c) {
    case command::copy: return "copy";
    case command::migrate: return "migrate";
    case command::plan: return "plan";
    case command::check: return "check";
    case command::verify: return "verify";
    case command::report: return "report";
    }
    return "unknown";
}

command_line parse_command_line(std::span<const char* const> arguments) {
    const auto wanted = command_named(arguments);
    const std::string_view name = wanted ? name_of(*wanted) : std::string_view{};
    if (const auto sentence = find_not_yet(arguments)) return fault(name, *sentence);
    if (arguments.empty()) return fault(name, "a command is needed: copy, migrate, plan, check, verify or report");
    const auto first = std::ranges::find_if(arguments, [](std::string_view word) { return !word.starts_with('-'); });
    if (!wanted && first != arguments.end())
        return fault(name,
                     fmt::format("there is no command {}, but copy, migrate, plan, check, verify and report", *first));
    raw_options raw;
    CLI::App app("Postferry moves mailboxes from an old mail server to a new one: nothing lost, nothing twice.",
                 "postferry");
    describe(app, wanted, raw);
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    try {
        app.parse(reversed);
    } catch (const CLI::CallForHelp&) {
        return {.run = std::nullopt, .exit_code = 0, .out = app.help() + "\n", .err = {}};
    } catch (const CLI::CallForVersion& e) {
        return {.run = std::nullopt, .exit_code = 0, .out = std::string(e.what()) + "\n", .err = {}};
    } catch (const CLI::ParseError& e) {
        return fault(name, e.what());
    }
    if (!wanted) return fault(name, "a command is needed: copy, migrate, plan, check, verify or report");
    auto checked = check_options(*wanted, raw);
    if (!checked) return fault(name, checked.error().message());
    return {.run = std::move(*checked), .exit_code = 0, .out = {}, .err = {}};
}

} // namespace postferry::app
