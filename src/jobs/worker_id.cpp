#include "jobs/worker_id.hpp"

#include <fmt/format.h>

#include <array>
#include <random>
#include <unistd.h>

namespace postferry::jobs {

std::string new_worker_id() {
    std::random_device lot; // the system's own source
    std::string id;
    for (int i = 0; i < 4; ++i) id += fmt::format("{:08x}", lot());
    return id;
}

std::string host_name() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
    return name.data();
}

} // namespace postferry::jobs
