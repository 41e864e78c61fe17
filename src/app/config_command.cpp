#include "app/config_command.hpp"

#include "app/nearest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postferry::app {

namespace {

constexpr std::string_view usage =
    "Usage: postferry config check [-c FILE]\n"
    "       postferry config example\n"
    "\n"
    "check says what is wrong with the configuration, all of it, with line and column, or else what holds, without\n"
    "secrets. The file is FILE, else $POSTFERRY_CONFIG, else /etc/postferry/postferry.toml.\n"
    "example writes a file with every key, explained, with its default or an example.\n"
    "\n"
    "Exit codes: 0 nothing is wrong, 2 something is.\n"
    "\n"
    "Examples:\n"
    "  postferry config example > postferry.toml\n"
    "  postferry config check -c postferry.toml\n";

command_line told(std::string text) { return {.run = std::nullopt, .exit_code = 0, .out = std::move(text), .err = {}}; }

command_line wrong(std::string text) {
    return {.run = std::nullopt, .exit_code = 2, .out = {}, .err = std::move(text)};
}

command_line misused(std::string_view text) {
    return wrong(fmt::format("postferry: {}\nTry: postferry config --help\n", text));
}

command_line check(const std::filesystem::path& named, const config_finder& find) {
    if (!find) return misused("there is no configuration here");
    const auto file = find(named);
    if (!file) return wrong(file.error().text());
    if (file->file.empty()) return misused(fmt::format("{}; name one by -c FILE", file->note));
    config_faults secrets;
    secrets.file = file->file;
    secrets.list = try_secrets(*file);
    secrets.count = secrets.list.size();
    if (secrets.count > 0) return wrong(secrets.text());
    return told(fmt::format("# {}\n\n{}", file->note, effective_config(*file)));
}

} // namespace

command_line config_command(std::span<const char* const> arguments, const config_finder& find) {
    const auto is_help = [](std::string_view word) { return word == "--help" || word == "-h"; };
    if (std::ranges::any_of(arguments, is_help)) return told(std::string(usage));
    if (arguments.empty()) return misused("config takes check or example");
    const std::string_view what = arguments.front();
    arguments = arguments.subspan(1);
    constexpr std::array<std::string_view, 2> known{"check", "example"};
    if (std::ranges::find(known, what) == known.end()) {
        const std::string_view nearest = nearest_word(what, known);
        return misused(fmt::format("config takes check or example{}",
                                   nearest.empty() ? "" : fmt::format(". Did you mean {}?", nearest)));
    }
    if (what == "example") return arguments.empty() ? told(config_example()) : misused("config example takes no words");
    if (arguments.empty()) return check({}, find);
    std::string_view first = arguments.front();
    if (arguments.size() == 2 && (first == "-c" || first == "--config")) return check(arguments[1], find);
    constexpr std::string_view joined = "--config=";
    if (arguments.size() == 1 && first.starts_with(joined)) return check(first.substr(joined.size()), find);
    return misused("config check takes -c FILE and nothing else");
}

} // namespace postferry::app
