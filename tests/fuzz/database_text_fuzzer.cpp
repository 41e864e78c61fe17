// Text on its way into PostgreSQL and back, and the URLs of databases: any octets.
#include "base/text.hpp"
#include "sql/detail/pg_text.hpp"
#include "sql/open.hpp"

#include <cstdlib>

using namespace postferry;

namespace {

void must(bool holds) {
    if (!holds) std::abort();
}

void there_and_back(std::string_view text) {
    const std::string in = sql::detail::to_pg_text(text);
    must(is_utf8(in) && in.find('\0') == std::string::npos);
    must(sql::detail::from_pg_text(in) == text);
    must(sql::detail::is_spelled(in) || in == text);
    (void)sql::detail::from_pg_text(text);
    (void)sql::detail::from_bytea(text);
    (void)sql::detail::to_integer(text);
    (void)sql::detail::trouble_of_state(text);
}

void urls(const std::string& text) {
    const std::string secret = "pw" + text.substr(0, 8);
    for (const std::string& url : {text, "postgresql://" + text, "postgresql://h/m?" + text})
        if (auto where = sql::parse_location(url); where && where->dialect == sql::dialect::postgresql)
            must(!where->parameters.contains("password") && is_utf8(where->shown));
    must(!sql::parse_location("postgresql://u:" + secret + "@h/m"));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    there_and_back(text);
    urls(text);
    return 0;
}
