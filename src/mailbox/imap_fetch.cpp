// Reading messages: one continuous stream over all folders asked for, the next commands always on the wire.
#include "mailbox/imap_mailbox.hpp"
#include "message/fingerprint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>

namespace postferry::mailbox {

namespace {

// UIDs in one command line: servers cap lines at 8 kB and less (RFC 2683, 3.2.1.5; Yahoo at 1,000 octets).
constexpr std::size_t ranges_per_command = 80;

class fetch_run final : public client::body_sink {
  public:
    fetch_run(client::imap_session& session, const imap_tuning& tuning, std::span<const fetch_request> requests,
              fetch_part part, message_sink& sink)
        : session_(session), tuning_(tuning), requests_(requests), sink_(sink), states_(requests.size()),
          whole_(part == fetch_part::whole) {
        items_ = whole_ ? "(UID FLAGS INTERNALDATE BODY.PEEK[])"
                        : fmt::format("(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS ({})])",
                                      message::fingerprint_fields());
    }

    task<result<void>> run() {
        session_.set_body_sink(this);
        auto ok = co_await stream();
        if (ok && !second_try_.empty()) ok = co_await one_by_one();
        session_.set_body_sink(nullptr);
        if (halt_) session_.close(); // answers are still under way
        co_return ok;
    }

    task<result<void>> body_begin(imap::command_id, const imap::response_parser::body_begin& body) override {
        skip_ = true;
        fetch_command* command = owner_of(body.head.uid);
        late_ = late_ || !body.head.uid;
        if (command == nullptr) co_return result<void>{};
        const std::uint32_t uid = body.head.uid.value_or(command->wanted.front());
        // Flags and date that come after the body are too late for an APPEND that streams: such a message is fetched
        // again.
        const bool complete = body.head.flags && body.head.date_present;
        if (!complete && !command->alone) {
            late_ = true;
            co_return result<void>{};
        }
        if (body.octets == 0) co_return result<void>{}; // counted as missing: an empty message is never a message
        command->received.add(uid);
        skip_ = false;
        co_return co_await sink_.begin(head_of(command->request, uid, body.head, body.octets));
    }

    task<result<void>> body_chunk(const client::block_ref& owner, std::string_view octets) override {
        if (skip_) co_return result<void>{};
        co_return co_await sink_.chunk(owner, octets);
    }

    task<result<void>> body_end() override {
        if (skip_) co_return result<void>{};
        co_return co_await sink_.end();
    }

  private:
    struct request_state {
        folder_state state;
        std::optional<error> failure;
        bool opened = false;
    };
    struct fetch_command {
        imap::command_id id = 0;
        std::size_t request = 0;
        uid_set wanted, received;
        bool alone = false;
    };
    struct gathered { ///< a body that came as a quoted string
        message_head head;
        std::string octets;
    };

    bool usable(std::size_t request) const { return states_[request].opened && !states_[request].failure; }

    // Whose answer it is. A server may carry out pipelined FETCHes side by side (Dovecot does when the line is full),
    // so the UID decides, not the order; only EXAMINE is a barrier, hence only the folder that is open counts. A
    // command for one message needs no UID in its answer.
    fetch_command* owner_of(std::optional<std::uint32_t> uid) {
        for (fetch_command& c : commands_) {
            if (c.request != commands_.front().request) break;
            if (!usable(c.request)) continue;
            if (!uid && c.alone && c.received.empty()) return &c;
            if (uid && c.wanted.contains(*uid) && !c.received.contains(*uid)) return &c;
        }
        return nullptr;
    }

    message_head head_of(std::size_t request, std::uint32_t uid, const imap::fetch_data& f, std::uint64_t octets) {
        auto told = told_.extract(uid); // before the body, by a command of its own
        const imap::fetch_data before = told.empty() ? imap::fetch_data{} : std::move(told.mapped());
        return {.request = request,
                .uid = uid,
                .flags = f.flags ? *f.flags : before.flags.value_or(std::vector<std::string>{}),
                .date = f.date_present ? f.date : before.date,
                .octets = octets};
    }

    void examine(std::size_t i) {
        request_state& s = states_[i];
        s = {};
        imap::command_encoder command = session_.encoder();
        command.raw("EXAMINE ").astring(requests_[i].handle);
        session_.submit(
            command.take(),
            [&s](imap::response& r) {
                const auto* status = std::get_if<imap::status_response>(&r);
                if (status != nullptr && status->code && status->code->name == "UIDVALIDITY" && status->code->number)
                    s.state.uid_validity = static_cast<std::uint32_t>(*status->code->number);
            },
            [this, &s, i](imap::conversation::completed& c) {
                s.opened = true;
                if (c.status.kind != imap::status_kind::ok)
                    s.failure = client::to_error(c.status, phase::fetch, "The folder could not be opened again");
                else if (s.state.uid_validity != requests_[i].uid_validity)
                    s.failure = error{.cls = retry_class::transient,
                                      .where = phase::fetch,
                                      .what = "The folder's UIDVALIDITY changed while it was being read",
                                      .server_said = {},
                                      .advice = "It is planned again",
                                      .response_code = {}};
                if (s.failure) sink_.unavailable(i, *s.failure);
            });
    }

    // quirk late-items: from a server that sends them behind the body, when the message is on its way to the target by
    // then.
    void ask_for_flags_and_date(std::uint32_t uid) {
        session_.submit({fmt::format("UID FETCH {} (UID FLAGS INTERNALDATE)", uid)}, [this, uid](imap::response& r) {
            const auto* f = std::get_if<imap::fetch_data>(&r);
            if (f != nullptr && f->bodies.empty() && f->flags && f->uid.value_or(uid) == uid)
                told_.insert_or_assign(uid, *f);
        });
    }

