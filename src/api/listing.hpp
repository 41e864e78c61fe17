#pragma once
#include "api/context.hpp"
#include "api/page_body.hpp"
#include "api/views.hpp"
#include "store/database.hpp"
#include "store/paging.hpp"

#include <fmt/ranges.h>

#include <utility>

namespace postferry::api {

/// ?state=a,b: 422 when one of them is no state.
template <class E> outcome<store::state_set<E>> states_in(const context& c) {
    store::state_set<E> out;
    std::string_view rest = c.query("state").value_or("");
    while (!rest.empty()) {
        const std::string_view word = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
        const auto state = store::parse<E>(word);
        if (!state) return invalid("?state", fmt::format("must be of: {}", fmt::join(store::words_of<E>, ", ")));
        out.add(*state);
    }
    return out;
}

/// A page of a collection: `query(tables&, const paging&)` answers a slice of rows that have an id and a view_of(). Its
/// text is made where its rows are read: a hundred of them need not go from thread to thread.
template <class Query>
task<outcome<http::reply>> list(store::database& db, const context& c, Query query, bool newest_first = false) {
    auto page = c.page();
    if (!page) co_return std::unexpected(std::move(page.error()));
    const store::paging where{.after = page->after, .limit = page->limit, .newest_first = newest_first};
    auto text = co_await db.read([where, query = std::move(query)](store::tables& t) -> result<std::string> {
        auto rows = query(t, where);
        if (!rows) return std::unexpected(std::move(rows.error()));
        page_body body(where.limit);
        for (const auto& row : rows->rows) body.add(row);
        return std::move(body).done(rows->more ? std::optional(rows->rows.back().id) : std::nullopt);
    });
    if (!text) co_return refuse(text.error());
    co_return page_reply(std::move(*text));
}

/// One row with its ETag, or 404: `query(tables&, id)` answers an optional row.
template <class Query> task<outcome<http::reply>> show(store::database& db, const context& c, Query query) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    auto row = co_await db.read([id = *id, query = std::move(query)](store::tables& t) { return query(t, id); });
    if (!row) co_return refuse(row.error());
    if (!*row) co_return refuse(404, "There is no such thing here");
    if constexpr (requires { (*row)->version; })
        co_return versioned_reply(view_of(**row), (*row)->version);
    else
        co_return json_reply(view_of(**row));
}

} // namespace postferry::api
