#include "accounts/columns.hpp"

#include "base/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace postferry::accounts {

namespace {

/// By enum column; the last two have no column of this name.
constexpr std::array<std::string_view, 16> own_names{
    "source_user",     "source_password", "source_url",           "source_host",
    "source_port",     "source_protocol", "source_tls",           "target_user",
    "target_password", "target_url",      "target_host",          "target_port",
    "target_protocol", "target_tls",      "source_refresh_token", "target_refresh_token"};
constexpr std::array<std::string_view, 8> provisioning{"domain",    "quota",   "name",  "language",
                                                       "time_zone", "aliases", "batch", "notify"};
constexpr std::array<std::string_view, 6> imapsync_names{"host1", "user1", "password1", "host2", "user2", "password2"};
constexpr std::array<column, 6> imapsync_columns{column::source_host, column::source_user, column::source_password,
                                                 column::target_host, column::target_user, column::target_password};

std::unexpected<error> refuse(std::string what, std::string advice = {}) {
    return fail(retry_class::config, phase::usage, std::move(what), std::move(advice));
}

std::string_view trimmed(std::string_view text) noexcept {
    constexpr std::string_view blank = " \t\r\n";
    const std::size_t begin = text.find_first_not_of(blank);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(blank) - begin + 1);
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
        } else if (holds(provisioning, name)) {
            map.unused.emplace_back(name);
        } else if (!name.empty() || i + 1 != first.fields.size()) {
            return refuse(fmt::format("row 1, column {}: \"{}\" is no column of the postferry preset", i + 1,
                                      quote_server_text(name, 60)),
                          fmt::format("Known are {}, {}", fmt::join(own_names, ", "), fmt::join(provisioning, ", ")));
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
    if (first.fields.size() != 5) return false;
    return iequals(trimmed(first.fields[0]), "local") || holds(methods, trimmed(first.fields[4]));
}

} // namespace

std::string_view name_of(csv_preset p) noexcept {
    switch (p) {
    case csv_preset::postferry: return "postferry";
    case csv_preset::microsoft: return "microsoft";
    case csv_preset::imapsync: return "imapsync";
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

result<column_map> recognise(const csv_record& first, const csv_dialect& dialect) {
    const auto has = [&](const auto& names) {
        return std::ranges::any_of(first.fields, [&](const std::string& f) { return holds(names, trimmed(f)); });
    };
    if (has(std::array<std::string_view, 2>{"EmailAddress", "UserRoot"})) return microsoft_header(first);
    if (has(own_names)) return postferry_header(first);
    if (looks_like_opensrs(first))
        return refuse(
            "this is an opensrs-like file (local,remote,password,server,method), which is not in this version yet",
            "Give it the header source_user,source_password,target_user,target_password");
    if (dialect.separator == ':' && (first.fields.size() == 2 || first.fields.size() == 3))
        return refuse("this is an icewarp file (user:password[:domain]), which is not in this version yet",
                      "Give it the header source_user,source_password,target_user,target_password");
    if (first.fields.size() >= 6 && dialect.separator == ';') return imapsync_shape(first);
    return refuse(fmt::format("the shape of the file is not known: no header, and {} columns separated by {}",
                              first.fields.size(),
                              dialect.separator == '\t' ? "tabs" : fmt::format("\"{}\"", dialect.separator)),
                  "Known are postferry (header source_user,source_password,target_user,target_password), microsoft "
                  "(EmailAddress,UserName,Password) and imapsync (host1;user1;password1;host2;user2;password2;)");
}

} // namespace postferry::accounts
