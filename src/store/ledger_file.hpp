#pragma once
// The ledger's older name.
#include "store/ledger_books.hpp"

namespace postferry::store {

using ledger_file = ledger_books;

} // namespace postferry::store
