#include "app/check.hpp"

#include "base/text.hpp"
#include "net/join.hpp"
#include "transfer/folder_entries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postferry::app {

namespace {

struct step_name {
    phase where;
    std::string_view name;
};
// The way to a login, in order; a failure of one leaves the later ones untried.
constexpr std::array<step_name, 4> way_in{
    {{phase::resolve, "resolve"}, {phase::connect, "connect"}, {phase::tls, "tls"}, {phase::login, "login"}}};

std::size_t step_of(phase where) {
    if (where == phase::greeting) return 1;
    for (std::size_t i = 0; i < way_in.size(); ++i)
        if (way_in[i].where == where) return i;
    return 1;
}

double since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class end_check {
  public:
    end_check(mailbox::endpoint where, side which, services with)
        : where_(std::move(where)), which_(which), with_(with) {
        out.name = where_.display();
    }

    endpoint_check out;
    mailbox::listing list;
    std::unique_ptr<mailbox::source> box;
    std::optional<std::uint64_t> free_inodes; ///< on the target's disk: each message is a file

    task<> run() {
        if (mailbox::is_local(where_.kind)) {
            co_await run_here();
            co_return;
        }
        const auto start = std::chrono::steady_clock::now();
        const auto opened = co_await open();
        const std::size_t reached = opened ? way_in.size() : step_of(opened.error().where);
        for (std::size_t i = 0; i < way_in.size(); ++i) {
            check_step step{.name = std::string(way_in[i].name),
                            .state = step_state::not_tried,
                            .text = {},
                            .advice = {},
                            .seconds = 0};
            if (i < reached) step.state = step_state::ok;
            if (i == reached) {
                step.state = step_state::failed;
                step.text = opened.error().server_said.empty()
                                ? opened.error().what
                                : opened.error().what + "; server said: " + opened.error().server_said;
                step.advice = opened.error().advice;
                step.where = opened.error().where;
            }
            out.steps.push_back(std::move(step));
        }
        out.steps[std::min(reached, way_in.size() - 1)].seconds = since(start);
        if (!opened) co_return;
        describe_limits();
        if (imap_ != nullptr) describe_session();
        if (pop3_ != nullptr) describe_pop3();
        if (lmtp_ != nullptr) describe_lmtp();
        co_await look_around();
        if (which_ == side::source && where_.uidl) co_await try_uidls();
    }

  private:
    /// A place on this machine: there is no way in, but owners, free space and traces of servers.
    task<> run_here() {
        const auto start = std::chrono::steady_clock::now();
        const auto opened = co_await open();
        add_step("open", opened ? result<std::string>(where_.path) : std::unexpected(opened.error()), since(start));
        if (where_.kind == mailbox::scheme::mbox)
            describe_mbox(co_await mailbox::file_pool::shared()->run(
                [path = where_.path] { return mailbox::look_at_mbox(path); }));
        if (where_.kind == mailbox::scheme::maildir)
            describe_maildir(co_await mailbox::file_pool::shared()->run(
                [path = where_.path] { return mailbox::look_at_maildir(path); }));
        if (opened) co_await look_around();
    }

    void add_step(std::string name, result<std::string> what, double seconds) {
        check_step step{.name = std::move(name), .state = step_state::ok, .text = {}, .advice = {}, .seconds = seconds};
        if (what) {
            step.text = std::move(*what);
        } else {
            step.state = step_state::failed;
            step.text = what.error().what;
            step.advice = what.error().advice;
            step.where = what.error().where;
        }
        out.steps.push_back(std::move(step));
    }

    void describe_maildir(const mailbox::maildir_facts& facts) {
        for (const std::string& server : facts.served_by) out.notes.push_back(fmt::format("served by {}", server));
        if (facts.unreadable) add_step("read", std::unexpected(*facts.unreadable), 0);
        if (which_ == side::source || !(facts.exists || facts.parent_exists)) return;
        if (!facts.exists) out.notes.emplace_back("it is not there yet and will be made");
        add_step("write", facts.unwritable ? result<std::string>(std::unexpected(*facts.unwritable)) : "may be written",
                 0);
        std::string room = fmt::format("{} free", format_size(facts.free_octets));
        if (facts.counts_inodes) room += fmt::format(", room for {} files", facts.free_inodes);
        add_step("space", std::move(room), 0);
        out.quotas.push_back({.root = "disk",
                              .used_octets = facts.total_octets - std::min(facts.total_octets, facts.free_octets),
                              .limit_octets = facts.total_octets});
        free_inodes = facts.counts_inodes ? std::optional(facts.free_inodes) : std::nullopt;
    }

    void describe_mbox(const mailbox::mbox_facts& facts) {
        if (facts.unreadable) add_step("read", std::unexpected(*facts.unreadable), 0);
        if (which_ == side::source || !(facts.exists || facts.parent_exists)) return;
        if (!facts.exists) out.notes.emplace_back("it is not there yet and will be made");
        if (facts.exists && facts.is_file)
            out.notes.emplace_back("one file has room for the INBOX only; name a folder to take all folders");
        add_step("write", facts.unwritable ? result<std::string>(std::unexpected(*facts.unwritable)) : "may be written",
                 0);
        add_step("space", fmt::format("{} free", format_size(facts.free_octets)), 0);
        out.quotas.push_back({.root = "disk",
                              .used_octets = facts.total_octets - std::min(facts.total_octets, facts.free_octets),
                              .limit_octets = facts.total_octets});
    }

    /// Opens `box` and, where what it is can be told more of, one of the two below.
    task<result<void>> open() {
        using enum mailbox::scheme;
        if (auto ok = check_side(where_, which_); !ok) co_return ok;
        if (where_.kind == pop3 || where_.kind == pop3s) {
            auto opened = co_await open_pop3(where_, with_);
            if (!opened) co_return std::unexpected(opened.error());
            pop3_ = opened->get();
            box = std::move(*opened);
        } else if (where_.kind == imap || where_.kind == imaps) {
            auto opened = co_await open_imap(where_, which_, with_);
            if (!opened) co_return std::unexpected(opened.error());
            imap_ = opened->get();
            box = std::move(*opened);
        } else if (where_.kind == lmtp) {
            auto opened = co_await open_lmtp(where_, with_);
            if (!opened) co_return std::unexpected(opened.error());
            lmtp_ = opened->get();
            box = std::move(*opened);
        } else if (which_ == side::source) {
            auto opened = co_await open_source(where_, with_);
            if (!opened) co_return std::unexpected(opened.error());
            box = std::move(*opened);
        } else {
            auto opened = co_await open_target(where_, with_);
            if (!opened) co_return std::unexpected(opened.error());
            box = std::move(*opened);
        }
        co_return result<void>{};
    }

    void describe_limits() {
        if (with_.stay == nullptr) return;
        visit::limits limits = with_.stay->limits_of(which_ == side::target);
        if (limits.preset.what == nullptr) return; // a place on this machine
        out.preset = limits.preset.what->name;
        out.preset_why = std::move(limits.preset.why);
        out.limits = std::move(limits.texts);
    }

    template <class Session> void describe_line(const Session& session) {
        out.steps[1].text = session.peer();
        out.tls = session.tls_summary();
        out.steps[2].text = out.tls.empty() ? "not encrypted" : out.tls;
        if (out.tls.empty()) out.steps[2].state = step_state::warning;
        out.login = session.login_method();
        out.steps[3].text = "by " + out.login;
        out.capabilities = session.capabilities().all();
        const std::string_view hello = session.greeting();
        if (hello.find("Dovecot") == std::string_view::npos) out.notes.push_back(fmt::format("greeting: {}", hello));
    }

    void describe_pop3() {
        const client::pop3_session& session = pop3_->session();
        describe_line(session);
        const pop3::capability_list& can = session.capabilities();
        if (session.greeting().find("Dovecot") != std::string::npos)
            out.notes.emplace_back("Dovecot moves new mail from new/ to cur/ at each POP3 login; nothing else changes");
        if (!can.has("PIPELINING"))
            out.notes.emplace_back("no PIPELINING: messages are asked for one by one, which is slower");
        if (client::removes_what_was_read(can))
            out.notes.emplace_back("EXPIRE 0: the server may remove mail that was read when a session ends by QUIT; "
                                   "sessions are ended without it");
        if (const std::uint32_t delay = client::login_delay(can); delay > 0)
            out.notes.push_back(fmt::format("LOGIN-DELAY: {} s must lie between two logins", delay));
    }

    void describe_lmtp() {
        const client::lmtp_session& session = lmtp_->session();
        out.steps[1].text = session.peer();
        out.tls = session.tls_summary();
        out.steps[2].text = out.tls.empty() ? "not encrypted" : out.tls;
        if (out.tls.empty()) out.steps[2].state = step_state::warning;
        out.steps[3].text = fmt::format("takes mail for {}", session.recipient());
        out.capabilities = session.extensions().all();
        if (!session.extensions().has("PIPELINING"))
            out.notes.emplace_back("no PIPELINING: each message waits for four round trips");
        if (lmtp_->append_limit() > 0) out.append_limit = lmtp_->append_limit();
    }

    void describe_session() {
        client::imap_session& session = imap_->session();
        describe_line(session);
        const std::string_view hello = session.greeting();
        if (which_ == side::source && hello.find("Courier") != std::string_view::npos)
            out.notes.emplace_back("Courier moves new mail from new/ to cur/ even when a folder is opened read-only");
        if (which_ == side::target) describe_target(session.capabilities());
    }

    void describe_target(const client::capability_set& can) {
        if (!can.has("MULTIAPPEND")) out.notes.emplace_back("no MULTIAPPEND: messages go one by one, which is slower");
        if (!can.has("UIDPLUS"))
            out.notes.emplace_back("no UIDPLUS: after a crash messages are found again by their headers");
        if (can.literals() == imap::literal_mode::synchronising)
            out.notes.emplace_back("no LITERAL+: each message waits for a round trip");
        if (imap_->append_limit() > 0) out.append_limit = imap_->append_limit();
    }

    task<> look_around() {
        const auto start = std::chrono::steady_clock::now();
        auto listed = co_await box->list(true);
        check_step step{.name = "list", .state = step_state::ok, .text = {}, .advice = {}, .seconds = since(start)};
        if (listed) {
            list = std::move(*listed);
            step.text = fmt::format("{} folders", list.folders.size());
            if (list.delimiter) out.delimiter = std::string(1, *list.delimiter);
            if (imap_ != nullptr) out.prefix = imap_->personal_prefix();
            if (pop3_ != nullptr)
                out.notes.push_back(fmt::format("unique IDs (UIDL): {} of {} messages", pop3_->named_by_uidl(),
                                                list.folders.front().state->messages));
            out.notes.insert(out.notes.end(), list.notes.begin(), list.notes.end());
        } else {
            step.state = step_state::failed;
            step.text = listed.error().message();
            step.where = listed.error().where;
        }
        out.steps.push_back(std::move(step));
        if (imap_ == nullptr) co_return;
        for (const client::applied_quirk& q : imap_->quirks())
            out.quirks.push_back(
                {.name = std::string(q.what->name), .why = q.why, .about = std::string(q.what->about)});
        if (!listed) co_return;
        const auto quotas = co_await imap_->quota();
        if (!quotas) co_return;
        for (const imap::quota_data& q : *quotas)
            for (const auto& r : q.resources)
                if (r.name == "STORAGE")
                    out.quotas.push_back(
                        {.root = q.root, .used_octets = r.usage * 1024, .limit_octets = r.limit * 1024});
    }

    /// The POP3 server beside this one (uidl=).
    task<> try_uidls() {
        const auto start = std::chrono::steady_clock::now();
        auto session = co_await open_uidl_session(where_, with_);
        result<mailbox::maildrop> drop = std::unexpected(session ? error{} : session.error());
        if (session) {
            drop = co_await mailbox::read_maildrop(**session);
            co_await (*session)->quit(true);
        }
        check_step step{.name = "uidl", .state = step_state::ok, .text = {}, .advice = {}, .seconds = since(start)};
        if (!drop) {
            step.state = step_state::failed;
            step.text = drop.error().message();
            step.where = drop.error().where;
        } else if (drop->uidl_refused) {
            step.state = step_state::warning;
            step.text = fmt::format("the server gives no unique IDs; it said {}", drop->refusal);
        } else {
            const auto named = std::ranges::count_if(drop->messages, [](const auto& m) { return !m.uidl.empty(); });
            step.text = fmt::format("unique IDs (UIDL) of {} messages", named);
        }
        out.steps.push_back(std::move(step));
    }

    mailbox::endpoint where_;
    side which_;
    services with_;
    mailbox::imap_mailbox* imap_ = nullptr;
    mailbox::pop3_mailbox* pop3_ = nullptr;
    mailbox::lmtp_target* lmtp_ = nullptr;
};

task<> find_oversize(end_check& from, std::uint64_t limit, mailbox_check& out) {
    std::vector<mailbox::fetch_request> requests;
    for (const mailbox::listed_folder& f : from.list.folders)
        if (f.selectable && f.personal && f.state && f.state->messages > 0)
            requests.push_back(
                {.handle = f.handle, .uid_validity = f.state->uid_validity, .uids = uid_set::of(1, UINT32_MAX)});
    const auto found = co_await from.box->search(requests, {.larger_than = limit, .older_than_unix = {}});
    if (!found) {
        out.notes.push_back(fmt::format("oversize messages were not looked for: {}", found.error().message()));
        co_return;
    }
    oversize_messages too_big{.count = 0, .largest = 0, .limit = limit};
    for (const uid_set& uids : *found) too_big.count += uids.count();
    out.oversize = too_big;
}

} // namespace

