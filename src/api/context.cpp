#include "api/context.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace postferry::api {

namespace {

template <class T> std::optional<T> number(std::string_view text, int base = 10) noexcept {
    T value{};
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (ec != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
}

} // namespace

outcome<store::record_id> context::id(std::size_t parameter) const {
    const auto n = parameter < parameters.size() ? number<store::record_id>(parameters[parameter]) : std::nullopt;
    if (!n || *n == 0) return refuse(404, "There is no such thing here");
    return *n;
}

std::optional<std::string_view> context::query(std::string_view name) const noexcept {
    for (const auto& [field, value] : request.query())
        if (field == name) return value;
    return std::nullopt;
}

outcome<page_request> context::page() const {
    page_request p;
    if (const auto text = query("limit")) {
        const auto n = number<int>(*text);
        if (!n || *n < 1 || *n > 500) return invalid("?limit", "must be from 1 to 500");
        p.limit = *n;
    }
    if (const auto text = query("cursor")) {
        const auto after = parse_cursor(*text);
        if (!after) return invalid("?cursor", "is not one that a page of this list has given");
        p.after = *after;
    }
    return p;
}

outcome<store::row_version> context::if_match() const {
    std::string_view text = request.header("if-match");
    if (text.empty())
        return refuse(428, "Read it first, and send its ETag in If-Match, so that nobody's change is lost");
    if (text.starts_with("\"v") && text.ends_with('"') && text.size() > 3)
        if (const auto n = number<store::row_version>(text.substr(2, text.size() - 3))) return *n;
    return refuse(412, "If-Match is not an ETag of this");
}

outcome<edited_row> context::edited() const {
    auto row = id();
    if (!row) return std::unexpected(std::move(row.error()));
    auto from = if_match();
    if (!from) return std::unexpected(std::move(from.error()));
    return edited_row{.id = *row, .from = *from};
}

outcome<std::optional<store::record_id>> context::query_id(std::string_view name) const {
    const auto text = query(name);
    if (!text) return std::nullopt;
    const auto n = number<store::record_id>(*text);
    if (!n || *n == 0) return invalid(fmt::format("?{}", name), "must be an id");
    return n;
}

// A letter before it, so that nobody takes it for a page number.
std::string cursor_of(store::record_id after) { return fmt::format("c{:x}", after); }

std::optional<store::record_id> parse_cursor(std::string_view cursor) noexcept {
    if (!cursor.starts_with('c')) return std::nullopt;
    return number<store::record_id>(cursor.substr(1), 16);
}

std::string etag_of(store::row_version version) { return fmt::format("\"v{}\"", version); }

http::reply json_reply(boost::json::value body, unsigned status) {
    http::reply r{.status = status, .body = boost::json::serialize(body)};
    r.fields.emplace_back("Cache-Control", "no-store");
    return r;
}

http::reply page_reply(boost::json::array items, std::optional<store::record_id> next) {
    boost::json::object page{{"items", std::move(items)}};
    if (next)
        page["next"] = cursor_of(*next);
    else
        page["next"] = nullptr;
    return json_reply(std::move(page));
}

http::reply versioned_reply(boost::json::value body, store::row_version version, unsigned status) {
    http::reply r = json_reply(std::move(body), status);
    r.fields.emplace_back("ETag", etag_of(version));
    return r;
}

http::reply created_reply(boost::json::value body, store::row_version version, std::string location) {
    http::reply r = versioned_reply(std::move(body), version, 201);
    r.fields.emplace_back("Location", std::move(location));
    return r;
}

} // namespace postferry::api
