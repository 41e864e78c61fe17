#pragma once
// From the options of a run to the tokens that its mailboxes log in with.
#include "app/options.hpp"
#include "client/token_source.hpp"
#include "net/awaitable.hpp"

#include <memory>

namespace postferry::app {

/// Nothing: this end logs in without OAuth 2, or with a fixed token from the environment.
/// @param ex where requests run; its context outlives the answer
[[nodiscard]] std::shared_ptr<client::token_source> tokens_of(const login_options& login, executor ex);

/// The first line of a file, read again whenever the file changes. A token that a server refused is not given again.
[[nodiscard]] std::shared_ptr<client::token_source> token_file(std::filesystem::path file);

} // namespace postferry::app
