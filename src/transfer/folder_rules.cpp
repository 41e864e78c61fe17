#include "transfer/folder_rules.hpp"

#include "base/text.hpp"
#include "transfer/detail/case_fold.hpp"
#include "transfer/detail/target_name.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <set>

namespace postferry::transfer {

namespace {

using verdict = mapped_folder::verdict;

constexpr std::int64_t regex_memory = std::int64_t{1} << 20;
constexpr std::array mapped_uses{special_use::sent, special_use::drafts, special_use::junk, special_use::trash,
                                 special_use::archive};

std::string_view attribute_of(special_use use) noexcept {
    switch (use) {
    case special_use::sent: return "\\Sent";
    case special_use::drafts: return "\\Drafts";
    case special_use::junk: return "\\Junk";
    case special_use::trash: return "\\Trash";
    case special_use::archive: return "\\Archive";
    default: return "";
    }
}

bool is_inbox(std::string_view name) noexcept { return iequals(name, "INBOX"); }

std::unique_ptr<RE2> compile(const std::string& pattern) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(regex_memory);
    return std::make_unique<RE2>(pattern, options);
}

std::unexpected<error> bad_map(std::string_view rule, std::string_view fault) {
    return fail(retry_class::config, phase::usage, fmt::format("--map {}: {}", rule, fault),
                "It is written 'REGEX=>REPLACEMENT', for example 'Old/(.*)=>Archive/\\1'");
}

/// One --map, ready to use.
class compiled_map {
  public:
    static result<compiled_map> of(const map_rule& rule) {
        const std::string text = rule.pattern + "=>" + rule.replacement;
        if (rule.pattern.empty()) return bad_map(text, "the regular expression is empty");
        if (rule.replacement.empty()) return bad_map(text, "the replacement is empty");
        std::unique_ptr<RE2> expression = compile(rule.pattern);
        if (!expression->ok())
            return bad_map(text, fmt::format("no regular expression (RE2): {}", expression->error()));
        std::string fault;
        if (!expression->CheckRewriteString(rule.replacement, &fault)) return bad_map(text, fault);
        return compiled_map(std::move(expression), rule.replacement, "--map " + text);
    }

    [[nodiscard]] std::optional<std::string> apply(const std::string& name) const {
        std::array<re2::StringPiece, 10> groups;
        const int wanted = 1 + RE2::MaxSubmatch(replacement_);
        if (!expression_->Match(name, 0, name.size(), RE2::ANCHOR_BOTH, groups.data(), wanted)) return std::nullopt;
        std::string out;
        if (!expression_->Rewrite(&out, replacement_, groups.data(), wanted)) return std::nullopt;
        return out;
    }

    [[nodiscard]] const std::string& why() const noexcept { return why_; }

  private:
    compiled_map(std::unique_ptr<RE2> expression, std::string replacement, std::string why)
        : expression_(std::move(expression)), replacement_(std::move(replacement)), why_(std::move(why)) {}

    std::unique_ptr<RE2> expression_;
    std::string replacement_;
    std::string why_;
};

/// A folder on its way to its place in the map.
struct candidate {
    mapped_folder folder;
    std::string left_out; ///< folder_entry::left_out
    bool by_map = false;
};

using folders_by_use = std::map<special_use, std::vector<std::string>>;

/// Collects the folders of one side by special use: what the server says, and names only for uses of which it says
/// nothing.
class special_folders {
  public:
    void add(const std::string& name, special_use said) {
        if (is_inbox(name)) return;
        if (said != special_use::none) said_[said].push_back(name);
        if (name.find('/') != std::string::npos) return;
        if (const special_use guess = special_use_by_name(name);
            said == special_use::none && guess != special_use::none)
            guessed_[guess].push_back(name);
    }

    /// The one folder with this use; nothing when there is none or more than one.
    [[nodiscard]] const std::string* only(special_use use) const {
        const auto said = said_.find(use);
        const auto guessed = guessed_.find(use);
        if (said == said_.end() && guessed == guessed_.end()) return nullptr;
        const std::vector<std::string>& names = said != said_.end() ? said->second : guessed->second;
        return names.size() == 1 ? &names.front() : nullptr;
    }

    [[nodiscard]] special_use use_of(const std::string& name) const {
        for (const folders_by_use* uses : {&said_, &guessed_})
            for (const auto& [use, names] : *uses)
                if (std::ranges::find(names, name) != names.end() && (uses == &said_ || !said_.contains(use)))
                    return use;
        return special_use::none;
    }

