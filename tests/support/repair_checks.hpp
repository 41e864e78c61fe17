#pragma once
// What message/repair.hpp promises about any octets, checked by other means than its own. For tests and the fuzzer.
#include "message/repair.hpp"

#include <algorithm>
#include <string>
#include <string_view>

namespace postferry::support {

using message::repair;
using message::repair_plan;
using message::repair_set;

inline repair_plan surveyed(std::string_view message, repair_set which, std::size_t piece) {
    message::repair_survey survey(which);
    for (std::size_t at = 0; at < message.size(); at += piece) survey.update(message.substr(at, piece));
    return survey.finish();
}

inline std::string repaired_as(std::string_view message, const repair_plan& plan, std::size_t piece) {
    message::repairer make(plan);
    std::string out;
    for (std::size_t at = 0; at < message.size(); at += piece) make.update(message.substr(at, piece), out);
    make.finish(out);
    return out;
}

using message::repaired;

/// As strict servers look at a header (Cyrus, message_copy_strict); empty when they like it.
inline std::string header_fault(std::string_view message) {
    for (bool first = true;; first = false) {
        const std::size_t lf = message.find('\n');
        if (lf == std::string_view::npos) return "no empty line behind the header";
        std::string_view line = message.substr(0, lf);
        message.remove_prefix(lf + 1);
        while (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty()) return first ? "no field" : "";
        if (line.front() == ' ' || line.front() == '\t') {
            if (first) return "it begins with a fold";
            continue;
        }
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || colon == 0) return "no field: " + std::string(line.substr(0, 60));
        for (const char c : line.substr(0, colon))
            if (c <= ' ' || c == 0x7f) return "no name: " + std::string(line.substr(0, 60));
    }
}

inline bool has_bare_line_end(std::string_view message) {
    for (std::size_t i = 0; i < message.size(); ++i) {
        if (message[i] == '\n' && (i == 0 || message[i - 1] != '\r')) return true;
        if (message[i] == '\r' && (i + 1 == message.size() || message[i + 1] != '\n')) return true;
    }
    return false;
}

inline bool has_long_line(std::string_view message) {
    while (!message.empty()) {
        const std::size_t lf = message.find('\n');
        std::string_view line = message.substr(0, lf);
        message.remove_prefix(std::min(message.size(), lf == std::string_view::npos ? message.size() : lf + 1));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.size() > 998) return true;
    }
    return false;
}

inline bool has_8bit_header(std::string_view message) {
    bool line_is_empty = true;
    for (const char c : message) {
        if (c == '\n' && line_is_empty) return false;
        if (c == '\n') line_is_empty = true;
        if (c != '\n' && c != '\r') line_is_empty = false;
        if (static_cast<unsigned char>(c) >= 0x80) return true;
    }
    return false;
}

/// The fault that is still there, or empty. Headers of more than 256 kB are not mended to their end.
inline std::string fault_left(std::string_view message, repair_set which) {
    if (which.has(repair::nul) && message.find('\0') != std::string_view::npos) return "NUL";
    if (which.has(repair::line_endings) && has_bare_line_end(message)) return "a bare CR or LF";
    if (which.has(repair::final_newline) && !message.ends_with('\n')) return "no final line end";
    if (which.has(repair::long_lines) && has_long_line(message)) return "a long line";
    if (which.has(repair::header_8bit) && has_8bit_header(message)) return "8-bit in the header";
    return which.has(repair::header) ? header_fault(message) : "";
}

/// What a set of repairs breaks of its promises with this message; empty when it keeps them.
inline std::string broken_promise(std::string_view message, repair_set which) {
    const repair_plan plan = surveyed(message, which, 4'096);
    const std::string mended = repaired_as(message, plan, 4'096);
    if (plan.source_octets != message.size()) return "the source's size";
    if (plan.octets != mended.size()) return "it is not as large as it was said to be";
    if (plan.effective.empty() != (mended == message)) return "it does not know whether it changes anything";
    if (const std::string left = fault_left(mended, which); !left.empty()) return "left: " + left;
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1'000}}) {
        const repair_plan again = surveyed(message, which, piece);
        if (again.octets != plan.octets || again.encoded_parts != plan.encoded_parts) return "pieces, surveyed";
        if (repaired_as(message, plan, piece) != mended) return "pieces, repaired";
    }
    const repair_plan twice = surveyed(mended, which, 4'096);
    if (!twice.effective.empty() || repaired_as(mended, twice, 4'096) != mended) return "it changes its own work";
    return {};
}

} // namespace postferry::support
