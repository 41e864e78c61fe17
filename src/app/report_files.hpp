#pragma once
// The files of --report, in their formats, with their signatures.
#include "app/atomic_file.hpp"
#include "app/report_json.hpp"
#include "base/signature.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace postferry::app {

enum class report_format : std::uint8_t { json, csv, html };
/// By the ending of the name (.json, .csv, .html, .htm; case does not matter).
[[nodiscard]] std::optional<report_format> format_of(const std::filesystem::path& file);

/// The key of --sign-key. Errors: class config, naming the file.
[[nodiscard]] result<signing_key> read_signing_key(const std::filesystem::path& file);
/// Errors: class config (it cannot be read, or is larger than `most`).
[[nodiscard]] result<std::string> read_whole_file(const std::filesystem::path& file, std::uint64_t most);

class report_files {
  public:
    static constexpr std::uint64_t largest_signed = std::uint64_t{1} << 30U; ///< octets

    /// Before the run: whatever cannot be written is found out now. `sign_key` empty: no signatures. Every name has a
    /// format.
    [[nodiscard]] static result<report_files> open(const std::vector<std::filesystem::path>& places,
                                                   const std::filesystem::path& sign_key);
    /// All of them; the first failure ends it. Once.
    [[nodiscard]] result<void> write(const report_frame& frame, const mailbox_walk& mailboxes);

  private:
    struct one {
        std::filesystem::path place;
        atomic_file file;
        std::optional<atomic_file> signature;
    };
    report_files() = default;

    std::vector<one> files_;
    std::optional<signing_key> key_;
};

} // namespace postferry::app
