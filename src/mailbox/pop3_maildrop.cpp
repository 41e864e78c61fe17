// What a maildrop holds: STAT, LIST, UIDL, and headers where UIDLs do not tell messages apart.
#include "base/text.hpp"
#include "mailbox/detail/pop3_reader.hpp"
#include "mailbox/pop3_mailbox.hpp"
#include "message/fingerprint.hpp"

#include <algorithm>
#include <map>

namespace postferry::mailbox {

namespace {

constexpr std::size_t longest_uidl = 128; ///< octets; RFC 1939, section 7 allows 70
constexpr std::size_t print_octets = 16;  ///< of the digest, in the name book

/// A name that could not stand in the name book, or not be told from ours, is none.
bool is_usable(std::string_view uidl) {
    return uidl.size() <= longest_uidl && uidl.find_first_of(" \t") == std::string_view::npos;
}

class print_reader final : public detail::header_reader {
  public:
    print_reader(client::pop3_session& session, std::size_t in_flight, std::vector<pop3_message>& messages)
        : header_reader(session, in_flight), messages_(messages) {}

  private:
    void header(std::uint64_t key, std::string_view fields) override { messages_[key].print = header_print(fields); }
    void refused(std::uint64_t key, const error&) override { messages_[key].print = "unreadable"; }

    std::vector<pop3_message>& messages_;
};

} // namespace

std::string header_print(std::string_view fields) {
    return message::fingerprint_of(fields).digest.hex().substr(0, 2 * print_octets);
}

task<result<maildrop>> read_maildrop(client::pop3_session& session) {
    std::map<std::uint32_t, pop3_message> found;
    std::optional<pop3::maildrop_size> stat;
    std::optional<error> no_list, no_uidl, no_stat;
    // Over the limit the answers are read to their end all the same: then the session may end properly.
    const std::size_t most = session.settings().limits.maildrop_messages;
    bool too_many = false;
    pop3_message beyond;
    const auto at = [&](std::uint32_t number) -> pop3_message& {
        too_many = too_many || (found.size() >= most && !found.contains(number));
        pop3_message& m = too_many ? beyond : found[number];
        m.number = number;
        return m;
    };
    const auto keep = [](std::optional<error>& slot, std::string_view what) {
        return [&slot, what](const pop3::status_line& s) {
            if (!s.ok) slot = client::to_error(s, phase::list, std::string(what));
        };
    };
    session.submit(pop3::stat(), {}, [&](const pop3::status_line& s) {
        if (s.ok)
            stat = pop3::parse_stat(s.text);
        else
            keep(no_stat, "The maildrop could not be looked at")(s);
    });
    session.submit(
        pop3::list(),
        [&](std::string_view line) {
            if (const auto item = pop3::parse_listed(line)) {
                const std::string_view size = item->value.substr(0, item->value.find(' '));
                at(item->number).octets = parse_u64(size).value_or(0);
            }
        },
        keep(no_list, "The messages could not be listed"));
    // Whether CAPA tells it or not (docs/quirks.md#uidl-not-told). A message that LIST left out is one all the same.
    session.submit(
        pop3::uidl(),
        [&](std::string_view line) {
            if (const auto item = pop3::parse_listed(line))
                at(item->number).uidl = is_usable(item->value) ? item->value : std::string_view();
        },
        keep(no_uidl, "The server gives no unique IDs"));
    if (auto ok = co_await session.settle(); !ok) co_return std::unexpected(ok.error());

    for (const std::optional<error>* why : {&no_list, &no_stat, &no_uidl})
        if (*why && ((*why)->cls == retry_class::transient || (*why)->cls == retry_class::throttled))
            co_return std::unexpected(**why);
    if (no_list && found.empty()) { // some refuse to list an empty maildrop
        if (!stat) co_return std::unexpected(*no_list);
        for (std::uint32_t n = 1; n <= stat->messages && !too_many; ++n) at(n);
    }
    if (too_many)
        co_return fail(retry_class::permanent, phase::list, "The server lists more messages than any maildrop has",
                       "Ask whoever runs it what is wrong with the account");
    maildrop drop{.messages = {}, .uidl_refused = no_uidl.has_value(), .refusal = {}};
    if (no_uidl) drop.refusal = no_uidl->server_said;
    drop.messages.reserve(found.size());
    for (auto& [number, m] : found) drop.messages.push_back(std::move(m));
    co_return drop;
}

task<result<void>> read_prints(client::pop3_session& session, std::vector<pop3_message>& messages,
                               const std::vector<std::size_t>& which, std::size_t commands_in_flight) {
    print_reader reader(session, commands_in_flight, messages);
    for (const std::size_t i : which)
        if (auto ok = co_await reader.ask(messages[i].number, i, true); !ok) co_return ok;
    co_return co_await reader.finish();
}

} // namespace postferry::mailbox
