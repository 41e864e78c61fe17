// Opens folders, makes them, and changes small things in them, pipelined over all folders.
#include "mailbox/imap_mailbox.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace postferry::mailbox {

namespace {

// What EXAMINE or SELECT says about the folder (RFC 3501, 6.3.1; RFC 7162, 3.1.2.1).
void read_select_data(imap::response& r, folder_state& state,
                      std::optional<std::vector<std::string>>* permanent_flags) {
    if (const auto* n = std::get_if<imap::number_data>(&r);
        n != nullptr && n->kind == imap::number_data::verb::exists) {
        state.messages = n->number;
        return;
    }
    const auto* status = std::get_if<imap::status_response>(&r);
    if (status == nullptr || !status->code) return;
    const imap::response_code& code = *status->code;
    if (code.name == "PERMANENTFLAGS" && code.flags && permanent_flags != nullptr) *permanent_flags = *code.flags;
    if (!code.number) return;
    if (code.name == "UIDVALIDITY") state.uid_validity = static_cast<std::uint32_t>(*code.number);
    if (code.name == "UIDNEXT") state.uid_next = static_cast<std::uint32_t>(*code.number);
    if (code.name == "HIGHESTMODSEQ") state.modseq = *code.number;
}

} // namespace

void imap_mailbox::submit_examine(const std::string& handle, folder_state& state, std::optional<error>& failure,
                                  bool read_only, std::optional<std::vector<std::string>>* permanent_flags) {
    imap::command_encoder command = session_->encoder();
    command.raw(read_only ? "EXAMINE " : "SELECT ").astring(handle);
    if (uses_condstore()) command.raw(" (CONDSTORE)");
    session_->submit(
        command.take(), [&state, permanent_flags](imap::response& r) { read_select_data(r, state, permanent_flags); },
        [&failure, handle](imap::conversation::completed& c) {
            if (c.status.kind != imap::status_kind::ok)
                failure = client::to_error(c.status, phase::scan,
                                           fmt::format("The folder {} could not be opened", quote_server_text(handle)));
        });
}

task<result<std::vector<prepared_folder>>> imap_mailbox::prepare(std::span<const folder_wish> wishes) {
    if (auto ok = co_await greet(); !ok) co_return std::unexpected(ok.error());
    std::vector<prepared_folder> out(wishes.size());
    std::vector<std::optional<error>> create_failure(wishes.size());
    for (std::size_t i = 0; i < wishes.size(); ++i) {
        if (auto ok = co_await make_room(); !ok) co_return std::unexpected(ok.error());
        const std::string& handle = wishes[i].handle;
        out[i].handle = handle;
        if (wishes[i].create) {
            imap::command_encoder command = session_->encoder();
            command.raw("CREATE ").astring(handle);
            session_->submit(command.take(), {},
                             [&slot = create_failure[i], &name = handle](imap::conversation::completed& c) {
                                 if (c.status.kind != imap::status_kind::ok)
                                     slot = client::to_error(
                                         c.status, phase::create,
                                         fmt::format("The folder {} could not be created", quote_server_text(name)));
                             });
        }
        submit_examine(handle, out[i].state, out[i].failure, false, &out[i].permanent_flags);
    }
    if (auto ok = co_await session_->settle(); !ok) co_return std::unexpected(ok.error());
    for (std::size_t i = 0; i < wishes.size() && uses_condstore(); ++i) // quirk modseq-refused
        condstore_refused_ = out[i].failure && out[i].failure->cls == retry_class::protocol;
    for (std::size_t i = 0; i < wishes.size() && condstore_refused_; ++i) {
        if (!out[i].failure || out[i].failure->cls != retry_class::protocol) continue;
        out[i].failure.reset();
        submit_examine(wishes[i].handle, out[i].state, out[i].failure, false, &out[i].permanent_flags);
        if (auto ok = co_await session_->settle(); !ok) co_return std::unexpected(ok.error());
    }
    // A CREATE that failed because the folder is there is no failure: it could be opened.
    for (std::size_t i = 0; i < wishes.size(); ++i)
        if (out[i].failure && create_failure[i]) out[i].failure = create_failure[i];
    co_return out;
}

task<result<void>> imap_mailbox::subscribe(std::span<const std::string> handles) {
    if (auto ok = co_await greet(); !ok) co_return ok;
    std::optional<error> first;
    for (const std::string& handle : handles) {
        if (auto ok = co_await make_room(); !ok) co_return ok;
        imap::command_encoder command = session_->encoder();
        command.raw("SUBSCRIBE ").astring(handle);
        session_->submit(command.take(), {}, [&first, &handle](imap::conversation::completed& c) {
            if (c.status.kind != imap::status_kind::ok && !first)
                first =
                    client::to_error(c.status, phase::subscribe,
                                     fmt::format("The folder {} could not be subscribed", quote_server_text(handle)));
        });
    }
    if (auto ok = co_await session_->settle(); !ok) co_return ok;
    if (first) co_return std::unexpected(*first);
    co_return result<void>{};
}

task<result<void>> imap_mailbox::change_flags(std::string_view handle, std::span<const flag_change> changes) {
    if (auto ok = co_await greet(); !ok) co_return ok;
    folder_state now;
    std::optional<error> failure;
    submit_examine(std::string(handle), now, failure, false, nullptr);
    // The UIDs must mean what they meant before anything is changed by them.
    if (auto ok = co_await session_->settle(); !ok) co_return ok;
    if (failure) co_return std::unexpected(*failure);
    for (const flag_change& c : changes)
        if (c.uid_validity != 0 && c.uid_validity != now.uid_validity)
            co_return fail(retry_class::transient, phase::store_flags,
                           fmt::format("The UIDVALIDITY of folder {} changed; its flags were left alone",
                                       quote_server_text(handle)));
    std::optional<error> first;
    const auto submit_store = [&](const uid_set& uids, char sign, const std::vector<std::string>& flags) {
        if (flags.empty()) return;
        uid_set rest = uids;
        const std::size_t ranges = detail::ranges_per_command(habits_.command_octets);
        while (!rest.empty())
            session_->submit(
                {fmt::format("UID STORE {} {}FLAGS.SILENT ({})", rest.take_front(UINT64_MAX, ranges).to_string(), sign,
                             fmt::join(flags, " "))},
                {}, [&first](imap::conversation::completed& c) {
                    if (c.status.kind != imap::status_kind::ok && !first)
                        first = client::to_error(c.status, phase::store_flags, "Flags could not be changed");
                });
    };
    for (const flag_change& c : changes) {
        if (auto ok = co_await make_room(); !ok) co_return ok;
        submit_store(c.uids, '+', c.add);
        submit_store(c.uids, '-', c.remove);
    }
    if (auto ok = co_await session_->settle(); !ok) co_return ok;
    if (first) co_return std::unexpected(*first);
    co_return result<void>{};
}

} // namespace postferry::mailbox
