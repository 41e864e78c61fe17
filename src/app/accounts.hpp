#pragma once
// ACCOUNTS.csv of the command line: the rows as accounts/ reads them, with the files that they may name here.
#include "accounts/accounts.hpp"
#include "accounts/csv.hpp"

namespace postferry::app {

using accounts::account;
using accounts::account_defaults;
using accounts::account_list;
using accounts::csv_fault;
using accounts::csv_reader;
using accounts::has_common_login;
using accounts::needs_password;
using accounts::read_accounts;
using accounts::row_token;
using accounts::side_defaults;
using accounts::takes_token;

/// For those who may read files on this machine: rows may name some (file:PATH in a column of refresh tokens).
[[nodiscard]] account_defaults with_files(account_defaults defaults);

} // namespace postferry::app
