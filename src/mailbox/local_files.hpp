#pragma once
// System calls on files with errors as values. Everything here blocks: call it on a file_pool's thread.
#include "base/error.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>

namespace postferry::mailbox {

/// A file descriptor that is closed with its owner.
class file_handle {
  public:
    file_handle() = default;
    explicit file_handle(int fd) noexcept : fd_(fd) {}
    file_handle(file_handle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    file_handle& operator=(file_handle&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    ~file_handle() { reset(); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
    void reset() noexcept;

  private:
    int fd_ = -1;
};

/// What a failed system call means: `what` says what was tried and on which file. A full disk and an exhausted quota
/// are class local with response code OVERQUOTA, so that the pass ends as with a full server; permissions, read-only
/// file systems and worn-out disks are class local; a missing place is class config.
[[nodiscard]] error file_error(int number, phase where, std::string_view what);
[[nodiscard]] inline std::unexpected<error> file_failure(int number, phase where, std::string_view what) {
    return std::unexpected(file_error(number, where, what));
}

/// To whom new files belong: when we are root, to whom the mailbox belongs; else to us. Modes follow those of its root.
struct file_owner {
    bool give = false; ///< chown what we create
    uid_t user = 0;
    gid_t group = 0;
    mode_t file_mode = 0600, folder_mode = 0700;
};
[[nodiscard]] file_owner owner_like(int directory) noexcept;

/// No symbolic link is followed below `parent`: its owner may be less trusted than we are. `parent` may be AT_FDCWD.
[[nodiscard]] result<file_handle> open_directory(int parent, const char* name, phase where);
/// Creates it if it is not there; then its parent is to be synced by the caller. `made` says whether.
[[nodiscard]] result<file_handle> make_directory(int parent, const char* name, const file_owner& owner, bool& made);
/// Exclusively, for writing.
[[nodiscard]] result<file_handle> create_file(int directory, const char* name, const file_owner& owner);
[[nodiscard]] result<void> write_all(int fd, std::string_view octets, std::string_view what);
[[nodiscard]] result<void> sync_file(int fd, std::string_view what);

/// For reading, without leaving an access time where we may (the owner and root may); errno says why not.
[[nodiscard]] file_handle open_quietly(int directory, const char* name);
/// A whole small file; nothing when it is not there. Over `most` octets it is an error.
[[nodiscard]] result<std::optional<std::string>> read_small_file(int directory, const char* name, std::uint64_t most);
/// Puts `text` in the place of `name`, whole or not at all, durably: `temporary` is written, synced and renamed. The
/// directory is synced.
[[nodiscard]] result<void> replace_file(int directory, const char* name, const char* temporary, std::string_view text,
                                        const file_owner& owner);

/// Names in a directory except "." and "..". `type` is DT_* of readdir(3), DT_UNKNOWN where the file system does not
/// say.
[[nodiscard]] result<void> for_each_name(int directory,
                                         const std::function<void(std::string_view name, unsigned char type)>& take);

/// A lock file as Dovecot makes them (dotlock_use_excl): created exclusively, "pid:host" inside.
class dotlock {
  public:
    dotlock() = default;
    dotlock(dotlock&& other) noexcept;
    dotlock& operator=(dotlock&& other) noexcept;
    ~dotlock() { release(); }

    /// One attempt; nothing when somebody holds it. A lock whose holder on this host is dead, or that has not changed
    /// for two minutes and names no living holder, is removed.
    /// @param directory must stay open longer than the lock
    [[nodiscard]] static result<std::optional<dotlock>> try_lock(int directory, std::string name,
                                                                 const file_owner& owner);
    void release() noexcept;
    [[nodiscard]] explicit operator bool() const noexcept { return directory_ >= 0; }

  private:
    int directory_ = -1;
    std::string name_;
    ino_t inode_ = 0;
};

[[nodiscard]] std::string host_name();

} // namespace postferry::mailbox
