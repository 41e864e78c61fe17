#pragma once
// The store's one database: SQLite in a file, or PostgreSQL. Databases block, so they have threads of their own.
#include "base/secret.hpp"
#include "net/awaitable.hpp"
#include "sql/open.hpp"
#include "store/database_job.hpp"
#include "store/file_lock.hpp"
#include "store/records.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace postferry::store {

struct database_options {
    /// For plan, check and dry runs: takes no lock, makes no file (a database that is not there is an empty one), and
    /// refuses what would change something.
    bool read_only = false;
    /// Told to whoever finds the file in use: "postferry migrate accounts.csv". No secrets.
    std::string holder_description = {};
    /// How messages call it: "ledger" gives "ledger /home/a/postferry.db".
    std::string kind_of_thing = "database";
    /// What else to do, in messages, when it cannot be this one.
    std::string elsewhere = "name another ledger with --state";
    /// Whether tables are made, or brought up to date, where that is needed; else it is refused.
    bool bring_up_to_date = true;
    /// Connections that serve read() beside the writer's. 0: the writer reads too.
    int readers = 2;
    secret password = {}; ///< PostgreSQL; empty: libpq's places (PGPASSWORD, PGPASSFILE, ~/.pgpass)
    /// How long writes wait for a PostgreSQL that is gone before they fail. Reads: at most five seconds of it.
    std::chrono::milliseconds patience = std::chrono::minutes(10);
    std::function<unix_ms()> clock = {}; ///< what time it is, for tests; from any thread
    std::size_t cache_kib = 512;         ///< SQLite: of each connection
    /// For tests: puts something in front of each connection.
    std::function<std::unique_ptr<sql::connection>(std::unique_ptr<sql::connection>)> in_front = {};
};

/// A database server that does not answer.
struct outage {
    unix_ms since = 0; ///< by this machine's clock
    std::string what;  ///< why; empty until the first call has given up
};

/// Its calls may come from any thread. Destroy it before the execution contexts of those who wait for it, as their
/// answers are posted there; the destructor carries out what is queued, or fails it when the server is gone.
///
/// A call is `f(tables&)` and answers a result<T>. `f` owns its values (capture by value), keeps nothing of the tables,
/// and may run more than once: when the connection is lost, and when others that shared its transaction have lost it
/// for all; it acts on nothing but the tables. A write whose `f` fails leaves nothing behind. With PostgreSQL other
/// processes write too: what an earlier call has read may not hold any more, so a write reads again what it decides on
/// (the repositories lock what they read for a change), or names the version that it was made from.
///
/// Writes of many callers that wait at the same time are committed together: with fifty mailboxes at work a flush of
/// the disk serves all of them. Each still fails or succeeds by itself. A caller's own calls, each awaited before the
/// next, see each other; so do reads that begin after the answer to a write.
///
/// Failures of the database: class local, with advice. A server that cannot be reached: class transient, after
/// `patience`; meanwhile outage() tells.
///
/// Cancelling: a call that has begun ends as if nothing had happened, its answer tells what is stored. As everywhere in
/// Asio a cancelled coroutine throws at its next co_await, before that call has begun; whoever wants to record
/// something after that resets its cancellation state first.
class database {
  public:
    /// `where`: sql::parse_location. Brings an empty or older database up to date. Class config (nothing may start): in
    /// use (naming the holder), damaged, newer, another program's, a wrong login. Class local: no folder, no
    /// permission, no space, no server. Blocks for a millisecond or two; longer when the last run was killed and its
    /// log is read again, and up to ten seconds for a server that does not answer.
    [[nodiscard]] static result<std::unique_ptr<database>> open(const std::string& where,
                                                                const database_options& options);
    [[nodiscard]] static result<std::unique_ptr<database>> open(const sql::location& where,
                                                                const database_options& options);
    ~database();

    /// A snapshot: all that `f` reads is of one moment.
    template <class F> [[nodiscard]] auto read(F f) { return ask(database_job::kind::read, std::move(f)); }
    /// The same for an `f` that asks one statement, which a server answers in one round trip instead of three; a second
    /// statement fails.
    template <class F> [[nodiscard]] auto read_single(F f) {
        return ask(database_job::kind::single_read, std::move(f));
    }
    /// Survives the end of the process at once, a power cut only some moments later.
    template <class F> [[nodiscard]] auto write(F f) { return ask(database_job::kind::write, std::move(f)); }
    /// On the disk, with all writes before it, when it is answered.
    template <class F> [[nodiscard]] auto synced(F f) { return ask(database_job::kind::synced_write, std::move(f)); }
    /// In a transaction of its own, for what takes locks that others wait for (lease_repository::take).
    template <class F> [[nodiscard]] auto alone(F f) { return ask(database_job::kind::alone, std::move(f)); }

    template <class F> [[nodiscard]] auto ask(database_job::kind kind, F f) -> task<std::invoke_result_t<F&, tables&>> {
        using outcome = std::invoke_result_t<F&, tables&>;
        const auto initiate = [this](auto handler, database_job::kind k, F call) {
            push(std::make_unique<waiting_job<outcome, F, decltype(handler)>>(k, std::move(call), std::move(handler)));
        };
        return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(outcome)>(
            initiate, boost::asio::use_awaitable, kind, std::move(f));
    }

    /// Nobody waits for its outcome; it is carried out before the destructor ends. `f` answers result<void>.
    template <class F> void leave(F f, database_job::kind kind = database_job::kind::write);

    [[nodiscard]] bool read_only() const noexcept;
    [[nodiscard]] sql::dialect dialect() const noexcept;
    [[nodiscard]] const std::string& name() const noexcept; ///< "ledger /home/a/postferry.db"; no secrets
    /// How a server names our connections, drawn by lot: "postferry 1f0c2b7d9a3e4d55". Whoever finds a note with it in
    /// the database can ask the server whether we are still there.
    [[nodiscard]] const std::string& session() const noexcept;
    [[nodiscard]] std::optional<outage> current_outage() const;
    /// Before the end: from now on no call waits for a server that is gone; it fails. From any thread.
    void hurry();

  private:
    struct parts;
    explicit database(std::unique_ptr<parts> p) noexcept;
    void push(std::unique_ptr<database_job> job);

    std::unique_ptr<parts> parts_;
};

template <class F> void database::leave(F f, database_job::kind kind) {
    class job final : public database_job {
      public:
        job(F call, database_job::kind k) : database_job(k), call_(std::move(call)) {}
        bool run(tables& t) override { return call_(t).has_value(); }
        void fail(const error&) override {}
        void complete() override {}

      private:
        F call_;
    };
    push(std::make_unique<job>(std::move(f), kind));
}

} // namespace postferry::store
