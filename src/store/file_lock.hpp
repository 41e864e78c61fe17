#pragma once
#include "base/error.hpp"

#include <filesystem>
#include <memory>
#include <string>

namespace postferry::store {

/// Says who works on a file: an advisory lock (flock) on FILE.lock, whose content names the holder as JSON: pid, host,
/// command, started (RFC 3339). The kernel drops the lock with the process, however that ends; a lock file that is left
/// behind holds nobody up.
class file_lock {
  public:
    /// How messages call the file, and what else to do.
    struct wording {
        std::string kind = "ledger", elsewhere = "name another ledger with --state";
    };
    /// `command` goes into the file for others to read: no secrets. Held by somebody else: class config, naming them.
    [[nodiscard]] static result<file_lock> take(const std::filesystem::path& file, const std::string& command,
                                                const wording& words);
    [[nodiscard]] static result<file_lock> take(const std::filesystem::path& file, const std::string& command) {
        return take(file, command, wording{});
    }
    file_lock(file_lock&& other) noexcept;
    file_lock& operator=(file_lock&&) = delete;
    ~file_lock();

  private:
    file_lock(int descriptor, std::filesystem::path path) noexcept : descriptor_(descriptor), path_(std::move(path)) {}
    int descriptor_;
    std::filesystem::path path_;
};

} // namespace postferry::store
