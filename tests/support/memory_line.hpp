#pragma once
// net::connection without a network: the server is a function of what the client wrote. Nothing in it waits for time:
// a client that waits for octets which will never come gets an error at once, and the test a complaint.
#include "net/connection.hpp"
#include "support/script.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>

namespace postferry::support {

/// How a line misbehaves.
struct line_faults {
    std::size_t read_at_most = SIZE_MAX;                    ///< octets a read
    std::size_t write_pause = SIZE_MAX;                     ///< others have their turn after so many octets written
    std::optional<std::size_t> dies_after;                  ///< so many octets of the server
    std::optional<std::size_t> failing_read, failing_write; ///< the k-th, from 0
};

/// What a test sees of a line that the session owns.
struct line_record {
    std::string written;
    std::vector<std::string> complaints;
    std::size_t reads = 0, writes = 0, delivered = 0;
    bool closed = false;
    bool discards_unsent = false;
    bool finished = false; ///< a scripted line: everything in the script happened
};

class memory_line : public net::connection {
  public:
    memory_line(std::shared_ptr<line_record> record, line_faults faults)
        : record_(std::move(record)), faults_(faults) {}

    task<result<std::size_t>> read_some(std::span<char> buffer, deadline) override {
        constexpr int patience = 300; // turns of everybody else
        if (faults_.failing_read == record_->reads++) co_return std::unexpected(die("connection lost: reset by peer"));
        for (int turn = 0;; ++turn) {
            if (record_->closed) co_return fail(retry_class::cancelled, phase::connect, "the connection was closed");
            serve();
            const std::size_t left = faults_.dies_after.value_or(SIZE_MAX) - record_->delivered;
            if (left == 0) co_return 0;
            if (!to_client_.empty()) {
                const std::size_t n = std::min({to_client_.size(), buffer.size(), faults_.read_at_most, left});
                std::copy_n(to_client_.begin(), n, buffer.begin());
                to_client_.erase(0, n);
                record_->delivered += n;
                co_return n;
            }
            if (hung_up_) co_return 0;
            if (turn == patience) {
                record_->complaints.push_back("the client waits for ever; " + state());
                co_return std::unexpected(die("stalled"));
            }
            co_await boost::asio::post(boost::asio::use_awaitable);
        }
    }

    task<result<void>> write(std::span<const iovec> pieces, std::chrono::milliseconds, deadline) override {
        if (faults_.failing_write == record_->writes++) co_return std::unexpected(die("connection lost: broken pipe"));
        std::size_t since_pause = 0;
        for (const iovec& piece : pieces) {
            std::string_view rest(static_cast<const char*>(piece.iov_base), piece.iov_len);
            while (!rest.empty()) {
                if (record_->closed)
                    co_return fail(retry_class::cancelled, phase::connect, "the connection was closed");
                const std::string_view now = rest.substr(0, faults_.write_pause - since_pause);
                record_->written += now;
                from_client_ += now;
                rest.remove_prefix(now.size());
                since_pause += now.size();
                if (since_pause < faults_.write_pause) continue;
                since_pause = 0;
                serve();
                co_await boost::asio::post(boost::asio::use_awaitable);
            }
        }
        co_return result<void>{};
    }

    task<result<void>> start_tls(const net::tls_settings&, deadline) override {
        serve();
        if (!to_client_.empty()) record_->complaints.emplace_back("octets in the clear behind STARTTLS");
        encrypted_ = true;
        on_tls();
        co_return result<void>{};
    }
    [[nodiscard]] bool readable() const noexcept override { return !record_->closed && !to_client_.empty(); }
    void close() noexcept override { record_->closed = true; }
    void discard_unsent(bool on) noexcept override { record_->discards_unsent = on; }
    [[nodiscard]] bool encrypted() const noexcept override { return encrypted_; }
    [[nodiscard]] std::string peer() const override { return "192.0.2.1:993"; }
    [[nodiscard]] std::string tls_summary() const override { return encrypted_ ? "TLSv1.3" : ""; }

    bool encrypted_ = false;

  protected:
    /// Takes what it understands from from_client_ and adds to to_client_.
    virtual void serve() = 0;
    virtual void on_tls() {}
    [[nodiscard]] virtual std::string state() const = 0;

    std::shared_ptr<line_record> record_;
    std::string from_client_, to_client_;
    bool hung_up_ = false;

  private:
    error die(std::string what) {
        record_->closed = true;
        return fail(retry_class::transient, phase::connect, std::move(what)).error();
    }
    line_faults faults_;
};

/// A server that plays a script: "C:" a line of the client, "C~" octets of the client, "S:" a line for it, "S~" octets
/// for it, "T:" the TLS handshake, "S!" hangs up. What the client says must match; after the last step it hangs up.
class scripted_line final : public memory_line {
  public:
    scripted_line(std::string_view script, std::shared_ptr<line_record> record, line_faults faults = {})
        : memory_line(std::move(record), faults), steps_(read_script(script)) {}

  private:
    void serve() override {
        while (at_ < steps_.size() && !hung_up_) {
            const auto& [mark, text] = steps_[at_];
            if (mark == "T:") return;
            if (mark == "S:") to_client_ += text + "\r\n";
            if (mark == "S~") to_client_ += text;
            if (mark == "S!") hung_up_ = true;
            if (mark.starts_with('C') && !heard(mark == "C:", text)) return;
            ++at_;
        }
        record_->finished = at_ == steps_.size() && from_client_.empty();
        if (at_ == steps_.size()) hung_up_ = true;
        if (at_ == steps_.size() && !from_client_.empty()) complain("nothing");
    }
    void on_tls() override {
        if (at_ < steps_.size() && steps_[at_].mark == "T:")
            ++at_;
        else
            complain("no TLS handshake");
        serve();
    }
    [[nodiscard]] std::string state() const override {
        return at_ < steps_.size()
                   ? "the script wants " + steps_[at_].mark + " " + steps_[at_].text + ", and there is: " + from_client_
                   : "the script is at its end";
    }

    bool heard(bool line, std::string_view text) {
        const std::size_t end = line ? from_client_.find("\r\n") : text.size();
        if (end == std::string::npos || from_client_.size() < end) return false;
        if (!matches(std::string_view(from_client_).substr(0, end), text)) {
            complain(text);
            return false;
        }
        from_client_.erase(0, line ? end + 2 : end);
        return true;
    }
    void complain(std::string_view expected) {
        record_->complaints.push_back(fmt::format("expected C: {}\n     but got: {}", expected, from_client_));
        hung_up_ = true;
        from_client_.clear();
    }

    std::vector<script_step> steps_;
    std::size_t at_ = 0;
};

/// Runs a coroutine to its end; a failed test when it hangs.
template <class T> std::optional<T> run_to_end(task<T> work) {
    boost::asio::io_context io(1);
    std::optional<T> out;
    std::exception_ptr thrown;
    boost::asio::co_spawn(io, std::move(work), [&](std::exception_ptr e, T value) {
        thrown = e;
        if (!e) out.emplace(std::move(value));
    });
    io.run_for(std::chrono::seconds(20));
    if (thrown) std::rethrow_exception(thrown);
    if (!out) ADD_FAILURE() << "it hangs";
    return out;
}

} // namespace postferry::support
