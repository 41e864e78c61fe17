#include "message/repair.hpp"

#include "base/text.hpp"
#include "message/detail/repair_stages.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace postferry::message {

namespace {

using detail::repair_stage;

constexpr std::size_t piece_octets = 16 * 1024; ///< between two stages at a time

constexpr std::array<std::pair<repair, std::string_view>, 7> names{{{repair::final_newline, "final-newline"},
                                                                    {repair::line_endings, "line-endings"},
                                                                    {repair::literal8, "literal8"},
                                                                    {repair::nul, "nul"},
                                                                    {repair::header, "header"},
                                                                    {repair::header_8bit, "header-8bit"},
                                                                    {repair::long_lines, "long-lines"}}};

class nul_stage final : public repair_stage {
  public:
    void take(std::string_view octets, std::string& out) override {
        for (const char c : octets) {
            changed_ = changed_ || c == '\0';
            out.push_back(c == '\0' ? '\x80' : c);
        }
    }
    void end(std::string&) override {}
};

// In a header whose lines end as they should, a bare CR within a field becomes a fold: its second half would be no
// field. Where CR is the only line end there is, it is one.
class line_endings_stage final : public repair_stage {
  public:
    void take(std::string_view octets, std::string& out) override {
        for (const char c : octets) {
            if (c == '\r') {
                if (pending_ == most_pending) // a run without end must not be kept
                    bare_cr('\r', out);
                else
                    ++pending_;
            } else if (c == '\n') {
                changed_ = changed_ || pending_ != 1;
                pending_ = 0;
                seen_lf_ = true;
                end_line(out);
            } else {
                while (pending_ > 0) {
                    --pending_;
                    bare_cr(pending_ > 0 ? '\r' : c, out);
                }
                out.push_back(c);
                line_is_empty_ = false;
            }
        }
    }
    void end(std::string& out) override {
        while (pending_ > 0) {
            --pending_;
            bare_cr('\r', out);
        }
    }

  private:
    static constexpr std::size_t most_pending = 16; ///< CRs that may belong to one line end

    void end_line(std::string& out) {
        out += "\r\n";
        if (line_is_empty_) in_header_ = false;
        line_is_empty_ = true;
    }
    void bare_cr(char next, std::string& out) {
        changed_ = true;
        const bool within_field = in_header_ && seen_lf_ && !line_is_empty_;
        end_line(out);
        if (!within_field || next == ' ' || next == '\t') return;
        out.push_back(' ');
        line_is_empty_ = false;
    }

    std::size_t pending_ = 0;
    bool in_header_ = true, seen_lf_ = false, line_is_empty_ = true;
};

class final_newline_stage final : public repair_stage {
  public:
    void take(std::string_view octets, std::string& out) override {
        out += octets;
        if (!octets.empty()) last_ = octets.back();
    }
    void end(std::string& out) override {
        if (last_ == '\n') return;
        changed_ = true;
        out += last_ == '\r' ? "\n" : "\r\n";
    }

  private:
    char last_ = '\0';
};

} // namespace

std::string_view name_of(repair r) noexcept {
    for (const auto& [which, name] : names)
        if (which == r) return name;
    return "unknown";
}

std::vector<repair> cheapest_first(repair_set set) {
    std::vector<repair> out;
    for (const auto& [which, name] : names)
        if (set.has(which)) out.push_back(which);
    return out;
}

std::string names_of(repair_set set) {
    std::string out;
    for (const repair r : cheapest_first(set)) {
        if (!out.empty()) out += ", ";
        out += name_of(r);
    }
    return out;
}

std::optional<repair_set> parse_repairs(std::string_view list) {
    repair_set out;
    while (true) {
        const std::size_t comma = std::min(list.find(','), list.size());
        const std::string_view word = list.substr(0, comma);
        const auto* const known = std::ranges::find(names, word, [](const auto& n) { return n.second; });
        if (known != names.end())
            out.add(known->first);
        else if (word == "all")
            out = repair_set::all();
        else
            return std::nullopt;
        if (comma == list.size()) return out;
        list.remove_prefix(comma + 1);
    }
}

