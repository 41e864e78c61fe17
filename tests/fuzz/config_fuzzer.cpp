// A configuration file: any text is read or refused with a place; what was read says the same when it is written again.
#include "app/config.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace postferry::app;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const config_surroundings around{.environment = [](const char*) { return "/run/credentials"; }};
    const auto open = parse_config(text, "/etc/postferry/postferry.toml", true, around);
    const auto closed = parse_config(text, "/etc/postferry/postferry.toml", false, around);
    // What others can read is held to more, never to less.
    if (open && !closed) std::abort();
    if (!closed) {
        if (closed.error().list.empty() || closed.error().text().empty()) std::abort();
        return 0;
    }
    // Secrets are not written, and what needs them is then refused.
    for (const config_given& g : closed->given)
        if (g.value.empty()) return 0;
    const auto again = parse_config(effective_config(*closed), "/etc/postferry/postferry.toml", true, around);
    if (!again) std::abort();
    const auto once_more = parse_config(effective_config(*again), "/etc/postferry/postferry.toml", true, around);
    if (!once_more || effective_config(*once_more) != effective_config(*again)) std::abort();
    return 0;
}
