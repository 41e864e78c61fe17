// Reading messages: one continuous stream over all folders asked for, the next commands always on the wire.
#include "mailbox/detail/odd_filter.hpp"
#include "mailbox/imap_mailbox.hpp"
#include "message/fingerprint.hpp"
#include "message/recipients.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>

namespace postferry::mailbox {

namespace {

std::string_view fields_of(fetch_part part) noexcept {
    if (part == fetch_part::recipients) return message::recipient_fields(false);
    if (part == fetch_part::deliveries) return message::recipient_fields(true);
    return message::fingerprint_fields();
}

class fetch_run final : public client::body_sink {
  public:
    fetch_run(client::imap_session& session, const imap_tuning& tuning, const client::server_habits& habits,
              std::span<const fetch_request> requests, fetch_part part, message_sink& sink)
        : session_(session), tuning_(tuning), habits_(habits),
          ranges_(detail::ranges_per_command(habits.command_octets)), requests_(requests), sink_(sink),
          out_(habits, sink), states_(requests.size()), whole_(part == fetch_part::whole) {
        items_ =
            whole_ ? "(UID FLAGS INTERNALDATE BODY.PEEK[])"
                   : fmt::format("(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS ({})])", fields_of(part));
    }

    task<result<void>> run() {
        session_.set_body_sink(this);
        auto ok = co_await stream();
        if (ok && !smaller_.empty() && !spent_) ok = co_await in_smaller_ranges();
        if (ok && !second_try_.empty() && !spent_) ok = co_await one_by_one(std::exchange(second_try_, {}), false);
        if (ok && !third_try_.empty() && !spent_) ok = co_await one_by_one(std::exchange(third_try_, {}), true);
        if (ok && spent_) ok = std::unexpected(*spent_);
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
        // A budget that was spent since the command was sent: the messages that are under way are left to the next
        // time.
        if (whole_)
            if (auto ok = session_.may_begin(0); !ok) co_return std::unexpected(ok.error());
        std::string_view before; // what of the message has come already
        if (command->halves) {
            const std::string* header = header_before(body.head);
            if (header == nullptr) co_return result<void>{};
            before = *header;
        } else if (body.octets == 0) {
            co_return result<void>{}; // counted as missing: an empty message is never a message
        }
        command->received.add(uid);
        skip_ = false;
        message_head head = head_of(command->request, uid, body.head, before.size() + body.octets);
        head.halves = command->halves;
        co_return co_await out_.begin(std::move(head), before);
    }

    task<result<void>> body_chunk(const client::block_ref& owner, std::string_view octets) override {
        if (skip_) co_return result<void>{};
        co_return co_await out_.chunk(owner, octets);
    }

    task<result<void>> body_end() override {
        if (skip_) co_return result<void>{};
        co_return co_await out_.end();
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
        bool smaller = false; ///< asks again for what a larger one has not brought
        bool halves = false;  ///< header and text apart
    };
    struct gathered { ///< a body that came as a quoted string
        message_head head;
        std::string octets;
    };

    // The header that was asked for together with the text, when it came before it and is one.
    static const std::string* header_before(const imap::fetch_data& f) {
        const auto at = std::ranges::find(f.bodies, "BODY[HEADER]", &imap::body_item::section);
        const bool usable = at != f.bodies.end() && !at->streamed && at->content && !at->content->empty();
        return usable ? &*at->content : nullptr;
    }

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

    fetch_command& ask(std::size_t request, uid_set uids, bool alone, bool halves = false) {
        const std::string_view items =
            halves ? "(UID FLAGS INTERNALDATE BODY.PEEK[HEADER] BODY.PEEK[TEXT])" : std::string_view(items_);
        const std::string line = fmt::format("UID FETCH {} {}", uids.to_string(), items);
        fetch_command& command = commands_.emplace_back(fetch_command{
            .id = 0, .request = request, .wanted = std::move(uids), .received = {}, .alone = alone, .halves = halves});
        command.id = session_.submit(
            {line}, [this](imap::response& r) { on_data(r); },
            [this](imap::conversation::completed& c) { on_done(c); });
        return command;
    }

