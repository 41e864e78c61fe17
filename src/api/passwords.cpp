#include "api/passwords.hpp"

#include <array>

namespace postferry::api {

namespace {

struct kind_of_password {
    std::string_view field, purpose;
    std::size_t most;
};
constexpr std::array<kind_of_password, 4> kinds{{{"source_password", "source", 1'000},
                                                 {"target_password", "target", 1'000},
                                                 {"source_refresh_token", "source.refresh_token", 8'000},
                                                 {"target_refresh_token", "target.refresh_token", 8'000}}};

} // namespace

std::vector<store::credential_value> read_passwords(fields& body, std::initializer_list<std::string_view> names) {
    std::vector<store::credential_value> out;
    for (const kind_of_password& k : kinds) {
        if (std::ranges::find(names, k.field) == names.end()) continue;
        if (auto value = body.password(k.field, k.most))
            out.push_back({.key = {.kind = store::owner_kind::migration, .purpose = std::string(k.purpose)},
                           .value = std::move(*value)});
    }
    return out;
}

result<void> seal(store::tables& t, store::vault* vault, store::record_id mailbox,
                  std::vector<store::credential_value> passwords) {
    if (passwords.empty()) return {};
    for (auto& p : passwords) p.key.owner = std::to_string(mailbox);
    return vault->put(t, passwords);
}

std::unexpected<problem> refuse_passwords() {
    return refuse(409, "This service has no key file ([store] key_file), and can keep no passwords");
}

} // namespace postferry::api
