#pragma once
// The store of a service process, opened and put in order.
#include "app/config.hpp"
#include "net/awaitable.hpp"
#include "store/database.hpp"
#include "store/vault.hpp"

#include <memory>
#include <string>

namespace postferry::app {

struct service_store {
    std::unique_ptr<store::database> db;
    std::unique_ptr<store::vault> vault; ///< attached
};

/// Opens what [store] names. The first service on it makes the key file, and says so. Errors of class config say what
/// to mend: a worker on a file, a key file of another store, one that others can read.
/// @param serves a worker finds a store and a key file, and makes neither
[[nodiscard]] result<service_store> open_store(const config_file& file, bool serves);

/// Before work begins: asks again for passwords that cannot be opened any more, takes up what processes have left that
/// are gone for sure (all others, on a file: its lock says so), shows the command line's runs.
/// @param worker of this process; empty: it has none
task<result<void>> settle_store(store::database& db, std::string worker, bool serves);

} // namespace postferry::app
