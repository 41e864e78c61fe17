#include "app/options.hpp"

#include "app/completion.hpp"
#include "app/config_command.hpp"
#include "app/help.hpp"
#include "app/manual.hpp"
#include "app/nearest.hpp"
#include "app/noun_words.hpp"
#include "app/option_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postferry::app {

namespace {

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

command_line printed(std::string text) {
    return {.run = std::nullopt, .exit_code = 0, .out = std::move(text), .err = {}};
}

std::string meant(std::string_view typed, std::span<const std::string_view> known) {
    const std::string_view nearest = nearest_word(typed, known);
    return nearest.empty() ? std::string{} : fmt::format(". Did you mean {}?", nearest);
}

/// What is asked for as a text: help, completion, the manual.
std::optional<command_line> find_text(std::span<const char* const> arguments) {
    const std::string_view first = arguments.front();
    const std::string_view second = arguments.size() > 1 ? arguments[1] : std::string_view{};
    if (first == "man" && second.empty()) return printed(manual_page());
    if (first == "help") {
        if (second.empty()) return parse_command_line(std::array{"--help"});
        if (is_noun(second)) {
            std::vector<const char*> asked(arguments.begin() + 1, arguments.end());
            asked.push_back("--help");
            noun_line line = parse_noun_line(asked);
            return command_line{.run = std::nullopt,
                                .exit_code = line.exit_code,
                                .out = std::move(line.out),
                                .err = std::move(line.err)};
        }
        return parse_command_line(std::array{arguments[1], "--help"});
    }
    if (first != "completion") return std::nullopt;
    constexpr std::string_view usage =
        "Usage: postferry completion bash|zsh|fish\n\n"
        "Writes a script that teaches the shell the commands and options. For bash, now and here:\n"
        "  source <(postferry completion bash)\n"
        "For good, for everybody: put it into /etc/bash_completion.d/postferry (bash),\n"
        "/usr/local/share/zsh/site-functions/_postferry (zsh), /etc/fish/completions/postferry.fish (fish).\n";
    if (second == "--help" || second == "-h") return printed(std::string(usage));
    auto script = completion_for(second);
    if (!script || arguments.size() > 2) return fault(first, "completion takes one shell: bash, zsh or fish");
    return printed(std::move(*script));
}

/// An option where a command belongs, a command that is none: CLI11 would not say what was meant.
std::optional<command_line> find_trouble(std::span<const char* const> arguments, std::optional<command> wanted) {
    std::vector<std::string_view> words{"copy",   "migrate", "plan",  "check",  "verify",     "report",
                                        "config", "store",   "serve", "worker", "completion", "help"};
    for (const noun_about& n : nouns()) words.push_back(n.noun);
    const std::size_t known = words.size();
    words.insert(words.end(), {"--help", "--version"});
    const std::string_view first = arguments.front();
    if (first == "-h" || first == "--help" || first == "-V" || first == "--version") return std::nullopt;
    if (first.starts_with('-')) {
        const std::string_view option = first.substr(0, first.find('='));
        const auto is_command = [](std::string_view word) {
            return std::ranges::any_of(commands, [&](command c) { return word == name_of(c); });
        };
        if (std::ranges::any_of(arguments, is_command))
            return fault({}, fmt::format("{} stands behind the command: postferry COMMAND ... {}", option, option));
        return fault({}, fmt::format("there is no option {} without a command{}", option, meant(option, words)));
    }
    if (wanted) return std::nullopt;
    return fault(
        {}, fmt::format(
                "there is no command {}, but copy, migrate, plan, check, verify, report and more (postferry help){}",
                first, meant(first, std::span(words).first(known))));
}

/// Nothing of what stands behind a "=": it may be a password.
std::string no_such_option(command c, const std::vector<std::string>& left) {
    const auto it = std::ranges::find_if(left, [](std::string_view word) { return word.starts_with('-'); });
    if (it == left.end()) return "there are words that belong to nothing";
    const std::string_view option = std::string_view(*it).substr(0, it->find('='));
    const auto names = option_names_of(c);
    const std::vector<std::string_view> known(names.begin(), names.end());
    return fmt::format("{} has no option {}{}", name_of(c), option, meant(option, known));
}

/// CLI11 says "--exclude: 1 required FOLDER-GLOB missing".
std::string needs_value(command c, std::string_view said) {
    const std::string_view name = said.substr(0, said.find(':'));
    for (const option_entry& o : options_of(c))
        if (o.name == name && !o.value.empty()) return fmt::format("{} needs a value: {} {}", name, name, o.value);
    return std::string(said);
}

/// CLI11 says "Could not convert: --jobs = many".
std::string no_number(std::string_view said) {
    constexpr std::string_view before = "Could not convert: ";
    const std::size_t end = said.find(" = ");
    if (!said.starts_with(before) || end == std::string_view::npos) return std::string(said);
    return fmt::format("{} takes a number", said.substr(before.size(), end - before.size()));
}

void describe(CLI::App& app, std::optional<command> wanted, raw_options& raw) {
    app.formatter(std::make_shared<formatter>());
    app.set_help_flag("-h,--help", "this text");
    app.set_version_flag("-V,--version", std::string("postferry ") + POSTFERRY_VERSION, "the version");
    app.footer(std::string(main_footer()));
    app.require_subcommand(1);
    for (const command c : commands) {
        CLI::App* sub = app.add_subcommand(std::string(name_of(c)), std::string(summary_of(c)));
        // Start-up is timed: only the command that was asked for gets its options.
        if (c != wanted) continue;
        sub->description({});
        sub->footer(std::string(examples_of(c)));
        add_options(*sub, c, raw);
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

command_line parse_command_line(std::span<const char* const> arguments, const config_finder& find) {
    const auto wanted = command_named(arguments);
    const std::string_view name = wanted ? name_of(*wanted) : std::string_view{};
    if (const auto sentence = find_not_yet(arguments)) return fault(name, *sentence);
    if (arguments.empty()) return fault(name, "a command is needed: copy, migrate, plan, check, verify or report");
    if (auto text = find_text(arguments)) return std::move(*text);
    if (std::string_view(arguments.front()) == "config") return config_command(arguments.subspan(1), find);
    if (auto trouble = find_trouble(arguments, wanted)) return std::move(*trouble);
    raw_options raw;
    CLI::App app("Postferry moves mailboxes from an old mail server to a new one: nothing lost, nothing twice.",
                 "postferry");
    describe(app, wanted, raw);
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    try {
        app.parse(reversed);
    } catch (const CLI::CallForHelp&) {
        return printed(app.help() + "\n");
    } catch (const CLI::CallForVersion& e) {
        return printed(std::string(e.what()) + "\n");
    } catch (const CLI::ExtrasError& e) {
        return fault(name, wanted ? no_such_option(*wanted, app.remaining(true)) : e.what());
    } catch (const CLI::ArgumentMismatch& e) {
        return fault(name, wanted ? needs_value(*wanted, e.what()) : e.what());
    } catch (const CLI::ConversionError& e) {
        return fault(name, no_number(e.what()));
    } catch (const CLI::ParseError& e) {
        return fault(name, e.what());
    }
    if (!wanted) return fault(name, "a command is needed: copy, migrate, plan, check, verify or report");
    std::shared_ptr<const config_file> file;
    if (find && !raw.no_config) {
        auto found = find(raw.config);
        if (!found) return {.run = std::nullopt, .exit_code = 2, .out = {}, .err = found.error().text()};
        file = std::make_shared<const config_file>(std::move(*found));
        complete_options(raw, *wanted, file->values.defaults);
    }
    auto checked = check_options(*wanted, raw, file ? &file->values : nullptr);
    if (!checked) return fault(name, checked.error().message());
    checked->config = std::move(file);
    return {.run = std::move(*checked), .exit_code = 0, .out = {}, .err = {}};
}

} // namespace postferry::app
