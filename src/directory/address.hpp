#pragma once
#include "base/error.hpp"

#include <compare>
#include <string>
#include <string_view>

namespace postferry::directory {

/// A domain as mail servers keep it: ASCII in lower case, labels of letters, digits and inner hyphens (RFC 5321, 2.3.5)
/// or of UTF-8 (RFC 6531, 3.2), each of 1 to 63 octets, 255 octets at most. No address literal, no final dot.
class domain_name {
  public:
    /// Class config; says what is wrong with it.
    [[nodiscard]] static result<domain_name> parse(std::string_view text);
    [[nodiscard]] const std::string& text() const noexcept { return text_; }
    auto operator<=>(const domain_name&) const = default;

  private:
    explicit domain_name(std::string text) noexcept : text_(std::move(text)) {}
    std::string text_;
};

/// The address of an account or an alias: a Dot-string (RFC 5321, 4.1.2; with UTF-8 as in RFC 6531, 3.3) of at most 64
/// octets, "@" and a domain; 254 octets at most. Stricter than the RFC where a name becomes part of a path, a command
/// or a search: no quoted string, no "/", "*", "%", no control characters. ASCII letters in lower case, as Postfix
/// looks addresses up and PostfixAdmin writes them.
class address {
  public:
    /// Class config; says what is wrong with it.
    [[nodiscard]] static result<address> parse(std::string_view text);
    [[nodiscard]] const std::string& text() const noexcept { return text_; }
    [[nodiscard]] std::string_view local() const noexcept { return std::string_view(text_).substr(0, at_); }
    [[nodiscard]] std::string_view domain() const noexcept { return std::string_view(text_).substr(at_ + 1); }
    bool operator==(const address& o) const noexcept { return text_ == o.text_; }
    auto operator<=>(const address& o) const noexcept { return text_ <=> o.text_; }

  private:
    address(std::string text, std::size_t at) noexcept : text_(std::move(text)), at_(at) {}
    std::string text_;
    std::size_t at_ = 0;
};

} // namespace postferry::directory
