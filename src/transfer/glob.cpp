#include "base/text.hpp"
#include "transfer/folder_rules.hpp"

#include <algorithm>

namespace postferry::transfer {

namespace {

struct element {
    enum class kind : std::uint8_t { literal, one, star, double_star } what = kind::literal;
    std::string_view text; ///< of a literal: one character
};

std::size_t character_length(std::string_view text) noexcept {
    return std::max<std::size_t>(utf8_sequence_length(text), 1);
}

std::vector<element> elements_of(std::string_view glob) {
    std::vector<element> out;
    while (!glob.empty()) {
        std::size_t n = character_length(glob);
        if (glob.starts_with("**")) {
            n = std::max<std::size_t>(
                2, glob.find_first_not_of('*') == std::string_view::npos ? glob.size() : glob.find_first_not_of('*'));
            out.push_back({element::kind::double_star, {}});
        } else if (glob.front() == '*') {
            out.push_back({element::kind::star, {}});
        } else if (glob.front() == '?') {
            out.push_back({element::kind::one, {}});
        } else {
            out.push_back({element::kind::literal, glob.substr(0, n)});
        }
        glob.remove_prefix(n);
    }
    return out;
}

/// A "*" may stand for nothing: what follows it is reached as well.
void pass_stars(const std::vector<element>& glob, std::vector<bool>& reached) {
    for (std::size_t i = 0; i < glob.size(); ++i)
        if (reached[i] && (glob[i].what == element::kind::star || glob[i].what == element::kind::double_star))
            reached[i + 1] = true;
}

} // namespace

bool glob_match(std::string_view glob, std::string_view name) {
    const std::vector<element> elements = elements_of(glob);
    // reached[i]: the first i elements can match what was read of the name. No backtracking: octets x elements at most.
    std::vector<bool> reached(elements.size() + 1, false);
    reached[0] = true;
    pass_stars(elements, reached);
    std::size_t inbox_left = iequals(name.substr(0, name.find('/')), "INBOX") ? 5 : 0;
    while (!name.empty()) {
        const std::string_view character = name.substr(0, character_length(name));
        name.remove_prefix(character.size());
        const bool slash = character == "/";
        std::vector<bool> next(elements.size() + 1, false);
        for (std::size_t i = 0; i < elements.size(); ++i) {
            if (!reached[i]) continue;
            switch (elements[i].what) {
            case element::kind::double_star: next[i] = true; break;
            case element::kind::star: next[i] = next[i] || !slash; break;
            case element::kind::one: next[i + 1] = next[i + 1] || !slash; break;
            case element::kind::literal:
                if (elements[i].text == character || (inbox_left > 0 && iequals(elements[i].text, character)))
                    next[i + 1] = true;
                break;
            }
        }
        pass_stars(elements, next);
        reached = std::move(next);
        if (inbox_left > 0) --inbox_left;
    }
    return reached.back();
}

} // namespace postferry::transfer
