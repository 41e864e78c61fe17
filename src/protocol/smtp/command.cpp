#include "protocol/smtp/command.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace postferry::smtp {

namespace {

constexpr std::size_t longest_path = 512;

bool is_alnum(char c) noexcept { return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z'); }

bool is_atext(char c) noexcept { // RFC 5322, 3.2.3; beyond ASCII: RFC 6531
    return is_alnum(c) || static_cast<unsigned char>(c) >= 0x80 ||
           std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

bool is_dot_string(std::string_view text) noexcept {
    if (text.empty() || text.front() == '.' || text.back() == '.' || text.find("..") != std::string_view::npos)
        return false;
    return std::ranges::all_of(text, [](char c) { return c == '.' || is_atext(c); });
}

bool is_domain(std::string_view text) noexcept {
    const bool address = text.starts_with('[') && text.ends_with(']');
    const auto fine = [address](char c) {
        return is_alnum(c) || c == '.' || c == '-' || static_cast<unsigned char>(c) >= 0x80 || (address && c == ':');
    };
    if (address) text = text.substr(1, text.size() - 2);
    return !text.empty() && std::ranges::all_of(text, fine);
}

} // namespace

extension_list extension_list::from(const reply& r) {
    extension_list out;
    for (std::size_t i = 0; i < r.lines.size(); ++i) {
        std::string line = r.lines[i];
        const std::size_t space = std::min(line.find(' '), line.size());
        if (i == 0) {
            out.name_ = line.substr(0, space);
            continue;
        }
        for (std::size_t k = 0; k < space; ++k) line[k] = ascii_upper(line[k]);
        if (!line.empty()) out.lines_.push_back(std::move(line));
    }
    return out;
}

bool extension_list::has(std::string_view keyword) const noexcept {
    return std::ranges::any_of(lines_, [keyword](std::string_view line) {
        return line.starts_with(keyword) && (line.size() == keyword.size() || line[keyword.size()] == ' ');
    });
}

std::string_view extension_list::parameters(std::string_view keyword) const noexcept {
    for (const std::string_view line : lines_)
        if (line.starts_with(keyword) && line.size() > keyword.size() && line[keyword.size()] == ' ')
            return line.substr(keyword.size() + 1);
    return {};
}

std::uint64_t extension_list::size_limit() const noexcept { return parse_u64(parameters("SIZE")).value_or(0); }

std::optional<std::string> path_of(std::string_view mailbox, bool utf8) {
    if (mailbox.empty() || mailbox.size() > longest_path) return std::nullopt;
    for (const char c : mailbox) {
        const auto octet = static_cast<unsigned char>(c);
        if (octet < 0x20 || octet == 0x7f || (octet >= 0x80 && !utf8)) return std::nullopt;
    }
    if (!is_utf8(mailbox)) return std::nullopt;
    const std::size_t at = mailbox.rfind('@');
    const bool domain = at != std::string_view::npos && is_domain(mailbox.substr(at + 1));
    const std::string_view local = domain ? mailbox.substr(0, at) : mailbox;
    std::string out = "<";
    if (is_dot_string(local)) {
        out += local;
    } else {
        out += '"';
        for (const char c : local) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        out += '"';
    }
    if (domain) out += mailbox.substr(at);
    return out + ">";
}

std::string greeting_name(std::string_view host) {
    return is_domain(host) && !host.starts_with('[') && host.size() <= 255 ? std::string(host) : "localhost";
}

} // namespace postferry::smtp
