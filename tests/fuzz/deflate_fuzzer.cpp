// A server that agreed to COMPRESS=DEFLATE and sends anything. What comes out must not depend on the pieces it is read
// in, and a few octets that unpack to many cost no memory.
#include "client/deflate_line.hpp"
#include "wary_callers.hpp"

#include <algorithm>
#include <string>

namespace {

using namespace postferry;

struct heard {
    std::string octets;
    bool failed = false;
    bool operator==(const heard&) const = default;
};

constexpr std::size_t enough = 1U << 20U; // a bomb gives a thousand octets for each: its reader decides when to stop

task<> read_all(std::string_view script, std::size_t step, heard& out) {
    const auto line = client::deflated(std::make_unique<fuzz::hostile_line>(script, fuzz::speaks::verbatim));
    std::string room(step, '\0');
    while (out.octets.size() < enough) {
        const auto n = co_await line->read_some(room, deadline::never());
        if (!n) out.failed = true;
        if (!n || *n == 0) break;
        if (*n > room.size()) fuzz::found("more than there is room for");
        out.octets.append(room, 0, *n);
    }
    out.octets.resize(std::min(out.octets.size(), enough));
    line->close();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view script(reinterpret_cast<const char*>(data), size);
    heard wide, narrow;
    fuzz::run_to_end([&] { return read_all(script, 16'384, wide); });
    fuzz::run_to_end([&] { return read_all(script, size % 61 + 1, narrow); });
    if (wide.octets != narrow.octets) fuzz::found("what is heard depends on how it is read");
    if (wide.octets.size() < enough && wide.failed != narrow.failed) fuzz::found("whether it failed does, too");
    return 0;
}