  private:
    folders_by_use said_;
    folders_by_use guessed_;
};

class mapper {
  public:
    mapper(const std::vector<folder_entry>& source, const std::vector<folder_entry>& target, const folder_rules& rules,
           const target_naming& naming, std::vector<compiled_map> maps)
        : rules_(rules), naming_(naming), maps_(std::move(maps)) {
        for (const folder_entry& entry : target) {
            target_names_.insert(detail::with_canonical_inbox(entry.name));
            if (entry.selectable && entry.personal) target_special_.add(entry.name, entry.use);
        }
        for (const folder_entry& entry : source) take(entry);
        const auto inbox =
            std::ranges::find_if(candidates_, [](const candidate& c) { return is_inbox(c.folder.source); });
        if (inbox != candidates_.end()) std::rotate(candidates_.begin(), inbox, inbox + 1);
        // What they hold is mostly in other folders, too, and belongs there.
        std::vector<candidate> last;
        for (candidate& c : candidates_)
            if (c.folder.use == special_use::all) last.push_back(std::move(c));
        std::erase_if(candidates_, [](const candidate& c) { return c.folder.use == special_use::all; });
        std::ranges::move(last, std::back_inserter(candidates_));
    }

    folder_map run() {
        for (candidate& c : candidates_) {
            c.folder.what = verdict_of(c);
            if (takes_part(c.folder)) apply_maps(c);
            // A parent that only its children keep in the list still says where they go.
            if (takes_part(c.folder) && !c.by_map) source_special_.add(c.folder.source, c.folder.use);
        }
        for (candidate& c : candidates_)
            if (const special_use use = source_special_.use_of(c.folder.source); use != special_use::none)
                c.folder.use = use;
        map_special_uses();
        for (candidate& c : candidates_)
            if (takes_part(c.folder)) place(c);
        find_equal_targets();
        find_equal_but_for_case();
        for (candidate& c : candidates_) out_.folders.push_back(std::move(c.folder));
        return std::move(out_);
    }

  private:
    /// Has a name on the target: what is copied, and \Noselect parents.
    static bool takes_part(const mapped_folder& f) noexcept {
        return f.what == verdict::copy || f.what == verdict::not_selectable;
    }

    /// Servers list INBOX twice, once for each namespace or spelling.
    void take(const folder_entry& entry) {
        const std::string name = is_inbox(entry.name) ? "INBOX" : entry.name;
        if (!seen_.insert(name).second) {
            const auto known = std::ranges::find(
                candidates_, name, [](const candidate& c) -> const std::string& { return c.folder.source; });
            known->folder.selectable |= entry.selectable;
            known->folder.subscribed |= entry.subscribed;
            if (known->folder.use == special_use::none) known->folder.use = entry.use;
            if (entry.personal) foreign_.erase(name);
            return;
        }
        candidate c;
        c.folder.source = name;
        c.folder.use = is_inbox(name) ? special_use::inbox : entry.use;
        c.folder.selectable = entry.selectable;
        c.folder.subscribed = entry.subscribed;
        c.left_out = entry.left_out;
        if (!entry.personal) foreign_.insert(name);
        candidates_.push_back(std::move(c));
    }

    [[nodiscard]] verdict verdict_of(candidate& c) const {
        mapped_folder& f = c.folder;
        const auto matches = [&](const std::string& glob) { return glob_match(glob, f.source); };
        const auto asks_for = [&](const std::string& glob) {
            return !glob.starts_with('*') && !glob.starts_with('?') && matches(glob);
        };
        if (std::ranges::any_of(rules_.exclude, matches)) return verdict::excluded;
        if (!rules_.include.empty() && std::ranges::none_of(rules_.include, matches)) return verdict::not_included;
        if (!c.left_out.empty() && std::ranges::none_of(rules_.include, asks_for)) {
            f.why = c.left_out;
            return verdict::excluded;
        }
        if (foreign_.contains(f.source) && std::ranges::none_of(rules_.include, asks_for)) return verdict::not_personal;
        return f.selectable ? verdict::copy : verdict::not_selectable;
    }

    void apply_maps(candidate& c) const {
        for (const compiled_map& map : maps_) {
            auto name = map.apply(c.folder.source);
            if (!name) continue;
            c.folder.target = std::move(*name);
            c.folder.why = map.why();
            c.by_map = true;
            return;
        }
    }

    void map_special_uses() {
        for (const special_use use : mapped_uses) {
            const std::string* from = source_special_.only(use);
            const std::string* to = target_special_.only(use);
            if (from == nullptr || to == nullptr || *from == *to) continue;
            const auto rival = std::ranges::find_if(candidates_, [&](const candidate& c) {
                return c.folder.what == verdict::copy && !c.by_map && c.folder.source == *to;
            });
            if (rival == candidates_.end()) {
                special_targets_[*from] = {*to, attribute_of(use)};
                continue;
            }
            out_.collisions.push_back(
                {{*from, *to},
                 *to,
                 fmt::format("special use {} and the same name: both keep their names", attribute_of(use)),
                 false});
        }
    }

