#pragma once
// What the tables of the store hold, as plain values. Words of enumerations are the words in the database, the API and
// the command line. Nothing here is secret: passwords are in `credential`, sealed.
#include "store/states.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace postferry::store {

/// The key of a row: > 0; 0 = not stored yet. Never given again after its row is gone.
using record_id = std::int64_t;
/// Milliseconds since 1970-01-01T00Z, by the clock of the database (tables::now).
using unix_ms = std::int64_t;
/// Rises with every change of a row. An update names the one it was made from; another one is a conflict.
using row_version = std::int64_t;
/// JSON text. What is in it is the matter of those who write it.
using json_text = std::string;

struct project {
    record_id id = 0;
    std::string name = {};
    unix_ms created = 0;
    row_version version = 0;
};

/// The project that is there from the start.
inline constexpr record_id default_project = 1;

struct setting {
    std::string scope = {}; ///< "company", "domain/ID", "project/ID"
    std::string name = {};
    json_text value = {};
    row_version version = 0;
};

struct domain {
    record_id id = 0;
    record_id project = default_project;
    std::string name = {};      ///< lower case, A-labels; one of a project
    std::string display = {};   ///< as people write it
    json_text overrides = "{}"; ///< directory::domain_settings where they differ from the company's
    bool provisioning_frozen = false;
    bool passwords_frozen = false;
    unix_ms created = 0;
    row_version version = 0;
};

enum class account_state : std::uint8_t { planned, active, suspended, failed };

struct account {
    record_id id = 0;
    record_id domain = 0;
    std::string address = {}; ///< lower case; one of all
    std::string name = {};
    std::optional<std::uint64_t> quota = {};   ///< octets; 0: no limit; not there: the domain's
    std::string language = {}, time_zone = {}; ///< empty: the domain's
    json_text services = "{}";
    account_state state = account_state::planned;
    std::string reason = {}; ///< of failed
    unix_ms created = 0;
    row_version version = 0;
};

enum class alias_origin : std::uint8_t { csv, directory, discovered };
enum class alias_state : std::uint8_t { proposed, approved, created, failed, refused };

struct alias {
    record_id id = 0;
    record_id domain = 0;
    std::string address = {}, goes_to = {}; ///< lower case; together one of all
    alias_origin origin = alias_origin::csv;
    alias_state state = alias_state::proposed;
    std::string reason = {};
    // What speaks for one that was found in mail.
    std::string seen_in = {}; ///< header fields: "To, Delivered-To"
    std::uint64_t seen_messages = 0;
    std::optional<unix_ms> seen_newest = {};
};

enum class batch_mode : std::uint8_t { create_only, upsert, messages_only, passwords_only };

struct batch {
    record_id id = 0;
    record_id project = default_project;
    std::string name = {}; ///< one of a project
    batch_state state = batch_state::draft;
    batch_mode mode = batch_mode::messages_only;
    json_text settings = "{}";
    std::optional<unix_ms> start_at = {};
    unix_ms created = 0;
    std::string created_by = {};
    row_version version = 0;
};

/// Of the mailbox as its last pass left it.
struct message_counts {
    std::uint64_t messages_source = 0, messages_copied = 0, messages_present = 0, messages_skipped = 0,
                  messages_failed = 0;
    std::uint64_t octets_source = 0, octets_copied = 0;
    bool operator==(const message_counts&) const = default;
};

/// The mailboxes of a batch that are in one state, together.
struct batch_tally {
    mailbox_state state = mailbox_state::draft;
    std::uint64_t mailboxes = 0;
    message_counts counts = {};
};

/// One mailbox of a batch.
struct migration {
    record_id id = 0;
    record_id batch = 0;
    std::optional<record_id> account = {};
    std::string source_url = {}, target_url = {}; ///< without user and password
    std::string source_user = {}, target_user = {};
    std::string source_server = {}, target_server = {}; ///< what connections are counted by: "imap.example.org:993"
    std::optional<std::int64_t> ledger_mailbox = {};    ///< transfer::mailbox_id, after its first pass
    mailbox_state state = mailbox_state::draft;
    std::string reason = {};           ///< for people; of paused: name_of(pause_reason)
    std::string reason_class = {};     ///< name_of(retry_class) of what failed; or empty
    std::optional<unix_ms> until = {}; ///< throttled, paused, synced: the next moment, for people
    std::string throttled_by = {};     ///< server key
    int priority = 0;                  ///< -100 .. 100; higher first
    std::string next_pass = {};        ///< name_of(transfer::pass_kind)
    std::optional<unix_ms> due = {};   ///< from when on a worker may take it; none: not at all
    message_counts counts = {};
    std::string grade = {}; ///< of the last report; empty before
    std::uint32_t passes = 0;
    unix_ms since = 0;                                                             ///< in this state
    std::uint64_t queued_ms = 0, running_ms = 0, throttled_ms = 0, stalled_ms = 0; ///< until `since`
    std::uint32_t position = 0; ///< in the batch, from 1: row of the CSV
    unix_ms created = 0;
    std::string notify = {}; ///< as the list says it: where notices to its owner go, "yes", "no", or nothing
    row_version version = 0;
};

/// A worker's hold on a mailbox. Fencing: a token is never given twice for one mailbox, and each is higher than the
/// last.
struct lease {
    record_id migration = 0;
    std::string worker = {}; ///< worker::id
    std::int64_t token = 0;
    unix_ms expires = 0;
    std::string source_server = {}, target_server = {};
    int source_connections = 1, target_connections = 1;
};

enum class worker_state : std::uint8_t { running, stopping, gone };

