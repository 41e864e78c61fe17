// What a service answers to the command line, from a service that is none: events in pieces, problems, batches.
#include "app/batch_status.hpp"
#include "app/remote_follow.hpp"
#include "app/remote_problem.hpp"
#include "app/sse_reader.hpp"
#include "base/text.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

using namespace postferry;

namespace {

std::string events_of(std::string_view stream, std::size_t piece) {
    std::string out;
    app::sse_reader reader([&](app::sse_event e) { out += e.id + '\0' + e.kind + '\0' + e.data + '\1'; });
    for (; !stream.empty(); stream.remove_prefix(std::min(piece, stream.size()))) reader.put(stream.substr(0, piece));
    return out;
}

void must(bool holds) {
    if (!holds) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    must(events_of(text, 1U + data[0]) == events_of(text, text.size()));
    const error e = app::error_of_problem(400U + data[0] % 200U, text, "GET /x", data[0] % 2 == 0, std::nullopt);
    must(!e.what.empty() && is_utf8(e.message()));
    boost::system::error_code ec;
    const auto json = boost::json::parse(boost::json::string_view(text.data(), text.size()), ec);
    if (ec || !json.is_object()) return 0;
    const std::string shown = app::batch_status_text(json.get_object()) + app::batch_advice_text(json.get_object()) +
                              app::event_line(json.get_object(), "a");
    for (const char c : shown) must(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
    return 0;
}
