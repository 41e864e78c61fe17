#pragma once
// One interface over the places where mail lives. The transfer engine knows nothing else of protocols.
#include "base/error.hpp"
#include "base/uid_set.hpp"
#include "client/block.hpp"
#include "net/awaitable.hpp"
#include "protocol/imap/response.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postferry::mailbox {

/// INTERNALDATE: the instant and the zone it was written in.
using message_date = imap::internal_date;

/// What a folder looks like from outside. UIDVALIDITY 0 or UIDNEXT 0: the server did not say.
struct folder_state {
    std::uint32_t uid_validity = 0;
    std::uint32_t uid_next = 0;
    std::uint32_t messages = 0;
    std::uint64_t modseq = 0;            ///< HIGHESTMODSEQ; 0 = none
    std::optional<std::uint64_t> octets; ///< STATUS=SIZE, when asked for
    bool operator==(const folder_state&) const = default;
};

struct listed_folder {
    std::string name;   ///< UTF-8, "/" between levels, personal prefix taken off; "INBOX" for the inbox
    std::string handle; ///< what the place itself calls it; pass it back unchanged
    std::vector<std::string> attributes;
    bool selectable = true;
    bool subscribed = false;
    bool personal = true;
    std::optional<folder_state> state;
    std::string left_out = {}; ///< why it is not copied unless asked for by its name (Gmail's chats); else empty
};

struct listing {
    std::vector<listed_folder> folders;
    std::optional<char> delimiter = '/';
    bool children_of_inbox = true;
    bool case_insensitive = false;      ///< known to keep no two names apart that differ only in case
    bool trailing_spaces = true;        ///< false: known to refuse a level that ends in a space
    std::string refused_in_names{};     ///< characters of ASCII that it is known to refuse in names
    bool supplementary_in_names = true; ///< false: known to refuse characters beyond U+FFFF in names
    std::vector<std::string> notes;     ///< for plan and report: names that could not be decoded, namespaces left out
};

/// The ledger's view of a folder, to ask only for what is new.
struct scan_request {
    std::string handle;
    std::uint32_t known_uid_validity = 0; ///< 0 = never seen
    std::uint32_t known_uid_next = 0;
    std::uint64_t known_modseq = 0; ///< 0: flags of all known messages are asked for
};

/// What scan() tells. For each request some flags() and then one done() or failed().
class scan_sink {
  public:
    virtual ~scan_sink() = default;
    /// A message whose flags may differ from what the ledger has. Not called for folders that were never seen.
    virtual void flags(std::size_t request, std::uint32_t uid, const std::vector<std::string>& flags) = 0;
    virtual void done(std::size_t request, const folder_state& state, uid_set present) = 0;
    virtual void failed(std::size_t request, error why) = 0;
    /// The message is in these folders of the place as well, by their handles (Gmail's labels, for All Mail only).
    virtual void also_in(std::size_t, std::uint32_t, std::span<const std::string>) {}
};

enum class fetch_part : std::uint8_t {
    whole,       ///< BODY.PEEK[]
    fingerprint, ///< size and the header fields that identify a message
    recipients,  ///< the header fields that say for whom it was meant (message/recipients.hpp)
    deliveries,  ///< and those that say to whom it was delivered
};

struct fetch_request {
    std::string handle;
    std::uint32_t uid_validity = 0; ///< must still hold, or the request fails
    uid_set uids;
};

struct message_head {
    std::size_t request = 0;
    std::uint32_t uid = 0;
    std::vector<std::string> flags; ///< as the server wrote them
    std::optional<message_date> date;
    std::uint64_t octets = 0;
    std::string uidl = {};      ///< what POP3 calls it, where the source knows (RFC 1939, UIDL)
    std::string skip_rule = {}; ///< the rule by which the place itself says that this is no mail ("uw-internal-data")
    bool halves = false;        ///< put together here from header and text (docs/quirks.md#empty-body)
};

/// Receives what fetch() reads. begin, chunk..., end for each message; a call that waits holds the source back.
class message_sink {
  public:
    virtual ~message_sink() = default;
    virtual task<result<void>> begin(message_head head) = 0;
    virtual task<result<void>> chunk(const client::block_ref& owner, std::string_view octets) = 0;
    virtual task<result<void>> end() = 0;
    /// All parts but the whole: one call a message. A place that has nothing better gives the whole header.
    virtual void header(message_head head, std::string_view fields) = 0;
    /// Asked for, but the answer came without them: they are gone, or the server gave OK without a body (no `why`), or
    /// it refused (`why`).
    virtual void missing(std::size_t request, uid_set uids, std::optional<error> why) = 0;
    /// The whole request cannot be served: folder vanished, UIDVALIDITY changed.
    virtual void unavailable(std::size_t request, error why) = 0;
};

