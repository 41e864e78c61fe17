#pragma once
#include "base/digest.hpp"
#include "mailbox/mailbox.hpp"
#include "message/repair.hpp"
#include "net/event.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace postferry::transfer {

/// What the pass decides about a message when its head arrives.
struct verdict {
    bool take = false;
    std::uint32_t source_flags = 0; ///< the pass's index of the flag set as the source has it
    std::string target_flags;       ///< what goes into the APPEND
    std::size_t batch_limit = 0;    ///< see mailbox::append_item
    bool undated = false;           ///< the target has refused its date
    std::shared_ptr<const message::repair_plan> repair = nullptr; ///< it goes out in another form
};

/// A message that was handed to the target and is not settled yet.
struct sent_message {
    std::size_t request = 0; ///< as in the fetch requests
    std::uint32_t uid = 0;
    std::uint64_t octets = 0;
    std::uint32_t source_flags = 0;
    std::size_t batch_limit = 0;
    std::optional<mailbox::message_date> date;
    bool date_from_header = false; ///< the source's INTERNALDATE could not be used
    sha256_digest digest;
    std::string uidl = {};                                        ///< mailbox::message_head::uidl
    std::shared_ptr<const message::repair_plan> repair = nullptr; ///< verdict::repair
};

/// Whom the pipeline asks and tells. All calls are made on the pass's strand.
class pipeline_owner {
  public:
    virtual ~pipeline_owner() = default;
    virtual verdict judge(const mailbox::message_head& head) = 0;
    virtual std::string_view target_handle(std::size_t request) = 0;
    virtual void stored(sent_message message, std::uint32_t uid_validity, std::uint32_t uid) = 0;
    /// Waits until what was stored so far is in the ledger; an error when it never will be.
    virtual task<result<void>> recorded() { co_return result<void>{}; }
    virtual void refused(std::vector<sent_message> batch, const error& why) = 0;
    virtual void missing(std::size_t request, const uid_set& uids, const std::optional<error>& why) = 0;
    virtual void unavailable(std::size_t request, const error& why) = 0;
};

struct pipeline_limits {
    std::uint64_t buffered_octets = 4U << 20U; ///< between source and target
    std::uint64_t whole_octets = 512U << 10U;  ///< a message up to this size is complete here before its APPEND begins
};

/// The belt between a source that streams messages and a target that pulls them, in bounded memory (docs/adr/0005).
/// When the source breaks, complete messages still reach the target, so that a batch in progress is ended properly.
/// One strand; lives for one sweep.
class pipeline final : public mailbox::message_sink, public mailbox::append_feed {
  public:
    pipeline(executor ex, pipeline_limits limits, pipeline_owner& owner);
    ~pipeline() override;

    /// No more messages will come; with an error: a message that is incomplete never will be.
    void end_of_source(std::optional<error> why);
    [[nodiscard]] const std::optional<error>& target_failure() const noexcept { return target_failure_; }
    /// Handed over and never answered: after a failure nobody knows whether the target has them.
    [[nodiscard]] std::vector<sent_message> unsettled() const;
    /// The message whose octets were arriving when the source ended, 0 if none.
    [[nodiscard]] std::pair<std::size_t, std::uint32_t> interrupted() const noexcept { return interrupted_; }

    task<result<void>> begin(mailbox::message_head head) override;
    task<result<void>> chunk(const client::block_ref& owner, std::string_view octets) override;
    task<result<void>> end() override;
    void header(mailbox::message_head head, std::string_view fields) override;
    void missing(std::size_t request, uid_set uids, std::optional<error> why) override;
    void unavailable(std::size_t request, error why) override;

    [[nodiscard]] bool ready() const noexcept override;
    task<bool> wait(std::chrono::milliseconds patience) override;
    task<std::optional<mailbox::append_item>> next() override;
    void announced() override;
    task<result<mailbox::chunk>> read() override;
    [[nodiscard]] bool chunk_ready() const noexcept override;
    void stored(const std::vector<std::uint64_t>& tokens, std::uint32_t uid_validity,
                const std::vector<std::uint32_t>& uids) override;
    task<result<void>> recorded() override { co_return co_await owner_.recorded(); }
    void refused(const std::vector<std::uint64_t>& tokens, const error& why) override;
    void abandon(const error& why) noexcept override;

  private:
    struct entry;
    void enqueue();
    static bool may_leave(const entry& e);
    void push(entry& e, const client::block_ref& owner, std::string_view octets);
    bool push_repaired(entry& e, std::string_view octets);
    result<void> mismatch(std::shared_ptr<entry> e);
    void settle_date(entry& e) const;

    pipeline_limits limits_;
    pipeline_owner& owner_;
    net::event wake_source_, wake_target_;
    std::deque<std::shared_ptr<entry>> queue_;
    std::shared_ptr<entry> arriving_, leaving_;
    std::unordered_map<std::uint64_t, sent_message> unsettled_;
    std::uint64_t last_token_ = 0;
    std::uint64_t buffered_ = 0;
    sha256 hash_;
    bool source_ended_ = false;
    std::optional<error> source_failure_, target_failure_;
    std::pair<std::size_t, std::uint32_t> interrupted_{0, 0};
};

} // namespace postferry::transfer
