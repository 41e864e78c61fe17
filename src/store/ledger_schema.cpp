#include "store/ledger_schema.hpp"

#include <array>

namespace postferry::store {

namespace {

// message: one row a message, so its columns are few and short. SQLite stores 0, 1 and NULL in no octet at all, and
// without a ROWID a row stands in the key's own tree: 56 octets with a digest.
// The folder's totals change with its rows in one transaction, so that a folder that did not move costs one row.
constexpr std::string_view version_1 = R"(
CREATE TABLE mailbox (
  id INTEGER PRIMARY KEY,
  source_key TEXT NOT NULL,
  target_key TEXT NOT NULL,
  UNIQUE (source_key, target_key));
CREATE TABLE folder (
  id INTEGER PRIMARY KEY,
  mailbox INTEGER NOT NULL REFERENCES mailbox,
  source_name TEXT NOT NULL,
  target_name TEXT NOT NULL,
  source_uid_validity INTEGER NOT NULL,
  target_uid_validity INTEGER NOT NULL,
  source_uid_next INTEGER NOT NULL DEFAULT 0,
  source_messages INTEGER NOT NULL DEFAULT 0,
  source_modseq INTEGER NOT NULL DEFAULT 0,
  target_mark INTEGER NOT NULL DEFAULT 0,
  complete INTEGER NOT NULL DEFAULT 0,
  subscribed INTEGER NOT NULL DEFAULT 0,
  copied INTEGER NOT NULL DEFAULT 0,
  present INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  copied_octets INTEGER NOT NULL DEFAULT 0,
  present_octets INTEGER NOT NULL DEFAULT 0,
  failed_octets INTEGER NOT NULL DEFAULT 0,
  UNIQUE (mailbox, source_name));
CREATE TABLE flag_set (
  folder INTEGER NOT NULL REFERENCES folder,
  number INTEGER NOT NULL,
  flags TEXT NOT NULL,
  PRIMARY KEY (folder, number),
  UNIQUE (folder, flags)) WITHOUT ROWID;
CREATE TABLE message (
  folder INTEGER NOT NULL REFERENCES folder,
  source_uid INTEGER NOT NULL,
  target_uid INTEGER NOT NULL,
  octets INTEGER NOT NULL,
  flags INTEGER NOT NULL,
  state INTEGER NOT NULL,
  digest BLOB,
  PRIMARY KEY (folder, source_uid)) WITHOUT ROWID;
CREATE TABLE failure (
  folder INTEGER NOT NULL REFERENCES folder,
  source_uid INTEGER NOT NULL,
  octets INTEGER NOT NULL,
  message_id TEXT NOT NULL,
  class INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (folder, source_uid)) WITHOUT ROWID;
)";

// Numbers for places that have no UIDs (mailbox/name_book.hpp). The keys of the mailbox are part of the folder's: two
// mailboxes that read one place may run at once, and each needs numbers that nobody else gives. uid_next only grows, so
// a number that was taken back is never given again. A file name may hold any octet, hence BLOB.
constexpr std::string_view version_2 = R"(
CREATE TABLE named_folder (
  id INTEGER PRIMARY KEY,
  source_key TEXT NOT NULL,
  target_key TEXT NOT NULL,
  place TEXT NOT NULL,
  folder TEXT NOT NULL,
  uid_validity INTEGER NOT NULL,
  uid_next INTEGER NOT NULL DEFAULT 1,
  UNIQUE (source_key, target_key, place, folder));
CREATE TABLE name (
  named_folder INTEGER NOT NULL REFERENCES named_folder,
  uid INTEGER NOT NULL,
  name BLOB NOT NULL,
  PRIMARY KEY (named_folder, uid)) WITHOUT ROWID;
)";

// What passes have reported, the last of each kind, so that `postferry report` can show it again. Some kB a mailbox.
constexpr std::string_view version_3 = R"(
CREATE TABLE report (
  mailbox INTEGER NOT NULL REFERENCES mailbox,
  pass TEXT NOT NULL,
  ended TEXT NOT NULL,
  body TEXT NOT NULL,
  UNIQUE (mailbox, pass));
)";

// Octets that moved, for daily budgets (net/traffic_book.hpp): by account or server, direction and hour. Rows older
// than a day are deleted as new ones come.
constexpr std::string_view version_4 = R"(
CREATE TABLE traffic (
  place TEXT NOT NULL,
  direction INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  octets INTEGER NOT NULL,
  PRIMARY KEY (place, direction, hour)) WITHOUT ROWID;
)";

// Messages that the target has in a repaired form (message/repair.hpp). A table of its own: they are rare, and a column
// would cost every message an octet.
constexpr std::string_view version_5 = R"(
CREATE TABLE repaired (
  folder INTEGER NOT NULL REFERENCES folder,
  source_uid INTEGER NOT NULL,
  repairs INTEGER NOT NULL,
  PRIMARY KEY (folder, source_uid)) WITHOUT ROWID;
)";

constexpr std::array<std::string_view, 5> steps{version_1, version_2, version_3, version_4, version_5};

} // namespace

const sql::schema& ledger_schema() noexcept {
    static constexpr std::uint32_t postferry_ledger = 0x5066'4c31; // "PfL1"
    static const sql::schema schema{.application = postferry_ledger, .steps = steps};
    return schema;
}

} // namespace postferry::store