/// What identities() tells: message `uid` of a request bears the name `id` in all folders of the place that hold it.
using identity_teller = std::function<void(std::size_t request, std::uint32_t uid, std::uint64_t id,
                                           const std::vector<std::string>& flags)>;

/// Exactly one of them is set.
struct search_criterion {
    std::optional<std::uint64_t> larger_than; ///< octets, by the size the server tells
    std::optional<std::int64_t>
        older_than_unix; ///< INTERNALDATE's day before this instant's day, less one day for zones
};

/// Who else may use a folder, and how (RFC 4314): "otto", "lrs".
struct access_right {
    std::string identifier, rights;
    bool operator==(const access_right&) const = default;
};

/// What a folder has beside its messages.
struct folder_extras {
    std::vector<access_right> rights; ///< without the owner's
    bool annotated = false;           ///< METADATA (RFC 5464)
};

struct rights_wish {
    std::string handle;
    std::vector<access_right> rights;
};

/// A place mail is read from. Reading changes nothing there.
class source {
  public:
    virtual ~source() = default;
    /// Folders with their states, in one round trip where the server can.
    virtual task<result<listing>> list(bool with_octets) = 0;
    virtual task<result<void>> scan(std::span<const scan_request> folders, scan_sink& sink) = 0;
    /// Everything asked for in one continuous stream, requests in order, UIDs of a request ascending.
    virtual task<result<void>> fetch(std::span<const fetch_request> requests, fetch_part part, message_sink& sink) = 0;
    /// Which messages of each request meet a criterion, in the same order.
    virtual task<result<std::vector<uid_set>>> search(std::span<const fetch_request> requests,
                                                      search_criterion what) = 0;
    /// In the order of `handles`; empty where the place has nothing of the kind.
    virtual task<result<std::vector<folder_extras>>> extras(std::span<const std::string>) {
        co_return std::vector<folder_extras>{};
    }
    /// Tells which messages of the requests are one message in several folders (Gmail's labels). A message of which
    /// nothing is told stands for itself; a place without such names tells nothing and asks nobody.
    virtual task<result<void>> identities(std::span<const fetch_request>, const identity_teller&) {
        co_return result<void>{};
    }
    virtual void close() noexcept = 0;
    virtual task<> leave() = 0;
    /// Whether leave() only waits for a server to let go of its connection, so that nobody else needs to wait for it:
    /// nothing that was done depends on it.
    [[nodiscard]] virtual bool leaves_by_itself() const noexcept { return false; }
    /// Whether a second connection to the same mailbox may work beside this one: another object of the same kind reads,
    /// or appends to, the same handles at the same time.
    [[nodiscard]] virtual bool shares_well() const noexcept { return false; }
    /// What was found odd since the last call, besides what list() told; for the report.
    [[nodiscard]] virtual std::vector<std::string> take_notes() { return {}; }
};

/// A folder that is to receive messages.
struct folder_wish {
    std::string handle;
    bool create = false;            ///< it is not there yet
    std::uint32_t uid_validity = 0; ///< the source's, for targets that can take it over (Maildir); 0 = no wish
    std::uint32_t uid_next = 0;     ///< the source's
};

struct prepared_folder {
    std::optional<error> failure; ///< could not be created or opened
    std::string handle;
    folder_state state;
    std::optional<std::vector<std::string>> permanent_flags; ///< nothing: all are allowed
    std::vector<std::string> notes =
        {}; ///< what will be otherwise there than it was (LMTP); for the report, at the folder
};

/// One message on its way to a target.
struct append_item {
    std::size_t folder = 0;  ///< index the caller knows; equal index = same folder
    std::string_view handle; ///< lives as long as the feed
    std::string flags;       ///< "\Seen $Label1": canonical, allowed by the target, space between
    std::optional<message_date> date;
    std::uint64_t octets = 0;
    std::uint64_t token = 0;      ///< the caller's name for it
    std::size_t batch_limit = 0;  ///< at most so many messages in its batch; 0 = the target's own limit
    std::uint32_t source_uid = 0; ///< for a target that took over the source's UIDVALIDITY: the UID to keep
    std::string uidl = {};        ///< message_head::uidl
    bool literal8 = false;        ///< as RFC 3516's literal8; only for a target that takes_literal8()
};

struct chunk {
    client::block_ref owner; ///< keeps the octets alive
    std::string_view octets;
};

