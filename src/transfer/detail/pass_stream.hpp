#pragma once
#include "transfer/detail/pass_state.hpp"

namespace postferry::transfer {

/// A source connection, a target connection and the belt between them, for one sweep of a pass. One strand with it.
class mailbox_pass::state::stream final : public pipeline_owner {
  public:
    /// @param lanes what it brings, in this order
    stream(state& pass, executor ex, pipeline_limits limits, std::vector<lane> lanes);

    /// Until everything is brought or something broke; does not throw for what is expected.
    task<> run(mailbox::source& from, mailbox::target& to);
    /// No new message is begun; what is complete here is still brought, answered and recorded.
    void end(const error& why);
    /// Marks what the dead lines left open. After run().
    void note_line_failure();

    [[nodiscard]] std::vector<lane> take_lanes() && { return std::move(lanes_); }
    /// What ended it. The target's words first: a source that was closed because the target died has no story.
    [[nodiscard]] const std::optional<error>& failure() const noexcept {
        return sink_failure_ ? sink_failure_ : source_failure_;
    }

    // pipeline_owner
    verdict judge(const mailbox::message_head& head) override;
    std::string_view target_handle(std::size_t request) override;
    void stored(sent_message message, std::uint32_t uid_validity, std::uint32_t uid) override;
    task<result<void>> recorded() override { co_return co_await pass_.recorded(); }
    void refused(std::vector<sent_message> batch, const error& why) override;
    void missing(std::size_t request, const uid_set& uids, const std::optional<error>& why) override;
    void unavailable(std::size_t request, const error& why) override;

  private:
    task<> read_source();
    task<> write_target();
    void suspect_next();

    state& pass_;
    std::vector<lane> lanes_; ///< by request index
    std::vector<mailbox::fetch_request> requests_;
    pipeline belt_;
    mailbox::source* from_ = nullptr; ///< while it runs
    mailbox::target* to_ = nullptr;
    std::optional<error> source_failure_, sink_failure_;
    bool source_died_first_ = false;
    bool ended_ = false;                          ///< by somebody else's failure, which is not its messages' fault
    std::pair<std::size_t, std::uint32_t> begun_; ///< request and UID of the message that the source began last
};

} // namespace postferry::transfer
