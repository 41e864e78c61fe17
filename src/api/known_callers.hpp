#pragma once
#include "api/context.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace postferry::api {

/// Who has shown a token or a cookie a moment ago: whoever asks for page after page is looked up once in a while, not
/// once a page, and behind their back: half a moment before it is over. What changes rights in this process ends it at
/// once; what another process changes is seen when the moment is over. From any thread.
class known_callers {
  public:
    using clock = std::chrono::steady_clock;
    static constexpr std::size_t most = 1'000;

    explicit known_callers(std::chrono::milliseconds fresh) : fresh_(fresh) {}

    struct lately {
        caller who;
        bool ages = false; ///< half the moment has passed; said to one who asks, who is to look again
    };
    /// @param hash of what was shown
    [[nodiscard]] std::optional<lately> find(const std::string& hash, clock::time_point now = clock::now());
    /// To be asked before the store is.
    [[nodiscard]] std::uint64_t generation() const;
    /// Nothing is kept of what was read before the last forget().
    void keep(const std::string& hash, const caller& who, std::uint64_t read_in, clock::time_point now = clock::now());
    void forget();

  private:
    struct known {
        caller who;
        clock::time_point ages, until;
    };
    std::chrono::milliseconds fresh_;
    mutable std::mutex mutex_;
    std::map<std::string, known> all_;
    std::uint64_t generation_ = 0;
};

} // namespace postferry::api
