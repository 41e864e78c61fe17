#include "app/sse_reader.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace postferry::app {
namespace {

std::string told(const std::vector<sse_event>& all) {
    std::string out;
    for (const sse_event& e : all) out += e.id + "|" + e.kind + "|" + e.data + "\n";
    return out;
}

std::string read(std::string_view stream, std::size_t piece) {
    std::vector<sse_event> all;
    sse_reader reader([&](sse_event e) { all.push_back(std::move(e)); });
    for (; !stream.empty(); stream.remove_prefix(std::min(piece, stream.size()))) reader.put(stream.substr(0, piece));
    return told(all);
}

// The same stream, cut everywhere.
TEST(sse_reader, a_stream_cut_anywhere_tells_the_same) {
    constexpr std::string_view stream =
        "\xef\xbb\xbfretry: 2000\n\n: still here\n\nid: 7\nevent: batch.state\ndata: {\"a\":1}\n\n"
        "data:first\r\ndata: second\r\n\r\nid\rdata: x\r\revent: none\n\ndata\n\nid: 9\n\ndata: open";
    const std::string whole = "7|batch.state|{\"a\":1}\n7|message|first\nsecond\n|message|x\n|message|\n";
    for (std::size_t piece = 1; piece <= stream.size(); ++piece) EXPECT_EQ(read(stream, piece), whole) << piece;
}

TEST(sse_reader, an_id_alone_is_kept_for_the_next_time) {
    sse_reader reader([](sse_event) {});
    reader.put("id: 12\n\n");
    EXPECT_EQ(reader.last_id(), "12");
    reader.put(std::string("id: 1\0003\n\n", 9));
    EXPECT_EQ(reader.last_id(), "12");
}

TEST(sse_reader, an_event_without_an_end_takes_no_memory) {
    std::vector<sse_event> all;
    sse_reader reader([&](sse_event e) { all.push_back(std::move(e)); });
    const std::string much(sse_reader::most / 2, 'x');
    for (int i = 0; i < 5; ++i) reader.put("data: " + much + "\n");
    reader.put("\ndata: small\n\n");
    EXPECT_EQ(told(all), "|message|small\n");
}

} // namespace
} // namespace postferry::app
