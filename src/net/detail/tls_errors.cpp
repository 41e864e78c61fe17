#include "net/detail/tls_errors.hpp"

#include "net/detail/tls_session.hpp"

#include <boost/asio/ip/address.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <cctype>
#include <cstring>
#include <ctime>
#include <system_error>

namespace postferry::net::detail {

namespace {

// Certificates come from the peer: what is shown of them is bounded and escaped.
constexpr std::size_t name_limit = 100;
constexpr int names_shown = 8;

std::string show(std::string_view text) { return quote_server_text(text, name_limit); }

std::string show_name(const X509_NAME* name) {
    char* text = X509_NAME_oneline(name, nullptr, 0);
    if (text == nullptr) return "?";
    std::string_view view(text);
    if (view.starts_with('/')) view.remove_prefix(1);
    std::string out = show(view);
    OPENSSL_free(text);
    return out;
}

std::string show_time(const ASN1_TIME* time) {
    std::tm tm{};
    if (time == nullptr || ASN1_TIME_to_tm(time, &tm) != 1) return "an unknown date";
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02} UTC", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                       tm.tm_min);
}

std::string show_alt_name(const GENERAL_NAME* name) {
    if (name->type == GEN_DNS)
        return show({reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                     static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName))});
    if (name->type != GEN_IPADD) return {};
    const unsigned char* octets = ASN1_STRING_get0_data(name->d.iPAddress);
    const int size = ASN1_STRING_length(name->d.iPAddress);
    if (size == 4) {
        boost::asio::ip::address_v4::bytes_type v4{};
        std::memcpy(v4.data(), octets, v4.size());
        return boost::asio::ip::address_v4(v4).to_string();
    }
    if (size != 16) return {};
    boost::asio::ip::address_v6::bytes_type v6{};
    std::memcpy(v6.data(), octets, v6.size());
    return boost::asio::ip::address_v6(v6).to_string();
}

std::string names_of(X509* certificate) {
    std::string out;
    auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    const int count = names == nullptr ? 0 : sk_GENERAL_NAME_num(names);
    int shown = 0;
    for (int i = 0; i < count; ++i) {
        const std::string name = show_alt_name(sk_GENERAL_NAME_value(names, i));
        if (name.empty()) continue;
        if (shown++ == names_shown) {
            out += ", ...";
            break;
        }
        out += (out.empty() ? "" : ", ") + name;
    }
    GENERAL_NAMES_free(names);
    return out.empty() ? show_name(X509_get_subject_name(certificate)) : out;
}

error config(std::string what, std::string advice) {
    return fail(retry_class::config, phase::tls, std::move(what), std::move(advice)).error();
}

struct certificate_story {
    std::string peer;  ///< "imap.example.org:993"
    std::string owner; ///< "the certificate of imap.example.org:993", or of one of its issuers
    std::string pin_advice;
    X509* leaf;
    X509* culprit;
};

error explain_issuer(const certificate_story& s, bool self_signed) {
    const std::string advice =
        fmt::format("If you know this server, give its CA with ca=FILE or trust its key: {}", s.pin_advice);
    if (self_signed)
        return config(
            fmt::format("the certificate of {} is self-signed ({})", s.peer, show_name(X509_get_subject_name(s.leaf))),
            advice);
    return config(fmt::format("the certificate of {} was issued by an authority that is not trusted here: {}", s.peer,
                              show_name(X509_get_issuer_name(s.culprit))),
                  advice);
}

error explain_certificate(const certificate_story& s, int verify_error) {
    switch (verify_error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return config(
            fmt::format("{} expired on {}", s.owner, show_time(X509_get0_notAfter(s.culprit))),
            fmt::format("It must be renewed on the server; until then its key can be trusted with {}", s.pin_advice));
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return config(fmt::format("{} is not valid before {}", s.owner, show_time(X509_get0_notBefore(s.culprit))),
                      fmt::format("Check this machine's clock; else trust its key with {}", s.pin_advice));
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return config(fmt::format("the certificate of {} is for other names: {}", s.peer, names_of(s.leaf)),
                      fmt::format("Connect by one of these names, or trust its key with {}", s.pin_advice));
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: return explain_issuer(s, true);
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: return explain_issuer(s, false);
    default:
        return config(fmt::format("{} is not acceptable: {}", s.owner, X509_verify_cert_error_string(verify_error)),
                      fmt::format("If you know this server, trust its key with {}", s.pin_advice));
    }
}

