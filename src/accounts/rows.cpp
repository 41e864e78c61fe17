#include "accounts/rows.hpp"

#include "base/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace postferry::accounts {

using mailbox::endpoint;

namespace {

constexpr std::size_t max_user = 512;
constexpr std::size_t max_text = 255;
constexpr std::size_t most_bases = 10'000;
constexpr std::string_view blanks = " ,;\t\r\n";

bool has_control(std::string_view text) noexcept {
    return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

/// What is wrong with a user name, or nothing.
std::string_view user_trouble(std::string_view user) noexcept {
    if (user.size() > max_user) return "is longer than 512 octets";
    if (has_control(user)) return "holds a control character";
    // What a spreadsheet makes of &nbsp;: nobody sees it, and no server knows such a user. Others are trimmed.
    constexpr std::string_view hard = "\xc2\xa0";
    if (user.starts_with(hard) || user.ends_with(hard)) return "begins or ends with a hard blank (U+00A0)";
    const std::size_t at = user.rfind('@');
    if (at == 0) return "has nothing before the @";
    if (at != std::string_view::npos && at + 1 == user.size()) return "has nothing after the @";
    return {};
}

/// opensrs' methods are protocols by other names.
std::string_view protocol_of(csv_preset preset, std::string_view text) noexcept {
    if (preset != csv_preset::opensrs) return text;
    if (iequals(text, "imap4")) return "imap";
    if (iequals(text, "imap4s")) return "imaps";
    return text;
}

} // namespace

/// The columns that make one end.
struct row_reader::side_columns {
    column user, password, url, host, port, protocol, tls, refresh_token;
};

const row_reader::side_columns row_reader::source_columns{
    column::source_user, column::source_password, column::source_url, column::source_host,
    column::source_port, column::source_protocol, column::source_tls, column::source_refresh_token};
const row_reader::side_columns row_reader::target_columns{
    column::target_user, column::target_password, column::target_url, column::target_host,
    column::target_port, column::target_protocol, column::target_tls, column::target_refresh_token};

struct row_reader::completed {
    std::shared_ptr<const endpoint> base;
    std::string user;
    secret password;
    std::shared_ptr<const row_token> token;
};

csv_row row_reader::read(const csv_record& record) {
    record_ = &record;
    out_ = {.row = record.row, .line = record.line};
    check_shape();
    if (!faulty()) {
        const std::string target_user = target_login();
        if (wants_.mailbox) read_mailbox(target_user);
        if (wants_.account) read_account(target_user);
        if (wants_.account) out_.batch = field(column::batch);
        if (wants_.account) out_.notify = field(column::notify);
    }
    return std::move(out_);
}

void row_reader::fault(std::string column_name, std::string what) {
    out_.faults.push_back({record_->row, record_->line, std::move(column_name), std::move(what)});
}

void row_reader::check_shape() {
    if (!record_->trouble.empty())
        fault(record_->bad_field < columns_.names.size() ? columns_.names[record_->bad_field] : std::string{},
              record_->trouble);
    if (auto trouble = columns_.shape_trouble(*record_); !trouble.empty()) fault({}, std::move(trouble));
    // Folders outside of a part would be copied, too: they may be somebody else's.
    if (const std::string_view root = field(column::user_root); !root.empty() && root != "/")
        fault(columns_.name(column::user_root),
              "names a part of a mailbox, which cannot be a source: leave it empty and log in as the part's owner");
    for (std::size_t i = 6; columns_.preset == csv_preset::imapsync && i < record_->fields.size(); ++i)
        if (!record_->fields[i].empty()) return fault("options", "imapsync's own options are not understood");
}

/// The row's domain completes a name without one. icewarp's says where an account goes that bears another one.
std::string row_reader::target_login() {
    std::string_view user = field(column::target_user);
    if (user.empty()) user = field(column::source_user);
    const std::string_view domain = field(column::domain);
    const std::size_t at = user.rfind('@');
    if (domain.empty() || user.empty()) return std::string(user);
    if (at == std::string_view::npos) return fmt::format("{}@{}", user, domain);
    if (iequals(user.substr(at + 1), domain)) return std::string(user);
    if (columns_.preset == csv_preset::icewarp) return fmt::format("{}@{}", user.substr(0, at), domain);
    fault(columns_.name(column::domain), "is not the domain of the address in this row");
    return std::string(user);
}

void row_reader::read_mailbox(const std::string& target_user) {
    std::string source_user(field(column::source_user));
    if (columns_.preset == csv_preset::icewarp && !source_user.contains('@')) source_user = target_user;
    auto source = complete(source_columns, defaults_.source, source_user, "source");
    auto target = complete(target_columns, defaults_.target, target_user, "target");
    if (faulty() || !source || !target) return;
    account row(record_->row, std::move(source->base), std::move(source->user), std::move(source->password),
                std::move(target->base), std::move(target->user), std::move(target->password));
    row.log_in_with(std::move(source->token), std::move(target->token));
    if (row.onto_itself()) return fault({}, "source and target are the same mailbox");
    out_.mailbox.emplace(std::move(row));
}

void row_reader::read_account(const std::string& target_user) {
    wanted_account a{.address = target_user};
    const bool told = wants_.mailbox && !out_.mailbox; // its user is a fault already
    if (const auto trouble = target_user.empty() ? "is empty" : user_trouble(target_user); !trouble.empty() && !told)
        if (!wants_.mailbox || target_user.empty()) fault(columns_.name(column::target_user), std::string(trouble));
    a.password = secret(std::string(field(column::target_password)));
    if (wants_.password && a.password.empty() && !told)
        fault(columns_.name(column::target_password), "is empty, and the account gets none without it");
    for (const auto& [to, from] : {std::pair{&a.name, column::person}, std::pair{&a.language, column::language},
                                   std::pair{&a.time_zone, column::time_zone}}) {
        *to = field(from);
        if (to->size() > max_text) fault(columns_.name(from), fmt::format("is longer than {} octets", max_text));
        if (has_control(*to)) fault(columns_.name(from), "holds a control character");
    }
    if (const std::string_view quota = field(column::quota); iequals(quota, "unlimited")) {
        a.quota = 0;
    } else if (!quota.empty()) {
        a.quota = parse_size(quota);
        if (!a.quota || *a.quota > (std::uint64_t{1} << 62U))
            fault(columns_.name(column::quota), "must be a size such as 5 GB, or unlimited");
    }
    read_aliases(a);
    if (!faulty()) out_.account.emplace(std::move(a));
}

void row_reader::read_aliases(wanted_account& a) {
    std::string_view text = field(column::aliases);
    const std::size_t at = a.address.rfind('@');
    while (true) {
        const std::size_t begin = text.find_first_not_of(blanks);
        if (begin == std::string_view::npos) return;
        text.remove_prefix(begin);
        const std::string_view one = text.substr(0, text.find_first_of(blanks));
        text.remove_prefix(one.size());
        if (a.aliases.size() == max_aliases)
            return fault(columns_.name(column::aliases), fmt::format("are more than {}", max_aliases));
        a.aliases.emplace_back(one);
        if (!one.contains('@') && at != std::string::npos) a.aliases.back() += a.address.substr(at);
    }
}

/// One end of the row; faults are noted and give nothing.
std::optional<row_reader::completed> row_reader::complete(const side_columns& c, const side_defaults& given,
                                                          std::string_view row_user, std::string_view side) {
    const std::string_view url = field(c.url);
    auto base = url.empty() ? base_of(c, given, row_user, side) : parsed(c.url, url, row_user);
    if (!base) return std::nullopt;
    completed out{.base = *base, .user = (*base)->user, .password = {}, .token = {}};
    // A URL with a user of its own is an answer for the row where the row made it (a url column, a placeholder);
    // a fixed user in --source is only a default.
    const bool decided = !out.user.empty() && (!url.empty() || mailbox::has_placeholder(given.url));
    if (!decided && !row_user.empty()) out.user = row_user;
    if (out.user.empty()) {
        fault(columns_.name(c.user), "is empty");
    } else if (const auto trouble = user_trouble(out.user); !trouble.empty()) {
        fault(columns_.name(c.user), std::string(trouble));
    }
    out.token = token_of(**base, c, given);
    out.password = password_of(**base, c, given, side);
    return out;
}

/// --source or --target with what the row says about host, port, protocol and TLS.
std::optional<std::shared_ptr<const endpoint>> row_reader::base_of(const side_columns& c, const side_defaults& given,
                                                                   std::string_view row_user, std::string_view side) {
    const bool own = mailbox::has_placeholder(given.url);
    std::string key(side);
    for (const column part : {c.host, c.port, c.protocol, c.tls}) {
        key += '\n';
        key += field(part);
    }
    if (const auto known = bases_.find(key); !own && known != bases_.end()) return known->second;
    const std::string_view host = field(c.host);
    if (given.url.empty() && host.empty()) {
        fault(columns_.name(c.host), fmt::format("is empty, and there is no --{} to complete it", side));
        return std::nullopt;
    }
    // A host alone: plain port, TLS as soon as the server offers it, never a password in the clear.
    auto e = mailbox::parse_endpoint(given.url.empty() ? "imap://unset" : given.url, row_user);
    if (!e) {
        fault({}, fmt::format("--{}: {}", side, e.error().message()));
        return std::nullopt;
    }
    if (!override_with_columns(*e, c)) return std::nullopt;
    auto shared = std::make_shared<const endpoint>(std::move(*e));
    if (bases_.size() >= most_bases) bases_.clear();
    if (!own) bases_.emplace(std::move(key), shared);
    return shared;
}

bool row_reader::override_with_columns(endpoint& e, const side_columns& c) {
    const std::size_t before = out_.faults.size();
    if (const auto text = protocol_of(columns_.preset, field(c.protocol)); !text.empty()) {
        const auto kind = mailbox::parse_scheme(text);
        if (kind && mailbox::is_local(*kind)) {
            fault(columns_.name(c.protocol), "must be a protocol; a place on this machine is named by a URL");
        } else if (kind) {
            if (*kind != e.kind) {
                e.where.port = mailbox::default_port(*kind);
                e.tls.mode = mailbox::default_tls(*kind);
            }
            e.kind = *kind;
        } else {
            fault(columns_.name(c.protocol), kind.error().message());
        }
    }
    override_place(e, c);
    if (const auto text = field(c.tls); !text.empty()) {
        if (const auto mode = mailbox::parse_tls_mode(text)) {
            e.tls.mode = *mode;
        } else {
            fault(columns_.name(c.tls), "must be detect, require, implicit or off");
        }
    }
    return out_.faults.size() == before;
}

void row_reader::override_place(endpoint& e, const side_columns& c) {
    std::string_view host = field(c.host), port = field(c.port);
    // opensrs' server is host:port in one.
    const bool together = columns_.preset == csv_preset::opensrs;
    if (const std::size_t colon = host.rfind(':');
        together && colon != std::string_view::npos && !host.ends_with(']')) {
        port = host.substr(colon + 1);
        host = host.substr(0, colon);
    }
    if (!host.empty()) {
        if (auto parsed = mailbox::parse_host(host)) {
            e.where.host = std::move(*parsed);
        } else {
            fault(columns_.name(c.host), parsed.error().message());
        }
    }
    if (port.empty()) return;
    const auto number = parse_u32(port);
    if (!number || *number == 0 || *number > 65535)
        return fault(columns_.name(together ? c.host : c.port),
                     together ? "must be host:port, the port a number from 1 to 65535"
                              : "must be a number from 1 to 65535");
    e.where.port = static_cast<std::uint16_t>(*number);
}

std::optional<std::shared_ptr<const endpoint>> row_reader::parsed(column c, std::string_view url,
                                                                  std::string_view row_user) {
    const std::optional<std::string_view> fill = row_user.empty() ? std::nullopt : std::optional(row_user);
    auto e = mailbox::parse_endpoint(url, fill);
    if (!e) {
        fault(columns_.name(c), e.error().message());
        return std::nullopt;
    }
    return std::make_shared<const endpoint>(std::move(*e));
}

/// Which client gets this end's tokens, and whether it needs the row's refresh token for that.
std::shared_ptr<const row_token> row_reader::token_of(const endpoint& e, const side_columns& c,
                                                      const side_defaults& given) {
    const std::string_view own = field(c.refresh_token);
    const std::string column_name = columns_.name(c.refresh_token);
    if (!takes_token(e)) {
        if (!own.empty()) fault(column_name, "needs auth=xoauth2 or auth=oauthbearer in the URL of this end");
        return nullptr;
    }
    const auto client = given.clients.find(e.oauth);
    const bool named = !e.oauth.empty();
    if (named && client == given.clients.end()) {
        fault(columns_.name(c.url), fmt::format("there is no [oauth.{}] in the configuration", e.oauth));
        return nullptr;
    }
    const bool needed = named ? client->second : given.row_tokens_needed;
    if (own.empty() && needed)
        fault(column_name, "is empty, and the client that gets tokens here has no refresh token of its own");
    if (own.empty()) return nullptr;
    if (!named && !given.tokens) {
        fault(column_name, "is of no use without oauth=NAME in the URL, or --oauth-token-endpoint");
        return nullptr;
    }
    return read_token(own, column_name);
}

std::shared_ptr<const row_token> row_reader::read_token(std::string_view text, const std::string& column_name) {
    constexpr std::string_view file_scheme = "file:";
    row_token token;
    if (text.starts_with(file_scheme)) {
        if (!defaults_.read_file) {
            fault(column_name, "names a file, which only the command line reads");
            return nullptr;
        }
        token.file = text.substr(file_scheme.size());
        auto read = defaults_.read_file(token.file);
        if (!read) {
            fault(column_name, read.error().what);
            return nullptr;
        }
        token.token = std::move(*read);
    } else {
        token.token = secret(std::string(text));
    }
    return std::make_shared<const row_token>(std::move(token));
}

/// With admin= the login is the admin's, so the password given for all rows goes before the row's (which is the
/// owner's); else the row's goes first. The microsoft preset's password is for the source only.
secret row_reader::password_of(const endpoint& e, const side_columns& c, const side_defaults& given,
                               std::string_view side) {
    const std::string_view own = field(c.password);
    if (!needs_password(e) || (takes_token(e) && (given.tokens || !e.oauth.empty()))) return {};
    if (!given.password.empty() && (own.empty() || has_common_login(e))) return given.password;
    if (own.empty())
        fault(columns_.name(c.password),
              fmt::format("is empty, and there is no --{}-password-file, admin= or certificate to log in with", side));
    return secret(std::string(own));
}

result<std::unique_ptr<row_stream>> row_stream::open(csv_reader& reader, std::string_view name,
                                                     const account_defaults& defaults, row_wants wants) {
    csv_record first;
    // A comment may stand above anything; below, only imapsync's files have them.
    reader.skip_comments(true);
    auto more = reader.next(first);
    if (!more) return std::unexpected(more.error());
    if (!*more)
        return fail(retry_class::config, phase::usage, fmt::format("{} is empty", name), "It needs a header and a row");
    auto columns = recognise(first, reader.dialect());
    if (!columns) {
        columns.error().what = fmt::format("{}: {}", name, columns.error().what);
        return std::unexpected(columns.error());
    }
    reader.skip_comments(columns->preset == csv_preset::imapsync);
    std::unique_ptr<row_stream> out(new row_stream(reader, name, std::move(*columns), defaults, wants));
    out->pending_ = !out->columns_.has_header;
    out->record_ = std::move(first);
    return out;
}

result<bool> row_stream::next(csv_row& out) {
    if (!std::exchange(pending_, false)) {
        auto more = reader_.next(record_);
        if (!more) more.error().what = fmt::format("{}: {}", name_, more.error().what);
        if (!more || !*more) return more;
    }
    out = rows_.read(record_);
    return true;
}

std::string summary_of(std::string_view name, csv_preset preset, const csv_dialect& d, std::uint64_t rows,
                       std::uint64_t faults) {
    return fmt::format("{}: preset {}, separator {}, {}{}, {}{}", name, name_of(preset),
                       d.separator == '\t' ? "tab" : fmt::format("\"{}\"", d.separator),
                       d.latin_1 ? "Latin-1" : "UTF-8", d.byte_order_mark ? " with byte order mark" : "",
                       counted(rows, "row"), faults == 0 ? "" : ", " + counted(faults, "fault"));
}

} // namespace postferry::accounts
