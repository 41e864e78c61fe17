// One belt of a sweep: reads over one connection, writes over another, and knows whom to suspect when one of them dies.
#include "transfer/detail/pass_stream.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

namespace postferry::transfer {

mailbox_pass::state::stream::stream(state& pass, executor ex, pipeline_limits limits, std::vector<lane> lanes)
    : pass_(pass), lanes_(std::move(lanes)), belt_(ex, limits, *this) {
    for (const lane& l : lanes_) {
        const folder_work& f = pass_.folders_[l.folder];
        requests_.push_back({.handle = f.source_handle, .uid_validity = f.source.uid_validity, .uids = l.uids});
    }
}

task<> mailbox_pass::state::stream::run(mailbox::source& from, mailbox::target& to) {
    using namespace boost::asio::experimental::awaitable_operators;
    if (ended_) co_return;
    from_ = &from;
    to_ = &to;
    begun_ = {0, 0};
    co_await (read_source() && write_target());
    from_ = nullptr;
    to_ = nullptr;
}

void mailbox_pass::state::stream::end(const error& why) {
    ended_ = true;
    belt_.end_of_source(why);
    if (from_ != nullptr) from_->close();
}

task<> mailbox_pass::state::stream::read_source() {
    auto ok = co_await from_->fetch(requests_, mailbox::fetch_part::whole, belt_);
    if (!ok) {
        source_failure_ = ok.error();
        source_died_first_ = !belt_.target_failure();
        if (source_died_first_) pass_.target_spoke_ = false;
    }
    belt_.end_of_source(source_failure_);
}

task<> mailbox_pass::state::stream::write_target() {
    auto ok = co_await to_->append(belt_);
    if (!ok) {
        sink_failure_ = ok.error();
        if (!source_died_first_) pass_.target_spoke_ = true;
        from_->close();
    }
}

verdict mailbox_pass::state::stream::judge(const mailbox::message_head& head) {
    begun_ = {head.request, head.uid};
    return pass_.judge(lanes_[head.request], head);
}

std::string_view mailbox_pass::state::stream::target_handle(std::size_t request) {
    return pass_.folders_[lanes_[request].folder].target_handle;
}

void mailbox_pass::state::stream::stored(sent_message message, std::uint32_t uid_validity, std::uint32_t uid) {
    const std::size_t folder = lanes_[message.request].folder;
    pass_.stored(folder, std::move(message), uid_validity, uid);
}

void mailbox_pass::state::stream::refused(std::vector<sent_message> batch, const error& why) {
    const std::size_t folder = lanes_[batch.front().request].folder;
    pass_.refused(folder, std::move(batch), why);
}

void mailbox_pass::state::stream::missing(std::size_t request, const uid_set& uids, const std::optional<error>& why) {
    pass_.missing(lanes_[request].folder, uids, why);
}

void mailbox_pass::state::stream::unavailable(std::size_t request, const error& why) {
    pass_.unavailable(lanes_[request].folder, why);
}

// Nobody knows what became of messages that a line took with it. They are looked for on the target before they are
// brought again, and brought in smaller company, in case one of them is what kills the line.
void mailbox_pass::state::stream::note_line_failure() {
    if (!failure()) return;
    // A line that was cut because its server wants a pause is no message's fault.
    const bool asked_for_a_pause = (source_failure_ && source_failure_->cls == retry_class::throttled) ||
                                   (sink_failure_ && sink_failure_->cls == retry_class::throttled);
    // A source that breaks off within a message that streams takes the target's line with it.
    const bool target_died = sink_failure_ && !source_died_first_;
    for (const sent_message& m : belt_.unsettled()) {
        folder_memory& memory = *pass_.folders_[lanes_[m.request].folder].memory;
        memory.unanswered.add(m.uid);
        pass_.target_owes_ = pass_.target_owes_ || sink_failure_;
        if (target_died && !asked_for_a_pause) ++memory.strikes[m.uid];
        pass_.suspicion_ = pass_.suspicion_ || !asked_for_a_pause;
    }
    if (asked_for_a_pause) return;
    if (target_died || ended_ || pass_.stop_ || pass_.halt_) return;
    if (const auto [request, uid] = belt_.interrupted(); uid != 0)
        ++pass_.folders_[lanes_[request].folder].memory->strikes[uid];
    else
        suspect_next();
    pass_.suspicion_ = true;
}

// The source died with no message under way: what it died of may be the next one, of which it never sent an octet.
void mailbox_pass::state::stream::suspect_next() {
    for (std::size_t i = begun_.first; i < requests_.size(); ++i) {
        uid_set rest = requests_[i].uids;
        if (i == begun_.first && begun_.second != 0) rest.remove(1, begun_.second);
        if (rest.empty()) continue;
        ++pass_.folders_[lanes_[i].folder].memory->strikes[rest.take_front(1, 1).front()];
        return;
    }
}

} // namespace postferry::transfer