task<mailbox_check> check_mailbox(mailbox::endpoint source, mailbox::endpoint target, const run_options& options,
                                  services with) {
    end_check from(std::move(source), side::source, with), to(std::move(target), side::target, with);
    std::vector<task<>> both;
    both.push_back(from.run());
    both.push_back(to.run());
    co_await net::join_all(std::move(both));

    mailbox_check out;
    if (from.box && !from.list.folders.empty()) {
        std::uint64_t messages = 0, octets = 0;
        bool sized = true;
        for (const mailbox::listed_folder& f : from.list.folders) {
            if (!f.state) continue;
            messages += f.state->messages;
            octets += f.state->octets.value_or(0);
            sized = sized && f.state->octets.has_value();
            if (!f.personal) out.notes.push_back(fmt::format("{} belongs to others and is not copied", f.name));
        }
        out.folders = from.list.folders.size();
        out.messages = messages;
        if (sized) out.octets = octets;
        const std::uint64_t limit =
            std::min(to.out.append_limit.value_or(UINT64_MAX), options.max_size.value_or(UINT64_MAX));
        if (limit != UINT64_MAX) co_await find_oversize(from, limit, out);
    }
    if (from.box && to.box) {
        auto map = transfer::map_folders(transfer::entries_of(from.list), transfer::entries_of(to.list), options.rules,
                                         transfer::naming_of(to.list));
        if (map)
            out.collisions = std::move(map->collisions);
        else
            out.notes.push_back(map.error().message());
    }
    if (to.free_inodes && out.messages && *out.messages >= *to.free_inodes)
        out.notes.push_back(fmt::format("the target's disk has room for {} files; {} messages are to come",
                                        *to.free_inodes, *out.messages));
    std::vector<task<>> leaving;
    if (from.box) leaving.push_back(from.box->leave());
    if (to.box) leaving.push_back(to.box->leave());
    if (!leaving.empty()) co_await net::join_all(std::move(leaving));
    out.source = std::move(from.out);
    out.target = std::move(to.out);
    co_return out;
}

} // namespace postferry::app
