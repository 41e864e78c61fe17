#include "app/noun_command.hpp"

#include "app/exit_code.hpp"
#include "app/noun_actions.hpp"
#include "app/noun_words.hpp"
#include "app/service_config.hpp"
#include "app/standard_output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace postferry::app {

namespace {

int give_up(const error& why) {
    to_stderr(fmt::format("postferry: {}\n", why.message()));
    return exit_code_of_remote(why);
}

place_words place_of(const noun_words& w) {
    return {.url = w.text("--url"),
            .socket = w.text("--socket"),
            .token_file = w.text("--token-file"),
            .ca = w.text("--ca"),
            .config = w.text("--config"),
            .no_config = w.has("--no-config")};
}

} // namespace

const noun_action* find_action(std::string_view name) noexcept {
    const std::array<std::span<const noun_action>, 8> all{
        batch_actions(),   batch_output_actions(), import_actions(),  mailbox_actions(),
        account_actions(), directory_actions(),    service_actions(), people_actions()};
    for (const auto& some : all)
        for (const noun_action& a : some)
            if (a.name == name) return &a;
    return nullptr;
}

int noun_command(std::span<const char* const> arguments) {
    noun_line line = parse_noun_line(arguments);
    to_stdout(line.out);
    to_stderr(line.err);
    if (!line.run) return line.exit_code;
    const auto environment = [](const char* name) { return static_cast<const char*>(std::getenv(name)); };
    auto place = find_place(place_of(*line.run), environment, find_service_config);
    if (!place) return give_up(place.error());
    const noun_action* action = find_action(line.run->what->name());
    if (action == nullptr) return give_up(misused(fmt::format("{} is not there", line.run->what->name())).error());
    remote api(std::move(*place));
    noun_context context(*line.run, api);
    auto code = action->does(context);
    return code ? *code : give_up(code.error());
}

} // namespace postferry::app
