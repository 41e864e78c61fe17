#pragma once
// JSON as it is written, without a tree of values: for answers of hundreds of rows.
#include <charconv>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace postferry::api {

/// Appends to a text (RFC 8259). Whoever calls it sees to it that what was opened is closed, and that names of members
/// hold nothing to be escaped. Texts go out octet for octet, as boost::json::serialize() writes them.
class json_writer {
  public:
    explicit json_writer(std::string& to) noexcept : to_(to) {}

    void open() {
        to_ += '{';
        first_ = true;
    }
    void open(std::string_view name) {
        member(name);
        open();
    }
    void close() {
        to_ += '}';
        first_ = false;
    }

    void put(std::string_view name, std::string_view text) {
        member(name);
        quoted(text);
    }
    void put(std::string_view name, const char* text) { put(name, std::string_view(text)); }
    template <std::integral T> void put(std::string_view name, T number) {
        member(name);
        if constexpr (std::same_as<T, bool>) {
            to_ += number ? "true" : "false";
        } else {
            char digits[24];
            to_.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
        }
    }
    void put(std::string_view name, std::nullptr_t) {
        member(name);
        to_ += "null";
    }
    template <class T> void put(std::string_view name, const std::optional<T>& value) {
        if (value)
            put(name, *value);
        else
            put(name, nullptr);
    }
    /// An empty text is null.
    void put_or_null(std::string_view name, std::string_view text) {
        if (text.empty())
            put(name, nullptr);
        else
            put(name, text);
    }
    /// Milliseconds since 1970, as RFC 3339.
    void put_moment(std::string_view name, std::int64_t ms);
    void put_moment(std::string_view name, std::optional<std::int64_t> ms) {
        if (ms)
            put_moment(name, *ms);
        else
            put(name, nullptr);
    }

  private:
    void member(std::string_view name) {
        if (!first_) to_ += ',';
        first_ = false;
        to_ += '"';
        to_ += name;
        to_ += "\":";
    }
    void quoted(std::string_view text);

    std::string& to_;
    bool first_ = true; ///< of the members of what is open
};

} // namespace postferry::api
