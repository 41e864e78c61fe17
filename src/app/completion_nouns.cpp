#include "app/completion_nouns.hpp"

#include "app/noun_table.hpp"

#include <fmt/format.h>

namespace postferry::app {

namespace {

bool takes_file(const noun_option& o) { return o.value == "FILE"; }

bool takes_file(const noun_verb& v) {
    for (const noun_argument& a : v.arguments)
        if (a.name == "FILE") return true;
    return false;
}

template <class Options> std::string option_names(const Options& options) {
    std::string out;
    for (const noun_option& o : options) out += fmt::format("{}{}", out.empty() ? "" : " ", o.name);
    return out;
}

std::string verb_names(std::string_view noun) {
    std::string out;
    for (const noun_verb* v : verbs_of(noun))
        if (!v->verb.empty()) out += fmt::format("{}{}", out.empty() ? "" : " ", v->verb);
    return out;
}

std::string text_of(const noun_option& o) { return std::string(o.text.empty() ? o.choices : o.text); }

// --- bash ---

/// One of what an option is given, for `case "$command $verb $previous"`.
std::string bash_value(std::string_view pattern, const noun_option& o) {
    if (o.value.empty()) return {};
    if (!o.choices.empty()) return fmt::format("    {}) _postferry_words '{}'; return ;;\n", pattern, o.choices);
    return fmt::format("    {}) {}return ;;\n", pattern, takes_file(o) ? "_postferry_files; " : "");
}

// --- zsh ---

std::string zsh_option(const noun_option& o) {
    const std::string text = escaped(text_of(o), "[]:\\");
    if (o.value.empty()) return in_quotes(fmt::format("*{}[{}]", o.name, text));
    const std::string action = !o.choices.empty() ? fmt::format("({})", o.choices) : takes_file(o) ? "_files" : "";
    return in_quotes(fmt::format("*{}[{}]:{}:{}", o.name, text, escaped(o.value, "[]:\\"), action));
}

std::string zsh_arguments(const noun_verb& v, std::string_view indent) {
    std::string out = fmt::format("{}_arguments \\\n", indent);
    for (const noun_option& o : v.options) out += fmt::format("{}    {} \\\n", indent, zsh_option(o));
    return out + fmt::format("{}    \"${{common[@]}}\" '*:word:{}'\n", indent, takes_file(v) ? "_files" : "");
}

// --- fish ---

std::string fish_option(std::string_view when, const noun_option& o) {
    std::string line = fmt::format("complete -c postferry -n '{}' -l {}", when, o.name.substr(2));
    if (!o.choices.empty())
        line += fmt::format(" -x -a {}", in_quotes(o.choices));
    else if (!o.value.empty())
        line += takes_file(o) ? " -r -F" : " -x";
    return line + fmt::format(" -d '{}'\n", escaped(text_of(o), "'\\"));
}

} // namespace

std::string escaped(std::string_view text, std::string_view odd) {
    std::string out;
    for (const char c : text) {
        if (odd.find(c) != std::string_view::npos) out += '\\';
        out += c;
    }
    return out;
}

std::string in_quotes(std::string_view text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

std::string noun_names(std::string_view separator) {
    std::string out;
    for (const noun_about& n : nouns()) out += std::string(n.noun) + std::string(separator);
    return out;
}

std::string bash_nouns() {
    std::string verbs, options, values;
    for (const noun_about& n : nouns())
        if (const std::string names = verb_names(n.noun); !names.empty())
            verbs += fmt::format("        {}) _postferry_words '{}'; return ;;\n", n.noun, names);
    for (const noun_verb& v : noun_verbs()) {
        const std::string name = fmt::format("{} {}", v.noun, v.verb.empty() ? "*" : v.verb);
        const std::string pattern = v.verb.empty() ? fmt::format("'{} '*", v.noun) : fmt::format("'{}'", name);
        options += fmt::format("    {}) options='{}' ;;\n", pattern, option_names(v.options));
        for (const noun_option& o : v.options)
            values += bash_value(
                v.verb.empty() ? fmt::format("'{} '*' {}'", v.noun, o.name) : fmt::format("'{} {}'", name, o.name), o);
    }
    for (const noun_option& o : common_noun_options()) values += bash_value(fmt::format("*' {}'", o.name), o);
    return fmt::format(R"(_postferry_noun() {{
    local command=$1 verb= options= word seen=
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        [[ $word == -* ]] && continue
        if [[ -n $seen ]]; then
            verb=$word
            break
        fi
        seen=1
    done
    if [[ -z $verb && $cur != -* ]]; then
        case $command in
{}        esac
    fi
    case "$command $verb $previous" in
{}    esac
    case "$command $verb" in
{}    esac
    if [[ $cur == -* ]]; then
        _postferry_words "$options {}"
    else
        _postferry_files
    fi
}}
)",
                       verbs, values, options, option_names(common_noun_options()));
}

std::string zsh_noun_list() {
    std::string out;
    for (const noun_about& n : nouns())
        out += fmt::format("        {}\n", in_quotes(fmt::format("{}:{}", n.noun, escaped(n.summary, ":"))));
    return out;
}

std::string zsh_nouns() {
    std::string common;
    for (const noun_option& o : common_noun_options()) common += fmt::format(" {}", zsh_option(o));
    std::string out = fmt::format("    {})\n        local -a common\n        common=({})\n        case $command in\n",
                                  noun_names("|").substr(0, noun_names("|").size() - 1), common.substr(1));
    for (const noun_about& n : nouns()) {
        out += fmt::format("        {})\n", n.noun);
        const auto verbs = verbs_of(n.noun);
        if (verb_names(n.noun).empty()) {
            for (const noun_verb* v : verbs) out += zsh_arguments(*v, "            ");
        } else {
            out += fmt::format("            if (( CURRENT == 2 )); then\n                _values 'what to do' {}\n"
                               "                return\n            fi\n            local verb=$words[2]\n"
                               "            shift words\n            (( CURRENT-- ))\n            case $verb in\n",
                               verb_names(n.noun));
            for (const noun_verb* v : verbs)
                out +=
                    fmt::format("            {})\n{}            ;;\n", v->verb, zsh_arguments(*v, "                "));
            out += "            esac\n";
        }
        out += "            ;;\n";
    }
    return out + "        esac\n        ;;\n";
}

std::string fish_nouns() {
    std::string out;
    for (const noun_about& n : nouns())
        out += fmt::format("complete -c postferry -n __fish_use_subcommand -f -a {} -d '{}'\n", n.noun,
                           escaped(n.summary, "'\\"));
    for (const noun_verb& v : noun_verbs()) {
        std::string when = fmt::format("__fish_seen_subcommand_from {}", v.noun);
        if (!v.verb.empty()) {
            out +=
                fmt::format("complete -c postferry -n '{}; and not __fish_seen_subcommand_from {}' -f -a {} -d '{}'\n",
                            when, verb_names(v.noun), v.verb, escaped(v.summary, "'\\"));
            when += fmt::format("; and __fish_seen_subcommand_from {}", v.verb);
        }
        for (const noun_option& o : v.options) out += fish_option(when, o);
    }
    std::string any = noun_names(" ");
    any.pop_back();
    for (const noun_option& o : common_noun_options())
        out += fish_option(fmt::format("__fish_seen_subcommand_from {}", any), o);
    return out;
}

} // namespace postferry::app
