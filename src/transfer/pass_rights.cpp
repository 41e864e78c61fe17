// What folders have beside messages: who may use them, and annotations. Named; access rights are copied when asked for.
#include "transfer/detail/pass_state.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace postferry::transfer {

namespace {

std::string listed(const std::vector<std::string>& names) {
    constexpr std::size_t shown = 5;
    const std::vector<std::string> first(names.begin(),
                                         names.begin() + static_cast<std::ptrdiff_t>(std::min(shown, names.size())));
    return fmt::format("{}{}", fmt::join(first, ", "),
                       names.size() > shown ? fmt::format(" and {} more", names.size() - shown) : "");
}

// What the target does not have yet.
std::vector<mailbox::access_right> missing_rights(const std::vector<mailbox::access_right>& wanted,
                                                  const std::vector<mailbox::access_right>& there) {
    std::vector<mailbox::access_right> out;
    for (const mailbox::access_right& right : wanted)
        if (std::ranges::find(there, right) == there.end()) out.push_back(right);
    return out;
}

} // namespace

task<result<void>> mailbox_pass::state::look_at_extras(std::vector<std::string>& notes) {
    std::vector<std::string> handles;
    extras_of_.clear();
    for (std::size_t i = 0; i < folders_.size(); ++i) {
        if (folders_[i].map.what != mapped_folder::verdict::copy || folders_[i].trouble) continue;
        handles.push_back(folders_[i].source_handle);
        extras_of_.push_back(i);
    }
    auto got = co_await source_->extras(handles);
    if (!got) co_return std::unexpected(got.error());
    extras_ = std::move(*got);
    std::vector<std::string> guarded, annotated;
    for (std::size_t k = 0; k < extras_.size(); ++k) {
        const std::string& name = folders_[extras_of_[k]].map.source;
        if (!extras_[k].rights.empty()) guarded.push_back(name);
        if (extras_[k].annotated) annotated.push_back(name);
    }
    if (!guarded.empty() && !options_.copy_rights)
        notes.push_back(fmt::format("access rights (ACL) are not copied: {}; --acl copies them", listed(guarded)));
    if (!annotated.empty())
        notes.push_back(fmt::format("annotations (METADATA) are not copied: {}", listed(annotated)));
    co_return result<void>{};
}

task<result<void>> mailbox_pass::state::copy_rights() {
    if (only_new()) co_return result<void>{};
    if (auto ok = co_await look_at_extras(report_.warnings); !ok) co_return ok;
    if (!options_.copy_rights) co_return result<void>{};
    std::vector<mailbox::rights_wish> wishes;
    std::vector<std::string> handles;
    for (std::size_t k = 0; k < extras_.size(); ++k) {
        const folder_work& f = folders_[extras_of_[k]];
        if (extras_[k].rights.empty() || !f.target) continue;
        wishes.push_back({.handle = f.target_handle, .rights = extras_[k].rights});
        handles.push_back(f.target_handle);
    }
    if (wishes.empty()) co_return result<void>{};
    const auto there = co_await target_->extras(handles);
    if (!there) co_return std::unexpected(there.error());
    std::size_t entries = 0;
    for (std::size_t k = 0; k < wishes.size(); ++k) {
        if (k < there->size()) wishes[k].rights = missing_rights(wishes[k].rights, (*there)[k].rights);
        entries += wishes[k].rights.size();
    }
    if (entries == 0) co_return result<void>{};
    const auto refused = co_await target_->grant(wishes);
    if (!refused) co_return std::unexpected(refused.error());
    for (const std::string& what : *refused)
        report_.warnings.push_back(fmt::format("access rights that were not copied: {}", what));
    note(fmt::format("{} access rights granted on the target", entries - std::min(entries, refused->size())));
    co_return result<void>{};
}

} // namespace postferry::transfer