    void place(candidate& c) const {
        mapped_folder& f = c.folder;
        if (!c.by_map) place_by_special_use(f);
        const std::string plain = detail::with_canonical_inbox(f.target);
        if (target_names_.contains(plain)) {
            f.target = plain;
            return;
        }
        detail::target_name name = detail::name_for_target(f.target, naming_);
        f.target = std::move(name.name);
        if (!name.impossible.empty() && f.what == verdict::copy) {
            f.what = verdict::impossible;
            name.notes = {std::move(name.impossible)};
        }
        for (const std::string& note : name.notes) f.why += (f.why.empty() ? "" : "; ") + note;
    }

    /// The nearest parent that moves by special use takes its children along.
    void place_by_special_use(mapped_folder& f) const {
        f.target = f.source;
        std::string_view parent = f.source;
        for (;;) {
            if (const auto found = special_targets_.find(parent); found != special_targets_.end()) {
                const auto& [to, attribute] = found->second;
                f.target = to + f.source.substr(parent.size());
                f.why = fmt::format("{}special use {}", parent.size() < f.source.size() ? "below " : "", attribute);
                return;
            }
            const std::size_t slash = parent.rfind('/');
            if (slash == std::string_view::npos) return;
            parent = parent.substr(0, slash);
        }
    }

    void find_equal_targets() {
        std::map<std::string_view, std::vector<candidate*>> by_target;
        for (candidate& c : candidates_)
            if (c.folder.what == verdict::copy) by_target[c.folder.target].push_back(&c);
        for (const auto& [target, group] : by_target) {
            if (group.size() < 2) continue;
            const bool wanted = std::ranges::count(group, false, &candidate::by_map) < 2;
            report(group, std::string(target), wanted ? "merged by --map" : "same name", !wanted);
        }
    }

    void find_equal_but_for_case() {
        std::map<std::string, std::vector<candidate*>> by_folded;
        for (candidate& c : candidates_)
            if (c.folder.what == verdict::copy) by_folded[detail::case_folded(c.folder.target)].push_back(&c);
        for (const auto& [folded, group] : by_folded) {
            std::set<std::string_view> spellings;
            for (const candidate* c : group) spellings.insert(c->folder.target);
            if (spellings.size() < 2) continue;
            report(group, group.front()->folder.target, "differ only in case", naming_.case_insensitive);
        }
    }

    void report(const std::vector<candidate*>& group, std::string target, std::string how, bool fatal) {
        collision found{{}, std::move(target), std::move(how), fatal};
        for (const candidate* c : group) found.sources.push_back(c->folder.source);
        for (candidate* c : group) {
            if (!fatal) break;
            std::vector<std::string> others;
            for (const std::string& name : found.sources)
                if (name != c->folder.source) others.push_back(fmt::format("\"{}\"", name));
            c->folder.what = verdict::impossible;
            c->folder.why =
                fmt::format("collides with {} ({}); tell them apart with --map", fmt::join(others, ", "), found.how);
        }
        out_.collisions.push_back(std::move(found));
    }

    const folder_rules& rules_;
    const target_naming& naming_;
    std::vector<compiled_map> maps_;
    std::vector<candidate> candidates_;
    std::set<std::string> seen_;
    std::set<std::string> foreign_; ///< sources that are not personal
    std::set<std::string> target_names_;
    special_folders source_special_;
    special_folders target_special_;
    std::map<std::string, std::pair<std::string, std::string_view>, std::less<>> special_targets_;
    folder_map out_;
};

} // namespace

std::string_view name_of(mapped_folder::verdict v) noexcept {
    switch (v) {
    case verdict::copy: return "copy";
    case verdict::excluded: return "excluded";
    case verdict::not_included: return "not included";
    case verdict::not_personal: return "not personal";
    case verdict::not_selectable: return "not selectable";
    case verdict::impossible: return "impossible";
    }
    return "unknown";
}

result<map_rule> parse_map_rule(std::string_view text) {
    const std::size_t arrow = text.find("=>");
    if (arrow == std::string_view::npos) return bad_map(text, "there is no \"=>\"");
    map_rule rule{std::string(text.substr(0, arrow)), std::string(text.substr(arrow + 2))};
    if (auto compiled = compiled_map::of(rule); !compiled) return std::unexpected(std::move(compiled.error()));
    return rule;
}

result<folder_map> map_folders(const std::vector<folder_entry>& source, const std::vector<folder_entry>& target,
                               const folder_rules& rules, const target_naming& naming) {
    std::vector<compiled_map> maps;
    for (const map_rule& rule : rules.maps) {
        auto compiled = compiled_map::of(rule);
        if (!compiled) return std::unexpected(std::move(compiled.error()));
        maps.push_back(std::move(*compiled));
    }
    return mapper(source, target, rules, naming, std::move(maps)).run();
}

} // namespace postferry::transfer
