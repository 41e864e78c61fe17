#include "jobs/driver_book.hpp"

#include "directory/none_provisioner.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>
#include <utility>

namespace postferry::jobs {

driver_book::driver_book(executor ex, settings_by_name settings, std::shared_ptr<directory::hash_pool> hashing)
    : ex_(std::move(ex)), settings_(std::move(settings)), hashing_(std::move(hashing)) {
    made_.emplace("none", std::make_shared<directory::none_provisioner>());
}

result<std::shared_ptr<directory::provisioner>> driver_book::find(std::string_view name) {
    const std::lock_guard lock(mutex_);
    if (const auto at = made_.find(name); at != made_.end()) return at->second;
    const auto said = settings_.find(name);
    if (said == settings_.end()) {
        std::vector<std::string> known{"none"};
        for (const auto& [one, _] : settings_) known.push_back(one);
        return fail(retry_class::config, phase::usage,
                    fmt::format("There is no [provisioning.{}] in the configuration", quote_server_text(name, 60)),
                    fmt::format("Known are {}", fmt::join(known, ", ")));
    }
    auto made = directory::make_provisioner(said->second, ex_, hashing_);
    if (!made)
        return fail(retry_class::config, phase::usage,
                    fmt::format("[provisioning.{}]: {}", name, made.error().empty() ? "" : made.error().front().text()),
                    "postferry config check shows all that is wrong");
    std::shared_ptr<directory::provisioner> shared = std::move(*made);
    return made_.emplace(std::string(name), std::move(shared)).first->second;
}

std::vector<std::string> driver_book::names() const {
    const std::lock_guard lock(mutex_);
    std::set<std::string> all;
    for (const auto& [name, _] : settings_) all.insert(name);
    for (const auto& [name, _] : made_) all.insert(name);
    return {all.begin(), all.end()};
}

void driver_book::put(std::string name, std::shared_ptr<directory::provisioner> driver) {
    const std::lock_guard lock(mutex_);
    made_.insert_or_assign(std::move(name), std::move(driver));
}

} // namespace postferry::jobs
