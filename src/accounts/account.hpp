#pragma once
// One mailbox of a CSV, and what is said for all of them. The parts that rows share are kept once.
#include "base/error.hpp"
#include "base/secret.hpp"
#include "mailbox/endpoint.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::accounts {

/// The refresh token of one mailbox: of a column, or (file:PATH) of a file, into which the next one is written.
struct row_token {
    secret token;
    std::filesystem::path file;                   ///< empty: it stood in the row
    std::function<void(const secret&)> keep = {}; ///< told the next one, instead of the file; from any thread
};

/// What --source (or --target) and its password file say for every row.
struct side_defaults {
    std::string url; ///< may hold {user}, {local}, {domain}; empty: every row names its own
    secret password; ///< of the admin where admin= is set, the token with auth=xoauth2 or oauthbearer, else for rows
                     ///< without
    bool tokens = false;            ///< OAuth 2 logs in where auth=xoauth2 or oauthbearer
    bool row_tokens_needed = false; ///< and its client has no refresh token of its own
    /// The clients that oauth= may name; true: each mailbox needs a refresh token of its own.
    std::map<std::string, bool, std::less<>> clients = {};
};

struct account_defaults {
    side_defaults source, target;
    /// Reads the file that a row's refresh token is in (file:PATH). None: rows may name no files, as those who wrote
    /// them may not read here.
    std::function<result<secret>(const std::filesystem::path&)> read_file = {};
};

/// A fault of the file. Never holds a value of a password column.
struct csv_fault {
    std::uint64_t row = 0, line = 0; ///< see csv_record; 0 for the file as a whole
    std::string column;              ///< the name in this file, or its name in the preset; may be empty
    std::string what;
    [[nodiscard]] std::string text() const; ///< "row 3 (line 4), source_user: is empty"
};

/// One mailbox to move. The parts that all rows share (host, TLS, ...) are kept once, so a million rows fit in memory.
class account {
  public:
    account(std::uint64_t row, mailbox::endpoint source, mailbox::endpoint target);
    account(std::uint64_t row, std::shared_ptr<const mailbox::endpoint> source, std::string source_user,
            secret source_password, std::shared_ptr<const mailbox::endpoint> target, std::string target_user,
            secret target_password);

    [[nodiscard]] std::uint64_t row() const noexcept { return row_; } ///< 0: from the command line
    [[nodiscard]] mailbox::endpoint source() const { return source_.whole(); }
    [[nodiscard]] mailbox::endpoint target() const { return target_.whole(); }
    /// What its server and login are, without user and password.
    [[nodiscard]] const mailbox::endpoint& source_settings() const noexcept { return *source_.base; }
    [[nodiscard]] const mailbox::endpoint& target_settings() const noexcept { return *target_.base; }
    /// The mailbox's own refresh tokens, or null.
    [[nodiscard]] const std::shared_ptr<const row_token>& source_token() const noexcept { return source_.token; }
    [[nodiscard]] const std::shared_ptr<const row_token>& target_token() const noexcept { return target_.token; }
    void log_in_with(std::shared_ptr<const row_token> source, std::shared_ptr<const row_token> target) noexcept;
    /// Same server and user at both ends.
    [[nodiscard]] bool same_mailboxes(const account& other) const noexcept;
    [[nodiscard]] bool same_target(const account& other) const noexcept;
    [[nodiscard]] bool onto_itself() const noexcept;
    [[nodiscard]] std::size_t hash() const noexcept;
    [[nodiscard]] std::size_t target_hash() const noexcept;

  private:
    struct end {
        std::shared_ptr<const mailbox::endpoint> base;
        std::string user;
        secret password;
        std::shared_ptr<const row_token> token = {};
        [[nodiscard]] mailbox::endpoint whole() const;
        [[nodiscard]] bool same(const end& other) const noexcept;
        [[nodiscard]] std::size_t hash() const noexcept;
    };

    std::uint64_t row_;
    end source_, target_;
};

/// Whether logging in there takes a password (or a token): everything but auth=external.
[[nodiscard]] bool needs_password(const mailbox::endpoint& e) noexcept;
/// Whether an OAuth 2 token logs in there: auth=xoauth2 or oauthbearer.
[[nodiscard]] bool takes_token(const mailbox::endpoint& e) noexcept;
/// Whether the password is the same for all mailboxes there: admin=, or a token.
[[nodiscard]] bool has_common_login(const mailbox::endpoint& e) noexcept;

} // namespace postferry::accounts
