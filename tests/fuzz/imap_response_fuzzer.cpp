// Any octets, in any pieces: no crash, no hang, and the same events whatever the pieces.
// The first octet chooses the limits; the next three are the seed of the cuts.
#include "protocol/imap/detail/events_text.hpp"

#include <cstdint>
#include <cstdlib>
#include <random>

using namespace postferry::imap;

namespace {

std::vector<std::size_t> random_cuts(std::size_t octets, std::uint32_t seed) {
    std::minstd_rand random(seed + 1);
    std::vector<std::size_t> cuts;
    for (std::size_t at = random() % 20; at < octets; at += random() % 20) cuts.push_back(at);
    return cuts;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 4) return 0;
    const std::string_view wire(reinterpret_cast<const char*>(data) + 4, size - 4);
    parser_limits limits;
    if (data[0] % 2 == 1)
        limits = {.line_octets = 200, .gathered_literal = 20, .streamed_literal = 400, .nesting = 5, .list_items = 8};
    const std::uint32_t seed = data[1] | std::uint32_t{data[2]} << 8U | std::uint32_t{data[3]} << 16U;
    const auto whole = detail::events_of(wire, {}, limits);
    const auto cut = detail::events_of(wire, random_cuts(wire.size(), seed), limits);
    if (whole != cut) {
        fmt::print(stderr, "whole: {}\ncut:   {}\n", whole, cut);
        std::abort();
    }
    return 0;
}
