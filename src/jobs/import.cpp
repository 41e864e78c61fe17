#include "jobs/import.hpp"

#include "jobs/import_pass.hpp"
#include "jobs/worker_id.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fcntl.h>
#include <unistd.h>

namespace postferry::jobs {

namespace refusal = store::refusal;
using stage = import_view::stage;

/// An import that is here: the file by its descriptor, and how it stands.
struct import_desk::held {
    held(int descriptor, import_form with) : fd(descriptor), form(std::move(with)) {}
    ~held() { ::close(fd); }
    held(const held&) = delete;
    held& operator=(const held&) = delete;

    [[nodiscard]] std::string path() const { return fmt::format("/proc/self/fd/{}", fd); }
    [[nodiscard]] bool at_work() const noexcept { return view.at == stage::checking || view.at == stage::committing; }

    int fd;
    import_form form;
    import_view view = {};
    std::vector<accounts::csv_fault> faults = {};
    std::chrono::steady_clock::time_point used = std::chrono::steady_clock::now();
};

namespace {

constexpr std::size_t most_named = 100;
/// Mailboxes of one import that change what a database should believe of its tables.
constexpr std::uint64_t very_many = 5'000;

std::unexpected<error> missing() {
    return refusal::refuse(
        refusal::missing, "This process of the service has no such import",
        "A file is kept for an hour by the process that took it, and by no other. Send it again; where "
        "several processes serve one store, send all that concerns an import to the same");
}

/// Uploads that a process which was killed left behind: passwords are in them.
void sweep(const std::filesystem::path& folder) {
    constexpr std::size_t most_looked_at = 10'000;
    constexpr std::chrono::hours stale{1};
    std::error_code ec;
    std::size_t looked_at = 0;
    for (std::filesystem::directory_iterator it(folder, ec), end; !ec && it != end && looked_at < most_looked_at;
         it.increment(ec), ++looked_at) {
        std::error_code gone;
        if (!it->path().filename().string().starts_with(import_desk::upload_prefix)) continue;
        if (!it->is_regular_file(gone) || it->is_symlink(gone)) continue;
        const auto written = it->last_write_time(gone);
        if (!gone && std::filesystem::file_time_type::clock::now() - written > stale)
            std::filesystem::remove(it->path(), gone);
    }
}

std::string separator_word(char c) { return c == '\t' ? "tab" : std::string(1, c); }

} // namespace

std::string_view name_of(stage s) noexcept {
    switch (s) {
    case stage::checking: return "checking";
    case stage::checked: return "checked";
    case stage::committing: return "committing";
    case stage::committed: return "committed";
    case stage::failed: return "failed";
    }
    return "unknown";
}

import_desk::import_desk(store::database& db, store::vault& vault, import_options options)
    : db_(db), vault_(vault), options_(std::move(options)), pool_(mailbox::file_pool::shared()) {}

import_desk::~import_desk() = default;

/// Those that nobody asked for in a while go, and the oldest when there are too many.
void import_desk::tidy() {
    const auto now = std::chrono::steady_clock::now();
    std::erase_if(held_,
                  [&](const auto& one) { return !one.second->at_work() && now - one.second->used > options_.keep; });
    while (held_.size() >= options_.most) {
        auto oldest = held_.end();
        for (auto it = held_.begin(); it != held_.end(); ++it)
            if (!it->second->at_work() && (oldest == held_.end() || it->second->used < oldest->second->used))
                oldest = it;
        if (oldest == held_.end()) return;
        held_.erase(oldest);
    }
}

result<std::shared_ptr<import_desk::held>> import_desk::take_over(const std::filesystem::path& file, import_form form) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    std::error_code ec;
    std::filesystem::remove(file, ec);
    sweep(file.parent_path());
    if (fd < 0) return fail(retry_class::local, phase::usage, "The uploaded file cannot be opened");
    auto h = std::make_shared<held>(fd, std::move(form));
    const auto now =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    h->view.id = new_worker_id();
    h->view.name = h->form.name;
    h->view.project = h->form.project;
    h->view.batch = h->form.batch;
    h->view.mode = h->form.mode;
    h->view.created = now;
    h->view.expires = now + std::chrono::duration_cast<std::chrono::milliseconds>(options_.keep).count();
    const std::lock_guard lock(mutex_);
    tidy();
    if (held_.size() >= options_.most)
        return refusal::refuse(refusal::not_allowed, "Too many imports are at work", "Wait until one of them is done");
    held_.emplace(h->view.id, h);
    return h;
}

