#pragma once
// Server-sent events as they come (WHATWG HTML 9.2.6).
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace postferry::app {

struct sse_event {
    std::string id; ///< the last one that was named, as a client sends it in Last-Event-ID
    std::string kind = "message";
    std::string data;
};

/// Takes a stream in pieces of any size. Lines end with LF, CR LF or CR. Comments, unknown fields and events without
/// data are passed over; an id with a NUL is none. An event whose lines have more than `most` octets is dropped whole.
class sse_reader {
  public:
    static constexpr std::size_t most = 1U << 20U;

    explicit sse_reader(std::function<void(sse_event)> take) : take_(std::move(take)) {}
    void put(std::string_view octets);
    [[nodiscard]] const std::string& last_id() const noexcept { return id_; }

  private:
    void line_ended();
    void event_ended();

    std::function<void(sse_event)> take_;
    std::string line_, id_, kind_, data_;
    std::size_t octets_ = 0; ///< of this event
    bool after_cr_ = false, first_ = true;
};

} // namespace postferry::app
