#pragma once
// The text of a page of a collection, written row by row.
#include "http/message.hpp"
#include "store/records.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serializer.hpp>

#include <optional>
#include <string>

namespace postferry::api {

/// {"items": [...], "next": "cursor" or null}. Of a hundred rows one object is there at a time: an array of all of
/// them is thousands of small allocations that live together.
class page_body {
  public:
    void add(const boost::json::object& row);
    [[nodiscard]] http::reply done(std::optional<store::record_id> next) &&;

  private:
    std::string text_ = "{\"items\":[";
    bool empty_ = true;
    boost::json::serializer serializer_;
};

} // namespace postferry::api
