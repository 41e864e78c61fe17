#pragma once
#include <string>
#include <string_view>

namespace postferry {

/// A password or token. It has no formatter and no stream operator, so it cannot be logged by accident; its memory is
/// overwritten when it goes. reveal() is for the place that hands it to the wire or to the SASL library, nowhere else.
class secret {
  public:
    secret() = default;
    explicit secret(std::string value) noexcept : value_(std::move(value)) {}
    secret(const secret&) = default;
    // Copied, then wiped: a moved-from short string would keep the octets in its own buffer.
    // NOLINTNEXTLINE(performance-move-constructor-init)
    secret(secret&& other) noexcept : value_(other.value_) { other.wipe(); }
    secret& operator=(const secret& other) {
        if (this != &other) {
            wipe();
            value_ = other.value_;
        }
        return *this;
    }
    secret& operator=(secret&& other) noexcept {
        if (this != &other) {
            wipe();
            value_ = other.value_;
            other.wipe();
        }
        return *this;
    }
    ~secret() { wipe(); }

    [[nodiscard]] std::string_view reveal() const noexcept { return value_; }
    [[nodiscard]] bool empty() const noexcept { return value_.empty(); }

  private:
    void wipe() noexcept;
    std::string value_;
};

} // namespace postferry
