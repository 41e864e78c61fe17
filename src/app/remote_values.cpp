#include "app/remote_values.hpp"

#include "base/error.hpp"
#include "input/fields.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

namespace postferry::app {

namespace json = boost::json;

namespace {

const json::value* at(const json::object& o, std::string_view name) {
    return o.if_contains(json::string_view(name.data(), name.size()));
}

} // namespace

std::string text_at(const json::object& o, std::string_view name) {
    const json::value* v = at(o, name);
    if (v == nullptr) return {};
    if (v->is_string()) return quote_server_text(v->get_string(), 4'000);
    return v->is_number() ? json::serialize(*v) : std::string{};
}

std::optional<std::int64_t> number_at(const json::object& o, std::string_view name) {
    const json::value* v = at(o, name);
    if (v == nullptr || !v->is_number()) return std::nullopt;
    boost::system::error_code ec;
    const auto n = v->to_number<std::int64_t>(ec);
    return ec ? std::nullopt : std::optional(n);
}

std::uint64_t count_at(const json::object& o, std::string_view name) {
    const auto n = number_at(o, name);
    return n && *n > 0 ? static_cast<std::uint64_t>(*n) : 0;
}

std::optional<double> real_at(const json::object& o, std::string_view name) {
    const json::value* v = at(o, name);
    if (v == nullptr || !v->is_number()) return std::nullopt;
    return v->to_number<double>();
}

bool flag_at(const json::object& o, std::string_view name) {
    const json::value* v = at(o, name);
    return v != nullptr && v->is_bool() && v->get_bool();
}

const json::object& object_at(const json::object& o, std::string_view name) {
    static const json::object none;
    const json::value* v = at(o, name);
    return v != nullptr && v->is_object() ? v->get_object() : none;
}

const json::array& array_at(const json::object& o, std::string_view name) {
    static const json::array none;
    const json::value* v = at(o, name);
    return v != nullptr && v->is_array() ? v->get_array() : none;
}

std::optional<std::chrono::sys_seconds> time_at(const json::object& o, std::string_view name) {
    const json::value* v = at(o, name);
    if (v == nullptr || !v->is_string()) return std::nullopt;
    const auto ms = input::parse_rfc3339(v->get_string());
    if (!ms) return std::nullopt;
    return std::chrono::sys_seconds(std::chrono::seconds(*ms / 1000));
}

std::string moment_at(const json::object& o, std::string_view name, bool exact) {
    const auto when = time_at(o, name);
    if (!when) return text_at(o, name);
    const std::time_t t = when->time_since_epoch().count();
    std::tm local{};
    localtime_r(&t, &local);
    return exact ? fmt::format("{:%Y-%m-%d %H:%M:%S}", local) : fmt::format("{:%Y-%m-%d %H:%M}", local);
}

} // namespace postferry::app
