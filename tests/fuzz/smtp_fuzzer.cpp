// A server that says anything: the same replies whatever the pieces they come in, bounded. And a message of any octets:
// its end is at its end only, for strict servers and for loose ones.
#include "protocol/smtp/command.hpp"
#include "protocol/smtp/data_stuffer.hpp"
#include "protocol/smtp/reply_parser.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using namespace postferry::smtp;

void require(bool holds) {
    if (!holds) std::abort();
}

std::vector<std::string> replies(std::string_view text, std::size_t step) {
    reply_parser parser;
    std::vector<std::string> out;
    for (std::size_t at = 0; at < text.size(); at += step) {
        parser.feed(text.substr(at, step));
        while (true) {
            const auto e = parser.next();
            if (std::holds_alternative<reply_parser::need_more>(e)) break;
            if (const auto* bad = std::get_if<reply_parser::broken>(&e)) {
                require(bad->said.size() <= 400);
                out.push_back(bad->what);
                return out;
            }
            const auto& r = std::get<reply>(e);
            require(r.code >= 200 && r.code <= 599 && !r.lines.empty() && r.lines.size() <= 200);
            const extension_list can = extension_list::from(r);
            require(can.all().size() < r.lines.size());
            (void)can.size_limit();
            out.push_back(r.text());
        }
    }
    return out;
}

void stuff(std::string_view text, std::size_t step) {
    data_stuffer stuffer;
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += step) stuffer.put(text.substr(at, step), out);
    stuffer.finish(out);
    require(out == ".\r\n" || (out.ends_with("\r\n.\r\n") && out.find("\r\n.\r\n") == out.size() - 5));
    for (std::size_t i = 0; i < out.size(); ++i) {
        if (out[i] == '\n') require(i > 0 && out[i - 1] == '\r');
        if (out[i] == '\r') require(i + 1 < out.size() && out[i + 1] == '\n');
    }
}

void name(std::string_view text) {
    for (const bool utf8 : {false, true})
        if (const auto path = path_of(text, utf8)) {
            require(path->starts_with('<') && path->ends_with('>') && path->size() < 1100);
            require(path->find_first_of("\r\n") == std::string::npos);
        }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    require(replies(text, 1) == replies(text, text.size() + 1));
    stuff(text, data[0] % 9U + 1);
    name(text);
    return 0;
}
