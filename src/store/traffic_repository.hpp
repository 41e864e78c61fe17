#pragma once
// The queries behind the traffic book (net/traffic_book.hpp), written once over sql/. On the ledger's own thread;
// transactions are the caller's.
#include "net/traffic_book.hpp"
#include "sql/connection.hpp"

#include <cstdint>
#include <vector>

namespace postferry::store {

class traffic_repository {
  public:
    explicit traffic_repository(sql::connection& db) noexcept : db_(db) {}

    [[nodiscard]] result<std::vector<net::traffic>> since(std::int64_t first_hour);
    [[nodiscard]] result<void> add(const std::vector<net::traffic>& more, std::int64_t first_hour);

  private:
    sql::connection& db_;
};

} // namespace postferry::store
