#include "app/noun_context.hpp"

#include "app/exit_code.hpp"
#include "app/nearest.hpp"
#include "app/standard_output.hpp"
#include "app/words.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::app {

namespace {

namespace json = boost::json;

constexpr std::size_t names_kept = 20'000; ///< for what was probably meant
constexpr std::size_t most_of_a_name = 50;

bool is_number(std::string_view word) {
    return !word.empty() && word.size() < 19 && word.find_first_not_of("0123456789") == std::string_view::npos;
}

std::unexpected<error> unknown(std::string_view what, const std::string& word, const std::vector<std::string>& names) {
    const std::vector<std::string_view> views(names.begin(), names.end());
    std::string near(nearest_word(word, views));
    for (const std::string& name : names)
        if (near.size() < 200 && name != near && !word.empty() && ascii_lower(name).contains(ascii_lower(word)))
            near += (near.empty() ? "" : ", ") + name;
    return misused(fmt::format("there is no {} {}", what, word),
                   near.empty() ? std::string{} : fmt::format("Did you mean {}?", near));
}

std::unexpected<error> several(std::string_view what, const std::string& word, const std::vector<json::object>& found) {
    std::string list;
    for (const json::object& one : found) {
        const std::string project = text_at(one, "project"), batch = text_at(one, "batch");
        list += fmt::format("\n  {}{}{}", text_at(one, "id"), batch.empty() ? "" : fmt::format("  batch {}", batch),
                            project.empty() ? "" : fmt::format("  project {}", project));
    }
    return misused(fmt::format("{} is the name of more than one {}; name it by its number:{}", word, what, list));
}

} // namespace

std::unexpected<error> misused(std::string what, std::string advice) {
    return fail(retry_class::config, phase::usage, std::move(what), std::move(advice));
}

int exit_code_of_remote(const error& why) noexcept {
    if (why.cls == retry_class::local) return exit_codes::local_trouble;
    if (why.cls == retry_class::cancelled) return exit_codes::interrupted;
    return why.where == phase::usage ? exit_codes::usage : exit_codes::nothing_started;
}

std::string query_of(const noun_words& words, std::span<const std::pair<std::string_view, std::string_view>> fields) {
    std::string out;
    for (const auto& [option, field] : fields)
        for (const std::string& value : words.list(option))
            out += fmt::format("{}{}={}", out.empty() ? '?' : '&', field, url_word(value));
    return out;
}

void noun_context::say(std::string_view line) const {
    if (!json() && !quiet()) to_stdout(fmt::format("{}\n", line));
}

void noun_context::show(const json::value& value, const std::function<std::string()>& text) const {
    if (json()) return to_stdout(json::serialize(value) + "\n");
    if (!quiet()) to_stdout(text());
}

result<int> noun_context::list(const std::string& target, text_table table,
                               const std::function<std::vector<std::string>(const json::object&)>& row,
                               std::string_view none, std::uint64_t usual) const {
    std::uint64_t most = usual, seen = 0;
    if (words.has("--limit")) {
        const auto n = parse_u64(words.text("--limit"));
        if (!n) return misused("--limit takes a number");
        most = *n;
    }
    if (most == 0) most = UINT64_MAX;
    bool more = false;
    const auto each = [&](const json::object& one) {
        if (seen == most) {
            more = true;
            return false;
        }
        ++seen;
        if (json())
            to_stdout(json::serialize(one) + "\n");
        else
            table.add(row(one));
        return !reader_has_left();
    };
    if (auto ok = api.walk(target, each); !ok) return std::unexpected(std::move(ok.error()));
    if (json()) return exit_codes::done;
    if (table.empty())
        say(none);
    else
        to_stdout(table.text(terminal_columns()));
    if (more) say(fmt::format("(the first {}; more with a higher --limit)", counted(most, "line")));
    return exit_codes::done;
}

result<json::object> noun_context::find(std::string_view collection, const std::string& word, std::string_view what,
                                        const where& look) const {
    if (is_number(word)) {
        auto by_id = api.get(fmt::format("{}/{}", collection, word));
        if (by_id && by_id->json.is_object()) return by_id->json.get_object();
        if (!by_id && by_id.error().response_code != "404") return std::unexpected(std::move(by_id.error()));
    }
    std::vector<json::object> found;
    std::vector<std::string> names;
    const auto each = [&](const json::object& one) {
        bool same = false;
        for (const std::string_view field : {look.field, look.other_field}) {
            if (field.empty()) continue;
            std::string name = text_at(one, field);
            same = same || name == word;
            if (names.size() < names_kept) names.push_back(std::move(name));
        }
        if (same) found.push_back(one);
        return found.size() < most_of_a_name;
    };
    if (auto ok = api.walk(fmt::format("{}{}", collection, look.narrowed), each); !ok)
        return std::unexpected(std::move(ok.error()));
    if (found.empty() && look.narrowed != look.all) {
        const auto enough = [&](const json::object& one) { return each(one) && names.size() < names_kept; };
        if (auto ok = api.walk(fmt::format("{}{}", collection, look.all), enough); !ok)
            return std::unexpected(std::move(ok.error()));
    }
    if (found.empty()) return unknown(what, word, names);
    if (found.size() > 1) return several(what, word, found);
    return found.front();
}

const boost::json::object& whole(const remote_reply& reply) {
    static const boost::json::object none;
    return reply.json.is_object() ? reply.json.get_object() : none;
}

} // namespace postferry::app
