#include "transfer/detail/target_name.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace postferry::transfer::detail {

namespace {

constexpr std::size_t max_level_octets = 255; // Dovecot's and most file systems' bound
constexpr std::string_view open_box = "\u2423";
constexpr std::string_view division_slash = "\u2215";

std::vector<std::string_view> levels_of(std::string_view name) {
    std::vector<std::string_view> levels;
    for (;;) {
        const std::size_t slash = name.find('/');
        levels.push_back(name.substr(0, slash));
        if (slash == std::string_view::npos) return levels;
        name.remove_prefix(slash + 1);
    }
}

/// What stands for a delimiter inside a level.
std::string substitute_for_delimiter(char delimiter) {
    static constexpr std::array<std::pair<char, std::string_view>, 5> look_alikes{
        {{'.', "\u2024"}, {'\\', "\u2216"}, {':', "\u2236"}, {'|', "\u2223"}, {'^', "\u02c6"}}};
    for (const auto& [original, look_alike] : look_alikes)
        if (original == delimiter) return std::string(look_alike);
    return fmt::format("%{:02X}", static_cast<unsigned char>(delimiter));
}

/// U+2400 + n, in UTF-8.
std::string picture_of(unsigned char control) {
    const unsigned n = control == 0x7f ? 0x21U : control;
    return {'\xe2', '\x90', static_cast<char>(0x80U | n)};
}

/// U+FF01 for "!" ... U+FF5E for "~", in UTF-8.
std::string full_width(unsigned char c) {
    const unsigned code = 0xfee0U + c;
    return {'\xef', static_cast<char>(0x80U | (code >> 6U & 0x3fU)), static_cast<char>(0x80U | (code & 0x3fU))};
}

class level_writer {
  public:
    level_writer(const target_naming& naming, target_name& out) : naming_(naming), out_(out) {}

    void write(std::string_view level) {
        if (level.empty()) {
            note(fmt::format("an empty level is written as \"{}\"", open_box));
            out_.name += open_box;
            return;
        }
        const std::size_t start = out_.name.size();
        const std::size_t spaces = naming_.trailing_spaces ? 0 : level.size() - (level.find_last_not_of(' ') + 1);
        const std::string_view text = level.substr(0, level.size() - spaces);
        for (std::size_t i = 0; i < text.size();) {
            const std::size_t n = utf8_sequence_length(text.substr(i));
            if (n > 1)
                write_sequence(text.substr(i, n));
            else
                write_octet(text[i], n == 1);
            i += std::max<std::size_t>(n, 1);
        }
        if (spaces > 0) note(fmt::format("spaces at the end of a level are written as \"{}\"", open_box));
        for (std::size_t i = 0; i < spaces; ++i) out_.name += open_box;
        check_length(out_.name.size() - start);
    }

    void note(std::string text) {
        if (std::ranges::find(out_.notes, text) == out_.notes.end()) out_.notes.push_back(std::move(text));
    }

  private:
    void write_sequence(std::string_view sequence) {
        if (sequence.size() < 4 || naming_.supplementary) {
            out_.name += sequence;
            return;
        }
        unsigned code = static_cast<unsigned char>(sequence[0]) & 0x07U;
        for (const char c : sequence.substr(1)) code = code << 6U | (static_cast<unsigned char>(c) & 0x3fU);
        note("the target refuses characters beyond U+FFFF: they are written by their numbers");
        out_.name += fmt::format("U+{:X}", code);
    }

    void write_octet(char octet, bool ascii) {
        const auto c = static_cast<unsigned char>(octet);
        if (!ascii) {
            note("octets that are no UTF-8 are written as %XX");
            out_.name += fmt::format("{}{:02X}", naming_.refused.contains('%') ? full_width('%') : "%", c);
        } else if (c < 0x20 || c == 0x7f) {
            note("control characters are written as their pictures (U+2400 ...)");
            out_.name += picture_of(c);
        } else if (octet == naming_.delimiter && octet != '/') {
            const std::string substitute = substitute_for_delimiter(octet);
            note(fmt::format("\"{}\" is the target's delimiter and is written as \"{}\"", octet, substitute));
            out_.name += substitute;
        } else if (naming_.refused.contains(octet)) {
            const std::string substitute = full_width(c);
            note(fmt::format("the target refuses \"{}\" in names, it is written as \"{}\"", octet, substitute));
            out_.name += substitute;
        } else {
            out_.name += octet;
        }
    }

    void check_length(std::size_t octets) {
        if (octets <= max_level_octets || !out_.impossible.empty()) return;
        out_.impossible =
            fmt::format("a level of {} octets, where servers take {} at most; give it a shorter name with --map",
                        octets, max_level_octets);
    }

    const target_naming& naming_;
    target_name& out_;
};

} // namespace

std::string with_canonical_inbox(std::string_view name) {
    const std::string_view first = name.substr(0, name.find('/'));
    if (!iequals(first, "INBOX")) return std::string(name);
    return "INBOX" + std::string(name.substr(first.size()));
}

target_name name_for_target(std::string_view name, const target_naming& naming) {
    target_name out;
    if (name.empty()) {
        out.impossible = "an empty name";
        return out;
    }
    level_writer writer(naming, out);
    const std::string canonical = with_canonical_inbox(name);
    const std::vector<std::string_view> levels = levels_of(canonical);
    for (std::size_t i = 0; i < levels.size(); ++i) {
        if (i > 0 && !naming.delimiter) {
            writer.note(fmt::format("the target has no levels: they are joined by \"{}\"", division_slash));
            out.name += division_slash;
        } else if (i == 1 && levels[0] == "INBOX" && !naming.children_of_inbox) {
            writer.note(
                fmt::format("the target allows no folders below INBOX: \"INBOX{}...\" beside it", division_slash));
            out.name += division_slash;
        } else if (i > 0) {
            out.name += '/';
        }
        writer.write(levels[i]);
    }
    return out;
}

} // namespace postferry::transfer::detail
