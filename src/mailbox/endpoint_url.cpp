#include "mailbox/endpoint_url.hpp"

#include <fmt/format.h>

namespace postferry::mailbox {

namespace {

/// What parse_endpoint() decodes: all but unreserved characters and "/" (RFC 3986).
std::string encoded(std::string_view text) {
    constexpr std::string_view kept = "-._~/";
    std::string out;
    for (const char c : text) {
        const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (letter || kept.contains(c)) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

std::string_view word_of(net::tls_mode m) noexcept {
    switch (m) {
    case net::tls_mode::detect: return "detect";
    case net::tls_mode::require: return "require";
    case net::tls_mode::implicit: return "implicit";
    case net::tls_mode::off: return "off";
    }
    return "detect";
}

std::string_view word_of(message::mbox_format f) noexcept {
    switch (f) {
    case message::mbox_format::automatic: return "auto";
    case message::mbox_format::mboxrd: return "mboxrd";
    case message::mbox_format::mboxo: return "mboxo";
    case message::mbox_format::mboxcl2: return "mboxcl2";
    }
    return "auto";
}

class query_writer {
  public:
    void add(std::string_view name, std::string_view value) {
        if (value.empty()) return;
        text_ += fmt::format("{}{}={}", text_.empty() ? "?" : "&", name, encoded(value));
    }
    [[nodiscard]] const std::string& text() const noexcept { return text_; }

  private:
    std::string text_;
};

void add_trust(query_writer& q, const net::tls_settings& tls, scheme kind) {
    if (tls.mode != default_tls(kind)) q.add("tls", word_of(tls.mode));
    if (tls.verify == net::tls_verify::off) q.add("verify", "off");
    if (tls.verify == net::tls_verify::pin)
        for (const std::string& pin : tls.pins) q.add("verify", "pin:sha256/" + pin);
    q.add("ca", tls.ca_file);
    q.add("cert", tls.certificate_file);
    q.add("key", tls.key_file);
}

} // namespace

std::string place_url(const endpoint& e) {
    if (is_local(e.kind) ? e.path.empty() : e.where.host.empty()) return {};
    endpoint bare = e;
    bare.user.clear();
    query_writer q;
    add_trust(q, e.tls, e.kind);
    if (e.auth != sasl::choice::automatic) q.add("auth", sasl::name_of(e.auth));
    q.add("admin", e.admin);
    if (e.form != admin_form::sasl) q.add("admin-form", e.form == admin_form::star ? "star" : "slash");
    q.add("oauth", e.oauth);
    q.add("prefix", e.prefix);
    if (e.max_connections) q.add("max-connections", std::to_string(*e.max_connections));
    q.add("quirks", e.quirks);
    if (e.uidl) {
        endpoint pop3;
        pop3.kind = e.uidl->kind;
        pop3.where = e.uidl->where;
        q.add("uidl", pop3.display());
    }
    if (e.compress != client::compression::when_it_pays)
        q.add("compress", e.compress == client::compression::on ? "on" : "off");
    if (e.mbox != message::mbox_format::automatic) q.add("format", word_of(e.mbox));
    // A "/" ends the host, as in what people write.
    return bare.display() + (is_local(e.kind) || q.text().empty() ? "" : "/") + q.text();
}

std::string server_key(const endpoint& e) {
    if (is_local(e.kind)) return "local";
    return e.where.host.empty() ? std::string{} : fmt::format("{}:{}", e.where.host, e.where.port);
}

} // namespace postferry::mailbox
