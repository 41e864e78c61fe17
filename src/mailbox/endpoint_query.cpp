#include "mailbox/detail/endpoint_query.hpp"

#include "base/percent.hpp"
#include "base/text.hpp"
#include "client/quirks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace postferry::mailbox::detail {

namespace {

constexpr std::uint32_t max_connections_limit = 100;

std::unexpected<error> bad_value(std::string_view name, std::string_view allowed) {
    return refuse(fmt::format("{}= takes {}", name, allowed));
}

result<void> add_pin(net::tls_settings& tls, std::string_view value) {
    constexpr std::string_view scheme_prefix = "pin:sha256/";
    const std::string_view pin = value.substr(std::min(scheme_prefix.size(), value.size()));
    const bool shape = istarts_with(value, scheme_prefix) && pin.size() == 44 && pin.ends_with('=') &&
                       pin.substr(0, 43).find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                                           "0123456789+/") == std::string_view::npos;
    if (!shape)
        return refuse(
            "verify=pin: takes sha256/ and the base64 of a SHA-256 of the server's public key, 44 characters");
    tls.verify = net::tls_verify::pin;
    tls.pins.emplace_back(pin);
    return {};
}

result<void> set_tls(endpoint& e, const std::string& value) {
    const auto mode = parse_tls_mode(value);
    if (!mode) return bad_value("tls", "detect, require, implicit or off");
    e.tls.mode = *mode;
    return {};
}

result<void> set_verify(endpoint& e, const std::string& value) {
    if (value == "ca") return {};
    if (istarts_with(value, "pin:")) return add_pin(e.tls, value);
    if (value != "off") return bad_value("verify", "ca, pin:sha256/BASE64 or off");
    e.tls.verify = net::tls_verify::off;
    return {};
}

result<void> set_auth(endpoint& e, const std::string& value) {
    const auto choice = sasl::parse_choice(value);
    if (!choice)
        return bad_value("auth", "auto, plain, login, cram-md5, scram-sha-1, scram-sha-256, xoauth2, oauthbearer or "
                                 "external");
    e.auth = *choice;
    return {};
}

result<void> set_admin_form(endpoint& e, const std::string& value) {
    if (value == "sasl") {
        e.form = admin_form::sasl;
    } else if (value == "star") {
        e.form = admin_form::star;
    } else if (value == "slash") {
        e.form = admin_form::slash;
    } else {
        return bad_value("admin-form", "sasl, star (user*admin) or slash (domain/admin/user)");
    }
    return {};
}

result<void> set_max_connections(endpoint& e, const std::string& value) {
    const auto n = parse_u32(value);
    if (!n || *n == 0 || *n > max_connections_limit)
        return bad_value("max-connections", fmt::format("a number from 1 to {}", max_connections_limit));
    e.max_connections = *n;
    return {};
}

template <std::string net::tls_settings::* Member> result<void> set_tls_file(endpoint& e, const std::string& value) {
    e.tls.*Member = value;
    return {};
}

template <std::string endpoint::* Member> result<void> set_text(endpoint& e, const std::string& value) {
    e.*Member = value;
    return {};
}

result<void> set_oauth(endpoint& e, const std::string& value) {
    const bool good =
        value.size() <= 64 && value.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                                      "0123456789-_") == std::string::npos;
    if (!good) return bad_value("oauth", "the NAME of an [oauth.NAME] in the configuration");
    e.oauth = value;
    return {};
}

result<void> set_quirks(endpoint& e, const std::string& value) {
    e.quirks = value;
    if (auto known = client::parse_quirks(value); !known) return std::unexpected(known.error());
    return {};
}

result<void> set_uidl(endpoint& e, const std::string& value) {
    const auto other = parse_endpoint(value);
    const bool pop3 = other && (other->kind == scheme::pop3 || other->kind == scheme::pop3s);
    if (!pop3 || !other->user.empty() || value.find('?') != std::string::npos)
        return bad_value("uidl", "pop3://host:port or pop3s://host:port, without user and options: they are the same "
                                 "as of the endpoint");
    e.uidl = uidl_access{.kind = other->kind, .where = other->where};
    return {};
}

result<void> set_compress(endpoint& e, const std::string& value) {
    if (value == "auto") {
        e.compress = client::compression::when_it_pays;
    } else if (value == "on") {
        e.compress = client::compression::on;
    } else if (value == "off") {
        e.compress = client::compression::off;
    } else {
        return bad_value("compress", "auto (when the line is slow enough for it to pay), on or off");
    }
    return {};
}

result<void> set_mbox_format(endpoint& e, const std::string& value) {
    using enum message::mbox_format;
    constexpr std::array<std::pair<std::string_view, message::mbox_format>, 4> known{
        {{"auto", automatic}, {"mboxrd", mboxrd}, {"mboxo", mboxo}, {"mboxcl2", mboxcl2}}};
    for (const auto& [name, format] : known) {
        if (value != name) continue;
        e.mbox = format;
        return {};
    }
    return bad_value("format", "auto, mboxrd, mboxo or mboxcl2");
}

