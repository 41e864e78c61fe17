#include "app/noun_table.hpp"

#include "app/noun_rows.hpp"
#include "app/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postferry::app {

namespace {

constexpr std::size_t text_column = 32;

/// "  --quota SIZE     text", the text below where the name is long.
std::string option_line(const noun_option& o) {
    std::string left = fmt::format("  {}{}{}", o.name, o.value.empty() ? "" : " ", o.value);
    if (display_width(left) + 2 > text_column)
        left += "\n" + std::string(text_column, ' ');
    else
        left.append(text_column - display_width(left), ' ');
    std::string text(o.text);
    if (!o.choices.empty()) text += fmt::format("{}{}", text.empty() ? "" : ": ", o.choices);
    if (o.needed) text += " (needed)";
    if (o.list) text += "; may be repeated";
    return fmt::format("{}{}\n", left, text);
}

} // namespace

std::string noun_verb::name() const { return verb.empty() ? std::string(noun) : fmt::format("{} {}", noun, verb); }

std::span<const noun_about> nouns() noexcept {
    static constexpr std::array<noun_about, 14> all{{
        {"project", "what batches and domains belong to"},
        {"domain", "mail domains on the new server"},
        {"account", "accounts on the new server"},
        {"alias", "addresses that lead to accounts, for approval"},
        {"batch", "mailboxes that are moved together",
         "From a CSV to the last report:\n"
         "  postferry batch create spring-move --mode upsert\n"
         "  postferry batch preview spring-move accounts.csv --source imaps://old.example.org --target "
         "imaps://new.example.org\n"
         "  postferry batch import spring-move accounts.csv --source imaps://old.example.org --target "
         "imaps://new.example.org\n"
         "  postferry batch start spring-move\n"
         "  postferry batch watch spring-move\n"
         "  postferry batch finish spring-move\n"
         "  postferry batch report spring-move --report report.html"},
        {"mailbox", "one mailbox of a batch",
         "MAILBOX is its number (batch mailboxes shows it), or the user's name at "
         "either end, with --batch where several have it."},
        {"reconcile", "compare the accounts of a domain with those on the new server"},
        {"server", "the mail servers that mailboxes are moved from and to, and what may be asked of them"},
        {"workers", "the processes that move mail"},
        {"setting", "what holds for the whole company, a project or a domain"},
        {"log", "the lines that passes have written, and what they write"},
        {"event", "what has changed: states, and by whose hand"},
        {"user", "people who may use the service"},
        {"token", "what programs sign in with"},
    }};
    return all;
}

std::span<const noun_option> common_noun_options() noexcept {
    static constexpr std::array<noun_option, 9> all{{
        {.name = "--json", .value = "", .text = "the API's JSON; of a list one object a line"},
        {.name = "--quiet", .value = "", .text = "nothing but what was asked for and what went wrong"},
        {.name = "--socket",
         .value = "FILE",
         .text = "the service's local socket (else $POSTFERRY_SOCKET, [service] socket)"},
        {.name = "--url", .value = "URL", .text = "a service elsewhere: https://HOST[:PORT] (else $POSTFERRY_URL)"},
        {.name = "--token-file", .value = "FILE", .text = "first line: an API token (else $POSTFERRY_TOKEN_FILE)"},
        {.name = "--ca", .value = "FILE", .text = "PEM with the authorities to trust instead of the system's"},
        {.name = "--config", .value = "FILE", .text = "the configuration, for [service] socket"},
        {.name = "--no-config", .value = "", .text = "read none"},
        {.name = "--help", .value = "", .text = "this text"},
    }};
    return all;
}

const std::vector<noun_verb>& noun_verbs() {
    static const std::vector<noun_verb> all = [] {
        std::vector<noun_verb> out;
        for (auto rows : {directory_rows(), batch_rows(), mailbox_rows(), service_rows(), people_rows()})
            std::ranges::move(rows, std::back_inserter(out));
        // In the order of nouns(), verbs of a noun as their rows have them.
        std::vector<noun_verb> sorted;
        for (const noun_about& n : nouns())
            std::ranges::copy_if(out, std::back_inserter(sorted), [&](const noun_verb& v) { return v.noun == n.noun; });
        return sorted;
    }();
    return all;
}

std::vector<const noun_verb*> verbs_of(std::string_view noun) {
    std::vector<const noun_verb*> out;
    for (const noun_verb& v : noun_verbs())
        if (v.noun == noun) out.push_back(&v);
    return out;
}

const noun_verb* find_verb(std::string_view noun, std::string_view verb) {
    const auto it =
        std::ranges::find_if(noun_verbs(), [&](const noun_verb& v) { return v.noun == noun && v.verb == verb; });
    return it == noun_verbs().end() ? nullptr : &*it;
}

bool is_noun(std::string_view word) noexcept {
    return std::ranges::any_of(nouns(), [&](const noun_about& n) { return n.noun == word; });
}

std::string usage_of(const noun_verb& v) {
    std::string out = "postferry " + v.name();
    for (const noun_argument& a : v.arguments) {
        const std::string one = fmt::format("{}{}", a.name, a.many ? " ..." : "");
        out += a.optional ? fmt::format(" [{}]", one) : " " + one;
    }
    for (const noun_option& o : v.options)
        if (o.needed) out += fmt::format(" {} {}", o.name, o.value);
    return out + " [options]";
}

std::string help_of(const noun_verb& v) {
    std::string out = fmt::format("Usage: {}\n\n{}{}.\n", usage_of(v), static_cast<char>(v.summary.front() & ~0x20),
                                  v.summary.substr(1));
    if (!v.explanation.empty()) out += fmt::format("{}\n", v.explanation);
    if (!v.options.empty()) {
        out += "\nOptions:\n";
        for (const noun_option& o : v.options) out += option_line(o);
    }
    out += "\nThe service, and what is printed:\n";
    for (const noun_option& o : common_noun_options()) out += option_line(o);
    if (!v.examples.empty()) out += fmt::format("\nExamples:\n{}\n", v.examples);
    return out;
}

std::string help_of_noun(std::string_view noun) {
    const auto verbs = verbs_of(noun);
    if (verbs.size() == 1 && verbs.front()->verb.empty()) return help_of(*verbs.front());
    const auto about = std::ranges::find_if(nouns(), [&](const noun_about& n) { return n.noun == noun; });
    std::string out =
        fmt::format("Usage: postferry {} VERB [options]\n\nThe service's {}: {}.\n\n", noun, noun, about->summary);
    std::size_t width = 0;
    std::vector<std::string> left;
    for (const noun_verb* v : verbs) {
        std::string usage = usage_of(*v).substr(std::string_view("postferry ").size() + noun.size() + 1);
        usage.resize(usage.size() - std::string_view(" [options]").size());
        width = std::max(width, usage.size());
        left.push_back(std::move(usage));
    }
    width = std::min<std::size_t>(width, 34);
    for (std::size_t i = 0; i < verbs.size(); ++i)
        out += fmt::format("  {:<{}}  {}\n", left[i], width, verbs[i]->summary);
    if (!about->explanation.empty()) out += fmt::format("\n{}\n", about->explanation);
    out += fmt::format("\nEach explains itself: postferry {} {} --help\n", noun, verbs.front()->verb);
    return out;
}

} // namespace postferry::app
