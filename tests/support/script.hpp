#pragma once
// Transcripts as text. One step a line; blank lines and lines that begin with "#" are left out; spaces before the mark
// do not count. In the text behind the mark \r \n \\ and \xNN stand for octets.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace postferry::support {

struct script_step {
    std::string mark; ///< "C:", "S:", ">" ...
    std::string text; ///< without the mark and the space behind it
};

inline std::string unescaped(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out += text[i];
            continue;
        }
        switch (const char c = text[++i]; c) {
        case 'r': out += '\r'; break;
        case 'n': out += '\n'; break;
        case 'x':
            out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
            i += 2;
            break;
        case '\\': out += '\\'; break;
        default: (out += '\\') += c; // as in \Seen
        }
    }
    return out;
}

inline std::vector<script_step> read_script(std::string_view script) {
    std::vector<script_step> out;
    while (!script.empty()) {
        const std::size_t end = std::min(script.find('\n'), script.size());
        std::string_view line = script.substr(0, end);
        script.remove_prefix(std::min(end + 1, script.size()));
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
        if (line.empty() || line.front() == '#') continue;
        const std::size_t space = std::min(line.find(' '), line.size());
        out.push_back({std::string(line.substr(0, space)),
                       unescaped(space < line.size() ? line.substr(space + 1) : std::string_view())});
    }
    return out;
}

/// Whether `line` is `pattern`, in which "<any>" stands for any octets.
inline bool matches(std::string_view line, std::string_view pattern) {
    constexpr std::string_view any = "<any>";
    const std::size_t at = pattern.find(any);
    if (at == std::string_view::npos) return line == pattern;
    if (!line.starts_with(pattern.substr(0, at))) return false;
    line.remove_prefix(at);
    const std::string_view rest = pattern.substr(at + any.size());
    for (std::size_t skip = 0; skip <= line.size(); ++skip)
        if (matches(line.substr(skip), rest)) return true;
    return false;
}

} // namespace postferry::support
