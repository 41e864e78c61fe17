#include "app/service_command.hpp"

#include "app/exit_code.hpp"
#include "app/log.hpp"
#include "app/service_config.hpp"
#include "app/service_process.hpp"
#include "app/standard_output.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <string>
#include <vector>

namespace postferry::app {

namespace {

struct service_words {
    std::string config, name;
    std::optional<std::uint32_t> jobs;
};

int give_up(const error& why) {
    to_stderr(fmt::format("postferry: {}\n", why.message()));
    return exit_code_of(why);
}

std::string footer(bool serves) {
    std::string text =
        "The configuration is FILE, else $POSTFERRY_CONFIG, else /etc/postferry/postferry.toml, else "
        "./postferry.toml.\n"
        "`postferry config example` writes one with every key explained.\n\n"
        "SIGTERM and Ctrl-C stop in good order: what is under way is finished and recorded. SIGHUP opens the log and\n"
        "the TLS certificate anew. docs/service.md tells the rest.\n\n";
    text += serves ? "Examples:\n"
                     "  postferry serve -c postferry.toml\n"
                     "  postferry user add --owner alice        on the same machine, for the first sign-in\n"
                   : "Example:\n"
                     "  postferry worker -c postferry.toml --jobs 16\n";
    return text;
}

} // namespace

int service_command(bool serves, std::span<const char* const> arguments) {
    service_words words;
    CLI::App app(serves ? "The service: API, schedule, and the moving of mail (docs/service.md)"
                        : "More hands for a service whose store is PostgreSQL (docs/service.md)",
                 serves ? "postferry serve" : "postferry worker");
    app.add_option("-c,--config", words.config, "the configuration file")->type_name("FILE");
    app.add_option("--jobs", words.jobs, "mailboxes at a time in this process, instead of [service] jobs")
        ->type_name("N")
        ->check(CLI::Range(serves ? 0 : 1, 1000));
    app.add_option("--name", words.name, "what people see this process called; else the host's name")
        ->type_name("NAME");
    app.footer(footer(serves));
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend()); // CLI11 takes them from the end
    try {
        app.parse(reversed);
    } catch (const CLI::ParseError& e) {
        if (e.get_exit_code() == 0) return app.exit(e);
        to_stderr(fmt::format("postferry: {}\nTry: postferry {} --help\n", e.what(), serves ? "serve" : "worker"));
        return exit_codes::usage;
    }
    auto file = find_service_config(words.config);
    if (!file) {
        to_stderr(file.error().text());
        return exit_codes::usage;
    }
    service_call call{.serves = serves, .file = std::make_shared<const config_file>(std::move(*file))};
    call.jobs = words.jobs;
    call.name = words.name;
    if (!serves && !call.jobs && call.file->values.service.jobs == 0) call.jobs = 8;
    auto code = run_service(call);
    const int out = code ? *code : give_up(code.error());
    log::stop();
    return out;
}

} // namespace postferry::app
