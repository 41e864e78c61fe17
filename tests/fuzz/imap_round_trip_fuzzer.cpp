// Values written as a server would write them are read back as the same values; what the command encoder writes for an
// argument is read back as that argument.
#include "protocol/imap/command_encoder.hpp"
#include "protocol/imap/detail/events_text.hpp"

#include <cstdint>
#include <cstdlib>
#include <fuzzer/FuzzedDataProvider.h>

using namespace postferry::imap;

namespace {

void require(bool holds, std::string_view wire) {
    if (holds) return;
    fmt::print(stderr, "not read back: {}\n", wire);
    std::abort();
}

std::vector<response_parser::event> events(std::string_view wire) {
    response_parser parser;
    parser.feed(wire);
    std::vector<response_parser::event> out;
    while (true) {
        out.push_back(parser.next());
        if (std::holds_alternative<response_parser::malformed>(out.back())) return out;
        if (std::holds_alternative<response_parser::need_more>(out.back())) {
            require(parser.between_responses(), wire);
            return out;
        }
    }
}

template <class Data> Data only(std::string_view wire) {
    auto all = events(wire);
    auto* r = std::get_if<response>(&all.front());
    require(all.size() == 2 && r != nullptr && std::holds_alternative<Data>(*r), wire);
    return std::get<Data>(std::move(*r));
}

// As an argument of a command; its pieces joined are what a server reads.
std::string astring(const std::string& value, literal_mode mode) {
    command_encoder encoder(mode);
    encoder.astring(value);
    require(encoder.valid() == (value.find('\0') == value.npos), value);
    std::string out;
    if (!encoder.valid()) return "{" + std::to_string(value.size()) + "}\r\n" + value;
    for (const std::string& piece : encoder.take()) out += piece;
    return out;
}

literal_mode mode(FuzzedDataProvider& in) {
    return in.PickValueInArray({literal_mode::synchronising, literal_mode::minus, literal_mode::plus});
}

void list(FuzzedDataProvider& in) {
    const std::string name = in.ConsumeRandomLengthString(1200);
    const std::string wire = "* LIST (\\HasNoChildren) \"/\" " + astring(name, mode(in)) + "\r\n";
    require(only<list_data>(wire).name == name, wire);
    const auto messages = in.ConsumeIntegral<std::uint32_t>();
    const std::string status = fmt::format("* STATUS {} (MESSAGES {})\r\n", astring(name, mode(in)), messages);
    const auto read = only<mailbox_status>(status);
    require(read.name == name && read.messages == messages, status);
}

std::string keyword(FuzzedDataProvider& in) {
    std::string flag = in.ConsumeRandomLengthString(20);
    return is_writable_flag(flag) ? flag : "\\Seen";
}

void fetch(FuzzedDataProvider& in) {
    const std::uint32_t uid = in.ConsumeIntegralInRange<std::uint32_t>(1, 0xffffffff);
    const auto size = in.ConsumeIntegral<std::uint64_t>();
    const internal_date date{in.ConsumeIntegralInRange<std::int64_t>(-62135000000, 253402000000),
                             in.ConsumeIntegralInRange<std::int16_t>(-1439, 1439)};
    std::vector<std::string> flags;
    while (in.ConsumeBool()) flags.push_back(keyword(in));
    const std::string body = in.ConsumeRandomLengthString(300);
    std::string wire = fmt::format(
        "* 1 FETCH (UID {} FLAGS ({}) BODY[] {}{{{}}}\r\n{} RFC822.SIZE {} INTERNALDATE \"{}\")\r\n", uid,
        fmt::join(flags, " "), in.ConsumeBool() ? "~" : "", body.size(), body, size, date.to_string().value_or(""));
    std::string read_body;
    auto all = events(wire);
    require(all.size() >= 4, wire);
    for (const auto& e : all)
        if (const auto* chunk = std::get_if<response_parser::body_chunk>(&e)) read_body += chunk->octets;
    const auto* last = std::get_if<response>(&all[all.size() - 2]);
    require(last != nullptr && read_body == body, wire);
    const auto& r = std::get<fetch_data>(*last);
    require(r.uid == uid && r.flags == flags && r.rfc822_size == size && r.date == date, wire);
    require(r.bodies.size() == 1 && r.bodies[0].streamed && r.bodies[0].octets == body.size(), wire);
}

void status(FuzzedDataProvider& in) {
    postferry::uid_set set;
    std::vector<std::uint32_t> order;
    while (in.remaining_bytes() > 4 && in.ConsumeBool()) {
        const auto first = in.ConsumeIntegralInRange<std::uint32_t>(1, 0xffffff00);
        set.add(first, first + in.ConsumeIntegralInRange<std::uint32_t>(0, 50));
    }
    if (set.empty()) return;
    for (const auto& r : set.ranges())
        for (std::uint32_t uid = r.first; uid <= r.last; ++uid) order.push_back(uid);
    const std::string wire = fmt::format("A1 OK [COPYUID 7 {} {}] x\r\n", set.to_string(), set.to_string());
    const auto r = only<status_response>(wire);
    require(r.code && r.code->uids && r.code->uids->source == set && r.code->uids->target == set, wire);
    require(r.code->uids->target_in_order == order, wire);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    FuzzedDataProvider in(data, size);
    switch (in.ConsumeIntegralInRange(0, 2)) {
    case 0: list(in); break;
    case 1: fetch(in); break;
    default: status(in); break;
    }
    return 0;
}
