#pragma once
// Plain pages: HTML without scripts, its style in itself, nothing fetched from anywhere.
#include "http/message.hpp"

#include <string>
#include <string_view>

namespace postferry::api {

/// Text for an element or an attribute in double quotes; control characters and what is no UTF-8 become U+FFFD, and
/// what is longer than `most` octets is cut.
[[nodiscard]] std::string html_text(std::string_view text, std::size_t most = 200);

struct page {
    unsigned status = 200;
    std::string_view title; ///< ours: not escaped
    std::string main;       ///< HTML
    http::field_list fields = {};
};
/// With the headers that keep it from being framed, stored, indexed, or given scripts.
[[nodiscard]] http::reply reply_of(page p);

} // namespace postferry::api
