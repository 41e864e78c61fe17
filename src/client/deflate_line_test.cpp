#include "client/deflate_line.hpp"
#include "client/line_gauge.hpp"
#include "support/memory_line.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

namespace postferry::client {
namespace {

using namespace std::chrono_literals;
using support::line_faults;
using support::line_record;
using support::run_to_end;

/// A peer that says the same text back, deflated, and understands what it is told.
class echo final : public support::memory_line {
  public:
    echo(std::shared_ptr<line_record> record, line_faults faults, std::string& understood)
        : memory_line(std::move(record), faults), understood_(understood) {
        ::inflateInit2(&in_, -15);
        ::deflateInit2(&out_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
    }
    ~echo() override {
        ::inflateEnd(&in_);
        ::deflateEnd(&out_);
    }

  private:
    void serve() override {
        std::string text = through(in_, from_client_, [](z_stream& z) { return ::inflate(&z, Z_SYNC_FLUSH); });
        from_client_.clear();
        if (text.empty()) return;
        understood_ += text;
        to_client_ += through(out_, text, [](z_stream& z) { return ::deflate(&z, Z_SYNC_FLUSH); });
    }
    [[nodiscard]] std::string state() const override { return "the peer has heard " + understood_; }

    template <class Step> static std::string through(z_stream& z, std::string& octets, Step step) {
        std::string out;
        std::array<char, 100> piece{};
        z.next_in = reinterpret_cast<Bytef*>(octets.data());
        z.avail_in = static_cast<uInt>(octets.size());
        do {
            z.next_out = reinterpret_cast<Bytef*>(piece.data());
            z.avail_out = piece.size();
            step(z);
            out.append(piece.data(), piece.size() - z.avail_out);
        } while (z.avail_out == 0);
        return out;
    }
    z_stream in_{}, out_{};
    std::string& understood_;
};

struct talk_result {
    std::string heard;
    std::optional<error> failed;
};

task<talk_result> tell_and_listen(net::connection& line, std::string text, std::size_t buffer_octets) {
    talk_result out;
    // Two pieces: what belongs together leaves together.
    const iovec pieces[] = {{text.data(), text.size() / 3},
                            {text.data() + text.size() / 3, text.size() - text.size() / 3}};
    if (auto ok = co_await line.write(pieces, 1s, deadline::never()); !ok) {
        out.failed = ok.error();
        co_return out;
    }
    std::vector<char> buffer(buffer_octets);
    while (out.heard.size() < text.size()) {
        const auto n = co_await line.read_some(buffer, deadline::never());
        if (!n) {
            out.failed = n.error();
            co_return out;
        }
        if (*n == 0) co_return out;
        out.heard.append(buffer.data(), *n);
    }
    co_return out;
}

std::string long_text() {
    std::string text;
    for (int i = 0; i < 20'000; ++i) text += fmt::format("line {} of a message\r\n", i * 7919 % 10'007);
    return text;
}

TEST(deflate_line, says_and_hears_everything_however_small_the_buffers_are) {
    for (const std::size_t at_most : {std::size_t{1}, std::size_t{7}, SIZE_MAX}) {
        for (const std::size_t buffer : {std::size_t{1}, std::size_t{1000}, std::size_t{1} << 18U}) {
            const std::string text = at_most == 1 || buffer == 1 ? "A1 NOOP\r\n" : long_text();
            std::string understood;
            const auto record = std::make_shared<line_record>();
            line_faults faults;
            faults.read_at_most = at_most;
            const auto line = deflated(std::make_unique<echo>(record, faults, understood));
            const auto r = run_to_end(tell_and_listen(*line, text, buffer));
            ASSERT_TRUE(r) << "hangs";
            EXPECT_FALSE(r->failed) << r->failed->message();
            EXPECT_EQ(understood, text);
            EXPECT_EQ(r->heard, text);
            EXPECT_LE(record->written.size(), text.size() / 3 + 40) << "deflated";
        }
    }
}

TEST(deflate_line, damaged_data_ends_the_line) {
    class noise final : public support::memory_line {
      public:
        using memory_line::memory_line;

      private:
        void serve() override {
            if (to_client_.empty()) to_client_ = std::string(64, '\xff');
        }
        [[nodiscard]] std::string state() const override { return {}; }
    };
    const auto record = std::make_shared<line_record>();
    const auto line = deflated(std::make_unique<noise>(record, line_faults{}));
    const auto r = run_to_end(tell_and_listen(*line, "A1 NOOP\r\n", 1000));
    ASSERT_TRUE(r && r->failed);
    EXPECT_EQ(r->failed->cls, retry_class::protocol);
    EXPECT_TRUE(record->closed);
}

TEST(deflate_line, a_line_that_dies_says_so) {
    std::string understood;
    const auto record = std::make_shared<line_record>();
    line_faults faults;
    faults.failing_write = 0;
    const auto line = deflated(std::make_unique<echo>(record, faults, understood));
    const auto r = run_to_end(tell_and_listen(*line, "A1 NOOP\r\n", 1000));
    ASSERT_TRUE(r && r->failed);
    EXPECT_EQ(r->failed->cls, retry_class::transient);
}

constexpr line_gauge::clock::time_point start{};

TEST(line_gauge, a_steady_trickle_is_slow) {
    line_gauge g;
    for (int i = 0; i < 100; ++i) g.add(start + i * 12ms, 14'600); // 10 Mbit/s
    EXPECT_EQ(g.slow(), true);
}

TEST(line_gauge, the_same_machine_is_not) {
    line_gauge g;
    for (int i = 0; i < 100; ++i) g.add(start + i * 100us, 65'536);
    EXPECT_EQ(g.slow(), false);
}

TEST(line_gauge, bursts_with_round_trips_between_them_are_not) {
    line_gauge g;
    for (int burst = 0; burst < 4; ++burst)
        for (int i = 0; i < 4; ++i) g.add(start + burst * 80ms + i * 100us, 14'600);
    EXPECT_EQ(g.slow(), false);
}

TEST(line_gauge, little_tells_nothing) {
    line_gauge g;
    EXPECT_EQ(g.slow(), std::nullopt);
    g.add(start, 1 << 20); // nobody knows how long it took
    EXPECT_EQ(g.slow(), std::nullopt);
    for (int i = 1; i < 5; ++i) g.add(start + i * 10ms, 1 << 17);
    EXPECT_EQ(g.slow(), std::nullopt);
}

TEST(line_gauge, what_we_send_is_judged_without_the_waits) {
    EXPECT_TRUE(sent_slowly(400ms, 500'000, 0, 1ms));
    EXPECT_FALSE(sent_slowly(20ms, 500'000, 0, 1ms));
    EXPECT_FALSE(sent_slowly(700ms, 500'000, 1, 80ms)) << "a long line in its first moments";
    EXPECT_TRUE(sent_slowly(1500ms, 500'000, 1, 80ms));
}

} // namespace
} // namespace postferry::client