struct worker {
    std::string id = {}; ///< drawn by lot when the process starts
    std::string name = {}, host = {};
    std::int64_t pid = 0;
    std::string version = {};
    int jobs = 0; ///< mailboxes at a time
    unix_ms started = 0, seen = 0;
    worker_state state = worker_state::running;
};

/// What all workers together may ask of a server, and whether it wants a pause.
struct server {
    std::string key = {};
    std::optional<int> connections_max = {}; ///< none: no limit
    std::optional<std::uint64_t> messages_per_second = {}, octets_per_second = {};
    std::optional<unix_ms> paused_until = {};
    std::string paused_why = {};
    row_version version = 0;
};

struct pass_record {
    record_id id = 0;
    record_id migration = 0;
    std::string kind = {}; ///< name_of(transfer::pass_kind)
    unix_ms started = 0;
    std::optional<unix_ms> ended = {};
    std::string worker = {};
    std::string outcome = {}; ///< empty while it runs
    message_counts counts = {};
    json_text report = {}; ///< as in docs/json.md, "mailboxes"; empty while it runs
};

/// A message of a mailbox that somebody has accepted to leave behind.
struct waiver {
    record_id migration = 0;
    std::string folder = {}; ///< of the source
    std::uint32_t source_uid = 0;
    std::string by = {}; ///< event::actor
    unix_ms at = 0;
    std::string why = {};
};

/// Something that happened. Never changed, never taken back.
struct event {
    record_id id = 0;
    unix_ms at = 0;
    std::string actor = {}; ///< "person/ID", "token/ID", "worker/ID", "system", "cli/UID"
    std::string kind = {};  ///< "mailbox.state", "batch.state", "audit.batch.update" ...
    std::optional<record_id> project = {}, batch = {}, migration = {};
    std::string before = {}, after = {}; ///< states, or JSON of what was changed; without secrets
    json_text detail = "{}";
};

enum class log_level : std::uint8_t { debug, info, warning, error };

/// A redacted line.
struct log_line {
    record_id id = 0;
    unix_ms at = 0;
    record_id batch = 0;
    std::optional<record_id> migration = {};
    std::optional<std::string> folder = {};
    log_level level = log_level::info;
    std::string text = {};
};

enum class owner_kind : std::uint8_t { migration, account, server, hook };

/// Whose secret it is; what a sealed one is bound to.
struct credential_key {
    owner_kind kind = owner_kind::migration;
    std::string owner = {};   ///< id in decimal, or a server's key
    std::string purpose = {}; ///< "source", "target", "source.refresh_token" ...
    auto operator<=>(const credential_key&) const = default;
};

struct credential {
    record_id id = 0;
    credential_key key = {};
    std::string key_id = {}; ///< seal_key::id
    std::vector<std::uint8_t> sealed = {};
    unix_ms updated = 0;
};

struct seal_key {
    std::string id = {}; ///< 16 hexadecimal digits
    unix_ms created = 0;
    bool current = false;
};

enum class person_role : std::uint8_t { viewer, operator_, admin, owner };

struct person {
    record_id id = 0;
    std::string name = {}; ///< login; one of all, lower case
    std::string display = {};
    person_role role = person_role::viewer;
    std::string password = {}; ///< argon2id in crypto_pwhash_str's form; empty: cannot sign in with one
    unix_ms created = 0;
    bool disabled = false;
    row_version version = 0;
};

struct session {
    std::string hash = {}; ///< hexadecimal; of the cookie
    record_id person = 0;
    std::string csrf = {};
    unix_ms created = 0, seen = 0, expires = 0;
    std::string address = {}, agent = {};
};

struct api_token {
    record_id id = 0;
    record_id person = 0;
    std::string name = {};
    std::string hash = {};   ///< hexadecimal; one of all
    std::string scopes = {}; ///< words with spaces between
    unix_ms created = 0;
    std::optional<unix_ms> expires = {}, used = {};
};

/// What was answered to a request that bore an idempotency key.
struct remembered_answer {
    std::string key = {};
    std::string actor = {}; ///< as in event; a key is one of its actor's
    std::string route = {};
    std::string request_hash = {};
    int status = 0; ///< 0: still at work
    std::string body = {};
    unix_ms created = 0;
};

enum class link_kind : std::uint8_t { recredential, first_owner };

/// A link that works once.
struct one_time_link {
    record_id id = 0;
    link_kind kind = link_kind::recredential;
    std::string subject = {};    ///< migration id in decimal
    std::string nonce_hash = {}; ///< hexadecimal; one of all
    unix_ms created = 0, expires = 0;
    std::optional<unix_ms> used = {};
};

template <>
inline constexpr std::array<std::string_view, 4> words_of<account_state>{"planned", "active", "suspended", "failed"};
template <> inline constexpr std::array<std::string_view, 3> words_of<alias_origin>{"csv", "directory", "discovered"};
template <>
inline constexpr std::array<std::string_view, 5> words_of<alias_state>{"proposed", "approved", "created", "failed",
                                                                       "refused"};
template <>
inline constexpr std::array<std::string_view, 4> words_of<batch_mode>{"create-only", "upsert", "messages-only",
                                                                      "passwords-only"};
template <> inline constexpr std::array<std::string_view, 3> words_of<worker_state>{"running", "stopping", "gone"};
template <> inline constexpr std::array<std::string_view, 4> words_of<log_level>{"debug", "info", "warning", "error"};
template <>
inline constexpr std::array<std::string_view, 4> words_of<owner_kind>{"migration", "account", "server", "hook"};
template <>
inline constexpr std::array<std::string_view, 4> words_of<person_role>{"viewer", "operator", "admin", "owner"};
template <> inline constexpr std::array<std::string_view, 2> words_of<link_kind>{"recredential", "first-owner"};

} // namespace postferry::store
