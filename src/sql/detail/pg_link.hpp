#pragma once
// One line to a PostgreSQL server: libpq without its blocking calls, so that every wait has a deadline.
#include "sql/open.hpp"

#include <chrono>
#include <libpq-fe.h>
#include <memory>
#include <string>
#include <vector>

namespace postferry::sql::detail {

struct clear_result {
    void operator()(PGresult* r) const noexcept { PQclear(r); }
};
using pg_result = std::unique_ptr<PGresult, clear_result>;

/// The parameters of one call, in libpq's form: text unless told otherwise.
struct pg_parameters {
    std::vector<std::string> values;
    std::vector<bool> nulls;
    std::vector<int> formats; ///< 1 = binary (bytea)
};

class pg_link {
  public:
    pg_link(location where, secret password, open_options options);
    ~pg_link();
    pg_link(const pg_link&) = delete;
    pg_link& operator=(const pg_link&) = delete;

    /// Anew; what stood is closed. A connection that the server has not noticed to be over is ended there first: no
    /// COMMIT of it may arrive after this.
    [[nodiscard]] result<void> connect();
    [[nodiscard]] bool up() const noexcept { return line_ != nullptr && PQstatus(line_.get()) == CONNECTION_OK; }
    void close() noexcept { line_.reset(); }
    /// Counts connections: what was prepared in an earlier one is no more.
    [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }
    [[nodiscard]] bool in_failed_transaction() const noexcept {
        return up() && PQtransactionStatus(line_.get()) == PQTRANS_INERROR;
    }

    /// Statements without parameters, to their end; the last one's result.
    [[nodiscard]] result<pg_result> simple(const std::string& sql);
    [[nodiscard]] result<void> prepare(const std::string& name, const std::string& sql);
    /// Then next() until it answers null. Rows come one at a time (PGRES_SINGLE_TUPLE), or all of them in the result
    /// that ends them.
    [[nodiscard]] result<void> start(const std::string& name, const pg_parameters& parameters, bool all_at_once);
    /// One row, or the result that ends the rows, or null: over. After an error it is over.
    [[nodiscard]] result<pg_result> next();
    void drain() noexcept; ///< throws the rest away

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] trouble last() const noexcept { return last_; }
    void remember(trouble why) noexcept { last_ = why; }
    /// An error of our own making.
    [[nodiscard]] std::unexpected<error> failed(trouble kind, std::string_view said, bool by_server = false);

  private:
    struct close_line {
        void operator()(PGconn* line) const noexcept { PQfinish(line); }
    };
    using clock = std::chrono::steady_clock;

    [[nodiscard]] result<void> establish();
    [[nodiscard]] result<void> set_up();
    [[nodiscard]] result<void> end_predecessor();
    [[nodiscard]] result<void> refused_connection();
    [[nodiscard]] bool wait(bool for_writing);
    [[nodiscard]] result<void> sent(int accepted);
    [[nodiscard]] result<void> flush();
    [[nodiscard]] result<pg_result> receive();
    [[nodiscard]] std::unexpected<error> lost(std::string_view why);
    [[nodiscard]] std::unexpected<error> failed(const PGresult* r);

    location where_;
    secret password_;
    open_options options_;
    std::string name_;
    std::unique_ptr<PGconn, close_line> line_;
    std::uint64_t generation_ = 0;
    std::string backend_, backend_start_; ///< who serves us there, to be ended if it outlives the line
    std::chrono::milliseconds limit_{};   ///< of one command
    clock::time_point deadline_;
    trouble last_ = trouble::none;
};

} // namespace postferry::sql::detail
