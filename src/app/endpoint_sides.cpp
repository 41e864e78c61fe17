// Which places can stand on which side; told before anything is connected, so the command line can say it.
#include "app/connect.hpp"

namespace postferry::app {

result<void> check_side(const mailbox::endpoint& where, side which) {
    using enum mailbox::scheme;
    if (which == side::source && where.kind == lmtp)
        return fail(retry_class::config, phase::usage, "lmtp: delivers mail and gives none: it can only be a target");
    if (which == side::target && (where.kind == pop3 || where.kind == pop3s))
        return fail(retry_class::config, phase::usage, "pop3: gives mail and takes none: it can only be a source");
    if (which == side::target && where.uidl)
        return fail(retry_class::config, phase::usage,
                    "uidl= tells where a source's unique IDs are; a target has none");
    return {};
}

} // namespace postferry::app
