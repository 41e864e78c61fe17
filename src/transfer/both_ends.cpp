#include "transfer/detail/both_ends.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::transfer {

namespace {

int weight(const error& e) noexcept {
    return e.cls == retry_class::transient ? 0 : e.cls == retry_class::throttled ? 1 : 2;
}

std::string said(const error& e, bool with_advice) {
    std::string text = e.what;
    if (!e.server_said.empty()) text += fmt::format(" ({})", e.server_said);
    if (with_advice && !e.advice.empty()) text += fmt::format("; {}", e.advice);
    return text;
}

} // namespace

error of_both_ends(const error& source, const error& target) {
    const bool target_first = weight(target) > weight(source);
    error both = target_first ? target : source;
    both.backoff_ms = std::max(source.backoff_ms, target.backoff_ms);
    if (weight(source) != weight(target)) {
        both.what = fmt::format("{}: {}; the {} cannot be used now: {}", target_first ? "target" : "source", both.what,
                                target_first ? "source" : "target", (target_first ? source : target).what);
        return both; // with what this server has said, and its advice
    }
    const bool alike = source.advice == target.advice;
    both.what = fmt::format("source: {}; target: {}", said(source, !alike), said(target, !alike));
    both.server_said.clear();
    if (!alike) both.advice.clear();
    return both;
}

} // namespace postferry::transfer
