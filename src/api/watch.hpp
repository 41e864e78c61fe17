#pragma once
// Whoever counts what the API is asked (metrics/).
#include "http/message.hpp"
#include "net/awaitable.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace postferry::api {

/// A request and its answer.
struct answered {
    http::method verb = http::method::get;
    std::string_view route; ///< the pattern, never the path: "/api/v1/batches/{batch}"; "other": there is none
    unsigned status = 0;
    std::chrono::microseconds took{}; ///< until the reply was made; a stream goes on after it
};

/// Its calls come from any thread.
class watch {
  public:
    virtual ~watch() = default;
    virtual void on_answer(const answered& what) noexcept = 0;
    /// A stream of this route begins (+1) or ends (-1).
    virtual void on_stream(std::string_view route, int change) noexcept = 0;
    /// All numbers, in the text format of Prometheus 0.0.4.
    virtual task<std::string> exposition() = 0;
};

} // namespace postferry::api
