// Messages that the target refuses as they are: looked at again, and brought in a repaired form
// (docs/report.md#repairs).
#include "transfer/detail/pass_state.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::transfer {

namespace {

using message::repair;
using message::repair_plan;
using message::repair_set;

using surveys_wanted = std::map<std::uint32_t, std::vector<repair_set>>; ///< by source UID

// Reads messages of one folder to learn what repairs would make of them.
class survey_reader final : public mailbox::message_sink {
  public:
    explicit survey_reader(const surveys_wanted& wanted) : wanted_(wanted) {}
    std::map<std::uint32_t, std::vector<repair_plan>> found; ///< in the order of what was wanted
    std::map<std::uint32_t, error> refused;                  ///< they cannot be read any more
    std::optional<error> trouble;

    task<result<void>> begin(mailbox::message_head head) override {
        uid_ = head.uid;
        if (const auto at = wanted_.find(uid_); at != wanted_.end())
            for (const repair_set s : at->second) running_.emplace_back(s);
        co_return result<void>{};
    }
    task<result<void>> chunk(const client::block_ref&, std::string_view octets) override {
        for (message::repair_survey& s : running_) s.update(octets);
        co_return result<void>{};
    }
    task<result<void>> end() override {
        if (!running_.empty()) {
            std::vector<repair_plan>& plans = found[uid_];
            for (message::repair_survey& s : running_) plans.push_back(s.finish());
        }
        running_.clear();
        co_return result<void>{};
    }
    void header(mailbox::message_head, std::string_view) override {}
    void missing(std::size_t, uid_set uids, std::optional<error> why) override {
        while (why && !uids.empty()) refused.insert_or_assign(uids.take_front(1, 1).front(), *why);
    }
    void unavailable(std::size_t, error why) override { trouble = std::move(why); }

  private:
    const surveys_wanted& wanted_;
    std::uint32_t uid_ = 0;
    std::vector<message::repair_survey> running_;
};

std::vector<repair_set> each_of(repair_set set) {
    std::vector<repair_set> out;
    for (const repair r : cheapest_first(set)) out.push_back({r});
    return out;
}

} // namespace

bool mailbox_pass::state::take_refusal(folder_work& f, const sent_message& m, const error& why) {
    if (options_.repairs.empty()) return false;
    if (!m.repair) {
        if (!may_be_cured(why)) return false;
        f.memory->refusals.insert_or_assign(
            m.uid, refused_message{.history = {.first = why, .later = {}, .tried = {}}, .octets = m.octets});
    } else {
        const auto at = f.memory->refusals.find(m.uid);
        if (at == f.memory->refusals.end()) return false;
        at->second.history.tried.push_back(m.repair->repairs);
        at->second.history.later.push_back(why);
        at->second.under_way = nullptr;
    }
    // Each message has so many tries and no more: this ends.
    ++progress_mark_;
    return true;
}

bool mailbox_pass::state::has_refusals() const {
    return std::ranges::any_of(folders_, [](const folder_work& f) {
        return !f.trouble && std::ranges::any_of(f.memory->refusals, [&f](const auto& r) {
            return !r.second.under_way && f.wanted.contains(r.first);
        });
    });
}

// What an earlier attempt was refused is not sent again as it is; it waits for treat_refused().
void mailbox_pass::state::set_refused_aside(folder_work& f, uid_set& ordinary) {
    for (auto& [uid, refusal] : f.memory->refusals) {
        refusal.under_way = nullptr;
        ordinary.remove(uid, uid);
    }
}

task<result<void>> mailbox_pass::state::treat_refused() {
    for (std::size_t i = 0; i < folders_.size(); ++i) {
        folder_work& f = folders_[i];
        while (!f.trouble) {
            const surveys_wanted wanted = choose_treatment(i);
            if (wanted.empty()) break;
            if (auto ok = co_await survey(i, wanted); !ok) co_return ok;
        }
    }
    co_return result<void>{};
}

