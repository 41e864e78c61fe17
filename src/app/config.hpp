#pragma once
// The configuration file (docs/config.md): what it says, as plain values, and how it is found and read. Which keys
// there are, what they may be and what they are when nobody says so, stands once: in config_keys.cpp.
#include "app/guest_options.hpp"
#include "base/error.hpp"
#include "base/secret.hpp"

#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace postferry::app {

/// A place in the file, both from 1; columns count characters. 0: nowhere.
struct config_place {
    std::uint32_t line = 0, column = 0;
};

/// What a key may hold: TOML's own types, lists only of text.
using config_value = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>>;

/// KEY = "..." in a file that others cannot read, or KEY_file = "path". Both empty: not given.
struct config_secret {
    secret text;
    std::filesystem::path file;
    std::string key; ///< "store.password", for errors

    [[nodiscard]] bool given() const noexcept { return !text.empty() || !file.empty(); }
    /// In a file below ${CREDENTIALS_DIRECTORY}, which systemd has not set for this process.
    [[nodiscard]] bool is_nowhere() const;
    /// The secret: read now when it is in a file (first line). Empty when none was given. Errors (class config): the
    /// file cannot be read, is empty, or can be read by others.
    [[nodiscard]] result<secret> value() const;
};

/// [oauth.NAME]: a client of a token endpoint.
struct config_oauth {
    std::string token_endpoint, client_id, scope;
    bool refresh = false; ///< grant refresh-token, else client-credentials
    config_secret client_secret, refresh_token;
    std::filesystem::path ca;
};

/// [defaults]: options of copy, migrate, plan, check and verify as the command line would have them; empty or nothing:
/// not said. Each value has been checked by itself.
struct config_defaults {
    std::string source, target;                     ///< URLs
    std::string source_oauth, target_oauth;         ///< names of [oauth.NAME] that are there
    config_secret source_password, target_password; ///< for the ends above, not for those that the command line names
    std::filesystem::path state;
    std::optional<std::uint32_t> jobs, timeout; ///< mailboxes at a time; seconds
    std::optional<bool> acl;
    std::vector<std::string> include, exclude, map, preset;
    std::string since, max_size, repair;
    std::string limit_rate, limit_messages, limit_logins, daily_bytes, daily_bytes_per_server;
};

enum class config_metrics : std::uint8_t { signed_in, open };

/// [service]: what `postferry serve` offers, and to whom.
struct config_service {
    std::vector<std::string> listen; ///< "127.0.0.1:8080", "[::1]:0" (any free port), "localhost:8080", "*:8443"
    std::filesystem::path socket;    ///< empty: none
    std::string public_url;          ///< without a slash at its end; empty: made of the first address
    std::filesystem::path tls_certificate, tls_key;     ///< PEM; both or none
    bool behind_proxy = false;                          ///< TLS ends at a proxy, which names the client
    std::vector<std::string> trusted_proxies;           ///< "10.0.0.0/8", "::1"
    config_metrics metrics = config_metrics::signed_in; ///< who may read /metrics
    std::vector<std::string> freeze_hook;               ///< an argument vector; empty: none
    std::uint32_t threads = 0;                          ///< for connections; 0: one for each processor
    std::uint32_t jobs = 8;          ///< mailboxes at a time in this process; 0: workers elsewhere do them
    std::chrono::seconds lease{60};  ///< a worker that was not heard of for so long has lost its mailboxes
    std::chrono::seconds timeout{0}; ///< a mail server that says nothing for so long is taken for dead
};

/// [store]
struct config_store {
    std::string url; ///< "sqlite:/path" or "postgresql://[user@]host[:port]/database?..." (no password in it)
    config_secret password;
    std::filesystem::path key_file; ///< what secrets in the store are sealed with

    [[nodiscard]] bool postgresql() const noexcept { return url.starts_with("postgresql:"); }
    /// Of sqlite: the database; else empty.
    [[nodiscard]] std::filesystem::path sqlite_file() const;
};

