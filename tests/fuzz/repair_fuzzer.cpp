// Repairs of any octets keep their promises: the fault is gone, the size is as said, nothing is changed twice, and it
// does not matter how the octets come in. The first octet says which repairs.
#include "support/repair_checks.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace postferry;
    if (size == 0) return 0;
    const std::string_view message(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::string broken = support::broken_promise(message, message::repair_set::of_bits(data[0]));
    if (broken.empty()) return 0;
    std::fprintf(stderr, "repair promises: %s\n", broken.c_str());
    std::abort();
}
