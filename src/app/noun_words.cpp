#include "app/noun_words.hpp"

#include "app/nearest.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace postferry::app {

namespace {

noun_line printed(std::string text) { return {.run = std::nullopt, .exit_code = 0, .out = std::move(text), .err = {}}; }

noun_line fault(std::string_view name, std::string_view text) {
    return {.run = std::nullopt,
            .exit_code = 2,
            .out = {},
            .err = fmt::format("postferry: {}\nTry: postferry {} --help\n", text, name)};
}

std::string meant(std::string_view typed, std::span<const std::string_view> known) {
    const std::string_view nearest = nearest_word(typed, known);
    return nearest.empty() ? std::string{} : fmt::format(". Did you mean {}?", nearest);
}

std::vector<noun_option> options_of(const noun_verb& v) {
    std::vector<noun_option> out = v.options;
    out.insert(out.end(), common_noun_options().begin(), common_noun_options().end());
    return out;
}

/// What CLI11 fills.
struct raw_words {
    std::map<std::string, std::vector<std::string>, std::less<>> values;
    std::map<std::string, bool, std::less<>> flags;
    std::vector<std::string> words; ///< that are no options
};

void describe(CLI::App& app, const noun_verb& v, raw_words& raw) {
    app.set_help_flag("", "");
    app.allow_extras(false);
    app.add_option("words", raw.words, "");
    for (const noun_option& o : options_of(v)) {
        std::string names(o.name);
        if (o.name == "--config") names = "-c," + names;
        if (o.name == "--help") names = "-h," + names;
        if (o.name == "--quiet") names = "-q," + names;
        if (o.value.empty())
            app.add_flag(names, raw.flags[std::string(o.name)], "");
        else
            app.add_option(names, raw.values[std::string(o.name)], "")->allow_extra_args(false);
    }
}

std::string what_is_wrong(const noun_verb& v, const std::vector<std::string>& left) {
    const auto it = std::ranges::find_if(left, [](std::string_view word) { return word.starts_with('-'); });
    if (it == left.end()) {
        if (left.empty()) return "there are words that belong to nothing";
        return fmt::format("{} takes no further word: {}", v.name(), left.front());
    }
    const std::string_view option = std::string_view(*it).substr(0, it->find('='));
    std::vector<std::string_view> known;
    for (const noun_option& o : options_of(v)) known.push_back(o.name);
    return fmt::format("{} has no option {}{}", v.name(), option, meant(option, known));
}

/// Gives each argument its words; nothing, or what is wrong.
std::optional<std::string> take_arguments(const noun_verb& v, std::vector<std::string> words, noun_words& into) {
    std::size_t next = 0;
    for (const noun_argument& a : v.arguments) {
        const std::size_t n = a.many ? words.size() - next : std::min<std::size_t>(1, words.size() - next);
        if (n == 0 && !a.optional) return fmt::format("{} needs {}", v.name(), a.name);
        if (n == 0) continue;
        const auto first = words.begin() + static_cast<std::ptrdiff_t>(next);
        into.given[std::string(a.name)].assign(first, first + static_cast<std::ptrdiff_t>(n));
        next += n;
    }
    if (next < words.size()) return fmt::format("{} takes no further word: {}", v.name(), words[next]);
    return std::nullopt;
}

std::string needs_value(const noun_verb& v, std::string_view said) {
    for (const noun_option& o : options_of(v))
        if (!o.value.empty() && said.contains(o.name))
            return fmt::format("{} needs a value: {} {}", o.name, o.name, o.value);
    return std::string(said);
}

std::optional<std::string> check_options(const noun_verb& v, const noun_words& words) {
    for (const noun_option& o : options_of(v)) {
        if (o.needed && !words.has(o.name)) return fmt::format("{} needs {} {}", v.name(), o.name, o.value);
        if (!words.has(o.name)) continue;
        const auto values = words.list(o.name);
        if (!o.list && values.size() > 1) return fmt::format("{} is given more than once", o.name);
        for (const std::string& value : values)
            if (!o.choices.empty() && !fmt::format(" {} ", o.choices).contains(fmt::format(" {} ", value)))
                return fmt::format("{} takes one of {}, not {}", o.name, o.choices, value);
    }
    return std::nullopt;
}

noun_line words_of(const noun_verb& v, std::span<const char* const> arguments) {
    raw_words raw;
    CLI::App app;
    describe(app, v, raw);
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend()); // CLI11 takes them from the end
    try {
        app.parse(reversed);
    } catch (const CLI::ExtrasError&) {
        return fault(v.name(), what_is_wrong(v, app.remaining(true)));
    } catch (const CLI::ArgumentMismatch& e) {
        return fault(v.name(), needs_value(v, e.what()));
    } catch (const CLI::ParseError& e) {
        return fault(v.name(), e.what());
    }
    if (raw.flags["--help"]) return printed(help_of(v));
    noun_words words{.what = &v, .given = {}};
    for (auto& [name, values] : raw.values)
        if (!values.empty()) words.given[name] = std::move(values);
    for (const auto& [name, set] : raw.flags)
        if (set) words.given[name];
    if (auto wrong = take_arguments(v, std::move(raw.words), words)) return fault(v.name(), *wrong);
    if (auto wrong = check_options(v, words)) return fault(v.name(), *wrong);
    return {.run = std::move(words), .exit_code = 0, .out = {}, .err = {}};
}

} // namespace

std::string noun_words::text(std::string_view name) const {
    const auto it = given.find(name);
    return it == given.end() || it->second.empty() ? std::string{} : it->second.front();
}

std::vector<std::string> noun_words::list(std::string_view name) const {
    const auto it = given.find(name);
    return it == given.end() ? std::vector<std::string>{} : it->second;
}

noun_line parse_noun_line(std::span<const char* const> arguments) {
    const std::string_view noun = arguments.front();
    arguments = arguments.subspan(1);
    if (const noun_verb* alone = find_verb(noun, "")) return words_of(*alone, arguments);
    const std::string_view verb = arguments.empty() ? std::string_view{} : arguments.front();
    if (verb == "--help" || verb == "-h" || verb == "help") return printed(help_of_noun(noun));
    std::vector<std::string_view> known;
    std::string list;
    for (const noun_verb* v : verbs_of(noun)) {
        known.push_back(v->verb);
        list += (list.empty() ? "" : ", ") + std::string(v->verb);
    }
    if (verb.empty()) return fault(noun, fmt::format("{} what? {}", noun, list));
    const noun_verb* found = find_verb(noun, verb);
    if (found == nullptr) {
        const std::string guess = meant(verb, known);
        return fault(noun, fmt::format("there is no {} {}{}", noun, verb,
                                       guess.empty() ? fmt::format(", but {}", list) : guess));
    }
    return words_of(*found, arguments.subspan(1));
}

} // namespace postferry::app
