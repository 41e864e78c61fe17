#include "accounts/columns.hpp"

#include "base/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <span>

namespace postferry::accounts {

namespace {

/// By enum column; the last two have no column of this name.
constexpr std::array<std::string_view, 24> own_names{"source_user",
                                                     "source_password",
                                                     "source_url",
                                                     "source_host",
                                                     "source_port",
                                                     "source_protocol",
                                                     "source_tls",
                                                     "target_user",
                                                     "target_password",
                                                     "target_url",
                                                     "target_host",
                                                     "target_port",
                                                     "target_protocol",
                                                     "target_tls",
                                                     "source_refresh_token",
                                                     "target_refresh_token",
                                                     "domain",
                                                     "quota",
                                                     "name",
                                                     "language",
                                                     "time_zone",
                                                     "aliases",
                                                     "batch",
                                                     "notify"};
/// A header is known by one of the first of them: the other words could be somebody's user name.
constexpr std::size_t telling_names = 16;
constexpr std::array<std::string_view, 5> opensrs_names{"local", "remote", "password", "server", "method"};
constexpr std::array<column, 5> opensrs_columns{column::target_user, column::source_user, column::source_password,
                                                column::source_host, column::source_protocol};
constexpr std::array<std::string_view, 6> imapsync_names{"host1", "user1", "password1", "host2", "user2", "password2"};
constexpr std::array<column, 6> imapsync_columns{column::source_host, column::source_user, column::source_password,
                                                 column::target_host, column::target_user, column::target_password};

std::unexpected<error> refuse(std::string what, std::string advice = {}) {
    return fail(retry_class::config, phase::usage, std::move(what), std::move(advice));
}

bool is_password(column c) noexcept {
    return c == column::source_password || c == column::target_password || c == column::source_refresh_token ||
           c == column::target_refresh_token;
}

template <class Names> bool holds(const Names& names, std::string_view text) {
    return std::ranges::any_of(names, [&](std::string_view n) { return iequals(n, text); });
}

result<column_map> postferry_header(const csv_record& first) {
    column_map map{.preset = csv_preset::postferry, .has_header = true};
    for (std::size_t i = 0; i < first.fields.size(); ++i) {
        const std::string_view name = trimmed(first.fields[i]);
        map.names.emplace_back(name);
        const auto own = std::ranges::find_if(own_names, [&](std::string_view n) { return iequals(n, name); });
        if (own != own_names.end()) {
            auto& position = map.position[static_cast<std::size_t>(own - own_names.begin())];
            if (position) return refuse(fmt::format("row 1: the column {} stands there twice", *own));
            position = i;
        } else if (!name.empty() || i + 1 != first.fields.size()) {
            return refuse(fmt::format("row 1, column {}: \"{}\" is no column of the postferry preset", i + 1,
                                      quote_server_text(name, 60)),
                          fmt::format("Known are {}", fmt::join(own_names, ", ")));
        }
    }
    return map;
}

result<column_map> microsoft_header(const csv_record& first) {
    column_map map{.preset = csv_preset::microsoft, .has_header = true};
    // EmailAddress is the mailbox on the new server, UserName the login on the old one.
    constexpr std::array<std::pair<std::string_view, column>, 4> known{{{"EmailAddress", column::target_user},
                                                                        {"UserName", column::source_user},
                                                                        {"Password", column::source_password},
                                                                        {"UserRoot", column::user_root}}};
    for (std::size_t i = 0; i < first.fields.size(); ++i) {
        const std::string_view name = trimmed(first.fields[i]);
        map.names.emplace_back(name);
        const auto* k = std::ranges::find(known, name, [](const auto& pair) { return pair.first; });
        if (k == known.end())
            return refuse(fmt::format("row 1, column {}: \"{}\" is no column of the microsoft preset", i + 1,
                                      quote_server_text(name, 60)),
                          "Known are EmailAddress, UserName, Password and UserRoot, written exactly so");
        map.position[static_cast<std::size_t>(k->second)] = i;
    }
    for (const auto& [name, c] : known)
        if (!map.position[static_cast<std::size_t>(c)] && c != column::user_root)
            return refuse(fmt::format("row 1: the microsoft preset needs a column {}", name));
    return map;
}

column_map imapsync_shape(const csv_record& first) {
    column_map map{.preset = csv_preset::imapsync};
    for (std::size_t i = 0; i < imapsync_columns.size(); ++i) {
        map.position[static_cast<std::size_t>(imapsync_columns[i])] = i;
        map.names.emplace_back(imapsync_names[i]);
    }
    map.position[static_cast<std::size_t>(column::options)] = imapsync_columns.size();
    map.names.emplace_back("options");
    // Some people write the names above their rows.
    map.has_header = iequals(trimmed(first.fields[0]), "host1");
    return map;
}

bool looks_like_opensrs(const csv_record& first) {
    constexpr std::array<std::string_view, 4> methods{"imap4", "imap4s", "pop3", "pop3s"};
    if (first.fields.size() != opensrs_names.size()) return false;
    return std::ranges::equal(first.fields, opensrs_names,
                              [](std::string_view f, std::string_view n) { return iequals(trimmed(f), n); }) ||
           holds(methods, trimmed(first.fields[4]));
}

/// local,remote,password,server,method: the login on the new server, that on the old one and its password.
column_map opensrs_shape(const csv_record& first) {
    column_map map{.preset = csv_preset::opensrs, .names = {opensrs_names.begin(), opensrs_names.end()}};
    for (std::size_t i = 0; i < opensrs_columns.size(); ++i)
        map.position[static_cast<std::size_t>(opensrs_columns[i])] = i;
    map.has_header =
        iequals(trimmed(first.fields[0]), opensrs_names[0]) && iequals(trimmed(first.fields[4]), opensrs_names[4]);
    return map;
}

/// user:password[:domain], the same for both servers.
column_map icewarp_shape(const csv_record& first) {
    column_map map{.preset = csv_preset::icewarp, .names = {"user", "password", "domain"}};
    const auto put = [&map](column c, std::size_t at) { map.position[static_cast<std::size_t>(c)] = at; };
    put(column::source_user, 0);
    put(column::target_user, 0);
    put(column::source_password, 1);
    put(column::target_password, 1);
    put(column::domain, 2);
    map.has_header = first.fields.size() >= 2 && iequals(trimmed(first.fields[0]), "user") &&
                     iequals(trimmed(first.fields[1]), "password");
    return map;
}

} // namespace

std::string_view trimmed(std::string_view text) noexcept {
    constexpr std::string_view blank = " \t\r\n";
    const std::size_t begin = text.find_first_not_of(blank);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(blank) - begin + 1);
}

