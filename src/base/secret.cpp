#include "base/secret.hpp"

#include <cstring>

namespace postferry {

void secret::wipe() noexcept {
    if (value_.empty()) return;
    // explicit_bzero is not removed by the optimiser, unlike memset of a dying object.
    explicit_bzero(value_.data(), value_.size());
    value_.clear();
}

} // namespace postferry
