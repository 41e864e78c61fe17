#pragma once
#include "base/error.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace postferry::app {

/// A file that appears whole or not at all: written beside its place as ".NAME.part", synced, then renamed. Errors are
/// of class local and say what to do. Without commit() nothing is left behind.
class atomic_file {
  public:
    /// Proves that the place can be written, before a long run that would end with nothing to show. Fails too while
    /// another run is writing the same file.
    [[nodiscard]] static result<atomic_file> create(const std::filesystem::path& place);
    atomic_file(atomic_file&& other) noexcept;
    atomic_file& operator=(atomic_file&&) = delete;
    ~atomic_file();

    [[nodiscard]] result<void> write(std::string_view text);
    /// After it the file is in its place and on disk. Once.
    [[nodiscard]] result<void> commit();

  private:
    atomic_file(int fd, std::filesystem::path place, std::filesystem::path part) noexcept
        : fd_(fd), place_(std::move(place)), part_(std::move(part)) {}
    [[nodiscard]] result<void> flush();
    [[nodiscard]] std::unexpected<error> trouble(std::string_view doing) const;

    int fd_;
    std::filesystem::path place_, part_;
    std::string buffer_;
};

} // namespace postferry::app