task<result<import_view>> import_desk::preview(std::filesystem::path file, import_form form) {
    auto taken = take_over(file, std::move(form));
    if (!taken) co_return std::unexpected(std::move(taken.error()));
    const std::shared_ptr<held> h = *taken;
    // Cancelled, it throws through here: nobody will ask for it again.
    struct dropped {
        import_desk* desk;
        std::string id;
        ~dropped() {
            if (desk == nullptr) return;
            const std::lock_guard lock(desk->mutex_);
            desk->held_.erase(id);
        }
    } drop{this, h->view.id};
    auto walked = co_await walk(h, std::nullopt);
    drop.desk = nullptr;
    const std::lock_guard lock(mutex_);
    h->view.at = walked ? stage::checked : stage::failed;
    if (!walked) h->view.why = std::move(walked.error());
    co_return h->view;
}

/// Over all rows of the file; with `actor` they are written.
task<result<void>> import_desk::walk(std::shared_ptr<held> h, std::optional<std::string> actor) {
    import_pass pass(db_, vault_, options_, h->form, pool_);
    if (auto ok = co_await pass.open(h->path()); !ok) co_return ok;
    row_index domains;
    {
        const std::lock_guard lock(mutex_);
        h->faults.clear();
        h->view.rows = h->view.rows_done = h->view.faulty_rows = h->view.fault_count = 0;
        h->view.preset = accounts::name_of(pass.rows().columns().preset);
        h->view.encoding = pass.dialect().latin_1 ? "Latin-1" : "UTF-8";
        h->view.separator = separator_word(pass.dialect().separator);
        h->view.new_domains.clear();
        h->view.new_domain_count = 0;
        h->view.why.reset();
    }
    while (true) {
        auto rows = co_await pass.next();
        if (!rows) co_return std::unexpected(std::move(rows.error()));
        if ((*rows)->empty()) break;
        if (!actor) co_await pass.probe(**rows);
        auto done = co_await pass.bite(*rows, actor);
        if (!done) co_return std::unexpected(std::move(done.error()));
        const std::lock_guard lock(mutex_);
        h->used = std::chrono::steady_clock::now();
        add(*h, *done, (*rows)->size());
        for (std::string& name : done->new_domains) {
            if (domains.put(name, 1)) continue;
            ++h->view.new_domain_count;
            if (h->view.new_domains.size() < most_named) h->view.new_domains.push_back(std::move(name));
        }
    }
    const std::lock_guard lock(mutex_);
    if (h->view.rows == 0)
        co_return fail(retry_class::config, phase::usage, fmt::format("{} has a header and no rows", h->form.name));
    h->view.notes = pass.notes();
    h->view.summary = accounts::summary_of(h->form.name, pass.rows().columns().preset, pass.dialect(), h->view.rows,
                                           h->view.fault_count);
    co_return result<void>{};
}

void import_desk::add(held& h, bite_outcome& done, std::size_t rows) {
    import_view& v = h.view;
    v.rows += rows;
    v.rows_done += rows;
    v.faulty_rows += done.faulty_rows;
    v.fault_count += done.faults.size();

    for (accounts::csv_fault& f : done.faults)
        if (h.faults.size() < most_faults) h.faults.push_back(std::move(f));
    import_view::counts& to = v.added;
    const import_view::counts& c = done.added;
    for (const auto member :
         {&import_view::counts::batches, &import_view::counts::domains, &import_view::counts::accounts,
          &import_view::counts::aliases, &import_view::counts::mailboxes, &import_view::counts::known_accounts,
          &import_view::counts::known_aliases, &import_view::counts::known_mailboxes,
          &import_view::counts::skipped_rows})
        to.*member += c.*member;
    for (const store::record_id id : done.batches)
        if (v.batch_ids.size() < most_named && std::ranges::find(v.batch_ids, id) == v.batch_ids.end())
            v.batch_ids.push_back(id);
}

