#include "accounts/accounts.hpp"

#include "accounts/columns.hpp"
#include "accounts/csv.hpp"
#include "base/text.hpp"
#include "base/words.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <unordered_map>

namespace postferry::accounts {

namespace {

using mailbox::endpoint;

constexpr std::size_t max_user = 512;

/// The columns that make one end.
struct side_columns {
    column user, password, url, host, port, protocol, tls, refresh_token;
};

constexpr side_columns source_columns{column::source_user, column::source_password,     column::source_url,
                                      column::source_host, column::source_port,         column::source_protocol,
                                      column::source_tls,  column::source_refresh_token};
constexpr side_columns target_columns{column::target_user, column::target_password,     column::target_url,
                                      column::target_host, column::target_port,         column::target_protocol,
                                      column::target_tls,  column::target_refresh_token};

struct completed {
    std::shared_ptr<const endpoint> base;
    std::string user;
    secret password;
    std::shared_ptr<const row_token> token;
};

std::size_t mix(std::size_t seed, std::size_t value) noexcept {
    return seed ^ (value + 0x9e3779b97f4a7c15ULL + (seed << 6) + (seed >> 2));
}

/// What is wrong with a user name, or nothing.
std::string_view user_trouble(std::string_view user) noexcept {
    if (user.size() > max_user) return "is longer than 512 octets";
    for (const char c : user)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "holds a control character";
    const std::size_t at = user.rfind('@');
    if (at == 0) return "has nothing before the @";
    if (at != std::string_view::npos && at + 1 == user.size()) return "has nothing after the @";
    return {};
}

/// Turns rows into accounts and remembers what is wrong with them.
class row_reader {
  public:
    row_reader(const column_map& columns, const account_defaults& defaults, account_list& out)
        : columns_(columns), defaults_(defaults), out_(out) {}

    void read(const csv_record& record) {
        faulty_ = false;
        read_row(record);
        if (faulty_) ++out_.faulty_rows;
    }

    // Two people's mail in one mailbox is seldom what was meant, and cannot be taken apart again. It may be.
    void note_shared_targets() {
        std::size_t told = 0;
        for (const auto& [first, others] : sharing_) {
            if (++told > most_shared_told) break;
            out_.notes.push_back(fmt::format(
                "rows {} and {}{} go to the same mailbox, {}: what they hold becomes one", out_.accounts[first].row(),
                others.second, others.rows > 1 ? fmt::format(" and {} more", grouped(others.rows - 1)) : "",
                out_.accounts[first].target().display()));
        }
        if (told > most_shared_told)
            out_.notes.push_back(
                fmt::format("and so do the rows of {} more mailboxes", grouped(sharing_.size() - most_shared_told)));
    }

  private:
    static constexpr std::size_t most_shared_told = 10;
    struct sharing {
        std::uint64_t second = 0, rows = 0; ///< row of the second one; how many after the first
    };

    void read_row(const csv_record& record) {
        record_ = &record;
        check_shape();
        if (faulty_) return;
        auto source = complete(source_columns, defaults_.source, columns_.field(record, column::source_user), "source");
        std::string_view target_user = columns_.field(record, column::target_user);
        if (target_user.empty()) target_user = columns_.field(record, column::source_user);
        auto target = complete(target_columns, defaults_.target, target_user, "target");
        if (faulty_ || !source || !target) return;
        account row(record.row, std::move(source->base), std::move(source->user), std::move(source->password),
                    std::move(target->base), std::move(target->user), std::move(target->password));
        row.log_in_with(std::move(source->token), std::move(target->token));
        add(std::move(row));
    }

    void fault(std::string column_name, std::string what) {
        faulty_ = true;
        ++out_.fault_count;
        if (out_.faults.size() < account_list::max_faults)
            out_.faults.push_back({record_->row, record_->line, std::move(column_name), std::move(what)});
    }

    void check_shape() {
        const std::size_t width = columns_.names.size();
        if (!record_->trouble.empty())
            fault(record_->bad_field < width ? columns_.names[record_->bad_field] : std::string{}, record_->trouble);
        const bool imapsync = columns_.preset == csv_preset::imapsync;
        if (imapsync && record_->fields.size() < 6)
            fault({}, fmt::format("has {} columns, the imapsync preset has 6", record_->fields.size()));
        if (!imapsync && record_->fields.size() != width)
            fault({}, fmt::format("has {} columns, the header has {}", record_->fields.size(), width));
        if (!columns_.field(*record_, column::user_root).empty())
            fault(columns_.name(column::user_root), "is part of the microsoft preset but not in this version yet");
        for (std::size_t i = 6; imapsync && i < record_->fields.size(); ++i)
            if (!record_->fields[i].empty()) return fault("options", "imapsync's own options are not understood");
    }

