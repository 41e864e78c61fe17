#pragma once
// From the options of a run to the tokens that its mailboxes log in with.
#include "app/accounts.hpp"
#include "app/connect.hpp"
#include "app/options.hpp"
#include "base/digest.hpp"
#include "client/oauth.hpp"
#include "client/token_source.hpp"
#include "net/awaitable.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace postferry::app {

/// The clients of token endpoints that a run needs: [oauth.NAME] of the configuration, and those of --oauth-...; each
/// with its own token for all, and one token for each refresh token that a row has of its own. From any thread.
class token_desk {
  public:
    /// Reads the secrets of the clients that these accounts log in with. Errors: class config.
    /// @param options outlives the desk  @param ex where requests run; its context outlives the desk
    [[nodiscard]] static result<std::unique_ptr<token_desk>> open(const run_options& options,
                                                                  std::span<const account> accounts, executor ex);

    /// The same with every [oauth.NAME] of the configuration, for mailboxes that are not known yet.
    [[nodiscard]] static result<std::unique_ptr<token_desk>> of_config(const run_options& options, executor ex);

    /// What logs in at an end of an account. Nothing: a password does, or a fixed token from the environment.
    /// @param own the row's refresh token, or null
    [[nodiscard]] std::shared_ptr<client::token_source> tokens_of(const mailbox::endpoint& where, side which,
                                                                  const std::shared_ptr<const row_token>& own);
    /// Refresh tokens that were replaced by the endpoint and are in no file: the next run does not know them.
    [[nodiscard]] std::size_t unkept() const;

  private:
    token_desk(const run_options& options, executor ex) : options_(options), ex_(std::move(ex)) {}
    [[nodiscard]] const login_options& login_at(side which) const noexcept;
    /// "oauth.work", or "source" for the options of that end; empty: no client.
    [[nodiscard]] std::string client_at(const mailbox::endpoint& where, side which) const;
    [[nodiscard]] result<void> learn(const mailbox::endpoint& where, side which);
    [[nodiscard]] result<void> learn(const std::string& name);
    [[nodiscard]] std::shared_ptr<client::token_source> of_row(const std::string& client,
                                                               const std::shared_ptr<const row_token>& own);
    std::function<void(const secret&)> keeper(std::filesystem::path file, const secret& first);
    void drop_unused();

    const run_options& options_;
    executor ex_;
    std::map<std::string, oauth_options, std::less<>> clients_; ///< with their secrets; written by open() only
    mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<client::token_source>, std::less<>> shared_;
    std::map<std::pair<std::string, sha256_digest>, std::weak_ptr<client::token_source>> of_rows_;
    std::size_t sweep_at_ = 64;
    /// By what the run was given: the newest, where it is in no file. Two rows may have the same.
    std::map<sha256_digest, secret> renewed_;
};

/// The first line of a file, read again whenever the file changes. A token that a server refused is not given again.
[[nodiscard]] std::shared_ptr<client::token_source> token_file(std::filesystem::path file);

} // namespace postferry::app
