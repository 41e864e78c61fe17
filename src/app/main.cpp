#include "app/accounts.hpp"
#include "app/console.hpp"
#include "app/credentials.hpp"
#include "app/exit_code.hpp"
#include "app/log.hpp"
#include "app/noun_command.hpp"
#include "app/noun_table.hpp"
#include "app/options.hpp"
#include "app/report_command.hpp"
#include "app/runner.hpp"
#include "app/service_command.hpp"
#include "app/standard_output.hpp"
#include "app/store_command.hpp"
#include "app/words.hpp"
#include "store/ledger_books.hpp"

#include <fmt/format.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <random>
#include <span>
#include <sys/prctl.h>
#include <sys/resource.h>

namespace postferry::app {

namespace {

void complain(std::string_view text) { to_stderr(fmt::format("postferry: {}\n", text)); }

int give_up(const error& why) {
    complain(why.message());
    return exit_code_of(why);
}

side_defaults defaults_of(const run_options& options, const login_options& login, const std::string& url) {
    side_defaults out{.url = url, .password = login.password};
    if (options.config)
        for (const auto& [name, client] : options.config->values.oauth)
            out.clients.emplace(name, client.refresh && !client.refresh_token.given());
    const auto named = out.clients.find(login.oauth_name);
    out.tokens = login.oauth.wanted() || named != out.clients.end();
    out.row_tokens_needed =
        named != out.clients.end() ? named->second : login.oauth.refresh && login.oauth.refresh_token_file.empty();
    return out;
}

result<account_list> accounts_of(const run_options& options) {
    if (!options.one_mailbox())
        return read_accounts(options.accounts,
                             with_files({.source = defaults_of(options, options.source, options.source_url),
                                         .target = defaults_of(options, options.target, options.target_url)}));
    auto from = mailbox::parse_endpoint(options.source_url);
    if (!from) return std::unexpected(from.error());
    auto to = mailbox::parse_endpoint(options.target_url);
    if (!to) return std::unexpected(to.error());
    from->password = options.source.password;
    to->password = options.target.password;
    account_list list;
    list.accounts.emplace_back(0, std::move(*from), std::move(*to));
    return list;
}

// What may start of a file with faults: nothing, unless told to leave the faulty rows out.
bool may_start(const run_options& options, const account_list& list) {
    if (list.fault_count == 0) return true;
    if (options.skip_invalid) return true;
    for (const csv_fault& fault : list.faults) complain(fault.text());
    if (list.fault_count > list.faults.size())
        complain(fmt::format("and {} more", list.fault_count - list.faults.size()));
    complain(fmt::format("{} of {} {} faults; nothing was started. Mend them, or leave them out with --skip-invalid",
                         list.faulty_rows, counted(list.rows, "row"), list.faulty_rows == 1 ? "has" : "have"));
    return false;
}

// Verify reads the ledger only, so that it can run beside a copy; what it proved is handed in at the end.
void keep_what_was_proven(const run_options& options, const console& out) {
    const mailbox_walk reports = out.kept();
    if (!reports) return;
    if (auto ok = keep_proofs(options.state, reports, rfc3339(std::chrono::system_clock::now())); !ok)
        log::info({}, "the ledger does not keep this report: {}", ok.error().message());
}

void say_unkept(const token_desk& tokens) {
    const std::size_t n = tokens.unkept();
    if (n == 0) return;
    complain(fmt::format("{} {} replaced by the token endpoint and stood in no file: the next run needs new ones. With "
                         "file:PATH in the column (refresh_token_file in the configuration) they are written back",
                         counted(n, "refresh token"), n == 1 ? "was" : "were"));
}

int run_command(run_options options) {
    if (options.what == command::report) return report_command(options);
    if (options.sample.wanted() && !options.seed_given) options.sample.seed = std::random_device{}();
    if (auto ok = complete_passwords(options, password_sources::of_process()); !ok) return give_up(ok.error());
    auto list = accounts_of(options);
    if (!list) return give_up(list.error());
    if (!options.one_mailbox() && !options.quiet && !options.json) to_stdout(list->summary + "\n");
    for (const std::string& note : list->notes) complain(note);
    if (!may_start(options, *list)) return exit_codes::usage;
    if (list->accounts.empty()) {
        complain("no mailbox to do");
        return exit_codes::usage;
    }
    if (!options.waive.empty()) {
        auto waived = waivers::read(options.waive, list->accounts.size() > 1);
        if (!waived) return give_up(waived.error());
        options.waived = std::make_shared<const waivers>(std::move(*waived));
    }
    if (auto ok = log::start(options); !ok) return give_up(ok.error());
    if (options.config) log::debug({}, "{}", options.config->note);

    const bool reads_only = (options.what == command::plan && !options.delete_extra) ||
                            options.what == command::check || options.what == command::verify ||
                            (options.dry_run && !options.delete_extra) || options.pass == transfer::pass_kind::verify;
    boost::asio::io_context io; // before the ledger, so that it outlives the ledger's thread
    auto tokens = token_desk::open(options, list->accounts, io.get_executor());
    if (!tokens) return give_up(tokens.error());
    auto books = store::ledger_books::open(
        options.state,
        {.read_only = reads_only, .holder_description = fmt::format("postferry {}", name_of(options.what))});
    if (!books) return give_up(books.error());
    console out(options, list->accounts.size());
    if (auto ok = out.open_report(); !ok) return give_up(ok.error());
    out.started();
    for (const csv_fault& fault : list->faults) out.row_skipped(fault);
    const int code = run_accounts(io, options, list->accounts, books->get(), **tokens, out);
    say_unkept(**tokens);
    if (options.pass != transfer::pass_kind::verify) return code;
    books->reset();
    keep_what_was_proven(options, out);
    return code;
}

// A full disk under `> file` or `--json` must not pass for success.
int judge_output(int code) {
    const int why = output_trouble();
    if (why == 0) return code;
    complain(
        fmt::format("standard output could not be written: {}. Make room, and run again: what was copied is recorded",
                    std::strerror(why)));
    return code == exit_codes::done ? exit_codes::local_trouble : code;
}

// A log that ends in the middle looks like a run that did.
int judge_log(int code) {
    const int why = log::trouble();
    if (why == 0) return code;
    complain(fmt::format("the log is not complete, it could not be written: {}. What was copied is recorded",
                         std::strerror(why)));
    return code == exit_codes::done ? exit_codes::local_trouble : code;
}

/// What has a parser of its own; "help serve" is "serve --help".
std::optional<int> command_of_its_own(std::span<const char* const> words) {
    static constexpr std::array help{"--help"};
    if (words.empty()) return std::nullopt;
    const bool asks = std::string_view(words[0]) == "help" && words.size() == 2;
    const std::string_view name = asks ? words[1] : words[0];
    const std::span<const char* const> rest = asks ? std::span<const char* const>(help) : words.subspan(1);
    if (name == "store") return store_command(rest);
    if (name == "serve" || name == "worker") return service_command(name == "serve", rest);
    return std::nullopt;
}

/// What is in memory are other people's passwords: no core files of it, and nobody else of this user looks in.
void keep_memory_to_ourselves() noexcept {
#if !__has_feature(address_sanitizer) // its search for leaks looks in
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    rlimit core{};
    if (::getrlimit(RLIMIT_CORE, &core) != 0) return;
    core.rlim_cur = 0;
    ::setrlimit(RLIMIT_CORE, &core);
}

} // namespace

} // namespace postferry::app

int main(int argc, char** argv) {
    using namespace postferry::app;
    std::signal(SIGPIPE, SIG_IGN);
    keep_memory_to_ourselves();
    try {
        const std::span<const char* const> words(argv, static_cast<std::size_t>(argc));
        if (const auto code = command_of_its_own(words.subspan(1))) return judge_output(*code);
        if (argc > 1 && is_noun(argv[1])) return judge_output(noun_command(words.subspan(1)));
        const auto find = [](const std::filesystem::path& named) {
            return find_config(named, config_surroundings::of_process());
        };
        command_line line = parse_command_line(words.subspan(1), find);
        to_stdout(line.out);
        to_stderr(line.err);
        if (!line.run) return judge_output(line.exit_code);
        const int code = judge_output(run_command(std::move(*line.run)));
        log::stop();
        return judge_log(code);
    } catch (const std::bad_alloc&) {
        complain("out of memory; what was copied is recorded, run the same command again with fewer --jobs");
        return exit_codes::local_trouble;
    } catch (const std::exception& e) {
        complain(fmt::format("this is a bug in postferry: {}; what was copied is recorded, run the same command again",
                             e.what()));
        return exit_codes::local_trouble;
    }
}
