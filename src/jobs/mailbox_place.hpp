#pragma once
// One end of a mailbox of a batch, as somebody has named it: the URL that is kept, and what its connections are counted
// by. Pure.
#include "base/error.hpp"

#include <string>
#include <string_view>

namespace postferry::jobs {

struct mailbox_place {
    std::string url;            ///< as it was given
    std::string server;         ///< store::migration::source_server: "imap.example.org:993"; "local": on this machine
    bool wants_password = true; ///< of this mailbox; else it logs in by a certificate, OAuth 2, or not at all
};

/// A URL as docs/cli.md "Endpoints" describes it, of the role it is given for, without a password and without a user
/// ({user}, {local}, {domain} may stand in it): `user` completes it. Errors of class config say what is wrong; they
/// repeat nothing that may hold a password.
[[nodiscard]] result<mailbox_place> place_of(std::string_view url, std::string_view user, bool target);

} // namespace postferry::jobs
