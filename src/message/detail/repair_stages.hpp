#pragma once
// The transforms behind message/repair.hpp. What comes out must not depend on how the octets were cut into pieces.
#include "message/repair.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::message::detail {

class repair_stage {
  public:
    virtual ~repair_stage() = default;
    virtual void take(std::string_view octets, std::string& out) = 0;
    virtual void end(std::string& out) = 0;
    [[nodiscard]] bool changed() const noexcept { return changed_; }

  protected:
    bool changed_ = false;
};

[[nodiscard]] std::unique_ptr<repair_stage> make_header_stage();
[[nodiscard]] std::unique_ptr<repair_stage> make_header_8bit_stage();

/// Long lines (RFC 5322, 2.1.1: 998 octets without the line end). The entities of a MIME message (RFC 2046) are
/// numbered as their headers begin. Whether an entity must be re-encoded is known only behind its end, but its header
/// has to say so: a survey counts both ways and notes which entities it will be.
class long_lines_stage : public repair_stage {
  public:
    /// What a survey found, after end().
    [[nodiscard]] virtual std::uint64_t octets() const noexcept = 0;
    [[nodiscard]] virtual bool wrapped() const noexcept = 0;
    [[nodiscard]] virtual std::vector<std::uint32_t> encoded() const = 0;
};
[[nodiscard]] std::unique_ptr<long_lines_stage> make_long_lines_survey();
[[nodiscard]] std::unique_ptr<long_lines_stage> make_long_lines_stage(std::vector<std::uint32_t> encoded);

inline constexpr std::size_t longest_line = 998;

} // namespace postferry::message::detail
