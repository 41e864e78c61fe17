#pragma once
// THE table of the configuration file's keys. The parser, the example, docs/config.md and the effective settings are
// made from it.
#include "app/config.hpp"

#include <span>
#include <string>
#include <string_view>

namespace postferry::app {

enum class key_kind : std::uint8_t {
    flag,
    number,      ///< least .. most
    text,        ///< not empty
    choice,      ///< one of `allowed`, "text|json"
    list,        ///< of texts
    size,        ///< "2MB", or octets
    rate,        ///< 4, 0.5
    duration,    ///< "4h", least .. most seconds
    path,        ///< absolute, or from the file's folder
    secret,      ///< text of its own; with _file behind the name it is secret_file
    secret_file, ///< in no row; what the reader makes of a secret
};

struct config_key;

/// Where a value goes: "oauth.work", "work".
struct key_use {
    std::string_view section, instance;
    const config_key& key;
};

struct config_key {
    std::string_view name;
    key_kind kind = key_kind::text;
    std::string_view allowed = {};  ///< for people, "a URL"; of a choice its words
    std::string_view fallback = {}; ///< TOML; empty: not set
    std::string_view example = {};  ///< TOML, where there is no fallback; of a secret the file
    std::string_view help = {};
    std::int64_t least = 0, most = 0;
    bool required = false;
    /// What is wrong with a text, or with each of a list; empty: nothing. Never repeats the text.
    std::string (*check)(std::string_view) = nullptr;
    /// Stores a value that has been checked.
    void (*put)(config&, const key_use&, const config_value&) = nullptr;
};

struct config_section {
    std::string_view name;
    bool named = false; ///< [name.NAME], any number of them
    bool open = false;  ///< keys that are not here are handed on unread
    std::string_view help = {};
    std::span<const config_key> keys = {};
};

[[nodiscard]] std::span<const config_section> config_sections();

/// "a number from 1 to 1000", "text, json or journald".
[[nodiscard]] std::string allowed_of(const config_key& key);
/// What is wrong with a value, with what is allowed; empty: nothing.
[[nodiscard]] std::string trouble_of(const config_key& key, const config_value& value);

/// A value as TOML writes it.
[[nodiscard]] std::string as_toml(const config_value& value);

/// Whether a driver's key holds a secret itself: its name ends in password, secret or token.
[[nodiscard]] bool sounds_secret(std::string_view key) noexcept;
/// The secret in the file that a driver's KEY_file names, KEY sounding so; else none is given.
[[nodiscard]] config_secret secret_file_of(const config_entry& e, std::string_view full_key);

/// What must be right of several keys together: pairs, names that are used and not there. In no order.
[[nodiscard]] std::vector<config_fault> check_together(const config_file& file);

/// "90s", "30m", "4h", "2d".
[[nodiscard]] std::optional<std::chrono::seconds> parse_duration(std::string_view text);
/// "20:00-06:00", "mon-fri 20:00-06:00", "sat,sun".
[[nodiscard]] std::optional<config_window> parse_window(std::string_view text);

/// Checks for the table.
namespace check {
[[nodiscard]] std::string address(std::string_view text);
[[nodiscard]] std::string network(std::string_view text);
[[nodiscard]] std::string http_url(std::string_view text);
[[nodiscard]] std::string public_url(std::string_view text);
[[nodiscard]] std::string mail_url(std::string_view text);
[[nodiscard]] std::string store_url(std::string_view text);
[[nodiscard]] std::string window(std::string_view text);
[[nodiscard]] std::string map_rule(std::string_view text);
[[nodiscard]] std::string day(std::string_view text);
[[nodiscard]] std::string repairs(std::string_view text);
[[nodiscard]] std::string preset(std::string_view text);
[[nodiscard]] std::string not_empty(std::string_view text);
} // namespace check

} // namespace postferry::app
