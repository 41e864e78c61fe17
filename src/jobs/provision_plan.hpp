#pragma once
// What the provisioner desk carries from step to step; for its own files only.
#include "jobs/provision.hpp"

#include <map>

namespace postferry::jobs {

/// One mailbox's account on its way.
struct provisioner_desk::order {
    store::migration mailbox;
    std::optional<store::account> account = {};
    directory::new_password password = {};
    bool begun_before = false; ///< an attempt was cut off before its answer came
    bool was_active = false;   ///< it is in the store as made
    bool good = false;         ///< as it should be
    bool touched = false;      ///< the store's row is to be told
    std::size_t place = 0;     ///< among what the driver is asked for
    std::string what = {};     ///< "created" ...
    std::string note = {};
    std::optional<error> why = {};
};

struct provisioner_desk::plan {
    store::batch batch;
    batch_settings settings;
    directory::domain_settings company;
    std::vector<order> orders; ///< the first is the caller's, the others were claimed
    std::map<store::record_id, store::domain> domains;
    std::vector<store::alias> aliases;      ///< all onto these accounts, of any state
    std::vector<store::alias> same_address; ///< all of their addresses
    std::vector<store::alias> changed;      ///< state and reason as they are now
    std::string actor;
    unix_ms claimed_until = 0;

    [[nodiscard]] const store::domain* domain_of(const order& o) const;
    /// Refuses every order that has not failed yet for which `applies` holds.
    template <class Applies> void refuse(const error& why, Applies applies) {
        for (order& o : orders)
            if (!o.why && !o.good && applies(o)) o.why = why;
    }
};

/// A hash as servers keep it goes as it is; all else is a password. (docs/bulk.md)
[[nodiscard]] directory::new_password password_of(secret text);

} // namespace postferry::jobs