    void ask(std::size_t request, uid_set uids, bool alone) {
        const std::string line = fmt::format("UID FETCH {} {}", uids.to_string(), items_);
        fetch_command& command = commands_.emplace_back(
            fetch_command{.id = 0, .request = request, .wanted = std::move(uids), .received = {}, .alone = alone});
        command.id = session_.submit(
            {line}, [this](imap::response& r) { on_data(r); },
            [this](imap::conversation::completed& c) { on_done(c); });
    }

    void on_data(imap::response& r) {
        auto* f = std::get_if<imap::fetch_data>(&r);
        if (f == nullptr) return;
        fetch_command* owner = owner_of(f->uid);
        if (owner == nullptr) return;
        fetch_command& command = *owner;
        const std::uint32_t uid = f->uid.value_or(command.wanted.front());
        for (imap::body_item& body : f->bodies) {
            if (body.streamed || !body.content) continue;
            if (whole_) {
                if (body.content->empty()) continue;
                quoted_.push_back({head_of(command.request, uid, *f, body.content->size()), std::move(*body.content)});
            } else {
                sink_.header(head_of(command.request, uid, *f, f->rfc822_size.value_or(0)), *body.content);
            }
            command.received.add(uid);
        }
    }

    void on_done(imap::conversation::completed& c) {
        const auto at = std::ranges::find(commands_, c.command, &fetch_command::id);
        if (at == commands_.end()) return;
        fetch_command command = std::move(*at);
        commands_.erase(at);
        if (!usable(command.request)) return;
        uid_set missing = std::move(command.wanted);
        missing.remove(command.received);
        if (missing.empty()) return;
        std::optional<error> why;
        if (c.status.kind != imap::status_kind::ok)
            why = client::to_error(c.status, phase::fetch, "The message could not be read");
        // To go on asking for one message after the other is not what a server wants that asks for a pause.
        if (why && why->cls == retry_class::throttled) {
            if (!halt_) halt_ = std::move(why);
            return;
        }
        const bool more_than_one = !command.alone;
        // What one command for many did not bring is asked for once more, one by one: the reason then belongs to one
        // message.
        if (more_than_one && (why || late_ || missing.count() <= 200)) {
            second_try_[command.request].add(missing);
        } else {
            sink_.missing(command.request, std::move(missing), std::move(why));
        }
    }

    task<result<void>> step() {
        if (auto ok = co_await session_.flush(); !ok) co_return ok;
        if (auto ok = co_await session_.receive(); !ok) co_return ok;
        if (halt_) co_return std::unexpected(*halt_);
        while (!quoted_.empty()) {
            gathered g = std::move(quoted_.front());
            quoted_.pop_front();
            const auto owner = std::make_shared<client::block>(std::max<std::size_t>(g.octets.size(), 1));
            std::ranges::copy(g.octets, owner->room().begin());
            const std::string_view octets = owner->filled(g.octets.size());
            if (auto ok = co_await sink_.begin(std::move(g.head)); !ok) co_return ok;
            if (auto ok = co_await sink_.chunk(owner, octets); !ok) co_return ok;
            if (auto ok = co_await sink_.end(); !ok) co_return ok;
        }
        co_return result<void>{};
    }

    task<result<void>> stream() {
        for (std::size_t i = 0; i < requests_.size(); ++i) {
            if (requests_[i].uids.empty()) continue;
            examine(i);
            uid_set rest = requests_[i].uids;
            while (!rest.empty()) {
                while (commands_.size() >= tuning_.fetches_in_flight)
                    if (auto ok = co_await step(); !ok) co_return ok;
                if (states_[i].opened && states_[i].failure) break;
                ask(i, rest.take_front(tuning_.fetch_messages, ranges_per_command), false);
            }
        }
        co_return co_await drain();
    }

    task<result<void>> one_by_one() {
        for (auto& [request, uids] : second_try_) {
            examine(request);
            while (!uids.empty()) {
                while (commands_.size() >= tuning_.fetches_in_flight)
                    if (auto ok = co_await step(); !ok) co_return ok;
                if (states_[request].opened && states_[request].failure) break;
                if (late_ && whole_) ask_for_flags_and_date(uids.front());
                ask(request, uids.take_front(1, 1), true);
            }
            if (late_) // the next folder's UIDs mean other messages
                if (auto ok = co_await drain(); !ok) co_return ok;
            told_.clear();
        }
        co_return co_await drain();
    }

    task<result<void>> drain() {
        while (session_.talk().unfinished() > 0)
            if (auto ok = co_await step(); !ok) co_return ok;
        co_return result<void>{};
    }

    client::imap_session& session_;
    const imap_tuning& tuning_;
    std::span<const fetch_request> requests_;
    message_sink& sink_;
    std::deque<request_state> states_;
    bool whole_;
    std::string items_;
    std::deque<fetch_command> commands_;
    std::deque<gathered> quoted_;
    bool late_ = false; ///< a body came before its flags and date: that server needs the second try
    std::map<std::size_t, uid_set> second_try_;      ///< by request
    std::map<std::uint32_t, imap::fetch_data> told_; ///< flags and dates that were asked for ahead of their bodies
    std::optional<error> halt_;                      ///< the server wants a pause
    bool skip_ = true;
};

} // namespace

task<result<void>> imap_mailbox::fetch(std::span<const fetch_request> requests, fetch_part part, message_sink& sink) {
    fetch_run run(*session_, options_.tuning, requests, part, sink);
    co_return co_await run.run();
}

} // namespace postferry::mailbox
