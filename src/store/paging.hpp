#pragma once
// Lists come in pages, by key: a page begins behind the last row of the one before, so that rows which come and go
// meanwhile neither repeat nor hide others.
#include "store/records.hpp"

#include <vector>

namespace postferry::store {

struct paging {
    static constexpr int max_limit = 5000;
    record_id after = 0; ///< the last row's id of the page before; 0: from the start
    int limit = 100;     ///< 1 .. max_limit; what lies outside is taken for the nearest
    bool newest_first = false;
};

template <class T> struct slice {
    std::vector<T> rows;
    bool more = false; ///< there is a page behind this one
};

} // namespace postferry::store
