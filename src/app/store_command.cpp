#include "app/store_command.hpp"

#include "app/config.hpp"
#include "app/exit_code.hpp"
#include "app/standard_output.hpp"
#include "app/words.hpp"
#include "store/backup.hpp"
#include "store/purge.hpp"
#include "store/rotate.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <unistd.h>
#include <vector>

namespace postferry::app {

namespace {

struct store_words {
    std::string state, key_file, config;
    std::string file, from, to, older;
    bool force = false, drop_old = false, key_lost = false, quiet = false;
};

int give_up(const error& why) {
    fmt::print(stderr, "postferry: {}\n", why.message());
    return exit_code_of(why);
}

void say(const store_words& words, const std::string& text) {
    if (!words.quiet) to_stdout(text + "\n");
}

result<store::store_place> place_of(const std::string& url, const secret& password) {
    auto where = sql::parse_location(url);
    if (!where) return std::unexpected(std::move(where.error()));
    return store::store_place{.where = std::move(*where), .password = password};
}

/// Where the words do not say: the configuration file's [store].
result<store::store_place> the_store(store_words& words) {
    std::string url = words.state;
    secret password;
    if (url.empty() || words.key_file.empty()) {
        auto found = find_config(words.config, config_surroundings::of_process());
        if (!found) return fail(retry_class::config, phase::usage, found.error().text());
        const bool configured = !found->file.empty();
        if (words.key_file.empty() && configured) words.key_file = found->values.store.key_file.string();
        if (url.empty() && configured) {
            url = found->values.store.url;
            if (found->values.store.password.given()) {
                auto read = found->values.store.password.value();
                if (!read) return std::unexpected(std::move(read.error()));
                password = std::move(*read);
            }
        }
    }
    if (url.empty())
        return fail(retry_class::config, phase::usage, "which store?",
                    "Name it by --state FILE or --state postgresql://..., or in [store] of the configuration file");
    return place_of(url, password);
}

/// Over and over on one line, for people who watch.
store::copy_progress progress_of(const store_words& words) {
    if (words.quiet || isatty(STDERR_FILENO) == 0) return {};
    return [last = std::chrono::steady_clock::time_point{}](std::string_view table, std::int64_t rows) mutable {
        const auto now = std::chrono::steady_clock::now();
        if (now - last > std::chrono::milliseconds(200)) {
            last = now;
            fmt::print(stderr, "\r\x1b[K{} {}", table, grouped(static_cast<std::uint64_t>(rows)));
        }
        return true;
    };
}

void end_progress(const store_words& words) {
    if (!words.quiet && isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\r\x1b[K");
}

/// "90d", "12w", "2y".
result<std::chrono::hours> age_of(const std::string& text) {
    std::uint64_t n = 0;
    std::size_t at = 0;
    for (; at < text.size() && at < 6 && text[at] >= '0' && text[at] <= '9'; ++at)
        n = n * 10 + static_cast<std::uint64_t>(text[at] - '0');
    const std::string_view unit = std::string_view(text).substr(at);
    const std::uint64_t days = unit == "d" ? n : unit == "w" ? n * 7 : unit == "y" ? n * 365 : 0;
    if (at == 0 || days == 0 || days > 36'500)
        return fail(retry_class::config, phase::usage, fmt::format("--older {} is no age", text),
                    "Say 90d, 12w or 2y: at least a day");
    return std::chrono::hours(24 * days);
}

int backup(store_words& words) {
    auto from = the_store(words);
    if (!from) return give_up(from.error());
    auto done = store::back_up(*from, words.file, words.force, progress_of(words));
    end_progress(words);
    if (!done) return give_up(done.error());
    say(words, fmt::format("{} holds what was in {}. The key file is not in it: keep a copy of that apart", words.file,
                           from->where.shown));
    return exit_codes::done;
}

int restore(store_words& words) {
    auto to = the_store(words);
    if (!to) return give_up(to.error());
    auto done = store::restore(words.file, *to, words.force, progress_of(words));
    end_progress(words);
    if (!done) return give_up(done.error());
    say(words, fmt::format("{} holds what was in {}. Mailboxes that were copied after the backup are looked at anew: "
                           "messages on the target are found again, none comes twice",
                           to->where.shown, words.file));
    return exit_codes::done;
}

int move(store_words& words) {
    auto from = place_of(words.from, {}), to = place_of(words.to, {});
    if (!from) return give_up(from.error());
    if (!to) return give_up(to.error());
    auto done = store::move(*from, *to, progress_of(words));
    end_progress(words);
    if (!done) return give_up(done.error());
    say(words,
        fmt::format("{} in {} moved to {}; {} stays as it is, and is out of date from now on",
                    counted(static_cast<std::uint64_t>(done->rows), "row"),
                    counted(static_cast<std::uint64_t>(done->tables), "table"), to->where.shown, from->where.shown));
    return exit_codes::done;
}

int purge(store_words& words) {
    auto age = age_of(words.older);
    if (!age) return give_up(age.error());
    auto place = the_store(words);
    if (!place) return give_up(place.error());
    const auto before = std::chrono::system_clock::now() - *age;
    auto done =
        store::purge(*place, std::chrono::duration_cast<std::chrono::milliseconds>(before.time_since_epoch()).count());
    if (!done) return give_up(done.error());
    const auto n = [](std::int64_t count, std::string_view what) {
        return counted(static_cast<std::uint64_t>(count), what);
    };
    say(words,
        fmt::format("gone: {}, {}, {}, {}", n(done->ledgers, "ledger"), n(done->log_lines, "log line"),
                    n(done->events, "event"), counted(static_cast<std::uint64_t>(done->passes), "pass", "passes")));
    return exit_codes::done;
}

int rotate_key(store_words& words) {
    auto place = the_store(words);
    if (!place) return give_up(place.error());
    if (words.key_file.empty())
        return give_up(
            fail(retry_class::config, phase::usage, "which key file?", "Name it by --key-file FILE").error());
    auto done = store::rotate_key(*place, words.key_file, {.drop_old = words.drop_old, .key_lost = words.key_lost}, {});
    if (!done) return give_up(done.error());
    say(words,
        fmt::format("key {} seals from now on; {} sealed anew; {} in {}. Copy that file to every machine that works "
                    "on this store",
                    done->key_id, counted(static_cast<std::uint64_t>(done->resealed), "password"),
                    counted(done->keys_left, "key"), words.key_file));
    if (done->passed_over > 0 && done->lost.empty())
        say(words, fmt::format("{} cannot be opened: they must be given again (--key-lost asks for them)",
                               counted(static_cast<std::uint64_t>(done->passed_over), "password")));
    for (const store::lost_key& key : done->lost)
        say(words, fmt::format("key {} is not here: {} lost with it", key.key_id,
                               counted(static_cast<std::uint64_t>(key.credentials), "password")));
    if (done->asked_again > 0)
        say(words, fmt::format("{} now: needs_credentials",
                               counted(static_cast<std::uint64_t>(done->asked_again), "mailbox", "mailboxes")));
    return exit_codes::done;
}

int status(store_words& words) {
    auto place = the_store(words);
    if (!place) return give_up(place.error());
    auto now = store::status(*place);
    if (!now) return give_up(now.error());
    std::string out =
        fmt::format("{}\n  schema version {}{}\n  {} octets\n", now->name, now->version,
                    now->version < now->knows ? fmt::format(" (the next run brings it up to {})", now->knows) : "",
                    grouped(static_cast<std::uint64_t>(now->octets)));
    for (const auto& [table, rows] : now->rows)
        out += fmt::format("  {:<12} {:>14}\n", table, grouped(static_cast<std::uint64_t>(rows)));
    for (const auto& [state, n] : now->batches) out += fmt::format("  batches {}: {}\n", state, n);
    for (const auto& key : now->keys)
        out += fmt::format("  key {}{}: {}\n", key.id, key.current ? " (seals)" : "",
                           counted(static_cast<std::uint64_t>(key.credentials), "password"));
    to_stdout(out);
    return exit_codes::done;
}

using action = int (*)(store_words&);

CLI::App* add(CLI::App& app, const char* name, const char* help, store_words& words, action does, action& chosen) {
    CLI::App* sub = app.add_subcommand(name, help);
    sub->add_option("--state", words.state, "the store: a file, or postgresql://USER@HOST/DATABASE")
        ->type_name("FILE|URL");
    sub->add_option("-c,--config", words.config, "configuration file whose [store] says what is not given here")
        ->type_name("FILE");
    sub->add_flag("-q,--quiet", words.quiet, "only what went wrong");
    sub->callback([&chosen, does] { chosen = does; });
    return sub;
}

} // namespace

int store_command(std::span<const char* const> arguments) {
    store_words words;
    action chosen = nullptr;
    CLI::App app("Backs up, restores, moves and tidies what Postferry remembers (docs/store.md)", "postferry store");
    app.require_subcommand(1);
    CLI::App* sub = add(app, "backup", "copy the store into a file, while others work on it", words, backup, chosen);
    sub->add_option("FILE", words.file, "the backup: an SQLite file, whatever the store is")->required();
    sub->add_flag("--force", words.force, "replace the file if it is there");
    sub = add(app, "restore", "put a backup in the store's place", words, restore, chosen);
    sub->add_option("FILE", words.file, "the backup")->required();
    sub->add_flag("--force", words.force, "replace what the store holds");
    sub = app.add_subcommand("move", "everything from one store into an empty one: SQLite to PostgreSQL, or back");
    sub->add_option("FROM", words.from, "a file, or postgresql://USER@HOST/DATABASE")->required();
    sub->add_option("TO", words.to, "the same; empty, or not there yet")->required();
    sub->add_flag("-q,--quiet", words.quiet, "only what went wrong");
    sub->callback([&chosen] { chosen = move; });
    sub = add(app, "purge", "remove what is old: never of a batch that is not over", words, purge, chosen);
    sub->add_option("--older", words.older, "how old: 90d, 12w, 2y")->required()->type_name("AGE");
    sub = add(app, "rotate-key", "seal the passwords in the store with a new key", words, rotate_key, chosen);
    sub->add_option("--key-file", words.key_file, "where the keys are")->type_name("FILE");
    sub->add_flag("--drop-old", words.drop_old, "keep no key but the new one (somebody may have read the old)");
    sub->add_flag("--key-lost", words.key_lost, "the key file is lost: give up what was sealed with it");
    add(app, "status", "what is in the store", words, status, chosen);

    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend()); // CLI11 takes them from the end
    try {
        app.parse(reversed);
    } catch (const CLI::ParseError& e) {
        if (e.get_exit_code() == 0) return app.exit(e);
        fmt::print(stderr, "postferry: {}\nTry: postferry store --help\n", e.what());
        return exit_codes::usage;
    }
    return chosen(words);
}

} // namespace postferry::app
