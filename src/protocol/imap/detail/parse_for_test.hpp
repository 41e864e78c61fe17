#pragma once
// How this module's tests read: a transcript in, values out, and the same whatever the pieces it arrives in.
#include "protocol/imap/detail/events_text.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace postferry::imap::detail {

/// The events of `wire` fed at once, after a check that two pieces, cut anywhere, and single octets give the same.
inline std::vector<std::string> events_whatever_the_cuts(std::string_view wire, parser_limits limits = {}) {
    const std::vector<std::string> whole = events_of(wire, {}, limits);
    std::vector<std::size_t> everywhere;
    for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
        everywhere.push_back(cut);
        EXPECT_EQ(events_of(wire, {cut}, limits), whole) << "cut at octet " << cut << " of " << wire;
        if (testing::Test::HasFailure()) return whole;
    }
    EXPECT_EQ(events_of(wire, everywhere, limits), whole) << "octet by octet: " << wire;
    return whole;
}

/// The first response in `line` (CRLF is added) that is a Data. A default one, and a failed test, if there is none.
template <class Data> Data parse(std::string_view line, parser_limits limits = {}) {
    const std::string wire = std::string(line) + "\r\n";
    const auto events = events_whatever_the_cuts(wire, limits);
    response_parser parser(limits);
    parser.feed(wire);
    while (true) {
        response_parser::event e = parser.next();
        if (auto* r = std::get_if<response>(&e)) {
            if (auto* data = std::get_if<Data>(r)) return std::move(*data);
            ADD_FAILURE() << line << " was read as " << text_of(*r);
            return {};
        }
        if (std::holds_alternative<response_parser::need_more>(e) ||
            std::holds_alternative<response_parser::malformed>(e)) {
            ADD_FAILURE() << line << " gave: " << (events.empty() ? "nothing" : events.back());
            return {};
        }
    }
}

/// What is wrong with `wire`; empty, and a failed test, if nothing is.
inline std::string malformed(std::string_view wire, parser_limits limits = {}) {
    const auto events = events_whatever_the_cuts(wire, limits);
    if (events.back().starts_with("malformed: ")) return events.back().substr(11);
    ADD_FAILURE() << wire << " was read as " << fmt::format("{}", events);
    return {};
}

} // namespace postferry::imap::detail