/// The stages one behind the other.
class repair_chain {
  public:
    /// With a plan: writes as it says; else surveys.
    repair_chain(repair_set which, const repair_plan* plan) {
        const auto put = [&](repair r, auto make) {
            if (which.has(r)) stages_.emplace_back(r, make());
        };
        put(repair::nul, [] { return std::make_unique<nul_stage>(); });
        put(repair::line_endings, [] { return std::make_unique<line_endings_stage>(); });
        put(repair::header, detail::make_header_stage);
        put(repair::header_8bit, detail::make_header_8bit_stage);
        put(repair::final_newline, [] { return std::make_unique<final_newline_stage>(); });
        put(repair::long_lines, [&] {
            auto last =
                plan != nullptr ? detail::make_long_lines_stage(plan->encoded_parts) : detail::make_long_lines_survey();
            if (plan == nullptr) survey_ = last.get();
            return last;
        });
    }

    void take(std::string_view octets, std::string& out) {
        for (; !octets.empty(); octets.remove_prefix(std::min(octets.size(), piece_octets)))
            push(0, octets.substr(0, piece_octets), out);
    }
    void end(std::string& out) {
        for (std::size_t i = 0; i < stages_.size(); ++i) {
            std::string last;
            stages_[i].second->end(last);
            push(i + 1, last, out);
        }
    }
    [[nodiscard]] repair_set effective() const {
        repair_set out;
        for (const auto& [r, s] : stages_)
            if (s->changed()) out.add(r);
        return out;
    }
    [[nodiscard]] const detail::long_lines_stage* survey() const noexcept { return survey_; }

  private:
    void push(std::size_t from, std::string_view octets, std::string& out) {
        if (from >= stages_.size()) {
            out += octets;
            return;
        }
        if (octets.empty()) return;
        std::string passed;
        stages_[from].second->take(octets, from + 1 == stages_.size() ? out : passed);
        if (from + 1 < stages_.size()) push(from + 1, passed, out);
    }

    std::vector<std::pair<repair, std::unique_ptr<repair_stage>>> stages_;
    detail::long_lines_stage* survey_ = nullptr;
};

repair_survey::repair_survey(repair_set which) : chain_(std::make_unique<repair_chain>(which, nullptr)) {
    plan_.repairs = which;
}
repair_survey::~repair_survey() = default;
repair_survey::repair_survey(repair_survey&&) noexcept = default;
repair_survey& repair_survey::operator=(repair_survey&&) noexcept = default;

void repair_survey::update(std::string_view octets) {
    plan_.source_octets += octets.size();
    for (; !octets.empty(); octets.remove_prefix(std::min(octets.size(), piece_octets))) {
        scratch_.clear();
        chain_->take(octets.substr(0, piece_octets), scratch_);
        plan_.octets += scratch_.size();
    }
}

repair_plan repair_survey::finish() {
    scratch_.clear();
    chain_->end(scratch_);
    plan_.octets += scratch_.size();
    plan_.effective = chain_->effective();
    if (const detail::long_lines_stage* lines = chain_->survey()) {
        plan_.octets = lines->octets();
        plan_.wrapped = lines->wrapped();
        plan_.encoded_parts = lines->encoded();
    }
    return std::move(plan_);
}

repairer::repairer(const repair_plan& plan) : chain_(std::make_unique<repair_chain>(plan.repairs, &plan)) {}
repairer::~repairer() = default;
repairer::repairer(repairer&&) noexcept = default;
repairer& repairer::operator=(repairer&&) noexcept = default;

void repairer::update(std::string_view octets, std::string& out) { chain_->take(octets, out); }
void repairer::finish(std::string& out) { chain_->end(out); }

std::string repaired(std::string_view message, repair_set which) {
    repair_survey survey(which);
    survey.update(message);
    repairer mend(survey.finish());
    std::string out;
    mend.update(message, out);
    mend.finish(out);
    return out;
}

} // namespace postferry::message
