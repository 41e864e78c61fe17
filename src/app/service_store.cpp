#include "app/service_store.hpp"

#include "app/log.hpp"
#include "store/adopt.hpp"
#include "store/change_state.hpp"
#include "store/rotate.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>

#include <optional>

namespace postferry::app {

using store::tables;

namespace {

constexpr std::string_view system_actor = "system";

result<std::unique_ptr<store::database>> open_database(const config_store& s, bool serves) {
    if (!serves && !s.postgresql())
        return fail(retry_class::config, phase::usage,
                    fmt::format("a worker shares its store with the service, and {} is a file of one process", s.url),
                    "Set [store] url = \"postgresql://...\" for both (postferry store move takes what is there along), "
                    "or raise [service] jobs");
    store::database_options options{.holder_description = serves ? "postferry serve" : "postferry worker",
                                    .kind_of_thing = "store",
                                    .elsewhere = "name another store in [store] url",
                                    .bring_up_to_date = serves};
    if (s.password.given()) {
        auto password = s.password.value();
        if (!password) return std::unexpected(std::move(password.error()));
        options.password = std::move(*password);
    }
    return store::database::open(s.url, options);
}

/// One transaction, before anything runs.
template <class F> auto at_once(store::database& db, F f) -> std::invoke_result_t<F&, tables&> {
    boost::asio::io_context io;
    std::optional<std::invoke_result_t<F&, tables&>> out;
    boost::asio::co_spawn(io, db.synced(std::move(f)), [&](const std::exception_ptr& thrown, auto answer) {
        if (thrown) std::rethrow_exception(thrown);
        out.emplace(std::move(answer));
    });
    io.run();
    return std::move(*out);
}

/// Whether the store waits for a key that somebody else has.
result<bool> has_sealed(store::database& db) {
    return at_once(db, [](tables& t) -> result<bool> {
        auto uses = t.credentials.keys_in_use();
        if (!uses) return std::unexpected(std::move(uses.error()));
        return !uses->empty();
    });
}

result<std::unique_ptr<store::vault>> open_vault(store::database& db, const std::filesystem::path& file, bool serves) {
    std::error_code ignored;
    if (serves && !std::filesystem::exists(std::filesystem::symlink_status(file, ignored))) {
        auto sealed = has_sealed(db);
        if (!sealed) return std::unexpected(std::move(sealed.error()));
        if (*sealed)
            return fail(retry_class::config, phase::usage,
                        fmt::format("the key file {} is not there, and passwords in the store are sealed with it",
                                    file.string()),
                        fmt::format("Bring it back from a copy. If it is lost: postferry store rotate-key --key-file "
                                    "{} --key-lost; those passwords must then be given again, nothing else is gone",
                                    file.string()));
        auto made = store::make_key_file(file);
        if (!made) return std::unexpected(std::move(made.error()));
        log::warning(
            {}, "{} is new: it seals the passwords in the store. Keep a copy of it, apart from the store's backups",
            file.string());
    }
    auto vault = store::vault::open(file);
    if (!vault && !serves)
        vault.error().advice = fmt::format("Copy the key file of the service's machine here. {}", vault.error().advice);
    return vault;
}

/// A worker that cannot open what the service seals would only ask people for passwords that are there.
result<void> join(store::database& db, store::vault& vault) {
    return at_once(db, [&vault](tables& t) { return vault.join(t); });
}

/// Which credentials are lost with keys that are not in the file, and whose they are.
result<void> attach(store::database& db, store::vault& vault) {
    auto lost = at_once(db, [&vault](tables& t) { return vault.attach(t); });
    if (!lost) return std::unexpected(std::move(lost.error()));
    for (const store::lost_key& key : *lost) {
        log::warning({}, "{} passwords are sealed with key {}, which is not here: they are asked for again",
                     key.credentials, key.key_id);
        auto asked =
            at_once(db, [&key](tables& t) { return store::ask_again(t, key.key_id, std::string(system_actor)); });
        if (!asked) return std::unexpected(std::move(asked.error()));
    }
    return {};
}

} // namespace

result<service_store> open_store(const config_file& file, bool serves) {
    service_store out;
    const config_store& s = file.values.store;
    auto db = open_database(s, serves);
    if (!db) return std::unexpected(std::move(db.error()));
    out.db = std::move(*db);
    auto vault = open_vault(*out.db, s.key_file, serves);
    if (!vault) return std::unexpected(std::move(vault.error()));
    out.vault = std::move(*vault);
    if (auto ok = serves ? attach(*out.db, *out.vault) : join(*out.db, *out.vault); !ok)
        return std::unexpected(std::move(ok.error()));
    return out;
}

task<result<void>> settle_store(store::database& db, std::string worker, bool serves) {
    const bool alone = db.dialect() == sql::dialect::sqlite;
    for (int back = 1; back > 0;) {
        auto requeued = co_await db.alone([alone, worker](tables& t) -> result<int> {
            if (alone)
                if (auto ok = t.leases.set_others_gone(worker); !ok) return std::unexpected(std::move(ok.error()));
            // Of workers that may live nobody knows enough yet to take anything from them.
            const store::lease_watch nothing(std::chrono::milliseconds(0));
            return store::requeue_lapsed(t, std::string(system_actor), &nothing);
        });
        if (!requeued) co_return std::unexpected(std::move(requeued.error()));
        back = *requeued;
        if (back > 0) log::info({}, "{} mailboxes were left by processes that are gone: they are taken up again", back);
    }
    if (!serves) co_return result<void>{};
    for (int found = 1; found > 0;) {
        auto adopted =
            co_await db.write([](tables& t) { return store::adopt_command_line_runs(t, std::string(system_actor)); });
        if (!adopted) co_return std::unexpected(std::move(adopted.error()));
        found = *adopted;
        if (found > 0) log::info({}, "{} mailboxes were copied from the command line: they are shown", found);
    }
    co_return result<void>{};
}

} // namespace postferry::app
