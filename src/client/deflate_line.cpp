#include "client/deflate_line.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <new>

namespace postferry::client {

namespace {

constexpr int raw_window = -15; // RFC 4978, section 4: no zlib header
constexpr std::size_t piece_octets = 32U << 10U;

Bytef* octets_of(const void* p) noexcept { return static_cast<Bytef*>(const_cast<void*>(p)); }

class deflate_line final : public net::connection {
  public:
    explicit deflate_line(std::unique_ptr<net::connection> line) : line_(std::move(line)) {
        if (::inflateInit2(&in_, raw_window) != Z_OK) throw std::bad_alloc();
        if (::deflateInit2(&out_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, raw_window, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
            ::inflateEnd(&in_);
            throw std::bad_alloc();
        }
    }
    ~deflate_line() override {
        ::inflateEnd(&in_);
        ::deflateEnd(&out_);
    }

    task<result<void>> start_tls(const net::tls_settings&, deadline) override {
        co_return fail(retry_class::protocol, phase::tls, "TLS cannot begin on a compressed line");
    }

    task<result<std::size_t>> read_some(std::span<char> buffer, deadline until) override {
        in_.next_out = octets_of(buffer.data());
        in_.avail_out = static_cast<uInt>(std::min<std::size_t>(buffer.size(), UINT32_MAX));
        const uInt room = in_.avail_out;
        while (true) {
            const int rc = ended_ ? Z_STREAM_END : ::inflate(&in_, Z_SYNC_FLUSH);
            ended_ = rc == Z_STREAM_END;
            if (in_.avail_out < room) co_return room - in_.avail_out;
            if (ended_) co_return 0;
            // Z_BUF_ERROR: there was nothing to inflate.
            if (rc != Z_OK && rc != Z_BUF_ERROR) {
                line_->close();
                co_return fail(retry_class::protocol, phase::connect, "The server's compressed data is damaged");
            }
            const auto n = co_await line_->read_some(received_, until);
            if (!n || *n == 0) co_return n;
            in_.next_in = octets_of(received_.data());
            in_.avail_in = static_cast<uInt>(*n);
        }
    }

    [[nodiscard]] bool readable() const noexcept override { return in_.avail_in > 0 || line_->readable(); }

    task<result<void>> write(std::span<const iovec> pieces, std::chrono::milliseconds patience,
                             deadline until) override {
        for (const iovec& piece : pieces) {
            out_.next_in = octets_of(piece.iov_base);
            for (std::size_t left = piece.iov_len; left > 0;) {
                const uInt some = static_cast<uInt>(std::min<std::size_t>(left, 1U << 30U));
                out_.avail_in = some;
                if (auto ok = co_await send(Z_NO_FLUSH, patience, until); !ok) co_return ok;
                left -= some;
            }
        }
        // Nothing may stay behind: the server answers what it has.
        co_return co_await send(Z_SYNC_FLUSH, patience, until);
    }

    void close() noexcept override { line_->close(); }
    void discard_unsent(bool on) noexcept override { line_->discard_unsent(on); }
    void acknowledge() noexcept override { line_->acknowledge(); }
    [[nodiscard]] bool encrypted() const noexcept override { return line_->encrypted(); }
    [[nodiscard]] std::string peer() const override { return line_->peer(); }
    [[nodiscard]] std::string tls_summary() const override { return line_->tls_summary(); }

  private:
    /// Deflates avail_in, and with Z_SYNC_FLUSH all that zlib holds back; writes whatever fills the buffer.
    task<result<void>> send(int flush, std::chrono::milliseconds patience, deadline until) {
        while (true) {
            out_.next_out = octets_of(sending_.data() + held_);
            out_.avail_out = static_cast<uInt>(sending_.size() - held_);
            ::deflate(&out_, flush);
            held_ = sending_.size() - out_.avail_out;
            const bool full = out_.avail_out == 0;
            if (held_ > 0 && (full || flush == Z_SYNC_FLUSH)) {
                const iovec ready{sending_.data(), held_};
                held_ = 0;
                if (auto ok = co_await line_->write({&ready, 1}, patience, until); !ok) co_return ok;
            }
            if (!full) co_return result<void>{};
        }
    }

    std::unique_ptr<net::connection> line_;
    z_stream in_{}, out_{};
    std::array<char, piece_octets> received_{}, sending_{};
    std::size_t held_ = 0; ///< deflated and not sent
    bool ended_ = false;
};

} // namespace

std::unique_ptr<net::connection> deflated(std::unique_ptr<net::connection> line) {
    return std::make_unique<deflate_line>(std::move(line));
}

} // namespace postferry::client