    void on_data(imap::response& r) {
        auto* f = std::get_if<imap::fetch_data>(&r);
        if (f == nullptr) return;
        fetch_command* owner = owner_of(f->uid);
        if (owner == nullptr) return;
        fetch_command& command = *owner;
        const std::uint32_t uid = f->uid.value_or(command.wanted.front());
        if (command.halves) return join_halves(command, *f, uid);
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

    void join_halves(fetch_command& command, const imap::fetch_data& f, std::uint32_t uid) {
        const std::string* header = header_before(f);
        const auto text = std::ranges::find(f.bodies, "BODY[TEXT]", &imap::body_item::section);
        if (header == nullptr || text == f.bodies.end() || text->streamed || !text->content) return;
        std::string whole = *header + *text->content;
        message_head head = head_of(command.request, uid, f, whole.size());
        head.halves = true;
        quoted_.push_back({std::move(head), std::move(whole)});
        command.received.add(uid);
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
        // message. Where it is very much, in smaller ranges first, and what of a range brings nothing at all is let go.
        const bool nothing = command.smaller && command.received.empty();
        if (more_than_one && (why || late_ || (missing.count() <= tuning_.few_left_out && !nothing))) {
            second_try_[command.request].add(missing);
        } else if (more_than_one && !command.smaller) {
            smaller_[command.request].add(missing);
        } else if (!why && whole_ && habits_.halves && command.alone && !command.halves) {
            third_try_[command.request].add(missing); // quirk empty-body: by other means
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
            if (auto ok = co_await out_.begin(std::move(g.head), g.octets); !ok) co_return ok;
            if (auto ok = co_await out_.end(); !ok) co_return ok;
        }
        co_return result<void>{};
    }

    // Until so many whole messages may be asked for; or a budget is spent, and what is under way is the end.
    task<result<void>> wait_for_turn(std::size_t messages) {
        if (!whole_) co_return result<void>{};
        const auto when = session_.may_begin(messages);
        if (!when) {
            spent_ = when.error();
            co_return result<void>{};
        }
        if (*when <= std::chrono::steady_clock::now()) co_return result<void>{};
        if (auto ok = co_await session_.flush(); !ok) co_return ok;
        co_await session_.wait_until(*when);
        co_return result<void>{};
    }

    // A short answer first, where compression could pay: its pace decides (client/line_gauge.hpp).
    [[nodiscard]] std::size_t first_messages() const noexcept {
        constexpr std::uint64_t worth_it = 200;
        constexpr std::size_t to_listen_to = 24;
        std::uint64_t all = 0;
        for (const fetch_request& r : requests_) all += r.uids.count();
        return whole_ && session_.may_compress() && all >= worth_it ? to_listen_to : 0;
    }

    // After each short answer; false: it told too little, and the next one is to be longer.
    task<result<bool>> listen() {
        if (auto ok = co_await drain(); !ok) co_return std::unexpected(ok.error());
        const auto slow = session_.gauge().slow();
        if (!slow) co_return false;
        if (*slow)
            if (auto ok = co_await session_.compress(); !ok) co_return std::unexpected(ok.error());
        co_return true;
    }

    task<result<void>> stream() {
        constexpr std::size_t longest_first = 1'536;
        std::size_t first = first_messages();
        session_.gauge().begin();
        for (std::size_t i = 0; i < requests_.size(); ++i) {
            if (requests_[i].uids.empty()) continue;
            examine(i);
            uid_set rest = requests_[i].uids;
            while (!rest.empty()) {
                while (commands_.size() >= tuning_.fetches_in_flight)
                    if (auto ok = co_await step(); !ok) co_return ok;
                if (states_[i].opened && states_[i].failure) break;
                const std::size_t most = whole_ ? session_.messages_at_once() : SIZE_MAX;
                const std::size_t so_many = first > 0 ? first : tuning_.fetch_messages;
                uid_set some = rest.take_front(std::min(so_many, most), ranges_);
                if (auto ok = co_await wait_for_turn(some.count()); !ok) co_return ok;
                if (spent_) co_return co_await drain();
                ask(i, std::move(some), false);
                if (first == 0) continue;
                const auto heard = co_await listen();
                if (!heard) co_return std::unexpected(heard.error());
                first = *heard || first >= longest_first ? 0 : first * 4;
            }
        }
        co_return co_await drain();
    }

    task<result<void>> in_smaller_ranges() {
        const std::size_t so_many = std::max<std::size_t>(tuning_.few_left_out / 2, 1);
        for (auto& [request, uids] : std::exchange(smaller_, {})) {
            examine(request);
            uid_set rest = uids;
            while (!rest.empty()) {
                while (commands_.size() >= tuning_.fetches_in_flight)
                    if (auto ok = co_await step(); !ok) co_return ok;
                if (states_[request].opened && states_[request].failure) break;
                uid_set some =
                    rest.take_front(std::min(so_many, whole_ ? session_.messages_at_once() : SIZE_MAX), ranges_);
                if (auto ok = co_await wait_for_turn(some.count()); !ok) co_return ok;
                if (spent_) co_return co_await drain();
                ask(request, std::move(some), false).smaller = true;
            }
        }
        co_return co_await drain();
    }

    task<result<void>> one_by_one(std::map<std::size_t, uid_set> again, bool halves) {
        for (auto& [request, uids] : again) {
            examine(request);
            while (!uids.empty()) {
                while (commands_.size() >= tuning_.fetches_in_flight)
                    if (auto ok = co_await step(); !ok) co_return ok;
                if (states_[request].opened && states_[request].failure) break;
                if (auto ok = co_await wait_for_turn(1); !ok) co_return ok;
                if (spent_) co_return co_await drain();
                if (late_ && whole_) ask_for_flags_and_date(uids.front());
                ask(request, uids.take_front(1, 1), true, halves);
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
    const client::server_habits& habits_;
    std::size_t ranges_; ///< of UIDs in one command line
    std::span<const fetch_request> requests_;
    message_sink& sink_;
    detail::odd_filter out_;
    std::deque<request_state> states_;
    bool whole_;
    std::string items_;
    std::deque<fetch_command> commands_;
    std::deque<gathered> quoted_;
    bool late_ = false; ///< a body came before its flags and date: that server needs the second try
    std::map<std::size_t, uid_set> smaller_;         ///< by request: much that was left out without a word
    std::map<std::size_t, uid_set> second_try_;      ///< by request: one by one
    std::map<std::size_t, uid_set> third_try_;       ///< by request: in halves
    std::map<std::uint32_t, imap::fetch_data> told_; ///< flags and dates that were asked for ahead of their bodies
    std::optional<error> halt_;                      ///< the server wants a pause
    std::optional<error> spent_;                     ///< no more messages for now
    bool skip_ = true;
};

} // namespace

task<result<void>> imap_mailbox::fetch(std::span<const fetch_request> requests, fetch_part part, message_sink& sink) {
    if (auto ok = co_await greet(); !ok) co_return ok;
    fetch_run run(*session_, options_.tuning, habits_, requests, part, sink);
    co_return co_await run.run();
}

} // namespace postferry::mailbox
