#include "directory/address.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::directory {

namespace {

constexpr std::size_t max_local = 64, max_domain = 255, max_label = 63, max_address = 254;

std::unexpected<error> bad(std::string_view text, std::string_view why) {
    return fail(retry_class::config, phase::usage, fmt::format("\"{}\" {}", quote_server_text(text, 80), why));
}

bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
bool is_ascii(char c) noexcept { return static_cast<unsigned char>(c) < 0x80; }
bool is_alphanumeric(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// UTF-8 beyond ASCII, without the C1 controls (U+0080 to U+009F, C2 80 to C2 9F).
bool is_plain_utf8(std::string_view text) noexcept {
    if (!is_utf8(text)) return false;
    for (std::size_t i = 0; i + 1 < text.size(); ++i)
        if (static_cast<unsigned char>(text[i]) == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0) return false;
    return true;
}

// atext (RFC 5322, 3.2.3) without "/", "*" and "%".
bool is_local_char(char c) noexcept {
    return !is_ascii(c) || is_alphanumeric(c) || std::string_view("!#$&'+-=?^_`{|}~.").contains(c);
}

/// What is wrong with it; empty: nothing.
std::string_view fault_of_label(std::string_view label) {
    if (label.empty()) return "has an empty label in its domain";
    if (label.size() > max_label) return "has a label of more than 63 octets in its domain";
    if (label.front() == '-' || label.back() == '-') return "has a label that begins or ends with \"-\" in its domain";
    const auto good = [](char c) { return !is_ascii(c) || is_alphanumeric(c) || c == '-'; };
    if (!std::ranges::all_of(label, good)) return "has a character in its domain that a domain cannot have";
    return {};
}

std::string_view fault_of_domain(std::string_view domain) {
    if (domain.empty()) return "has no domain";
    if (domain.size() > max_domain) return "has a domain of more than 255 octets";
    if (!is_plain_utf8(domain)) return "is not UTF-8";
    for (std::size_t begin = 0; begin <= domain.size();) {
        const std::size_t end = std::min(domain.find('.', begin), domain.size());
        if (const auto fault = fault_of_label(domain.substr(begin, end - begin)); !fault.empty()) return fault;
        begin = end + 1;
    }
    return {};
}

std::string_view fault_of_local(std::string_view local) {
    if (local.empty()) return "has nothing before the \"@\"";
    if (local.size() > max_local) return "has more than 64 octets before the \"@\"";
    if (std::ranges::any_of(local, is_control)) return "has a control character";
    if (local.front() == '"') return "has a quoted name before the \"@\", which mail servers do not agree about";
    if (!std::ranges::all_of(local, is_local_char))
        return "has a character before the \"@\" that an account cannot have";
    if (!is_plain_utf8(local)) return "is not UTF-8";
    if (local.front() == '.' || local.back() == '.' || local.contains("..")) return "has a \".\" where none may be";
    return {};
}

} // namespace

result<domain_name> domain_name::parse(std::string_view text) {
    if (const auto fault = fault_of_domain(text); !fault.empty()) return bad(text, fault);
    return domain_name(ascii_lower(text));
}

result<address> address::parse(std::string_view text) {
    const std::size_t at = text.rfind('@');
    if (at == std::string_view::npos) return bad(text, "is no address: it has no \"@\"");
    if (const auto fault = fault_of_local(text.substr(0, at)); !fault.empty()) return bad(text, fault);
    if (const auto fault = fault_of_domain(text.substr(at + 1)); !fault.empty()) return bad(text, fault);
    if (text.size() > max_address) return bad(text, "is an address of more than 254 octets");
    return address(ascii_lower(text), at);
}

} // namespace postferry::directory
