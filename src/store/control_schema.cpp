#include "store/control_schema.hpp"

#include <array>
#include <string>
#include <string_view>
#include <utility>

namespace postferry::store {

namespace {

// One text for both dialects: what stands in braces is spelled by spelled(). The rules of sql::schema_step hold.
// No references between tables: SQLite does not check them as it is opened here, and both must promise the same.
// Moments are milliseconds since 1970 UTC, truth is 0 or 1, JSON is text.
//
// migration: `due` is when a worker may take it. The index carries all that taking asks, so that thousands that wait
// for a server without room are passed over without being read. lease_token only rises: it outlives the leases.
// ledger_hold: which process copies a mailbox, where several may (PostgreSQL; store/hold_repository.hpp).
// batch_tally: kept by whoever changes a migration, in the same transaction, so that a page of batches counts nothing.
// Every process has a shard of its own: none waits for another's rows.
constexpr std::string_view version_6 = R"(
CREATE TABLE project (
  id {key},
  name {text} NOT NULL UNIQUE,
  created {number} NOT NULL);
INSERT INTO project (name, created) VALUES ('default', 0);
CREATE TABLE setting (
  scope {text} NOT NULL,
  name {text} NOT NULL,
  value {text} NOT NULL,
  version {number} NOT NULL DEFAULT 1,
  PRIMARY KEY (scope, name));
CREATE TABLE ledger_hold (
  mailbox {number} NOT NULL PRIMARY KEY,
  holder {text} NOT NULL,
  described {text} NOT NULL,
  migration {number},
  since {number} NOT NULL);
CREATE TABLE domain (
  id {key},
  project {number} NOT NULL,
  name {text} NOT NULL,
  display {text} NOT NULL,
  overrides {text} NOT NULL,
  provisioning_frozen {number} NOT NULL,
  passwords_frozen {number} NOT NULL,
  created {number} NOT NULL,
  version {number} NOT NULL DEFAULT 1,
  UNIQUE (project, name));
CREATE TABLE account (
  id {key},
  domain {number} NOT NULL,
  address {text} NOT NULL UNIQUE,
  name {text} NOT NULL,
  quota {number},
  language {text} NOT NULL,
  time_zone {text} NOT NULL,
  services {text} NOT NULL,
  state {text} NOT NULL,
  reason {text} NOT NULL,
  created {number} NOT NULL,
  version {number} NOT NULL DEFAULT 1);
CREATE INDEX account_domain ON account (domain, id);
CREATE TABLE alias (
  id {key},
  domain {number} NOT NULL,
  address {text} NOT NULL,
  goes_to {text} NOT NULL,
  origin {text} NOT NULL,
  state {text} NOT NULL,
  reason {text} NOT NULL,
  UNIQUE (address, goes_to));
CREATE INDEX alias_domain ON alias (domain, id);
CREATE TABLE batch (
  id {key},
  project {number} NOT NULL,
  name {text} NOT NULL,
  state {text} NOT NULL,
  mode {text} NOT NULL,
  settings {text} NOT NULL,
  start_at {number},
  created {number} NOT NULL,
  created_by {text} NOT NULL,
  version {number} NOT NULL DEFAULT 1,
  UNIQUE (project, name));
CREATE TABLE batch_tally (
  batch {number} NOT NULL,
  state {text} NOT NULL,
  shard {number} NOT NULL,
  mailboxes {number} NOT NULL,
  messages_source {number} NOT NULL,
  messages_copied {number} NOT NULL,
  messages_present {number} NOT NULL,
  messages_skipped {number} NOT NULL,
  messages_failed {number} NOT NULL,
  octets_source {number} NOT NULL,
  octets_copied {number} NOT NULL,
  PRIMARY KEY (batch, state, shard));
CREATE TABLE migration (
  id {key},
  batch {number} NOT NULL,
  account {number},
  source_url {text} NOT NULL,
  target_url {text} NOT NULL,
  source_user {text} NOT NULL,
  target_user {text} NOT NULL,
  source_server {text} NOT NULL,
  target_server {text} NOT NULL,
  ledger_mailbox {number},
  state {text} NOT NULL,
  reason {text} NOT NULL,
  reason_class {text} NOT NULL,
  until {number},
  throttled_by {text} NOT NULL,
  priority {number} NOT NULL,
  next_pass {text} NOT NULL,
  due {number},
  messages_source {number} NOT NULL,
  messages_copied {number} NOT NULL,
  messages_present {number} NOT NULL,
  messages_skipped {number} NOT NULL,
  messages_failed {number} NOT NULL,
  octets_source {number} NOT NULL,
  octets_copied {number} NOT NULL,
  grade {text} NOT NULL,
  passes {number} NOT NULL,
  since {number} NOT NULL,
  queued_ms {number} NOT NULL,
  running_ms {number} NOT NULL,
  throttled_ms {number} NOT NULL,
  stalled_ms {number} NOT NULL,
  position {number} NOT NULL,
  created {number} NOT NULL,
  version {number} NOT NULL DEFAULT 1,
  lease_token {number} NOT NULL DEFAULT 0,
  UNIQUE (batch, source_url, source_user, target_url, target_user));
CREATE INDEX migration_batch ON migration (batch, id);
CREATE INDEX migration_state ON migration (state, batch, id);
CREATE INDEX migration_due ON migration (priority DESC, due, id, source_server, target_server) WHERE due IS NOT NULL;
CREATE INDEX migration_account ON migration (account) WHERE account IS NOT NULL;
CREATE INDEX migration_ledger ON migration (ledger_mailbox) WHERE ledger_mailbox IS NOT NULL;
CREATE TABLE lease (
  migration {number} NOT NULL PRIMARY KEY,
  worker {text} NOT NULL,
  token {number} NOT NULL,
  expires {number} NOT NULL,
  source_server {text} NOT NULL,
  target_server {text} NOT NULL,
  source_connections {number} NOT NULL,
  target_connections {number} NOT NULL);
CREATE INDEX lease_worker ON lease (worker);
CREATE TABLE worker (
  id {text} NOT NULL PRIMARY KEY,
  name {text} NOT NULL,
  host {text} NOT NULL,
  pid {number} NOT NULL,
  program {text} NOT NULL,
  jobs {number} NOT NULL,
  started {number} NOT NULL,
  seen {number} NOT NULL,
  state {text} NOT NULL);
CREATE TABLE server (
  key {text} NOT NULL PRIMARY KEY,
  connections_max {number},
  messages_per_second {number},
  octets_per_second {number},
  paused_until {number},
  paused_why {text} NOT NULL,
  version {number} NOT NULL DEFAULT 1);
CREATE TABLE pass (
  id {key},
  migration {number} NOT NULL,
  kind {text} NOT NULL,
  started {number} NOT NULL,
  ended {number},
  worker {text} NOT NULL,
  outcome {text} NOT NULL,
  messages_source {number} NOT NULL,
  messages_copied {number} NOT NULL,
  messages_present {number} NOT NULL,
  messages_skipped {number} NOT NULL,
  messages_failed {number} NOT NULL,
  octets_source {number} NOT NULL,
  octets_copied {number} NOT NULL,
  report {text} NOT NULL);
CREATE INDEX pass_migration ON pass (migration, id);
CREATE TABLE event (
  id {key},
  at {number} NOT NULL,
  actor {text} NOT NULL,
  kind {text} NOT NULL,
  audit {number} NOT NULL,
  project {number},
  batch {number},
  migration {number},
  before {text} NOT NULL,
  after {text} NOT NULL,
  detail {text} NOT NULL);
CREATE INDEX event_batch ON event (batch, id) WHERE batch IS NOT NULL;
CREATE INDEX event_migration ON event (migration, id) WHERE migration IS NOT NULL;
CREATE INDEX event_audit ON event (id) WHERE audit = 1;
CREATE INDEX event_at ON event (at);
CREATE TABLE log (
  id {key},
  at {number} NOT NULL,
  batch {number} NOT NULL,
  migration {number},
  folder {text},
  level {number} NOT NULL,
  text {text} NOT NULL);
CREATE INDEX log_batch ON log (batch, id);
CREATE INDEX log_migration ON log (migration, id) WHERE migration IS NOT NULL;
CREATE INDEX log_at ON log (at);
CREATE TABLE credential (
  id {key},
  owner_kind {text} NOT NULL,
  owner {text} NOT NULL,
  purpose {text} NOT NULL,
  key_id {text} NOT NULL,
  sealed {octets} NOT NULL,
  updated {number} NOT NULL,
  UNIQUE (owner_kind, owner, purpose));
CREATE INDEX credential_seal ON credential (key_id, id);
CREATE TABLE seal_key (
  id {text} NOT NULL PRIMARY KEY,
  created {number} NOT NULL,
  is_current {number} NOT NULL);
CREATE TABLE person (
  id {key},
  name {text} NOT NULL UNIQUE,
  display {text} NOT NULL,
  role {text} NOT NULL,
  password {text} NOT NULL,
  created {number} NOT NULL,
  disabled {number} NOT NULL,
  version {number} NOT NULL DEFAULT 1);
CREATE TABLE session (
  hash {text} NOT NULL PRIMARY KEY,
  person {number} NOT NULL,
  csrf {text} NOT NULL,
  created {number} NOT NULL,
  seen {number} NOT NULL,
  expires {number} NOT NULL,
  address {text} NOT NULL,
  agent {text} NOT NULL);
CREATE INDEX session_person ON session (person);
CREATE TABLE token (
  id {key},
  person {number} NOT NULL,
  name {text} NOT NULL,
  hash {text} NOT NULL UNIQUE,
  scopes {text} NOT NULL,
  created {number} NOT NULL,
  expires {number},
  used {number});
CREATE INDEX token_person ON token (person, id);
CREATE TABLE remembered (
  actor {text} NOT NULL,
  key {text} NOT NULL,
  route {text} NOT NULL,
  request_hash {text} NOT NULL,
  status {number} NOT NULL,
  body {text} NOT NULL,
  created {number} NOT NULL,
  PRIMARY KEY (actor, key));
CREATE TABLE link (
  id {key},
  kind {text} NOT NULL,
  subject {text} NOT NULL,
  nonce_hash {text} NOT NULL UNIQUE,
  created {number} NOT NULL,
  expires {number} NOT NULL,
  used {number});
CREATE INDEX link_subject ON link (kind, subject);
)";

// What pages and their filters ask of a hundred thousand mailboxes has an index each. Where servers are full,
// store/due_queue.hpp goes by pairs of servers.
// waiver: messages of a mailbox that somebody has accepted to leave behind.
// alias.seen_*: what of it stands in mail: the header fields, messages, the newest one's moment.
// migration.notify: as the list says it (docs/bulk.md). aliases_sought: how far its mail was searched for aliases.
// Unreleased programs made some of this as part of version 6, hence IF NOT EXISTS: what their stores have, they keep.
constexpr std::string_view version_7 = R"(
CREATE TABLE IF NOT EXISTS waiver (
  migration {number} NOT NULL,
  folder {text} NOT NULL,
  source_uid {number} NOT NULL,
  waived_by {text} NOT NULL,
  at {number} NOT NULL,
  why {text} NOT NULL,
  PRIMARY KEY (migration, folder, source_uid));
CREATE INDEX IF NOT EXISTS alias_target ON alias (goes_to);
DROP INDEX IF EXISTS migration_state;
CREATE INDEX migration_state ON migration (state, id);
CREATE INDEX IF NOT EXISTS migration_batch_state ON migration (batch, state, id);
CREATE INDEX IF NOT EXISTS migration_grade ON migration (batch, grade, id);
CREATE INDEX IF NOT EXISTS migration_source ON migration (source_server, id);
CREATE INDEX IF NOT EXISTS migration_target ON migration (target_server, id);
CREATE INDEX IF NOT EXISTS migration_pair ON migration (source_server, target_server, priority DESC, due, id)
  WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS migration_source_user ON migration (lower(source_user), id);
CREATE INDEX IF NOT EXISTS migration_target_user ON migration (lower(target_user), id);
)";