/// Which schemes a parameter means something to.
enum class meant_for : std::uint8_t { servers, imap, mbox, folders };

struct parameter {
    std::string_view name;
    result<void> (*set)(endpoint&, const std::string&);
    meant_for whom = meant_for::servers;
};

bool means_something(const parameter& p, scheme s) noexcept {
    switch (p.whom) {
    case meant_for::folders: return s != scheme::pop3 && s != scheme::pop3s; // a maildrop has but one
    case meant_for::servers: return !is_local(s);
    case meant_for::imap: return s == scheme::imap || s == scheme::imaps;
    case meant_for::mbox: return s == scheme::mbox;
    }
    return false;
}

constexpr std::array<parameter, 15> parameters{{
    {"tls", set_tls},
    {"verify", set_verify},
    {"ca", set_tls_file<&net::tls_settings::ca_file>},
    {"auth", set_auth},
    {"cert", set_tls_file<&net::tls_settings::certificate_file>},
    {"key", set_tls_file<&net::tls_settings::key_file>},
    {"admin", set_text<&endpoint::admin>},
    {"admin-form", set_admin_form},
    {"oauth", set_oauth},
    {"prefix", set_text<&endpoint::prefix>, meant_for::folders},
    {"max-connections", set_max_connections},
    {"quirks", set_quirks, meant_for::imap},
    {"uidl", set_uidl, meant_for::imap},
    {"compress", set_compress, meant_for::imap},
    {"format", set_mbox_format, meant_for::mbox},
}};

result<void> read_parameter(endpoint& out, std::string_view item, std::vector<std::string_view>& seen) {
    const std::size_t equals = item.find('=');
    const std::string_view name = item.substr(0, equals);
    const auto* known = std::ranges::find(parameters, name, &parameter::name);
    if (known == parameters.end()) {
        // A password with a "?" in it can end up here: only what looks like a misspelt name is repeated.
        const bool word =
            name.size() <= 20 && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz-_") == std::string::npos;
        return refuse(fmt::format("unknown parameter{} in the endpoint's query", word ? fmt::format(" {}=", name) : ""),
                      "Known are tls, verify, ca, auth, cert, key, admin, admin-form, oauth, prefix, max-connections, "
                      "quirks, uidl, "
                      "compress and format");
    }
    if (!means_something(*known, out.kind))
        return refuse(fmt::format("{}= means nothing to a {}: endpoint", name, name_of(out.kind)));
    if (equals == std::string_view::npos || equals + 1 == item.size())
        return refuse(fmt::format("{}= has no value in the endpoint's query", name));
    const auto value = decode(item.substr(equals + 1));
    if (!value) return refuse(fmt::format("the value of {}= has a bad percent-encoding", name));
    // Several pins are allowed (the next key can be announced before it is used); everything else is said once.
    const bool again = std::ranges::find(seen, name) != seen.end();
    if (again && !(name == "verify" && istarts_with(*value, "pin:") && out.tls.verify == net::tls_verify::pin))
        return refuse(fmt::format("{}= is given twice in the endpoint's query", name));
    seen.push_back(name);
    return known->set(out, *value);
}

result<void> check_whole(const endpoint& e) {
    const bool certificate = !e.tls.certificate_file.empty();
    if (certificate != !e.tls.key_file.empty()) return refuse("cert= and key= belong together");
    if (e.auth == sasl::choice::external && !certificate) return refuse("auth=external needs cert=FILE and key=FILE");
    if (!e.tls.ca_file.empty() && e.tls.verify != net::tls_verify::ca)
        return refuse("ca= has no effect when verify= is not ca");
    if (!e.oauth.empty() && e.auth != sasl::choice::xoauth2 && e.auth != sasl::choice::oauthbearer)
        return refuse("oauth= needs auth=xoauth2 or auth=oauthbearer");
    if (e.form != admin_form::sasl && e.admin.empty()) return refuse("admin-form= needs admin=");
    return {};
}

} // namespace

std::unexpected<error> refuse(std::string what, std::string advice) {
    return fail(retry_class::config, phase::usage, std::move(what), std::move(advice));
}

std::optional<std::string> decode(std::string_view text) {
    auto out = percent_decode(text);
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    if (out && (std::ranges::any_of(*out, control) || !is_utf8(*out))) out.reset();
    return out;
}

result<void> read_query(endpoint& out, std::string_view query) {
    std::vector<std::string_view> seen;
    while (!query.empty()) {
        const std::size_t end = query.find('&');
        if (const std::string_view item = query.substr(0, end); !item.empty())
            if (auto ok = read_parameter(out, item, seen); !ok) return ok;
        query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    }
    return check_whole(out);
}

} // namespace postferry::mailbox::detail