/// Where a target pulls its messages from and tells what became of them.
class append_feed {
  public:
    virtual ~append_feed() = default;
    /// Whether next() would answer at once (also true at the end).
    [[nodiscard]] virtual bool ready() const noexcept = 0;
    /// Waits until ready(), at most `patience`; false when time ran out.
    virtual task<bool> wait(std::chrono::milliseconds patience) = 0;
    /// The next message; nothing at the end. Waits.
    virtual task<std::optional<append_item>> next() = 0;
    /// The current message is being announced to the server: from now on a dead line leaves open what became of it.
    virtual void announced() {}
    /// The current message's next octets; together exactly item.octets. An error: the source broke off within it, and
    /// the target must make sure that the message does not count.
    virtual task<result<chunk>> read() = 0;
    /// Whether read() would answer at once.
    [[nodiscard]] virtual bool chunk_ready() const noexcept = 0;
    /// The server keeps them. `uids` is in the order of `tokens`, or empty where the server does not tell.
    virtual void stored(const std::vector<std::uint64_t>& tokens, std::uint32_t uid_validity,
                        const std::vector<std::uint32_t>& uids) = 0;
    /// Waits until what was stored so far is on record. For a target that lets nobody look what it has: what it stores
    /// and is not on record when this program is killed is brought again. An error: it never will be; store nothing
    /// more.
    virtual task<result<void>> recorded() { co_return result<void>{}; }
    /// The server refused the batch; nothing of it is there.
    virtual void refused(const std::vector<std::uint64_t>& tokens, const error& why) = 0;
    /// The line to the target is dead: next() must answer "end" from now on, also to one who waits.
    virtual void abandon(const error& why) noexcept = 0;
};

struct flag_change {
    uid_set uids; ///< of the target
    std::vector<std::string> add, remove;
    std::uint32_t uid_validity = 0; ///< must still hold, or nothing is changed; 0: not known
};

/// Messages that are to be in another folder of the same place as well.
struct copy_wish {
    std::string_view from, to; ///< handles
    std::uint32_t from_uid_validity = 0, to_uid_validity = 0;
    uid_set uids;
};
/// UID in the one folder and in the other.
using copied_uids = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

/// A place mail is brought to. It can be read as well: for matching and proof.
class target : public source {
  public:
    /// Largest message it takes, as far as it says; 0 = unknown.
    [[nodiscard]] virtual std::uint64_t append_limit() const noexcept = 0;
    /// Whether a message may get the UID that it has at the source (append_item::source_uid). That both ends'
    /// UIDVALIDITY is the same is no sign of it: servers make it from the time.
    [[nodiscard]] virtual bool keeps_uids() const noexcept { return false; }
    /// Whether append() keeps \Flagged. Where it does not, the flag is to be set by change_flags().
    [[nodiscard]] virtual bool keeps_flagged() const noexcept { return true; }
    /// Whether a message that holds NUL may be brought as append_item::literal8 (RFC 3516, BINARY).
    [[nodiscard]] virtual bool takes_literal8() const noexcept { return false; }
    /// The handle a decoded name has there.
    [[nodiscard]] virtual std::string handle_of(std::string_view name) const = 0;
    /// Creates what is missing and opens each folder, so that its state and permanent flags are known; same order.
    virtual task<result<std::vector<prepared_folder>>> prepare(std::span<const folder_wish> wishes) = 0;
    virtual task<result<void>> subscribe(std::span<const std::string> handles) = 0;
    /// Brings everything the feed has. Returns when next() said end and everything is answered, or at the first
    /// failure of the line (what was not answered by then is unknown and must be looked for).
    virtual task<result<void>> append(append_feed& feed) = 0;
    /// Copies messages within the place, with their flags and dates, all that are still there or none (RFC
    /// 3501, 6.4.7). Class config: the place cannot do it, or could not say what became of them; throttled or
    /// permanent: it refused. In all three nothing was copied. Any other class leaves open what was.
    virtual task<result<copied_uids>> copy_within(copy_wish) {
        co_return std::unexpected(error{.cls = retry_class::config,
                                        .where = phase::append,
                                        .what = "This kind of target does not copy within itself",
                                        .server_said = {},
                                        .advice = {},
                                        .response_code = {}});
    }
    /// Sets access rights; those of others stay. What was refused, in words.
    virtual task<result<std::vector<std::string>>> grant(std::span<const rights_wish>) {
        co_return std::vector<std::string>{"the target keeps no access rights (ACL)"};
    }
    virtual task<result<void>> change_flags(std::string_view handle, std::span<const flag_change> changes) = 0;
    /// Removes for good those of `uids` that are there, and no other message. For --delete-extra only. Class config:
    /// the place cannot do just that; transient: the folder has another uid_validity now.
    virtual task<result<void>> remove(std::string_view handle, [[maybe_unused]] std::uint32_t uid_validity,
                                      [[maybe_unused]] uid_set uids) {
        co_return fail(retry_class::config, phase::store_flags,
                       std::string("This kind of target cannot remove single messages from ").append(handle),
                       "Leave --delete-extra away");
    }
    /// What was not done as asked and is no failure (a keyword for which a Maildir has no letter left), each once, for
    /// the report. Asked at the end of a pass; what was told is forgotten.
    [[nodiscard]] virtual std::vector<std::string> take_remarks() { return {}; }
};

} // namespace postferry::mailbox
