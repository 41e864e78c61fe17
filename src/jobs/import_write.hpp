#pragma once
// The rows of an import against the store, and into it. On a database thread; what it is given stays as it is, as a
// transaction may run more than once.
#include "jobs/import_pass.hpp"

#include <map>

namespace postferry::jobs {

struct import_writer {
    import_form form;
    accounts::column_map columns;
    store::vault& vault;

    [[nodiscard]] result<bite_outcome> check(store::tables& t, const std::vector<import_row>& rows) const;
    /// In the same transaction checked again; rows with faults are left out.
    [[nodiscard]] result<bite_outcome> write(store::tables& t, const std::vector<import_row>& rows,
                                             const std::string& actor) const;

  private:
    struct state;

    result<void> look(store::tables& t, state& s) const;
    result<void> find_faults(store::tables& t, state& s) const;
    result<void> refuse_existing(store::tables& t, state& s, std::size_t row) const;
    result<void> add_batches(store::tables& t, state& s) const;
    result<void> add_domains(store::tables& t, state& s) const;
    result<void> add_accounts(store::tables& t, state& s) const;
    result<void> add_aliases(store::tables& t, state& s) const;
    result<void> add_mailboxes(store::tables& t, state& s) const;
    result<void> add_credentials(store::tables& t, state& s, const std::vector<store::record_id>& mailboxes) const;
    [[nodiscard]] const std::string& batch_of(const import_row& r) const noexcept {
        return r.from.batch.empty() ? form.batch : r.from.batch;
    }
};

} // namespace postferry::jobs
