#pragma once
// The text of a page of a collection, written row by row.
#include "api/views.hpp"
#include "http/message.hpp"
#include "store/records.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serializer.hpp>

#include <concepts>
#include <optional>
#include <string>

namespace postferry::api {

/// {"items": [...], "next": "cursor" or null}. Rows that know how are written as they are (write_view); of the others
/// one object is there at a time: an array of all of them is thousands of small allocations that live together.
class page_body {
  public:
    /// @param rows there may be
    explicit page_body(int rows) {
        text_.reserve(static_cast<std::size_t>(rows) * usual_row);
        text_ = "{\"items\":[";
    }
    template <class Row> void add(const Row& row) {
        begin_row();
        if constexpr (requires(json_writer& to) { write_view(to, row); }) {
            json_writer to(text_);
            write_view(to, row);
        } else {
            add_object(view_of(row));
        }
    }
    [[nodiscard]] std::string done(std::optional<store::record_id> next) &&;

  private:
    void begin_row() {
        if (!empty_) text_ += ',';
        empty_ = false;
    }
    void add_object(const boost::json::object& row);

    static constexpr std::size_t usual_row = 768; ///< octets of a mailbox; other rows are shorter
    std::string text_;
    bool empty_ = true;
    boost::json::serializer serializer_;
};

/// The answer whose body that is.
[[nodiscard]] http::reply page_reply(std::string body);

} // namespace postferry::api
