#include "sql/detail/pg_link.hpp"

#include "base/text.hpp"
#include "sql/detail/pg_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>

namespace postferry::sql::detail {

using std::chrono::milliseconds;

namespace {

/// The server's own time limit is to speak first.
constexpr milliseconds grace{5000};
constexpr int oldest_server = 140'000; // pg_terminate_backend() that waits

std::string_view words_for(trouble kind) noexcept {
    switch (kind) {
    case trouble::full: return "the server's disk is full";
    case trouble::io: return "the server could not read or write";
    case trouble::damaged: return "the database is damaged";
    case trouble::busy: return "busy for too long";
    case trouble::read_only: return "may only be read";
    case trouble::no_access: return "access refused";
    case trouble::constraint: return "the value is not allowed";
    case trouble::gone: return "the server is gone";
    default: return "failed";
    }
}

std::string_view advice_for(trouble kind) noexcept {
    switch (kind) {
    case trouble::full: return "Free some space on the database's server; everything recorded so far is safe";
    case trouble::io:
    case trouble::damaged: return "Look at the PostgreSQL server's log and its disk";
    case trouble::busy: return "Another program holds what is needed, or the server is overloaded; run again later";
    case trouble::read_only: return "Name the primary server, not a standby (target_session_attrs=read-write)";
    case trouble::no_access:
        return "Check user, password, database, their rights and the TLS settings of the URL (docs/store.md)";
    case trouble::gone: return "Check that the server runs and can be reached; everything recorded so far is safe";
    default: return {};
    }
}

/// libpq's words about a connection it did not get, in verbose form: "... FATAL:  28P01: password ...\nLOCATION: ...".
struct refusal {
    std::string sqlstate; ///< of the last host that was tried; empty: no server answered
    std::string text;
};

bool is_state(std::string_view text) noexcept {
    return text.size() == 5 &&
           std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
}

refusal read_refusal(std::string_view said) {
    refusal found;
    while (!said.empty()) {
        const auto end = said.find('\n');
        std::string line(said.substr(0, end));
        line.erase(0, line.find_first_not_of(" \t")); // libpq begins a second line with a tab
        said = end == std::string_view::npos ? std::string_view{} : said.substr(end + 1);
        const auto state = line.find(":  ");
        if (state != std::string::npos && line.size() > state + 9 &&
            is_state(std::string_view(line).substr(state + 3, 5))) {
            found.sqlstate = line.substr(state + 3, 5);
            line.erase(state + 3, 7);
        }
        if (line.starts_with("LOCATION:") || line.empty()) continue;
        found.text += (found.text.empty() ? "" : "; ") + line;
    }
    return found;
}

/// Failures before any server spoke that another attempt would meet again. By libpq's English words, as it has no codes
/// for them; unknown ones count as `gone`, which ends with patience.
bool is_tls_failure(std::string_view text) noexcept {
    constexpr auto words = std::to_array<std::string_view>(
        {"certificate", "does not support SSL", "sslmode", "private key file", "server name", "SSL error"});
    return std::ranges::any_of(words, [&](std::string_view w) { return text.contains(w); });
}

std::string in_ms(milliseconds time) { return std::to_string(time.count()); }

/// A name and its value, with the pointers that libpq takes.
std::vector<const char*> pointers(const std::map<std::string, std::string>& all, bool values) {
    std::vector<const char*> out;
    for (const auto& [name, value] : all) out.push_back(values ? value.c_str() : name.c_str());
    out.push_back(nullptr);
    return out;
}

} // namespace

pg_link::pg_link(location where, secret password, open_options options)
    : where_(std::move(where)), password_(std::move(password)), options_(std::move(options)),
      name_(options_.name.empty() ? "database " + where_.shown : options_.name) {}

pg_link::~pg_link() = default;

result<void> pg_link::connect() {
    line_.reset();
    limit_ = options_.connect_timeout;
    deadline_ = clock::now() + limit_;
    auto done = establish();
    if (done) done = set_up();
    limit_ = options_.statement_timeout + grace;
    if (!done) line_.reset();
    return done;
}

result<void> pg_link::establish() {
    auto parameters = where_.parameters;
    const std::map<std::string, std::string> ours{{"application_name", options_.application_name},
                                                  {"client_encoding", "UTF8"},
                                                  {"keepalives", "1"},
                                                  {"keepalives_idle", "30"},
                                                  {"keepalives_interval", "10"},
                                                  {"keepalives_count", "3"},
                                                  {"tcp_user_timeout", in_ms(options_.statement_timeout + grace)}};
    parameters.insert(ours.begin(), ours.end());
    auto names = pointers(parameters, false), values = pointers(parameters, true);
    if (!password_.empty()) {
        names.insert(names.begin(), "password");
        values.insert(values.begin(), password_.reveal().data()); // ends in a zero, being a std::string's
    }
    line_.reset(PQconnectStartParams(names.data(), values.data(), 0));
    if (!line_) return failed(trouble::other, "out of memory");
    // Otherwise nothing would tell the code of a refusal: there is no result to ask.
    PQsetErrorVerbosity(line_.get(), PQERRORS_VERBOSE);
    PQsetNoticeProcessor(line_.get(), [](void*, const char*) {}, nullptr);
    for (auto state = PGRES_POLLING_WRITING; state != PGRES_POLLING_OK; state = PQconnectPoll(line_.get())) {
        if (state == PGRES_POLLING_FAILED || PQstatus(line_.get()) == CONNECTION_BAD) return refused_connection();
        if (!wait(state == PGRES_POLLING_WRITING))
            return failed(trouble::gone, fmt::format("no connection within {} ms", options_.connect_timeout.count()));
    }
    PQsetErrorVerbosity(line_.get(), PQERRORS_DEFAULT);
    PQsetnonblocking(line_.get(), 1);
    ++generation_;
    return {};
}

result<void> pg_link::refused_connection() {
    const refusal why = read_refusal(PQerrorMessage(line_.get()));
    trouble kind = why.sqlstate.empty() ? trouble::gone : trouble_of_state(why.sqlstate);
    if (is_tls_failure(why.text)) kind = trouble::no_access;
    if (why.sqlstate.empty() && why.text.contains("no password supplied")) kind = trouble::no_access;
    auto refused = failed(kind, why.text);
    if (kind == trouble::no_access) refused.error().cls = retry_class::config;
    return refused;
}

result<void> pg_link::set_up() {
    if (PQserverVersion(line_.get()) < oldest_server) {
        auto refused = failed(trouble::other, fmt::format("it is PostgreSQL {}", PQserverVersion(line_.get()) / 10000));
        refused.error().cls = retry_class::config;
        refused.error().advice = "PostgreSQL 14 or later is needed";
        return refused;
    }
    const std::string_view encoding = PQparameterStatus(line_.get(), "server_encoding");
    if (encoding != "UTF8" && encoding != "SQL_ASCII") {
        auto refused = failed(trouble::no_access, fmt::format("its encoding is {}, not UTF8", encoding));
        refused.error().cls = retry_class::config;
        refused.error().advice = "Make the database with: createdb --encoding=UTF8 --template=template0 NAME";
        return refused;
    }
    if (auto ended = end_predecessor(); !ended) return ended;
    // A process that was stopped in a transaction, or cut off, must not hold its locks for long: not between two
    // statements, and not in the middle of one that will never arrive whole.
    auto done = simple(fmt::format(
        "SET statement_timeout = {0}; SET idle_in_transaction_session_timeout = {1}; SET tcp_keepalives_idle = 10; "
        "SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 2; SET tcp_user_timeout = 20000; "
        "SET lock_timeout = {2}; SET bytea_output = 'hex'; {3}"
        "SELECT pg_backend_pid(), extract(epoch FROM backend_start) "
        "FROM pg_stat_activity WHERE pid = pg_backend_pid()",
        in_ms(options_.statement_timeout), in_ms(options_.idle_timeout), in_ms(options_.busy_timeout),
        options_.read_only ? "SET default_transaction_read_only = on; " : ""));
    if (!done) return std::unexpected(std::move(done.error()));
    if (PQntuples(done->get()) != 1) return {};
    backend_ = PQgetvalue(done->get(), 0, 0);
    backend_start_ = PQgetvalue(done->get(), 0, 1);
    return {};
}

result<void> pg_link::end_predecessor() {
    if (backend_.empty()) return {};
    auto ended = simple(fmt::format("SELECT pg_terminate_backend(pid, {}) FROM pg_stat_activity "
                                    "WHERE pid = {} AND extract(epoch FROM backend_start) = {}",
                                    grace.count(), backend_, backend_start_));
    if (!ended) return std::unexpected(std::move(ended.error()));
    const bool alive = PQntuples(ended->get()) == 1 && *PQgetvalue(ended->get(), 0, 0) != 't';
    if (alive) return failed(trouble::gone, "the server still works on the connection that was lost");
    return {};
}

bool pg_link::wait(bool for_writing) {
    while (true) {
        const auto left = std::chrono::ceil<milliseconds>(deadline_ - clock::now());
        if (left <= milliseconds(0)) return false;
        // While we write the server may write too, and must find a reader.
        pollfd one{.fd = PQsocket(line_.get()),
                   .events = static_cast<short>(for_writing ? POLLIN | POLLOUT : POLLIN),
                   .revents = 0};
        const int ready = poll(&one, 1, static_cast<int>(std::min(left, milliseconds(60'000)).count()));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return false;
    }
}

result<void> pg_link::sent(int accepted) {
    deadline_ = clock::now() + limit_;
    if (accepted == 0) return lost(PQerrorMessage(line_.get()));
    return flush();
}

result<void> pg_link::flush() {
    while (true) {
        const int left = PQflush(line_.get());
        // A line that is cut still holds what the server said at its end; receive() reads that.
        if (left <= 0) return {};
        if (!wait(true)) return lost("no answer in time");
        if (PQconsumeInput(line_.get()) == 0) return {};
    }
}

result<pg_result> pg_link::receive() {
    while (PQisBusy(line_.get()) != 0) {
        if (!wait(false)) return lost("no answer in time");
        if (PQconsumeInput(line_.get()) == 0) break; // PQgetResult tells why
    }
    return pg_result(PQgetResult(line_.get()));
}

result<pg_result> pg_link::next() {
    if (!line_) return lost("the connection was lost");
    auto received = receive();
    if (!received || !*received) return received;
    switch (PQresultStatus(received->get())) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
    case PGRES_EMPTY_QUERY: return received;
    default: break;
    }
    auto failure = failed(received->get());
    received->reset();
    drain();
    return failure;
}

void pg_link::drain() noexcept {
    while (up()) {
        auto rest = receive();
        if (!rest || !*rest) return;
    }
}

result<pg_result> pg_link::simple(const std::string& sql) {
    if (!up()) return lost("the connection was lost");
    if (auto done = sent(PQsendQuery(line_.get(), sql.c_str())); !done) return std::unexpected(std::move(done.error()));
    pg_result last;
    while (true) {
        auto one = next();
        if (!one) return one;
        if (!*one) return last;
        last = std::move(*one);
    }
}

result<void> pg_link::prepare(const std::string& name, const std::string& sql) {
    if (!up()) return lost("the connection was lost");
    auto done = sent(PQsendPrepare(line_.get(), name.c_str(), sql.c_str(), 0, nullptr));
    if (!done) return done;
    auto one = next();
    if (!one) return std::unexpected(std::move(one.error()));
    drain();
    return {};
}

result<void> pg_link::start(const std::string& name, const pg_parameters& parameters, bool all_at_once) {
    if (!up()) return lost("the connection was lost");
    const std::size_t count = parameters.values.size();
    std::vector<const char*> values(count);
    std::vector<int> lengths(count);
    for (std::size_t i = 0; i < count; ++i) {
        values[i] = parameters.nulls[i] ? nullptr : parameters.values[i].data();
        lengths[i] = static_cast<int>(parameters.values[i].size());
    }
    auto done = sent(PQsendQueryPrepared(line_.get(), name.c_str(), static_cast<int>(count), values.data(),
                                         lengths.data(), parameters.formats.data(), 0));
    if (done && !all_at_once) PQsetSingleRowMode(line_.get());
    return done;
}

std::unexpected<error> pg_link::failed(trouble kind, std::string_view said, bool by_server) {
    last_ = kind;
    const std::string text = quote_server_text(said);
    const bool ours = !by_server && !text.empty();
    return std::unexpected(error{.cls = retry_class::local,
                                 .where = phase::ledger,
                                 .what = fmt::format("{}: {}{}", name_, words_for(kind), ours ? " (" + text + ")" : ""),
                                 .server_said = by_server ? text : "",
                                 .advice = std::string(advice_for(kind)),
                                 .response_code = {}});
}

std::unexpected<error> pg_link::lost(std::string_view why) {
    std::string text(why.substr(0, why.find('\n')));
    line_.reset();
    return failed(trouble::gone, text);
}

/// Only the first line of what the server says: details may hold values of rows.
std::unexpected<error> pg_link::failed(const PGresult* r) {
    const char* state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char* said = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    if (state == nullptr) return lost(PQresultErrorMessage(r));
    const trouble kind = trouble_of_state(state);
    // Its last words have come; the line has not ended yet, but nothing more will be answered.
    if (kind == trouble::gone) line_.reset();
    return failed(kind, said != nullptr ? said : state, true);
}

} // namespace postferry::sql::detail
