#include "base/text.hpp"
#include "protocol/sasl/detail/mechanisms.hpp"

#include <fmt/format.h>
#include <gsasl.h>

#include <cstdlib>
#include <cstring>
#include <utility>

namespace postferry::sasl::detail {

namespace {

// No callback is ever set on it, so sessions on any thread only read it.
Gsasl* library() noexcept {
    static Gsasl* const made = [] {
        Gsasl* g = nullptr;
        return gsasl_init(&g) == GSASL_OK ? g : nullptr;
    }();
    return made;
}

struct end_session {
    void operator()(Gsasl_session* s) const noexcept { gsasl_finish(s); }
};
using session_ptr = std::unique_ptr<Gsasl_session, end_session>;

std::unexpected<error> broken(std::string what) { return fail(retry_class::protocol, phase::login, std::move(what)); }

/// What a server may send first in SCRAM (RFC 5802 section 7): r=nonce,s=salt,i=count. GNU SASL would run any count.
result<void> check_iterations(std::string_view name, std::string_view server_first) {
    std::string_view rest = server_first;
    while (!rest.empty()) {
        const std::string_view field = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), field.size() + 1));
        if (!field.starts_with("i=")) continue;
        const auto count = parse_u64(field.substr(2));
        if (count && *count > 0 && *count <= max_scram_iterations) return {};
        return broken(fmt::format("the server asks for {} rounds of {}; 1 to {} are acceptable",
                                  quote_server_text(field.substr(2), 24), name, max_scram_iterations));
    }
    return broken(fmt::format("the server's first {} message names no number of rounds", name));
}

class gsasl_mechanism : public mechanism {
  public:
    gsasl_mechanism(std::string_view name, session_ptr session)
        : name_(name), scram_(name.starts_with("SCRAM-")), client_first_(scram_ || name == "PLAIN"),
          session_(std::move(session)) {}

    [[nodiscard]] std::string_view name() const noexcept override { return name_; }
    [[nodiscard]] bool client_first() const noexcept override { return client_first_; }
    [[nodiscard]] bool complete() const noexcept override { return done_; }

    [[nodiscard]] result<secret> step(std::string_view challenge) override;

  private:
    [[nodiscard]] std::unexpected<error> explain(int rc) const;

    std::string_view name_;
    bool scram_;
    bool client_first_;
    session_ptr session_;
    int steps_ = 0;
    bool done_ = false;
    bool failed_ = false;
};

result<secret> gsasl_mechanism::step(std::string_view challenge) {
    if (done_ || failed_) return broken(fmt::format("the server goes on after the end of {}", name_));
    if (scram_ && steps_ == 1) {
        if (auto ok = check_iterations(name_, challenge); !ok) {
            failed_ = true;
            return std::unexpected(std::move(ok.error()));
        }
    }
    ++steps_;
    char* out = nullptr;
    std::size_t size = 0;
    const int rc = gsasl_step(session_.get(), challenge.data(), challenge.size(), &out, &size);
    secret answer;
    if (out != nullptr) {
        answer = secret(std::string(out, size));
        explicit_bzero(out, size);
        gsasl_free(out);
    }
    if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE) {
        failed_ = true;
        return explain(rc);
    }
    done_ = rc == GSASL_OK;
    return answer;
}

std::unexpected<error> gsasl_mechanism::explain(int rc) const {
    switch (rc) {
    case GSASL_SASLPREP_ERROR:
        return fail(
            retry_class::config, phase::login,
            fmt::format("user name or password cannot be prepared for {} (RFC 4013): {}", name_, gsasl_strerror(rc)),
            "Try auth=plain");
    case GSASL_CRYPTO_ERROR:
    case GSASL_MALLOC_ERROR:
        return fail(retry_class::local, phase::login, fmt::format("{} failed here: {}", name_, gsasl_strerror(rc)));
    default: break;
    }
    if (scram_ && steps_ == 3)
        return fail(retry_class::auth, phase::login,
                    fmt::format("the server did not prove in {} that it knows the password", name_),
                    "Either the login was refused or this is not the server it claims to be");
    return broken(fmt::format("the server's {} challenge makes no sense: {}", name_, gsasl_strerror(rc)));
}

} // namespace

result<std::unique_ptr<mechanism>> make_gsasl(std::string_view name, const credentials& who) {
    Gsasl_session* raw = nullptr;
    if (library() == nullptr || gsasl_client_start(library(), std::string(name).c_str(), &raw) != GSASL_OK)
        return fail(retry_class::local, phase::login, fmt::format("GNU SASL on this machine does not offer {}", name));
    session_ptr session(raw);
    const std::string_view password = who.password.reveal();
    if (password.find('\0') != std::string_view::npos)
        return fail(retry_class::config, phase::login, "the password holds a NUL octet");
    gsasl_property_set(raw, GSASL_AUTHID, who.authentication_id.c_str());
    if (!who.authorization_id.empty()) gsasl_property_set(raw, GSASL_AUTHZID, who.authorization_id.c_str());
    gsasl_property_set_raw(raw, GSASL_PASSWORD, password.data(), password.size());
    return std::make_unique<gsasl_mechanism>(name, std::move(session));
}

} // namespace postferry::sasl::detail