enum class config_log_level : std::uint8_t { error, warning, info, debug, wire };
enum class config_log_format : std::uint8_t { text, json, journald };

/// [log]: of the service.
struct config_log {
    config_log_level level = config_log_level::info;
    config_log_format format = config_log_format::text;
    std::filesystem::path file; ///< empty: standard error (or the journal, with journald)
};

/// A part of the week in which copying may run, in local time.
struct config_window {
    std::uint8_t days = 0x7f;            ///< on which it begins: bit 0 is Monday
    std::chrono::minutes from{0}, to{0}; ///< after midnight; to <= from: it ends on the next day
    bool operator==(const config_window&) const = default;
};

/// [schedule]
struct config_schedule {
    std::vector<config_window> hours;    ///< none: always
    std::chrono::seconds delta_every{0}; ///< between two passes of a mailbox that is synced; 0: none by themselves
};

/// A line of [provisioning.NAME] that only its driver understands; of tables in it, "table.key".
struct config_entry {
    std::string key;
    config_value value; ///< of a KEY_file: the path, expanded
    config_place where;
};

struct config_provisioning {
    std::string driver; ///< sql, exec, imap-admin or none
    std::vector<config_entry> settings;
};

struct config {
    std::map<std::string, config_oauth, std::less<>> oauth; ///< by name
    config_defaults defaults;
    config_service service;
    config_store store;
    config_log log;
    guest_options limits; ///< [limits]: of the service
    config_schedule schedule;
    std::map<std::string, config_provisioning, std::less<>> provisioning; ///< by name

    /// What holds where no file says anything.
    [[nodiscard]] static config standard();
};

struct config_fault {
    config_place where;
    std::string key;  ///< "service.listen"; may be empty
    std::string what; ///< with what is allowed; never a secret
};

/// All that is wrong with a file, in its order.
struct config_faults {
    static constexpr std::size_t most = 100; ///< kept

    std::filesystem::path file;
    std::vector<config_fault> list;
    std::size_t count = 0;

    /// "postferry.toml:12:8: service.lisen: ...", a line each.
    [[nodiscard]] std::string text() const;
};

/// A key that the file gives, in its words.
struct config_given {
    std::string section, key; ///< "oauth.work", "client_id"
    std::string value;        ///< as TOML; empty: it is a secret
    config_place where;
};

struct config_file {
    config values;
    std::filesystem::path file;      ///< empty: there was none
    std::vector<config_given> given; ///< in the file's order
    std::string note;                ///< for -v: which file was read, or why none
};

/// What is around the file; replaced in tests.
struct config_surroundings {
    std::function<const char*(const char* name)> environment; ///< as std::getenv
    std::filesystem::path usual = "/etc/postferry/postferry.toml";

    [[nodiscard]] static config_surroundings of_process();
};

/// Reads a whole text. Relative paths in it are completed by the folder of `file`. Opens no other file.
/// @param public_file others can read it: it may then hold no secrets
[[nodiscard]] std::expected<config_file, config_faults> parse_config(std::string_view text,
                                                                     const std::filesystem::path& file,
                                                                     bool public_file,
                                                                     const config_surroundings& around);

/// `named` (--config) if not empty, else $POSTFERRY_CONFIG (none if that is empty), else the usual file if it is there
/// and this user may read it, else none. At most 1 MiB.
[[nodiscard]] std::expected<config_file, config_faults> find_config(const std::filesystem::path& named,
                                                                    const config_surroundings& around);

/// What find_config() cannot see without opening other files: secrets that cannot be read. For `config check`.
[[nodiscard]] std::vector<config_fault> try_secrets(const config_file& file);

/// A file with every key, explained, and commented out where it is at its default: `postferry config example`.
[[nodiscard]] std::string config_example();
/// The tables of docs/config.md.
[[nodiscard]] std::string config_reference();
/// TOML: what the file says and what holds where it says nothing; secrets are named only.
[[nodiscard]] std::string effective_config(const config_file& file);

} // namespace postferry::app
