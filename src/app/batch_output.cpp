// What the service writes: logs and reports.
#include "app/atomic_file.hpp"
#include "app/batch_status.hpp"
#include "app/exit_code.hpp"
#include "app/noun_actions.hpp"
#include "app/standard_output.hpp"
#include "base/text.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <array>
#include <map>

namespace postferry::app {

namespace json = boost::json;

namespace {

constexpr std::chrono::seconds look_every{1};

constexpr std::array<std::pair<std::string_view, std::string_view>, 2> log_filters{
    {{"--level", "level"}, {"--folder", "folder"}}};

/// How lines call mailboxes: by their user on the old server.
class mailbox_names {
  public:
    explicit mailbox_names(noun_context& c) : c_(c) {}

    const std::string& of(const std::string& mailbox) {
        if (const auto known = known_.find(mailbox); known != known_.end()) return known->second;
        auto found = c_.api.get("/mailboxes/" + mailbox);
        std::string name = found ? text_at(whole(*found), "source_user") : std::string{};
        if (name.empty()) name = "mailbox " + mailbox; // it may be gone
        if (known_.size() >= most) known_.clear();
        return known_.emplace(mailbox, std::move(name)).first->second;
    }

  private:
    static constexpr std::size_t most = 100'000;
    noun_context& c_;
    std::map<std::string, std::string, std::less<>> known_;
};

std::string line_of(const json::object& l, mailbox_names& names) {
    const std::string mailbox = text_at(l, "mailbox"), folder = text_at(l, "folder");
    return fmt::format("{} {:<7} {}{}{}\n", moment_at(l, "at", true), text_at(l, "level"),
                       mailbox.empty() ? "" : names.of(mailbox) + ": ",
                       folder.empty() ? "" : fmt::format("{}: ", folder), text_at(l, "text"));
}

void wait(noun_context& c, std::chrono::steady_clock::duration span) {
    c.api.wait([](boost::asio::io_context& io, std::chrono::steady_clock::duration how_long) -> task<int> {
        boost::asio::steady_timer timer(io, how_long);
        co_await timer.async_wait(boost::asio::use_awaitable);
        co_return 0;
    }(c.api.io(), span));
}

result<int> batch_log(noun_context& c) {
    auto batch = find_batch(c, c.words.text("BATCH"));
    if (!batch) return std::unexpected(std::move(batch.error()));
    const std::string path = fmt::format("/batches/{}/log", text_at(*batch, "id"));
    if (c.words.has("--delete")) {
        auto gone = c.api.ask({.verb = "DELETE", .target = path});
        if (!gone) return std::unexpected(std::move(gone.error()));
        c.say(fmt::format("the log of {} is deleted", text_at(*batch, "name")));
        return exit_codes::done;
    }
    std::string query = query_of(c.words, log_filters);
    if (c.words.has("--mailbox")) {
        auto mailbox = find_mailbox(c, c.words.text("--mailbox"));
        if (!mailbox) return std::unexpected(std::move(mailbox.error()));
        query += fmt::format("{}mailbox={}", query.empty() ? '?' : '&', text_at(*mailbox, "id"));
    }
    if (c.words.has("--follow")) return print_log(c, path + query, true);
    const std::string target = fmt::format("{}.{}{}", path, c.json() ? "jsonl" : "txt", query);
    auto done = c.words.has("--output") ? download(c, target, c.words.text("--output")) : download(c, target);
    if (!done) return std::unexpected(std::move(done.error()));
    return exit_codes::done;
}

result<int> batch_report(noun_context& c) {
    std::vector<std::pair<std::string, std::string>> files; // name, format
    for (const std::string& file : c.words.list("--report")) {
        const std::string ending = ascii_lower(std::filesystem::path(file).extension().string());
        if (ending != ".json" && ending != ".csv" && ending != ".html")
            return misused(fmt::format("--report {} ends neither in .json, nor in .csv, nor in .html", file));
        files.emplace_back(file, ending.substr(1));
    }
    auto batch = find_batch(c, c.words.text("BATCH"));
    if (!batch) return std::unexpected(std::move(batch.error()));
    const std::string path = fmt::format("/batches/{}/report", text_at(*batch, "id"));
    for (const auto& [file, format] : files) {
        if (auto ok = download(c, fmt::format("{}.{}", path, format), file); !ok)
            return std::unexpected(std::move(ok.error()));
        c.say(fmt::format("{} has the report of {}", file, text_at(*batch, "name")));
    }
    if (files.empty() || c.words.has("--format")) {
        const std::string format = c.words.has("--format") ? c.words.text("--format") : "json";
        if (auto ok = download(c, fmt::format("{}.{}", path, format)); !ok)
            return std::unexpected(std::move(ok.error()));
    }
    return exit_code_of_batch(*batch);
}

result<int> general_log(noun_context& c) {
    if (c.words.has("--batch") == c.words.has("--mailbox"))
        return misused("log of what? Give --batch BATCH or --mailbox MAILBOX");
    const bool of_batch = c.words.has("--batch");
    auto of = of_batch ? find_batch(c, c.words.text("--batch")) : find_mailbox(c, c.words.text("--mailbox"));
    if (!of) return std::unexpected(std::move(of.error()));
    return print_log(c,
                     fmt::format("/{}/{}/log{}", of_batch ? "batches" : "mailboxes", text_at(*of, "id"),
                                 query_of(c.words, log_filters)),
                     c.words.has("--follow"));
}

} // namespace

result<void> download(noun_context& c, const std::string& target, const std::filesystem::path& file) {
    auto out = atomic_file::create(file);
    if (!out) return std::unexpected(std::move(out.error()));
    auto got = c.api.fetch({.target = target, .patience = std::chrono::seconds(300)},
                           [&](std::string_view octets) { return out->write(octets); });
    if (!got) return std::unexpected(std::move(got.error()));
    return out->commit();
}

result<void> download(noun_context& c, const std::string& target) {
    auto got = c.api.fetch({.target = target, .patience = std::chrono::seconds(300)},
                           [](std::string_view octets) -> result<void> {
                               to_stdout(octets);
                               if (reader_has_left())
                                   return fail(retry_class::cancelled, phase::usage, "nobody reads this any more");
                               return {};
                           });
    if (!got && !reader_has_left()) return std::unexpected(std::move(got.error()));
    return {};
}

// A page without a next one is asked for again when lines may have come; those that were printed are passed over.
result<int> print_log(noun_context& c, const std::string& target, bool follow) {
    std::string cursor;
    std::int64_t last = 0;
    mailbox_names names(c);
    for (;;) {
        auto page = c.api.get(fmt::format("{}{}limit=500{}", target, target.contains('?') ? '&' : '?', cursor));
        if (!page) return std::unexpected(std::move(page.error()));
        for (const json::value& one : array_at(whole(*page), "items")) {
            if (!one.is_object()) continue;
            const auto id = number_at(one.get_object(), "id").value_or(0);
            if (id <= last) continue;
            last = id;
            to_stdout(c.json() ? json::serialize(one) + "\n" : line_of(one.get_object(), names));
        }
        if (reader_has_left()) return exit_codes::done;
        if (const std::string next = text_at(whole(*page), "next"); !next.empty())
            cursor = fmt::format("&cursor={}", url_word(next));
        else if (follow)
            wait(c, look_every);
        else
            return exit_codes::done;
    }
}

std::span<const noun_action> batch_output_actions() noexcept {
    static constexpr std::array<noun_action, 3> all{
        {{"batch log", batch_log}, {"batch report", batch_report}, {"log", general_log}}};
    return all;
}

} // namespace postferry::app
