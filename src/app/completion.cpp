#include "app/completion.hpp"

#include "app/completion_nouns.hpp"
#include "app/help.hpp"
#include "app/option_table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <map>

namespace postferry::app {

namespace {

constexpr std::string_view shells = "bash zsh fish";
constexpr std::string_view schemes = "imap:// imaps:// pop3:// pop3s:// maildir:/ mbox:/ lmtp://";

bool takes_file(const option_entry& o) { return o.value.starts_with("FILE") || o.value == "REPORT"; }

std::string command_names(std::string_view separator) {
    std::string out;
    for (const command c : commands) out += std::string(name_of(c)) + std::string(separator);
    return out;
}

// --- bash ---

/// A `case` of what options take: the same name means the same in all commands that have it.
std::string bash_values() {
    std::map<std::string, std::string> arms; // what is offered -> patterns
    std::map<std::string, bool> seen;
    for (const command c : commands)
        for (const option_entry& o : options_of(c)) {
            if (o.value.empty() || std::exchange(seen[o.name], true)) continue;
            const auto words = choices_of(o);
            std::string offer = "return"; // a number, a day: nothing to offer, no file either
            if (!words.empty())
                offer = fmt::format("_postferry_words {}; return", in_quotes(fmt::format("{}", fmt::join(words, " "))));
            else if (takes_file(o))
                offer = "_postferry_files; return";
            else if (o.value == "URL")
                offer = fmt::format("_postferry_words '{}'; return", schemes);
            std::string& patterns = arms[offer];
            patterns += (patterns.empty() ? "" : "|") + o.name;
        }
    std::string out;
    for (const auto& [offer, patterns] : arms) out += fmt::format("    {}) {} ;;\n", patterns, offer);
    return out;
}

std::string bash_script() {
    std::string options;
    for (const command c : commands) {
        std::string names;
        for (const option_entry& o : options_of(c)) names += (names.empty() ? "" : " ") + o.name;
        options += fmt::format("    {}) options='{}' ;;\n", name_of(c), names);
    }
    return fmt::format(R"(# bash completion for postferry, made by `postferry completion bash`. Put it where bash looks:
#   postferry completion bash > /etc/bash_completion.d/postferry

_postferry_words() {{ mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }}
_postferry_files() {{ compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); }}

{4}
_postferry() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} previous= command= options= word
    ((COMP_CWORD > 0)) && previous=${{COMP_WORDS[COMP_CWORD - 1]}}
    COMPREPLY=()
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        if [[ $word != -* ]]; then
            command=$word
            break
        fi
    done
    case $command in
    '') _postferry_words '{0}{5}serve worker config store completion help --help --version'; return ;;
    completion) _postferry_words '{1}'; return ;;
    config) _postferry_words 'check example'; return ;;
    store) [[ $previous == store ]] && {{ _postferry_words 'backup restore move purge rotate-key status'; return; }} ;;
    help) _postferry_words '{0}{5}'; return ;;
    serve|worker) options='--config --jobs --name --help' ;;
    {6}) _postferry_noun "$command"; return ;;
    esac
    case $previous in
{2}    esac
    case $command in
{3}    esac
    if [[ $cur == -* ]]; then
        _postferry_words "$options"
    else
        _postferry_files
    fi
}}
complete -F _postferry postferry
)",
                       command_names(" "), shells, bash_values(), options, bash_nouns(), noun_names(" "),
                       noun_names("|").substr(0, noun_names("|").size() - 1));
}

// --- zsh ---

std::string zsh_option(const option_entry& o) {
    const std::string text = escaped(o.text, "[]:\\");
    if (o.value.empty()) return in_quotes(fmt::format("*{}[{}]", o.name, text));
    std::string action;
    if (const auto words = choices_of(o); !words.empty())
        action = fmt::format("({})", fmt::join(words, " "));
    else if (takes_file(o))
        action = "_files";
    return in_quotes(fmt::format("*{}[{}]:{}:{}", o.name, text, escaped(o.value, "[]:\\"), action));
}

