#include "api/page_body.hpp"

#include "api/context.hpp"

#include <string_view>
#include <utility>

namespace postferry::api {

void page_body::add_object(const boost::json::object& row) {
    serializer_.reset(&row);
    char some[4'096];
    while (!serializer_.done()) text_ += std::string_view(serializer_.read(some));
}

std::string page_body::done(std::optional<store::record_id> next) && {
    text_ += "],\"next\":";
    text_ += next ? '"' + cursor_of(*next) + '"' : "null";
    text_ += '}';
    return std::move(text_);
}

http::reply page_reply(std::string body) {
    http::reply r{.body = std::move(body)};
    r.fields.emplace_back("Cache-Control", "no-store");
    return r;
}

} // namespace postferry::api
