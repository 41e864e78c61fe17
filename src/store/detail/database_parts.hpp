#pragma once
// What a database is made of.
#include "store/database.hpp"
#include "store/database_thread.hpp"

#include <vector>

namespace postferry::store {

struct database::parts {
    parts(std::string called, sql::dialect d, bool reading_only);
    /// Carries out what is queued.
    ~parts();
    parts(const parts&) = delete;
    parts& operator=(const parts&) = delete;

    std::string name;
    std::string session;
    sql::dialect dialect;
    bool read_only;
    std::optional<file_lock> lock; ///< falls after the threads have ended and the file is closed
    outage_board board;
    job_queue writes, reads;
    std::unique_ptr<database_thread> writer; ///< in a read-only one it reads
    std::vector<std::unique_ptr<database_thread>> readers;
};

} // namespace postferry::store