result<import_view> import_desk::find(const std::string& id) const {
    const std::lock_guard lock(mutex_);
    const auto at = held_.find(id);
    if (at == held_.end()) return missing();
    at->second->used = std::chrono::steady_clock::now();
    return at->second->view;
}

result<std::vector<accounts::csv_fault>> import_desk::faults(const std::string& id, std::size_t from,
                                                             std::size_t limit) const {
    const std::lock_guard lock(mutex_);
    const auto at = held_.find(id);
    if (at == held_.end()) return missing();
    const auto& all = at->second->faults;
    const std::size_t begin = std::min(from, all.size()), end = std::min(begin + limit, all.size());
    return std::vector(all.begin() + static_cast<std::ptrdiff_t>(begin),
                       all.begin() + static_cast<std::ptrdiff_t>(end));
}

task<result<import_view>> import_desk::commit(std::string id, bool skip_invalid, std::string actor) {
    std::shared_ptr<held> h;
    {
        const std::lock_guard lock(mutex_);
        const auto at = held_.find(id);
        if (at == held_.end()) co_return missing();
        h = at->second;
        if (h->at_work()) co_return refusal::refuse(refusal::not_allowed, "The import is at work");
        if (h->view.at == stage::failed)
            co_return refusal::refuse(refusal::not_allowed, "The file of this import makes no sense");
        if (h->view.faulty_rows > 0 && !skip_invalid)
            co_return refusal::refuse(refusal::not_allowed,
                                      fmt::format("{} of {} rows have faults", h->view.faulty_rows, h->view.rows),
                                      "Mend them and send the file again, or leave them out (skip_invalid)");
        h->view.at = stage::committing;
        h->view.added = {};
        h->view.batch_ids.clear();
    }
    struct undecided {
        import_desk* desk;
        held* of;
        ~undecided() {
            const std::lock_guard lock(desk->mutex_);
            if (of->view.at == stage::committing) of->view.at = stage::checked;
        }
    } until_decided{this, h.get()};
    auto walked = co_await walk(h, actor);
    if (walked) walked = co_await tell(h, actor);
    const std::lock_guard lock(mutex_);
    if (h->view.added.mailboxes >= very_many)
        db_.leave([](store::tables& t) { return t.migrations.refresh_statistics(); });
    // What was written stays; another commit goes on.
    h->view.at = walked ? stage::committed : stage::checked;
    if (!walked) h->view.why = walked.error();
    if (!walked) co_return std::unexpected(std::move(walked.error()));
    co_return h->view;
}

task<result<void>> import_desk::tell(std::shared_ptr<held> h, std::string actor) {
    boost::json::object after;
    std::optional<store::record_id> batch, project;
    {
        const std::lock_guard lock(mutex_);
        const import_view::counts& c = h->view.added;
        after = {{"file", h->view.name},     {"rows", h->view.rows},   {"skipped_rows", c.skipped_rows},
                 {"mailboxes", c.mailboxes}, {"accounts", c.accounts}, {"aliases", c.aliases},
                 {"domains", c.domains},     {"batches", c.batches}};
        project = h->view.project;
        if (h->view.batch_ids.size() == 1) batch = h->view.batch_ids.front();
    }
    co_return co_await db_.synced([after, actor, project, batch](store::tables& t) -> result<void> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        auto told = t.events.add({.at = *now,
                                  .actor = actor,
                                  .kind = "audit.import.commit",
                                  .project = project,
                                  .batch = batch,
                                  .after = boost::json::serialize(after)});
        if (!told) return std::unexpected(std::move(told.error()));
        return {};
    });
}

result<void> import_desk::forget(const std::string& id) {
    const std::lock_guard lock(mutex_);
    const auto at = held_.find(id);
    if (at == held_.end()) return missing();
    if (at->second->at_work()) return refusal::refuse(refusal::not_allowed, "The import is at work");
    held_.erase(at);
    return {};
}

} // namespace postferry::jobs
