// What is made of the table of keys: the example, the reference, the effective settings.
#include "app/config_keys.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::app {

namespace {

/// A basic string of TOML 1.0.
std::string in_quotes(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto octet = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += fmt::format("\\{}", c);
        } else if (octet < 0x20 || octet == 0x7f) {
            out += fmt::format("\\u{:04X}", octet);
        } else {
            out += c;
        }
    }
    return out + '"';
}

/// A driver's key may be any text.
std::string key_as_toml(std::string_view key) {
    const bool bare = std::ranges::all_of(key, [](char c) {
        const char l = ascii_lower(c);
        return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    });
    return bare ? std::string(key) : in_quotes(key);
}

std::string name_in_file(const config_key& key) {
    return fmt::format("{}{}", key.name, key.kind == key_kind::secret ? "_file" : "");
}

std::string_view shown_value(const config_key& key) { return key.fallback.empty() ? key.example : key.fallback; }

/// Lines of at most 120 characters.
std::string as_comment(std::string_view text) {
    constexpr std::size_t width = 118;
    std::string out;
    while (true) {
        std::size_t end = std::min(text.find('\n'), text.size());
        if (end > width) end = text.rfind(' ', width);
        if (end == std::string_view::npos) end = text.size(); // one word
        out += fmt::format("# {}\n", text.substr(0, end));
        if (end == text.size()) return out;
        text.remove_prefix(end + 1);
    }
}

constexpr std::string_view preamble =
    "The configuration of Postferry, TOML 1.0. Every key is here, with its default or an example behind the #.\n"
    "`postferry config check` says what is wrong in it, or what holds; docs/config.md explains it.\n"
    "Secrets are best kept in files of their own (NAME_file, first line) that others cannot read; a file that holds\n"
    "one itself (NAME) must not be readable for others either. ${CREDENTIALS_DIRECTORY} is systemd's.";

std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
    return out;
}

std::string flat(std::string_view text) {
    std::string out(text);
    std::ranges::replace(out, '\n', ' ');
    return out;
}

void append_keys(std::string& out, const config_file& file, const config_section& section, std::string_view full) {
    out += fmt::format("[{}]\n", full);
    std::vector<std::string_view> said;
    for (const config_given& g : file.given) {
        if (g.section != full) continue;
        said.push_back(g.key);
        const std::string name = key_as_toml(g.key);
        out += g.value.empty() ? fmt::format("# {} is set\n", name) : fmt::format("{} = {}\n", name, g.value);
    }
    for (const config_key& key : section.keys)
        if (!key.fallback.empty() && std::ranges::find(said, key.name) == said.end())
            out += fmt::format("{} = {} # default\n", key.name, key.fallback);
    out += '\n';
}

} // namespace

std::string as_toml(const config_value& value) {
    if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
    if (const auto* n = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *n);
    if (const auto* n = std::get_if<double>(&value)) return fmt::format("{:#}", *n);
    if (const auto* text = std::get_if<std::string>(&value)) return in_quotes(*text);
    std::string out = "[";
    for (const std::string& one : std::get<std::vector<std::string>>(value))
        out += fmt::format("{}{}", out.size() > 1 ? ", " : "", in_quotes(one));
    return out + ']';
}

std::string config_example() {
    std::string out = as_comment(preamble);
    for (const config_section& section : config_sections()) {
        out += fmt::format("\n{}", as_comment(section.help));
        out += section.named ? fmt::format("#[{}.NAME]\n", section.name) : fmt::format("[{}]\n", section.name);
        for (const config_key& key : section.keys) {
            config_key shown = key;
            if (key.kind == key_kind::secret) shown.kind = key_kind::secret_file;
            const std::string allowed = allowed_of(shown);
            out += as_comment(fmt::format("{}: {}{}", key.help, allowed, key.required ? " (needed)" : ""));
            out += fmt::format("#{} = {}\n", name_in_file(key), shown_value(key));
        }
    }
    return out;
}

std::string config_reference() {
    std::string out;
    for (const config_section& section : config_sections()) {
        out += fmt::format("\n### [{}{}]\n\n{}\n\n", section.name, section.named ? ".NAME" : "", flat(section.help));
        out += "| key | takes | default | |\n|---|---|---|---|\n";
        for (const config_key& key : section.keys) {
            const bool is_secret = key.kind == key_kind::secret;
            const std::string name =
                is_secret ? fmt::format("`{0}`, `{0}_file`", key.name) : fmt::format("`{}`", key.name);
            const std::string takes =
                is_secret ? "a text; the path of a file with it in its first line" : allowed_of(key);
            const std::string standard = key.required           ? "needed"
                                         : key.fallback.empty() ? "none"
                                                                : fmt::format("`{}`", key.fallback);
            out += fmt::format("| {} | {} | {} | {} |\n", name, cell(takes), cell(standard), cell(key.help));
        }
    }
    return out;
}

std::string effective_config(const config_file& file) {
    std::string out;
    for (const config_section& section : config_sections()) {
        if (!section.named) {
            append_keys(out, file, section, section.name);
            continue;
        }
        std::vector<std::string_view> names;
        for (const config_given& g : file.given)
            if (g.section.starts_with(section.name) && g.section.substr(section.name.size()).starts_with('.') &&
                std::ranges::find(names, g.section) == names.end())
                names.push_back(g.section);
        for (const std::string_view name : names) append_keys(out, file, section, name);
    }
    return out;
}

} // namespace postferry::app
