#include "app/accounts.hpp"
#include "app/console.hpp"
#include "app/credentials.hpp"
#include "app/exit_code.hpp"
#include "app/log.hpp"
#include "app/options.hpp"
#include "app/report_command.hpp"
#include "app/runner.hpp"
#include "store/ledger_file.hpp"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <random>
#include <span>

namespace postferry::app {

namespace {

void complain(std::string_view text) { fmt::print(stderr, "postferry: {}\n", text); }

int give_up(const error& why) {
    complain(why.message());
    return exit_code_of(why);
}

result<account_list> accounts_of(const run_options& options) {
    if (!options.one_mailbox())
        return read_accounts(options.accounts, {.source = {.url = options.source_url,
                                                           .password = options.source.password,
                                                           .tokens = options.source.oauth.wanted()},
                                                .target = {.url = options.target_url,
                                                           .password = options.target.password,
                                                           .tokens = options.target.oauth.wanted()}});
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
    complain(
        fmt::format("{} of {} rows have faults; nothing was started. Mend them, or leave them out with --skip-invalid",
                    list.fault_count, list.rows));
    return false;
}

// Verify reads the ledger only, so that it can run beside a copy; what it proved is handed in at the end.
void keep_what_was_proven(const run_options& options, const console& out) {
    const mailbox_walk reports = out.kept();
    if (!reports) return;
    if (auto ok = keep_proofs(options.state, reports, rfc3339(std::chrono::system_clock::now())); !ok)
        log::info({}, "the ledger does not keep this report: {}", ok.error().message());
}

int run_command(run_options options) {
    if (options.what == command::report) return report_command(options);
    if (options.sample.wanted() && !options.seed_given) options.sample.seed = std::random_device{}();
    if (auto ok = complete_passwords(options, password_sources::of_process()); !ok) return give_up(ok.error());
    auto list = accounts_of(options);
    if (!list) return give_up(list.error());
    if (!options.one_mailbox() && !options.quiet && !options.json) fmt::print("{}\n", list->summary);
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

    const bool reads_only = (options.what == command::plan && !options.delete_extra) ||
                            options.what == command::check || options.what == command::verify ||
                            (options.dry_run && !options.delete_extra) || options.pass == transfer::pass_kind::verify;
    boost::asio::io_context io; // before the ledger, so that it outlives the ledger's thread
    auto books = store::ledger_file::open(
        options.state,
        {.read_only = reads_only, .holder_description = fmt::format("postferry {}", name_of(options.what))});
    if (!books) return give_up(books.error());
    console out(options, list->accounts.size());
    if (auto ok = out.open_report(); !ok) return give_up(ok.error());
    out.started();
    for (const csv_fault& fault : list->faults) out.row_skipped(fault);
    const int code = run_accounts(io, options, list->accounts, books->get(), out);
    if (options.pass != transfer::pass_kind::verify) return code;
    books->reset();
    keep_what_was_proven(options, out);
    return code;
}

} // namespace

} // namespace postferry::app

int main(int argc, char** argv) {
    using namespace postferry::app;
    std::signal(SIGPIPE, SIG_IGN);
    try {
        command_line line =
            parse_command_line(std::span<const char* const>(argv, static_cast<std::size_t>(argc)).subspan(1));
        std::fputs(line.out.c_str(), stdout);
        std::fputs(line.err.c_str(), stderr);
        if (!line.run) return line.exit_code;
        const int code = run_command(std::move(*line.run));
        log::stop();
        return code;
    } catch (const std::bad_alloc&) {
        complain("out of memory; what was copied is recorded, run the same command again with fewer --jobs");
        return exit_codes::local_trouble;
    } catch (const std::exception& e) {
        complain(fmt::format("this is a bug in postferry: {}; what was copied is recorded, run the same command again",
                             e.what()));
        return exit_codes::local_trouble;
    }
}
