#pragma once
// How a request that bears an Idempotency-Key is known again. Bodies may hold passwords, so what is kept in the store
// must not let anybody who reads it try guesses against it.
#include "base/secret.hpp"
#include "store/vault.hpp"

#include <string>
#include <string_view>

namespace postferry::api {

/// From any thread. With a vault: a sealed hash, that only holders of the key file open, on whatever machine. Without:
/// a hash under a key of this process; after it has ended its requests are not known again.
class request_marks {
  public:
    explicit request_marks(const store::vault* vault);
    [[nodiscard]] std::string of(std::string_view body) const;
    [[nodiscard]] bool fits(std::string_view mark, std::string_view body) const;

  private:
    const store::vault* vault_;
    secret own_;
};

} // namespace postferry::api
