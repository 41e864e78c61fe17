#include "api/page_body.hpp"

#include "api/context.hpp"

#include <boost/json/serialize.hpp>

#include <string_view>
#include <utility>

namespace postferry::api {

void page_body::add(const boost::json::object& row) {
    if (!empty_) text_ += ',';
    empty_ = false;
    serializer_.reset(&row);
    char some[4'096];
    while (!serializer_.done()) text_ += std::string_view(serializer_.read(some));
}

http::reply page_body::done(std::optional<store::record_id> next) && {
    text_ += "],\"next\":";
    text_ += next ? boost::json::serialize(boost::json::value(cursor_of(*next))) : "null";
    text_ += '}';
    http::reply r{.body = std::move(text_)};
    r.fields.emplace_back("Cache-Control", "no-store");
    return r;
}

} // namespace postferry::api
