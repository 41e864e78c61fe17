#pragma once
#include "app/service.hpp"
#include "jobs/login_check.hpp"

namespace postferry::app {

/// Asks the old servers themselves.
class server_login_check final : public jobs::login_check {
  public:
    explicit server_login_check(const foundation& on) : on_(on) {}
    task<result<bool>> lets_in(store::migration who, secret password) override;

  private:
    foundation on_;
};

} // namespace postferry::app
