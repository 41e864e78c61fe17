#include "transfer/pipeline.hpp"

#include "message/received_date.hpp"

#include <algorithm>
#include <utility>

namespace postferry::transfer {

namespace {

constexpr std::size_t header_octets = 65'536; ///< that are looked at for a date
constexpr std::size_t repaired_block = 65'536;

} // namespace

struct pipeline::entry {
    sent_message about;
    verdict how;
    std::uint64_t token = 0;
    std::vector<mailbox::chunk> chunks;
    std::size_t next_chunk = 0;
    std::uint64_t left = 0; ///< octets that went to the target
    bool complete = false;
    bool queued = false;
    std::uint64_t octets = 0;   ///< that the target is promised
    std::uint64_t produced = 0; ///< of them by now: what came from the source, or what the repair has made of it
    std::optional<message::repairer> mend;
};

pipeline::pipeline(executor ex, pipeline_limits limits, pipeline_owner& owner)
    : limits_(limits), owner_(owner), wake_source_(ex), wake_target_(ex) {}

pipeline::~pipeline() = default;

void pipeline::end_of_source(std::optional<error> why) {
    if (source_ended_) return;
    source_ended_ = true;
    source_failure_ = std::move(why);
    if (arriving_ && !arriving_->complete) interrupted_ = {arriving_->about.request, arriving_->about.uid};
    wake_target_.notify();
}

std::vector<sent_message> pipeline::unsettled() const {
    std::vector<sent_message> out;
    for (const auto& [token, message] : unsettled_) out.push_back(message);
    return out;
}

// The source's side ---------------------------------------------------------------------------------------------

task<result<void>> pipeline::begin(mailbox::message_head head) {
    if (target_failure_) co_return std::unexpected(*target_failure_);
    arriving_.reset();
    verdict how = owner_.judge(head);
    if (!how.take) co_return result<void>{};
    while (buffered_ >= limits_.buffered_octets && !target_failure_) co_await wake_source_.wait();
    if (target_failure_) co_return std::unexpected(*target_failure_);
    arriving_ = std::make_shared<entry>();
    arriving_->about = {.request = head.request,
                        .uid = head.uid,
                        .octets = head.octets,
                        .source_flags = how.source_flags,
                        .batch_limit = how.batch_limit,
                        .date = head.date,
                        .date_from_header = false,
                        .digest = {},
                        .uidl = std::move(head.uidl),
                        .repair = how.repair};
    arriving_->octets = how.repair ? how.repair->octets : head.octets;
    if (how.repair) arriving_->mend.emplace(*how.repair);
    arriving_->how = std::move(how);
    co_return result<void>{};
}

task<result<void>> pipeline::chunk(const client::block_ref& owner, std::string_view octets) {
    if (!arriving_) co_return result<void>{};
    hash_.update(octets);
    entry& e = *arriving_;
    if (!e.mend) {
        push(e, owner, octets);
    } else {
        std::string mended;
        e.mend->update(octets, mended);
        if (!push_repaired(e, mended)) co_return mismatch(arriving_);
    }
    if (e.octets > limits_.whole_octets) {
        // Without INTERNALDATE the header must be there before the message sets off, and chunks end anywhere.
        if (!e.queued && (e.about.date || e.produced >= header_octets || buffered_ >= limits_.buffered_octets))
            enqueue();
        wake_target_.notify();
        // Never after the last octets: the target waits for end() before it takes them.
        while (e.produced < e.octets && buffered_ >= limits_.buffered_octets && !target_failure_)
            co_await wake_source_.wait();
    }
    if (target_failure_) co_return std::unexpected(*target_failure_);
    co_return result<void>{};
}

task<result<void>> pipeline::end() {
    if (!arriving_) co_return result<void>{};
    const std::shared_ptr<entry> done = std::exchange(arriving_, nullptr);
    if (done->mend) {
        std::string last;
        done->mend->finish(last);
        if (!push_repaired(*done, last) || done->produced != done->octets) co_return mismatch(done);
    }
    done->about.digest = hash_.finish();
    done->complete = true;
    if (done->queued) {
        if (const auto at = unsettled_.find(done->token); at != unsettled_.end())
            at->second.digest = done->about.digest;
    } else {
        arriving_ = done;
        enqueue();
        arriving_.reset();
    }
    wake_target_.notify();
    co_return result<void>{};
}

void pipeline::push(entry& e, const client::block_ref& owner, std::string_view octets) {
    e.chunks.push_back({owner, octets});
    buffered_ += octets.size();
    e.produced += octets.size();
}

// False: it is more than the target was promised.
bool pipeline::push_repaired(entry& e, std::string_view octets) {
    if (e.produced + octets.size() > e.octets) return false;
    while (!octets.empty()) {
        const std::string_view piece = octets.substr(0, repaired_block);
        const auto owner = std::make_shared<client::block>(piece.size());
        std::ranges::copy(piece, owner->room().begin());
        push(e, owner, owner->filled(piece.size()));
        octets.remove_prefix(piece.size());
    }
    return true;
}

// The source gave other octets than when they were surveyed. When the message has set out already its promised size
// can't be kept: the line goes, as when a source breaks off.
result<void> pipeline::mismatch(std::shared_ptr<entry> e) {
    const error why{.cls = e->queued ? retry_class::transient : retry_class::permanent,
                    .where = phase::fetch,
                    .what = "The source gave the message with other octets when it was read again",
                    .server_said = {},
                    .advice = {},
                    .response_code = {}};
    (void)hash_.finish(); // the next message begins anew
    if (e->queued) {
        arriving_ = std::move(e);
        return std::unexpected(why);
    }
    buffered_ -= e->produced;
    arriving_.reset();
    owner_.missing(e->about.request, uid_set::of(e->about.uid, e->about.uid), why);
    return {};
}

// INTERNALDATE NIL or unreadable: the topmost Received field, then Date, then none (docs/quirks.md#internaldate). The
// header is in the first chunk, or in what was gathered.
void pipeline::settle_date(entry& e) const {
    if (e.about.date) return;
    std::string header;
    for (const mailbox::chunk& c : e.chunks) {
        header += c.octets.substr(0, std::min<std::size_t>(c.octets.size(), header_octets - header.size()));
        if (header.size() >= header_octets) break;
    }
    if (const auto date = message::received_date(header)) {
        e.about.date = mailbox::message_date{.unix_seconds = date->unix_seconds,
                                             .zone_minutes = static_cast<std::int16_t>(date->zone_minutes)};
        e.about.date_from_header = true;
    }
}

void pipeline::enqueue() {
    entry& e = *arriving_;
    settle_date(e);
    e.token = ++last_token_;
    e.queued = true;
    queue_.push_back(arriving_);
}

void pipeline::header(mailbox::message_head, std::string_view) {}

void pipeline::missing(std::size_t request, uid_set uids, std::optional<error> why) {
    owner_.missing(request, uids, why);
}

void pipeline::unavailable(std::size_t request, error why) { owner_.unavailable(request, why); }

// The target's side ---------------------------------------------------------------------------------------------

bool pipeline::ready() const noexcept { return !queue_.empty() || source_ended_ || target_failure_; }

task<bool> pipeline::wait(std::chrono::milliseconds patience) {
    while (!ready())
        if (!co_await wake_target_.wait_for(patience)) co_return ready();
    co_return true;
}

task<std::optional<mailbox::append_item>> pipeline::next() {
    while (!ready()) co_await wake_target_.wait();
    if (target_failure_ || queue_.empty()) co_return std::nullopt;
    leaving_ = std::move(queue_.front());
    queue_.pop_front();
    const entry& e = *leaving_;
    co_return mailbox::append_item{.folder = e.about.request,
                                   .handle = owner_.target_handle(e.about.request),
                                   .flags = e.how.target_flags,
                                   .date = e.how.undated ? std::nullopt : e.about.date,
                                   .octets = e.octets,
                                   .token = e.token,
                                   .batch_limit = e.how.batch_limit,
                                   .source_uid = e.about.uid,
                                   .uidl = e.about.uidl,
                                   .literal8 = e.how.repair && e.how.repair->repairs.has(message::repair::literal8)};
}

// With its last octets the target has the message; they wait until the source has confirmed that they belong to it.
bool pipeline::may_leave(const entry& e) {
    if (e.next_chunk == e.chunks.size()) return false;
    return e.complete || e.left + e.chunks[e.next_chunk].octets.size() < e.octets;
}

bool pipeline::chunk_ready() const noexcept { return leaving_ && may_leave(*leaving_); }

void pipeline::announced() { unsettled_.emplace(leaving_->token, leaving_->about); }

task<result<mailbox::chunk>> pipeline::read() {
    entry& e = *leaving_;
    while (!may_leave(e)) {
        if (source_ended_)
            co_return std::unexpected(
                source_failure_.value_or(error{.cls = retry_class::transient,
                                               .where = phase::fetch,
                                               .what = "The source stopped in the middle of a message",
                                               .server_said = {},
                                               .advice = {},
                                               .response_code = {}}));
        co_await wake_target_.wait();
    }
    mailbox::chunk c = std::move(e.chunks[e.next_chunk++]);
    e.left += c.octets.size();
    // A message that streams has as many chunks as reads: those that are gone must not pile up.
    if (e.next_chunk == e.chunks.size()) {
        e.chunks.clear();
        e.next_chunk = 0;
    }
    const bool was_full = buffered_ >= limits_.buffered_octets;
    buffered_ -= c.octets.size();
    if (was_full && buffered_ < limits_.buffered_octets) wake_source_.notify();
    co_return std::move(c);
}

void pipeline::stored(const std::vector<std::uint64_t>& tokens, std::uint32_t uid_validity,
                      const std::vector<std::uint32_t>& uids) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        auto node = unsettled_.extract(tokens[i]);
        if (!node.empty()) owner_.stored(std::move(node.mapped()), uid_validity, i < uids.size() ? uids[i] : 0);
    }
}

void pipeline::refused(const std::vector<std::uint64_t>& tokens, const error& why) {
    std::vector<sent_message> batch;
    for (const std::uint64_t token : tokens) {
        auto node = unsettled_.extract(token);
        if (!node.empty()) batch.push_back(std::move(node.mapped()));
    }
    if (!batch.empty()) owner_.refused(std::move(batch), why);
}

void pipeline::abandon(const error& why) noexcept {
    if (!target_failure_) target_failure_ = why;
    wake_target_.notify();
    wake_source_.notify();
}

} // namespace postferry::transfer
