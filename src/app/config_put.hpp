#pragma once
// From a checked value to its place in `config`: put<&config::service, &config_service::jobs>.
#include "app/config_keys.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <type_traits>

namespace postferry::app {

/// A number, a size or a rate as the command line would have it.
[[nodiscard]] std::string text_of(const config_value& value);
/// The place of a word in "text|json|journald".
[[nodiscard]] std::optional<std::size_t> choice_of(std::string_view words, std::string_view word);

namespace put_detail {

template <class T> struct is_optional : std::false_type {};
template <class T> struct is_optional<std::optional<T>> : std::true_type {};
template <class T>
concept by_name = requires(T& t) { typename T::mapped_type; };

/// The member at the end of a path of members; of a map the one with the section's name.
template <class T> T& locate(T& whole, const key_use&) { return whole; }
template <class T, class Member, class... More>
auto& locate(T& whole, const key_use& use, Member member, More... more) {
    auto& part = whole.*member;
    if constexpr (by_name<std::remove_reference_t<decltype(part)>>) {
        return locate(part[std::string(use.instance)], use, more...);
    } else {
        return locate(part, use, more...);
    }
}

template <class T> void store(T& into, const key_use& use, const config_value& value) {
    const std::string* text = std::get_if<std::string>(&value);
    if constexpr (is_optional<T>::value) {
        store(into.emplace(), use, value);
    } else if constexpr (std::is_same_v<T, bool>) {
        into = std::get<bool>(value);
    } else if constexpr (std::is_enum_v<T>) {
        into = static_cast<T>(choice_of(use.key.allowed, *text).value_or(0));
    } else if constexpr (std::is_integral_v<T>) {
        into = use.key.kind == key_kind::size ? static_cast<T>(parse_size(text_of(value)).value_or(0))
                                              : static_cast<T>(std::get<std::int64_t>(value));
    } else if constexpr (std::is_same_v<T, double>) {
        into = parse_rate(text_of(value)).value_or(0);
    } else if constexpr (std::is_same_v<T, std::chrono::seconds>) {
        into = parse_duration(*text).value_or(std::chrono::seconds(0));
    } else if constexpr (std::is_same_v<T, std::string>) {
        into = text_of(value);
    } else if constexpr (std::is_same_v<T, std::filesystem::path>) {
        into = *text;
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
        into = std::get<std::vector<std::string>>(value);
    } else if constexpr (std::is_same_v<T, std::vector<config_window>>) {
        into.clear();
        for (const std::string& one : std::get<std::vector<std::string>>(value))
            if (const auto window = parse_window(one)) into.push_back(*window);
    } else {
        static_assert(std::is_same_v<T, config_secret>);
        into.key = std::string(use.section) + "." + std::string(use.key.name);
        if (use.key.kind == key_kind::secret_file) {
            into.file = *text;
        } else {
            into.text = secret(*text);
        }
    }
}

} // namespace put_detail

template <auto... Path> void put(config& into, const key_use& use, const config_value& value) {
    put_detail::store(put_detail::locate(into, use, Path...), use, value);
}

} // namespace postferry::app
