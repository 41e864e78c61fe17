#include "app/report_command.hpp"

#include "app/exit_code.hpp"
#include "app/report_files.hpp"
#include "app/report_json.hpp"
#include "app/report_list.hpp"
#include "app/standard_output.hpp"
#include "sql/open.hpp"
#include "store/ledger_books.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace postferry::app {

namespace {

using transfer::kept_report;

int give_up(const error& why) {
    to_stderr(fmt::format("postferry: {}\n", why.message()));
    return exit_code_of(why);
}

/// A task of the ledger's, carried out here and now.
template <class T> T wait_for(boost::asio::io_context& io, task<T> work) {
    std::optional<T> out;
    boost::asio::co_spawn(io, std::move(work), [&out](std::exception_ptr thrown, T value) {
        if (thrown) std::rethrow_exception(thrown);
        out.emplace(std::move(value));
    });
    io.restart();
    io.run();
    return std::move(*out);
}

result<void> write_new(const std::filesystem::path& file, std::string_view text, unsigned mode) {
    const auto refuse = [&] {
        return fail(retry_class::config, phase::usage,
                    fmt::format("cannot write {}: {}", file.string(), std::strerror(errno)),
                    "Name a file that is not there yet");
    };
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) return refuse();
    const bool whole = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
    ::close(fd);
    if (!whole) return refuse();
    return {};
}

int make_key(const std::filesystem::path& file) {
    const auto key = signing_key::make();
    if (!key) return give_up(key.error());
    const std::filesystem::path open_part = file.string() + ".pub";
    if (auto ok = write_new(file, key->private_pem(), 0600); !ok) return give_up(ok.error());
    if (auto ok = write_new(open_part, key->public_pem(), 0644); !ok) return give_up(ok.error());
    to_stdout(fmt::format("{}: the private key, keep it secret; use it with --sign-key\n{}: the public key, give it to "
                          "whoever is to check signatures\n",
                          file.string(), open_part.string()));
    return exit_codes::done;
}

int check_signature(const run_options& options) {
    const auto document = read_whole_file(options.check_signature, report_files::largest_signed);
    if (!document) return give_up(document.error());
    const auto signature = read_whole_file(options.check_signature.string() + ".sig", 1U << 16U);
    if (!signature) return give_up(signature.error());
    const auto key = read_whole_file(options.key, 1U << 16U);
    if (!key) return give_up(key.error());
    const auto good = is_signed(*document, *signature, *key);
    if (!good) return give_up(good.error());
    to_stdout(fmt::format("{}: {}\n", options.check_signature.string(),
                          *good ? "the signature is good; the report is as it was signed"
                                : "THE SIGNATURE IS NOT GOOD: the report was changed, or signed with another key"));
    return *good ? exit_codes::done : exit_codes::incomplete;
}

/// false: a file that nobody has made yet. A server is asked when it is opened.
bool may_be_there(const std::filesystem::path& state) {
    const auto where = sql::parse_location(state.native());
    std::error_code ignored;
    return !where || where->dialect == sql::dialect::postgresql || std::filesystem::exists(where->file, ignored);
}

} // namespace

result<void> keep_proofs(const std::filesystem::path& state, const mailbox_walk& mailboxes, const std::string& ended) {
    if (!may_be_there(state)) return {};
    boost::asio::io_context io; // outlives the ledger's thread
    auto books = store::ledger_books::open(state, {.read_only = false, .holder_description = "postferry verify"});
    if (!books) return std::unexpected(books.error());
    report_sums sums;
    return mailboxes([&](std::string_view text) -> result<void> {
        const auto m = sums.add(text);
        if (!m) return std::unexpected(m.error());
        const auto word = [&](std::string_view name) { return std::string(m->at(name).get_string()); };
        // A mailbox that nobody could log in to has proven nothing.
        if (m->contains("stopped_by")) return {};
        return wait_for(io, (*books)->keep_report({.source_key = word("source"),
                                                   .target_key = word("target"),
                                                   .pass = word("pass"),
                                                   .ended = ended,
                                                   .body = std::string(text)}));
    });
}

int report_command(const run_options& options) {
    if (!options.make_key.empty()) return make_key(options.make_key);
    if (!options.check_signature.empty()) return check_signature(options);
    if (!may_be_there(options.state))
        return give_up(fail(retry_class::config, phase::ledger,
                            fmt::format("there is no ledger {}", options.state.string()), "Name it with --state")
                           .error());
    boost::asio::io_context io;
    auto books = store::ledger_books::open(options.state, {.read_only = true, .holder_description = {}});
    if (!books) return give_up(books.error());
    auto all = wait_for(io, (*books)->reports());
    if (!all) return give_up(all.error());
    const auto reports = chosen(std::move(*all), options.filters, options.report_pass);
    if (reports.empty()) {
        to_stderr(fmt::format("postferry: the ledger {} holds no report{}\n", options.state.string(),
                              options.filters.empty() && options.report_pass.empty() ? "" : " of what you ask for"));
        return exit_codes::incomplete;
    }
    auto files = report_files::open(options.reports, options.sign_key);
    if (!files) return give_up(files.error());
    const auto [first, last] = std::ranges::minmax(reports, {}, &kept_report::ended);
    const auto walk = [&reports](const std::function<result<void>(std::string_view)>& take) -> result<void> {
        for (const kept_report& r : reports)
            if (auto ok = take(r.body); !ok) return ok;
        return {};
    };
    if (auto ok = files->write({.started = first.ended, .ended = last.ended}, walk); !ok) return give_up(ok.error());
    if (options.quiet) return exit_codes::done;
    const auto text = text_of(reports);
    if (!text) return give_up(text.error());
    to_stdout(*text);
    for (const std::filesystem::path& file : options.reports) to_stdout(fmt::format("Report: {}\n", file.string()));
    return exit_codes::done;
}

} // namespace postferry::app
