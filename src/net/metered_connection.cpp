#include "net/metered_connection.hpp"

#include "net/detail/piece_cursor.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>

namespace postferry::net {

namespace {

using time = allowance::time;

class metered_connection final : public connection {
  public:
    metered_connection(std::unique_ptr<connection> line, std::shared_ptr<allowance> meter, const executor& ex)
        : line_(std::move(line)), meter_(std::move(meter)), read_timer_(ex), write_timer_(ex) {}

    task<result<void>> start_tls(const tls_settings& tls, deadline until) override {
        return line_->start_tls(tls, until);
    }

    task<result<std::size_t>> read_some(std::span<char> buffer, deadline until) override {
        const auto waited = co_await pause(read_timer_, next_read_);
        if (!waited) co_return std::unexpected(waited.error());
        if (*waited > time::duration::zero() && until.when() != time::max())
            until = deadline::at(until.when() + *waited);
        auto n = co_await line_->read_some(buffer.first(std::min(buffer.size(), meter_->turn())), until);
        if (n) next_read_ = meter_->moved(direction::received, *n, std::chrono::steady_clock::now());
        co_return n;
    }

    task<result<void>> write(std::span<const iovec> pieces, std::chrono::milliseconds patience,
                             deadline until) override {
        std::size_t total = 0;
        for (const iovec& p : pieces) total += p.iov_len;
        if (total <= meter_->turn()) co_return co_await write_turn(pieces, total, patience, until);
        detail::piece_cursor rest(pieces);
        while (!rest.at_end()) {
            std::array<iovec, 64> some{};
            std::size_t used = 0, octets = 0, room = std::max<std::size_t>(meter_->turn(), 1);
            for (detail::piece_cursor look = rest; !look.at_end() && used < some.size() && room > 0;) {
                const std::string_view front = look.front().substr(0, room);
                some[used++] = {const_cast<char*>(front.data()), front.size()};
                octets += front.size();
                room -= front.size();
                look.advance(front.size());
            }
            if (auto ok = co_await write_turn({some.data(), used}, octets, patience, until); !ok) co_return ok;
            rest.advance(octets);
        }
        co_return result<void>{};
    }

    [[nodiscard]] bool readable() const noexcept override { return line_->readable(); }
    void close() noexcept override {
        closed_ = true;
        read_timer_.cancel();
        write_timer_.cancel();
        line_->close();
    }
    void discard_unsent(bool on) noexcept override { line_->discard_unsent(on); }
    void acknowledge() noexcept override { line_->acknowledge(); }
    [[nodiscard]] bool encrypted() const noexcept override { return line_->encrypted(); }
    [[nodiscard]] std::string peer() const override { return line_->peer(); }
    [[nodiscard]] std::string tls_summary() const override { return line_->tls_summary(); }

  private:
    task<result<void>> write_turn(std::span<const iovec> pieces, std::size_t octets, std::chrono::milliseconds patience,
                                  deadline until) {
        if (const auto waited = co_await pause(write_timer_, next_write_); !waited)
            co_return std::unexpected(waited.error());
        auto ok = co_await line_->write(pieces, patience, until);
        if (ok) next_write_ = meter_->moved(direction::sent, octets, std::chrono::steady_clock::now());
        co_return ok;
    }

    /// How long it took; class cancelled when the line was closed meanwhile.
    task<result<time::duration>> pause(boost::asio::steady_timer& timer, time until) {
        const time from = std::chrono::steady_clock::now();
        if (until <= from || closed_) co_return time::duration::zero(); // the line itself says that it is closed
        timer.expires_at(until);
        (void)co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
        if (closed_) co_return fail(retry_class::cancelled, phase::connect, "the connection was closed");
        co_return std::chrono::steady_clock::now() - from;
    }

    std::unique_ptr<connection> line_;
    std::shared_ptr<allowance> meter_;
    boost::asio::steady_timer read_timer_, write_timer_;
    time next_read_{}, next_write_{};
    bool closed_ = false;
};

} // namespace

std::unique_ptr<connection> metered(std::unique_ptr<connection> line, std::shared_ptr<allowance> meter,
                                    const executor& ex) {
    return std::make_unique<metered_connection>(std::move(line), std::move(meter), ex);
}

} // namespace postferry::net