std::string_view name_of(csv_preset p) noexcept {
    switch (p) {
    case csv_preset::postferry: return "postferry";
    case csv_preset::microsoft: return "microsoft";
    case csv_preset::icewarp: return "icewarp";
    case csv_preset::imapsync: return "imapsync";
    case csv_preset::opensrs: return "opensrs-like";
    }
    return "unknown";
}

std::string_view column_map::field(const csv_record& record, column c) const noexcept {
    const auto at = position[static_cast<std::size_t>(c)];
    if (!at || *at >= record.fields.size()) return {};
    return is_password(c) ? std::string_view(record.fields[*at]) : trimmed(record.fields[*at]);
}

std::string column_map::name(column c) const {
    const auto i = static_cast<std::size_t>(c);
    if (const auto at = position[i]; at && *at < names.size()) return names[*at];
    return i < own_names.size() ? std::string(own_names[i]) : std::string{};
}

std::string column_map::shape_trouble(const csv_record& record) const {
    const std::size_t width = record.fields.size();
    switch (preset) {
    case csv_preset::imapsync:
        return width < 6 ? fmt::format("has {} columns, the imapsync preset has 6", width) : std::string{};
    case csv_preset::icewarp:
        if (width > 3)
            return fmt::format("has {} columns, user:password:domain has 3; quote a password with a \":\"", width);
        return width < 2 ? "has no password: the icewarp preset is user:password[:domain]" : std::string{};
    case csv_preset::opensrs:
        return width == names.size() ? std::string{}
                                     : fmt::format("has {} columns, local,remote,password,server,method are 5", width);
    case csv_preset::postferry:
    case csv_preset::microsoft: break;
    }
    return width == names.size() ? std::string{}
                                 : fmt::format("has {} columns, the header has {}", width, names.size());
}

std::vector<std::string> column_map::of_provisioning() const {
    std::vector<std::string> out;
    for (const column c : {column::quota, column::person, column::language, column::time_zone, column::aliases,
                           column::batch, column::notify})
        if (has(c)) out.push_back(name(c));
    return out;
}

result<column_map> recognise(const csv_record& first, const csv_dialect& dialect) {
    const auto has = [&](const auto& names) {
        return std::ranges::any_of(first.fields, [&](const std::string& f) { return holds(names, trimmed(f)); });
    };
    if (has(std::array<std::string_view, 2>{"EmailAddress", "UserRoot"})) return microsoft_header(first);
    if (has(std::span(own_names).first(telling_names))) return postferry_header(first);
    if (looks_like_opensrs(first)) return opensrs_shape(first);
    if (first.fields.size() >= 6 && dialect.separator == ';') return imapsync_shape(first);
    if (dialect.separator == ':' && first.fields.size() >= 2) return icewarp_shape(first);
    return refuse(
        fmt::format("the shape of the file is not known: no header, and {} columns separated by {}",
                    first.fields.size(), dialect.separator == '\t' ? "tabs" : fmt::format("\"{}\"", dialect.separator)),
        "Known are postferry (header source_user,source_password,target_user,target_password), microsoft "
        "(EmailAddress,UserName,Password), icewarp (user:password:domain), imapsync "
        "(host1;user1;password1;host2;user2;password2;) and opensrs-like (local,remote,password,server,method)");
}

} // namespace postferry::accounts
