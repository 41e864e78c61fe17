#pragma once
// Secrets in the store: what credential_repository holds, sealed and opened with the key file's keys.
#include "store/key_file.hpp"
#include "store/tables.hpp"

#include <filesystem>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::store {

namespace refusal {
inline constexpr std::string_view no_key = "NO-KEY";     ///< sealed with a key that is not in the key file
inline constexpr std::string_view tampered = "TAMPERED"; ///< not as it was sealed, or sealed for something else
} // namespace refusal

/// A secret and whose it is.
struct credential_value {
    credential_key key = {};
    secret value = {};
};

/// Credentials that cannot be opened, by the key they were sealed with.
struct lost_key {
    std::string key_id;
    std::int64_t credentials = 0;
};

/// From any thread; its calls run inside a transaction of `tables`. Reads the key file again by itself when the store
/// names a key that it has not seen yet (the key was changed while we ran).
class vault {
  public:
    /// As load_keys().
    [[nodiscard]] static result<std::unique_ptr<vault>> open(const std::filesystem::path& key_file);

    /// Sealed with the store's current key; thousands at once. `no_key`: the store's current key is not in our file:
    /// another machine has changed it.
    [[nodiscard]] result<void> put(tables& t, const std::vector<credential_value>& all);
    /// nullopt: there is none. `no_key` and `tampered`: it is there and cannot be opened; ask for it again.
    [[nodiscard]] result<std::optional<secret>> get(tables& t, const credential_key& key);
    /// The secret in what the store has. `no_key` and `tampered` as above.
    [[nodiscard]] result<secret> unseal(const credential& stored);

    /// Once at the start, in a write: makes our first key the store's when it has none, and says which credentials are
    /// lost. `no_key` when the store's current key is not in our file and something is sealed with it: this is the
    /// wrong key file. (`take_anyway`: the right one is lost; ours becomes current.)
    [[nodiscard]] result<std::vector<lost_key>> attach(tables& t, bool take_anyway = false);
    /// For whoever only takes part (a worker): `no_key` when the store's current key is not in our file. Changes
    /// nothing.
    [[nodiscard]] result<void> join(tables& t);
    /// Seals up to `limit` credentials anew with the current key; answers how many, 0: all are. What cannot be opened
    /// is passed over.
    struct progress {
        int resealed = 0, passed_over = 0;
        record_id after = 0; ///< where the next call goes on
        bool more = false;
    };
    [[nodiscard]] result<progress> reseal(tables& t, record_id after, int limit = 500);

    /// A text that nobody without the key file can make (for links that we hand out): sealed, and bound to a purpose.
    [[nodiscard]] std::vector<std::uint8_t> seal_token(const secret& plain, std::string_view purpose) const;
    /// nullopt: not made by seal_token() with one of our keys for this purpose.
    [[nodiscard]] std::optional<secret> open_token(std::span<const std::uint8_t> token, std::string_view purpose) const;

    [[nodiscard]] std::string current() const; ///< id of our first key

  private:
    vault(std::filesystem::path file, key_ring keys) : file_(std::move(file)), keys_(std::move(keys)) {}
    [[nodiscard]] std::optional<sealing_key> find(const std::string& key_id);
    [[nodiscard]] result<std::optional<sealing_key>> sealing(tables& t);

    std::filesystem::path file_;
    mutable std::mutex mutex_;
    key_ring keys_;
};

/// What a sealed secret is bound to.
[[nodiscard]] std::string bond_of(const credential_key& key);

} // namespace postferry::store