std::optional<error> explain_check(const std::string& peer, const peer_check& check) {
    if (!check.leaf) return std::nullopt;
    X509* leaf = check.leaf.get();
    const std::string pin_advice = fmt::format("verify=pin:sha256/{}", pin_of(leaf));
    if (check.pin_missed)
        return config(
            fmt::format("the key of {} matches none of the given pins; its pin is sha256/{}", peer, pin_of(leaf)),
            fmt::format("If the server's key was changed on purpose, use {}; else somebody may stand in between",
                        pin_advice));
    X509* culprit = check.culprit ? check.culprit.get() : leaf;
    const bool own = X509_cmp(leaf, culprit) == 0;
    const std::string owner =
        own ? fmt::format("the certificate of {}", peer)
            : fmt::format("the issuer's certificate ({}) of {}", show_name(X509_get_subject_name(culprit)), peer);
    return explain_certificate({peer, owner, pin_advice, leaf, culprit}, check.verify_error);
}

// A TLS server's first octet is a record type, 20 to 24; letters and punctuation are a greeting in the clear.
bool speaks_in_the_clear(const tls_wire& wire) {
    const auto first = static_cast<unsigned char>(wire.greeting[0]);
    return wire.greeting_size > 0 && (first >= 0x20 && first < 0x7f);
}

std::string reason_text(unsigned long reason) {
    if (reason == 0) return "no reason given";
    const char* text = ERR_reason_error_string(reason);
    return text == nullptr ? fmt::format("error {:x}", reason) : text;
}

// Alerts from the peer are numbered 1000 + the alert (RFC 8446 section 6).
constexpr int alert(int number) noexcept { return 1000 + number; }

} // namespace

std::string openssl_reason() {
    const unsigned long reason = ERR_peek_error();
    std::string text = ERR_SYSTEM_ERROR(reason) ? os_reason(ERR_GET_REASON(reason)) : reason_text(reason);
    ERR_clear_error();
    return text;
}

std::string os_reason(int os_error) { return std::error_code(os_error, std::generic_category()).message(); }

error explain_handshake(const endpoint& where, const peer_check& check, const tls_wire& wire, unsigned long reason) {
    const std::string peer = fmt::format("{}:{}", where.host, where.port);
    if (std::optional<error> e = explain_check(peer, check)) return std::move(*e);
    if (speaks_in_the_clear(wire)) {
        error e = config(fmt::format("{} does not speak TLS here: it answered in the clear", peer),
                         "Use tls=detect or tls=require (STARTTLS) on this port, or the server's TLS port");
        e.server_said = quote_server_text({wire.greeting.data(), wire.greeting_size}, name_limit);
        return e;
    }
    if (wire.os_error != 0)
        return fail(retry_class::transient, phase::tls,
                    fmt::format("connection to {} lost in the TLS handshake: {}", peer, os_reason(wire.os_error)))
            .error();
    if (wire.eof)
        return fail(retry_class::transient, phase::tls,
                    fmt::format("{} closed the connection in the TLS handshake", peer),
                    "If this goes on, the port may not be for TLS, or the server refuses this client")
            .error();
    return explain_alert(peer, reason);
}

error explain_alert(std::string_view peer, unsigned long reason) {
    switch (ERR_GET_REASON(reason)) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case alert(SSL_AD_PROTOCOL_VERSION):
        return config(fmt::format("{} offers no TLS version that is still safe (1.2 or 1.3)", peer),
                      "The server's TLS must be brought up to date");
    case alert(SSL_AD_HANDSHAKE_FAILURE):
        return config(
            fmt::format("{} refused the TLS handshake: no common cipher, or it wants a client certificate", peer),
            "Give a client certificate if it wants one; else the server's TLS must be brought up to date");
    case alert(116): // certificate_required
        return config(fmt::format("{} wants a client certificate", peer), "Give one with its key");
    case alert(SSL_AD_BAD_CERTIFICATE):
    case alert(SSL_AD_UNSUPPORTED_CERTIFICATE):
    case alert(SSL_AD_CERTIFICATE_REVOKED):
    case alert(SSL_AD_CERTIFICATE_EXPIRED):
    case alert(SSL_AD_CERTIFICATE_UNKNOWN):
    case alert(SSL_AD_UNKNOWN_CA):
    case alert(SSL_AD_ACCESS_DENIED):
        return config(fmt::format("{} does not accept our client certificate: {}", peer, reason_text(reason)),
                      "Check the certificate and its key");
    default:
        return fail(retry_class::protocol, phase::tls, fmt::format("TLS with {} failed: {}", peer, reason_text(reason)))
            .error();
    }
}

} // namespace postferry::net::detail