std::string zsh_script() {
    std::string list, cases;
    for (const command c : commands) {
        list += fmt::format("        {}\n", in_quotes(fmt::format("{}:{}", name_of(c), escaped(summary_of(c), ":"))));
        cases += fmt::format("    {})\n        _arguments \\\n", name_of(c));
        for (const option_entry& o : options_of(c)) cases += fmt::format("            {} \\\n", zsh_option(o));
        cases += "            '*:mailbox, file or filter:_files'\n        ;;\n";
    }
    return fmt::format(R"(#compdef postferry
# zsh completion for postferry, made by `postferry completion zsh`. Put it into a folder of $fpath:
#   postferry completion zsh > /usr/local/share/zsh/site-functions/_postferry

_postferry() {{
    local -a commands
    commands=(
{0}{3}        'serve:run the service: API, schedule, and the moving of mail'
        'worker:more hands for a service whose store is PostgreSQL'
        'config:check the configuration file, or show an example'
        'store:back up, restore, move and tidy what is remembered'
        'completion:write a completion script for a shell'
        'help:explain a command'
    )
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
    completion) _values shell {1} ;;
    config) _values 'what to do' check example ;;
    store) _values 'what to do' backup restore move purge rotate-key status ;;
    help) _describe command commands ;;
    serve|worker) _arguments '--config[the configuration file]:FILE:_files' '--jobs[mailboxes at a time]:N:' '--name[what people see it called]:NAME:' ;;
{4}{2}    esac
}}

if [[ $funcstack[1] == _postferry ]]; then
    _postferry "$@"
else
    compdef _postferry postferry
fi
)",
                       list, shells, cases, zsh_noun_list(), zsh_nouns());
}

// --- fish ---

std::string fish_option(command c, const option_entry& o) {
    const bool is_long = o.name.starts_with("--");
    std::string line = fmt::format("complete -c postferry -n '__fish_seen_subcommand_from {}' -{} {}", name_of(c),
                                   is_long ? "l" : "s", o.name.substr(is_long ? 2 : 1));
    if (const auto words = choices_of(o); !words.empty())
        line += fmt::format(" -x -a {}", in_quotes(fmt::format("{}", fmt::join(words, " "))));
    else if (!o.value.empty())
        line += takes_file(o) ? " -r -F" : " -x";
    // fish knows two escapes between single quotes.
    return line + fmt::format(" -d '{}'\n", escaped(o.text, "'\\"));
}

std::string fish_script() {
    std::string out = "# fish completion for postferry, made by `postferry completion fish`. Put it where fish looks:\n"
                      "#   postferry completion fish > ~/.config/fish/completions/postferry.fish\n\n"
                      "complete -c postferry -n __fish_use_subcommand -f\n"
                      "complete -c postferry -n __fish_use_subcommand -s h -l help -d 'explain the program'\n"
                      "complete -c postferry -n __fish_use_subcommand -s V -l version -d 'the version'\n"
                      "complete -c postferry -n __fish_use_subcommand -a completion -d 'write a completion script'\n"
                      "complete -c postferry -n __fish_use_subcommand -a config -d 'check the configuration file'\n"
                      "complete -c postferry -n '__fish_seen_subcommand_from config' -f -a 'check example'\n"
                      "complete -c postferry -n __fish_use_subcommand -a store -d 'back up, restore, move, tidy'\n"
                      "complete -c postferry -n '__fish_seen_subcommand_from store' -a 'backup restore move purge "
                      "rotate-key status'\n"
                      "complete -c postferry -n __fish_use_subcommand -a serve -d 'run the service'\n"
                      "complete -c postferry -n __fish_use_subcommand -a worker -d 'more hands for a service'\n"
                      "complete -c postferry -n '__fish_seen_subcommand_from serve worker' -l config -r -F -d 'the "
                      "configuration file'\n"
                      "complete -c postferry -n '__fish_seen_subcommand_from serve worker' -l jobs -x -d 'mailboxes at "
                      "a time'\n"
                      "complete -c postferry -n __fish_use_subcommand -a help -d 'explain a command'\n";
    out += fmt::format("complete -c postferry -n '__fish_seen_subcommand_from completion' -f -a '{}'\n", shells);
    out += fmt::format("complete -c postferry -n '__fish_seen_subcommand_from help' -f -a '{}{}'\n", command_names(" "),
                       noun_names(" "));
    for (const command c : commands)
        out += fmt::format("complete -c postferry -n __fish_use_subcommand -a {} -d '{}'\n", name_of(c),
                           escaped(summary_of(c), "'\\"));
    for (const command c : commands)
        for (const option_entry& o : options_of(c)) out += fish_option(c, o);
    out += fish_nouns();
    return out;
}

} // namespace

std::optional<std::string> completion_for(std::string_view shell) {
    if (shell == "bash") return bash_script();
    if (shell == "zsh") return zsh_script();
    if (shell == "fish") return fish_script();
    return std::nullopt;
}

} // namespace postferry::app