constexpr sql::spelling added_words{.sqlite = "TEXT NOT NULL DEFAULT ''",
                                    .postgresql = "TEXT COLLATE \"C\" NOT NULL DEFAULT ''"};
constexpr sql::spelling added_number{.sqlite = "INTEGER NOT NULL DEFAULT 0", .postgresql = "BIGINT NOT NULL DEFAULT 0"};
constexpr sql::spelling added_edition{.sqlite = "INTEGER NOT NULL DEFAULT 1",
                                      .postgresql = "BIGINT NOT NULL DEFAULT 1"};
constexpr sql::spelling added_moment{.sqlite = "INTEGER", .postgresql = "BIGINT"}; // or none

constexpr std::array columns_7{
    sql::schema_step::column{.table = "project", .name = "version", .type = added_edition},
    sql::schema_step::column{.table = "alias", .name = "seen_in", .type = added_words},
    sql::schema_step::column{.table = "alias", .name = "seen_messages", .type = added_number},
    sql::schema_step::column{.table = "alias", .name = "seen_newest", .type = added_moment},
    sql::schema_step::column{.table = "migration", .name = "notify", .type = added_words},
    sql::schema_step::column{.table = "migration", .name = "aliases_sought", .type = added_words},
};

std::string spelled(std::string_view source, sql::dialect d) {
    // An id is never given twice, also in SQLite: events, logs and other people's programs remember them.
    static constexpr std::pair<std::string_view, sql::spelling> words[] = {
        {"{key}",
         {.sqlite = "INTEGER PRIMARY KEY AUTOINCREMENT",
          .postgresql = "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"}},
        {"{number}", {.sqlite = "INTEGER", .postgresql = "BIGINT"}},
        {"{text}", {.sqlite = "TEXT", .postgresql = "TEXT COLLATE \"C\""}},
        {"{octets}", {.sqlite = "BLOB", .postgresql = "BYTEA"}},
    };
    std::string out(source);
    for (const auto& [word, spelling] : words) {
        for (std::size_t at = out.find(word); at != std::string::npos; at = out.find(word, at))
            out.replace(at, word.size(), spelling.in(d));
    }
    return out;
}

} // namespace

const sql::schema_step& control_tables() noexcept {
    static const std::string sqlite = spelled(version_6, sql::dialect::sqlite);
    static const std::string postgresql = spelled(version_6, sql::dialect::postgresql);
    static const sql::schema_step step{.sqlite = sqlite, .postgresql = postgresql};
    return step;
}

const sql::schema_step& control_tables_7() noexcept {
    static const std::string sqlite = spelled(version_7, sql::dialect::sqlite);
    static const std::string postgresql = spelled(version_7, sql::dialect::postgresql);
    static const sql::schema_step step{.sqlite = sqlite, .postgresql = postgresql, .columns = columns_7};
    return step;
}

} // namespace postferry::store
