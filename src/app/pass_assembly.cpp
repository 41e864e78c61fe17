#include "app/pass_assembly.hpp"

#include <algorithm>

namespace postferry::app {

namespace {

// Connections of one mailbox to each of its servers, from what a server may be asked for in all (two, or what
// max-connections= says) and how many mailboxes share that.
std::size_t connections_of(const mailbox::endpoint& from, const mailbox::endpoint& to, std::size_t jobs) {
    constexpr std::uint32_t usual = 2;
    const std::size_t all = std::min(from.max_connections.value_or(usual), to.max_connections.value_or(usual));
    return std::max<std::size_t>(all / std::max<std::size_t>(jobs, 1), 1);
}

} // namespace

pass_assembly::pass_assembly(const pass_desk& desk, pass_ends ends, std::shared_ptr<mailbox::name_book> names,
                             std::function<bool()> may_write)
    : desk_(desk), ends_(std::move(ends)), names_(std::move(names)), may_write_(std::move(may_write)),
      stay_(desk_.at->receive(ends_.from, ends_.to)),
      tokens_{desk_.tokens.tokens_of(ends_.from, side::source, ends_.source_token),
              desk_.tokens.tokens_of(ends_.to, side::target, ends_.target_token)} {}

std::shared_ptr<pass_assembly> pass_assembly::make(const pass_desk& desk, pass_ends ends,
                                                   std::shared_ptr<mailbox::name_book> names,
                                                   std::function<bool()> may_write) {
    return std::shared_ptr<pass_assembly>(
        new pass_assembly(desk, std::move(ends), std::move(names), std::move(may_write)));
}

services pass_assembly::with() const noexcept {
    return {.share = desk_.share,
            .names = names_.get(),
            .stay = stay_.get(),
            .tokens = {tokens_[0].get(), tokens_[1].get()},
            .may_write = may_write_ ? &may_write_ : nullptr};
}

transfer::pass_environment pass_assembly::environment(executor strand) {
    const std::shared_ptr<pass_assembly> self = shared_from_this();
    transfer::pass_environment env;
    env.open_source = [self] { return open_source(self->ends_.from, self->with()); };
    env.open_target = [self] { return open_target(self->ends_.to, self->with()); };
    env.admit = [self] { return self->stay_->admit(); };
    env.see_off = [self, strand](std::unique_ptr<mailbox::source> end) {
        self->desk_.leaving.see_off(strand, std::move(end), self);
    };
    env.on_throttled = [self](bool target, const error& why) { self->stay_->throttled(target, why); };
    return env;
}

transfer::pass_options pass_options_of(const run_options& words, const mailbox::endpoint& from,
                                       const mailbox::endpoint& to, const shares& share, std::size_t jobs) {
    transfer::pass_options o;
    o.connections = connections_of(from, to, jobs);
    o.kind = words.pass;
    o.rules = words.rules;
    o.copy_rights = words.acl;
    o.delete_extra = words.delete_extra;
    o.sample = words.sample;
    if (words.waived) o.waived = words.waived->of(from.display());
    o.max_octets = words.max_size;
    if (words.since)
        o.since_unix = std::chrono::duration_cast<std::chrono::seconds>(words.since->time_since_epoch()).count();
    o.limits = share.pipeline;
    o.no_wait = words.no_wait;
    o.repairs = words.repairs;
    return o;
}

} // namespace postferry::app
