// A POP3 server that sends anything, in blocks of any size, to a client that asks for anything: no crash, no endless
// loop, and after nonsense not one octet more. The first octets choose the commands and the sizes of the blocks.
#include "protocol/pop3/conversation.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace postferry;
    std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::string_view choices = input.substr(0, 8);
    input.remove_prefix(choices.size());
    pop3::conversation talk({.line_octets = 200, .listing_lines = 50, .body_octets = 4'000});
    std::size_t turn = 0;
    const auto choose = [&] {
        return choices.empty() ? 0U : static_cast<unsigned char>(choices[turn++ % choices.size()]);
    };
    talk.set_pipelining((choose() & 1U) != 0);
    std::uint64_t body = 0;
    while (!input.empty()) {
        switch (choose() % 6) {
        case 0: talk.submit(pop3::capa()); break;
        case 1: talk.submit(pop3::uidl()); break;
        case 2: talk.submit(pop3::retr(7)); break;
        case 3: talk.submit(pop3::stat()); break;
        case 4: talk.submit(pop3::auth("PLAIN", "AGE=")); break;
        default: talk.submit(pop3::top(1)); break;
        }
        const std::size_t n = std::min<std::size_t>(input.size(), choose() % 64 + 1);
        const std::string block(input.substr(0, n)); // exactly this memory, for the address sanitizer
        input.remove_prefix(n);
        talk.feed(block);
        for (bool more = true; more;) {
            const auto e = talk.next();
            more = !std::holds_alternative<pop3::conversation::need_more>(e) &&
                   !std::holds_alternative<pop3::conversation::broken>(e);
            if (const auto* chunk = std::get_if<pop3::conversation::body_chunk>(&e)) body += chunk->octets.size();
            if (std::holds_alternative<pop3::conversation::body_begin>(e)) body = 0;
            if (std::holds_alternative<pop3::conversation::challenge>(e)) talk.respond("AAAA");
            if (const auto* line = std::get_if<pop3::conversation::line>(&e)) (void)pop3::parse_listed(line->text);
            if (body > 4'000) std::abort();
        }
        const bool gives = !talk.take_output().empty();
        if (talk.poisoned() && gives) std::abort();
    }
    return 0;
}
