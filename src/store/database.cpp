#include "store/database.hpp"

#include "store/detail/database_parts.hpp"

#include <fmt/format.h>

namespace postferry::store {

database::parts::parts(std::string called, sql::dialect d, bool reading_only)
    : name(std::move(called)), dialect(d), read_only(reading_only),
      writes(fmt::format("the queue of {} is full", name)), reads(fmt::format("the queue of {} is full", name)) {}

database::parts::~parts() {
    // The readers first: SQLite tidies up with the last connection, which must be one that may write.
    reads.stop();
    readers.clear();
    writes.stop();
    writer.reset();
}

database::database(std::unique_ptr<parts> p) noexcept : parts_(std::move(p)) {}

database::~database() = default;

bool database::read_only() const noexcept { return parts_->read_only; }

sql::dialect database::dialect() const noexcept { return parts_->dialect; }

const std::string& database::name() const noexcept { return parts_->name; }

const std::string& database::session() const noexcept { return parts_->session; }

std::optional<outage> database::current_outage() const { return parts_->board.now(); }

void database::hurry() {
    parts_->writes.hurry();
    parts_->reads.hurry();
}

void database::push(std::unique_ptr<database_job> job) {
    const bool reads = job->only_reads();
    if (reads && !parts_->readers.empty()) return parts_->reads.push(std::move(job));
    if (reads || !parts_->read_only) return parts_->writes.push(std::move(job));
    job->fail(
        fail(retry_class::local, phase::ledger, fmt::format("{} was opened for reading only", parts_->name)).error());
    job->complete();
}

} // namespace postferry::store