    /// One end of the row; faults are noted and give nothing.
    std::optional<completed> complete(const side_columns& c, const side_defaults& given, std::string_view row_user,
                                      std::string_view side) {
        const std::string_view url = columns_.field(*record_, c.url);
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
    std::optional<std::shared_ptr<const endpoint>> base_of(const side_columns& c, const side_defaults& given,
                                                           std::string_view row_user, std::string_view side) {
        const bool own = mailbox::has_placeholder(given.url);
        std::string key(side);
        for (const column part : {c.host, c.port, c.protocol, c.tls}) {
            key += '\n';
            key += columns_.field(*record_, part);
        }
        if (const auto known = bases_.find(key); !own && known != bases_.end()) return known->second;
        const std::string_view host = columns_.field(*record_, c.host);
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
        if (!own) bases_.emplace(std::move(key), shared);
        return shared;
    }

    bool override_with_columns(endpoint& e, const side_columns& c) {
        const bool before = std::exchange(faulty_, false);
        if (const auto text = columns_.field(*record_, c.protocol); !text.empty()) {
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
        if (const auto text = columns_.field(*record_, c.host); !text.empty()) {
            if (auto host = mailbox::parse_host(text)) {
                e.where.host = std::move(*host);
            } else {
                fault(columns_.name(c.host), host.error().message());
            }
        }
        if (const auto text = columns_.field(*record_, c.port); !text.empty()) {
            const auto port = parse_u32(text);
            if (!port || *port == 0 || *port > 65535) {
                fault(columns_.name(c.port), "must be a number from 1 to 65535");
            } else {
                e.where.port = static_cast<std::uint16_t>(*port);
            }
        }
        if (const auto text = columns_.field(*record_, c.tls); !text.empty()) {
            if (const auto mode = mailbox::parse_tls_mode(text)) {
                e.tls.mode = *mode;
            } else {
                fault(columns_.name(c.tls), "must be detect, require, implicit or off");
            }
        }
        const bool good = !faulty_;
        faulty_ = faulty_ || before;
        return good;
    }

    std::optional<std::shared_ptr<const endpoint>> parsed(column c, std::string_view url, std::string_view row_user) {
        const std::optional<std::string_view> fill = row_user.empty() ? std::nullopt : std::optional(row_user);
        auto e = mailbox::parse_endpoint(url, fill);
        if (!e) {
            fault(columns_.name(c), e.error().message());
            return std::nullopt;
        }
        return std::make_shared<const endpoint>(std::move(*e));
    }

    /// Which client gets this end's tokens, and whether it needs the row's refresh token for that.
    std::shared_ptr<const row_token> token_of(const endpoint& e, const side_columns& c, const side_defaults& given) {
        const std::string_view own = columns_.field(*record_, c.refresh_token);
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

    std::shared_ptr<const row_token> read_token(std::string_view text, const std::string& column_name) {
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
    secret password_of(const endpoint& e, const side_columns& c, const side_defaults& given, std::string_view side) {
        const std::string_view own = columns_.field(*record_, c.password);
        if (!needs_password(e) || (takes_token(e) && (given.tokens || !e.oauth.empty()))) return {};
        if (!given.password.empty() && (own.empty() || has_common_login(e))) return given.password;
        if (own.empty())
            fault(columns_.name(c.password),
                  fmt::format("is empty, and there is no --{}-password-file, admin= or certificate to log in with",
                              side));
        return secret(std::string(own));
    }

    void add(account row) {
        if (row.onto_itself()) return fault({}, "source and target are the same mailbox");
        const auto [begin, end] = seen_.equal_range(row.hash());
        for (auto it = begin; it != end; ++it)
            if (out_.accounts[it->second].same_mailboxes(row))
                return fault({},
                             fmt::format("is the same source and target as row {}", out_.accounts[it->second].row()));
        seen_.emplace(row.hash(), out_.accounts.size());
        const auto [first, last] = targets_.equal_range(row.target_hash());
        const auto same =
            std::find_if(first, last, [&](const auto& known) { return out_.accounts[known.second].same_target(row); });
        if (same == last) {
            targets_.emplace(row.target_hash(), out_.accounts.size());
        } else if (sharing& s = sharing_[same->second]; ++s.rows == 1) {
            s.second = row.row();
        }
        out_.accounts.push_back(std::move(row));
    }

    const column_map& columns_;
    const account_defaults& defaults_;
    account_list& out_;
    const csv_record* record_ = nullptr;
    bool faulty_ = false;
    std::unordered_map<std::string, std::shared_ptr<const endpoint>> bases_;
    std::unordered_multimap<std::size_t, std::size_t> seen_, targets_; ///< hash -> index of the account
    std::map<std::size_t, sharing> sharing_;                           ///< by the first account of a target
};

void say_what_was_found(account_list& list, const csv_reader& reader, const column_map& columns,
                        std::string_view name) {
    const csv_dialect& d = reader.dialect();
    list.summary =
        fmt::format("{}: preset {}, separator {}, {}{}, {}{}", name, name_of(columns.preset),
                    d.separator == '\t' ? "tab" : fmt::format("\"{}\"", d.separator), d.latin_1 ? "Latin-1" : "UTF-8",
                    d.byte_order_mark ? " with byte order mark" : "", counted(list.rows, "row"),
                    list.fault_count == 0 ? "" : ", " + counted(list.fault_count, "fault"));
    if (d.latin_1) list.notes.push_back(fmt::format("{} is not UTF-8; it is read as Latin-1 (Windows-1252)", name));
    if (!columns.unused.empty())
        list.notes.push_back(fmt::format("columns for provisioning, which this version does not do, are not used: {}",
                                         fmt::join(columns.unused, ", ")));
}

} // namespace

bool needs_password(const endpoint& e) noexcept {
    return !mailbox::is_local(e.kind) && e.kind != mailbox::scheme::lmtp && e.auth != sasl::choice::external;
}

bool takes_token(const endpoint& e) noexcept {
    return e.auth == sasl::choice::xoauth2 || e.auth == sasl::choice::oauthbearer;
}

bool has_common_login(const endpoint& e) noexcept { return !e.admin.empty() || takes_token(e); }

std::string csv_fault::text() const {
    std::string place = row == 0 ? std::string{} : fmt::format("row {}", row);
    if (line != row) place += fmt::format(" (line {})", line);
    if (!column.empty()) return fmt::format("{}{}{}: {}", place, place.empty() ? "" : ", ", column, what);
    return place.empty() ? what : fmt::format("{}: {}", place, what);
}

account::account(std::uint64_t row, endpoint source, endpoint target) : row_(row) {
    source_ = {nullptr, std::move(source.user), std::move(source.password)};
    target_ = {nullptr, std::move(target.user), std::move(target.password)};
    source_.base = std::make_shared<const endpoint>(std::move(source));
    target_.base = std::make_shared<const endpoint>(std::move(target));
}

account::account(std::uint64_t row, std::shared_ptr<const endpoint> source, std::string source_user,
                 secret source_password, std::shared_ptr<const endpoint> target, std::string target_user,
                 secret target_password)
    : row_(row), source_{std::move(source), std::move(source_user), std::move(source_password)},
      target_{std::move(target), std::move(target_user), std::move(target_password)} {}

void account::log_in_with(std::shared_ptr<const row_token> source, std::shared_ptr<const row_token> target) noexcept {
    source_.token = std::move(source);
    target_.token = std::move(target);
}

endpoint account::end::whole() const {
    endpoint e = *base;
    e.user = user;
    e.password = password;
    return e;
}

bool account::end::same(const end& other) const noexcept {
    return user == other.user && base->where.host == other.base->where.host &&
           base->where.port == other.base->where.port && base->path == other.base->path;
}

bool account::same_mailboxes(const account& other) const noexcept {
    return source_.same(other.source_) && target_.same(other.target_);
}

bool account::same_target(const account& other) const noexcept { return target_.same(other.target_); }

bool account::onto_itself() const noexcept { return source_.same(target_); }

std::size_t account::hash() const noexcept { return mix(source_.hash(), target_.hash()); }

std::size_t account::target_hash() const noexcept { return target_.hash(); }

std::size_t account::end::hash() const noexcept {
    std::size_t h = 0;
    h = mix(h, std::hash<std::string>{}(user));
    h = mix(h, std::hash<std::string>{}(base->where.host));
    h = mix(h, base->where.port);
    h = mix(h, std::hash<std::string>{}(base->path));
    return h;
}

result<account_list> read_accounts(csv_reader& reader, std::string_view name, const account_defaults& defaults) {
    csv_record record;
    // A comment may stand above anything; below, only imapsync's files have them.
    reader.skip_comments(true);
    auto more = reader.next(record);
    if (!more) return std::unexpected(more.error());
    if (!*more)
        return fail(retry_class::config, phase::usage, fmt::format("{} is empty", name), "It needs a header and a row");
    auto columns = recognise(record, reader.dialect());
    if (!columns) {
        columns.error().what = fmt::format("{}: {}", name, columns.error().what);
        return std::unexpected(columns.error());
    }
    reader.skip_comments(columns->preset == csv_preset::imapsync);
    account_list list;
    list.preset = columns->preset;
    row_reader rows(*columns, defaults, list);
    if (columns->has_header) more = reader.next(record);
    for (; more && *more; more = reader.next(record)) {
        ++list.rows;
        rows.read(record);
    }
    if (!more) {
        // The rows before it stand, but the file as a whole cannot be trusted, --skip-invalid or not.
        more.error().what = fmt::format("{}: {}", name, more.error().what);
        return std::unexpected(more.error());
    }
    if (list.rows == 0)
        return fail(retry_class::config, phase::usage, fmt::format("{} has a header and no rows", name));
    say_what_was_found(list, reader, *columns, name);
    rows.note_shared_targets();
    return list;
}

result<account_list> read_accounts(const std::filesystem::path& file, const account_defaults& defaults) {
    auto reader = csv_reader::open(file);
    if (!reader) return std::unexpected(reader.error());
    return read_accounts(*reader, file.filename().string(), defaults);
}

} // namespace postferry::accounts