// Messages whose treatment is known set out as leftovers, those without one have failed; the rest must be looked at.
std::map<std::uint32_t, std::vector<repair_set>> mailbox_pass::state::choose_treatment(std::size_t folder) {
    folder_work& f = folders_[folder];
    surveys_wanted wanted;
    lane l{.folder = folder, .batch_limit = 1, .uids = {}};
    std::vector<std::uint32_t> given_up;
    for (auto& [uid, r] : f.memory->refusals) {
        if (r.under_way || !f.wanted.contains(uid)) continue;
        if (!r.applicable) {
            repair_set each = options_.repairs;
            if (each.has(repair::literal8)) each.add(repair::nul); // what nul would change, a literal8 may carry
            each.remove(repair::literal8);
            wanted.emplace(uid, each_of(each));
            continue;
        }
        const auto next = next_repair(r.history, *r.applicable);
        if (!next) {
            given_up.push_back(uid);
        } else if (const auto plan = r.plans.find(*next); plan == r.plans.end()) {
            wanted.emplace(uid, std::vector{*next});
        } else {
            r.under_way = std::make_shared<const repair_plan>(plan->second);
            l.uids.add(uid);
        }
    }
    for (const std::uint32_t uid : given_up) {
        const auto refusal = f.memory->refusals.extract(uid);
        fail_message(f, uid, refusal.mapped().octets, incurable(refusal.mapped().history));
        f.memory->refused.insert_or_assign(uid, f.failed.at(uid));
    }
    if (!l.uids.empty()) leftovers_.push_back(std::move(l));
    return wanted;
}

task<result<void>> mailbox_pass::state::survey(std::size_t folder, const surveys_wanted& wanted) {
    folder_work& f = folders_[folder];
    mailbox::fetch_request request{.handle = f.source_handle, .uid_validity = f.source.uid_validity, .uids = {}};
    for (const auto& [uid, sets] : wanted) request.uids.add(uid);
    survey_reader reader(wanted);
    if (auto ok = co_await source_->fetch({&request, 1}, mailbox::fetch_part::whole, reader); !ok) co_return ok;
    if (reader.trouble) {
        unavailable(folder, *reader.trouble);
        if (!f.trouble) co_return std::unexpected(*reader.trouble); // the folder is planned again
        co_return result<void>{};
    }
    for (const auto& [uid, sets] : wanted) {
        const auto plans = reader.found.find(uid);
        if (plans == reader.found.end()) {
            const auto why = reader.refused.find(uid);
            lose_refused(f, uid, why == reader.refused.end() ? std::nullopt : std::optional(why->second));
            continue;
        }
        refused_message& r = f.memory->refusals.at(uid);
        repair_set applicable;
        for (std::size_t k = 0; k < sets.size(); ++k) {
            repair_plan& plan = plans->second[k];
            applicable = applicable | plan.effective;
            r.plans.insert_or_assign(sets[k], std::move(plan));
        }
        if (!r.applicable) {
            if (applicable.has(repair::nul) && options_.repairs.has(repair::literal8) && target_->takes_literal8())
                applicable.add(repair::literal8);
            r.applicable = applicable & options_.repairs;
        }
    }
    co_return result<void>{};
}

// It was there when it was brought the first time.
void mailbox_pass::state::lose_refused(folder_work& f, std::uint32_t uid, const std::optional<error>& why) {
    const auto refusal = f.memory->refusals.extract(uid);
    if (why)
        fail_message(f, uid, refusal.mapped().octets, *why);
    else
        f.unread.add(uid);
}

std::shared_ptr<const repair_plan> mailbox_pass::state::treatment_of(const folder_work& f, std::uint32_t uid) {
    if (f.memory->refusals.empty()) return nullptr;
    const auto at = f.memory->refusals.find(uid);
    return at == f.memory->refusals.end() ? nullptr : at->second.under_way;
}

/// Answers what the ledger is to know.
repair_set mailbox_pass::state::note_repaired(folder_work& f, const sent_message& m) {
    if (!m.repair) return {};
    repair_set done = m.repair->effective;
    if (m.repair->repairs.has(repair::literal8)) done.add(repair::literal8);
    const auto refusal = f.memory->refusals.extract(m.uid);
    f.memory->repaired.insert_or_assign(m.uid, repaired_message{.repairs = done, .wrapped = m.repair->wrapped});
    note(fmt::format("{}, UID {}: the target took it with these repairs: {} ({})", f.map.source, m.uid, names_of(done),
                     refusal.empty() ? "refused before" : refusal.mapped().history.first.message()));
    return done;
}

std::map<std::string, std::uint64_t> mailbox_pass::state::repairs_of(const folder_work& f) {
    std::map<std::string, std::uint64_t> out;
    for (const auto& [uid, r] : f.memory->repaired)
        for (const repair one : cheapest_first(r.repairs))
            ++out[std::string(one == repair::long_lines && r.wrapped ? "long-lines-wrapped" : name_of(one))];
    return out;
}

} // namespace postferry::transfer
