#include "sql/detail/pg_statement.hpp"

#include "sql/detail/pg_text.hpp"

namespace postferry::sql::detail {

namespace {

constexpr Oid bytea_type = 17; // pg_type.dat; libpq has no names for these

} // namespace

result<void> pg_statement::prepare() {
    if (prepared_in_ == link_.generation()) return {};
    auto done = link_.prepare(name_, sql_);
    if (done) prepared_in_ = link_.generation();
    return done;
}

void pg_statement::put(int parameter, std::string value, int format) {
    const auto index = static_cast<std::size_t>(parameter - 1);
    if (parameters_.values.size() <= index) {
        parameters_.values.resize(index + 1);
        parameters_.nulls.resize(index + 1, true);
        parameters_.formats.resize(index + 1, 0);
    }
    parameters_.values[index] = std::move(value);
    parameters_.nulls[index] = false;
    parameters_.formats[index] = format;
}

void pg_statement::bind(int parameter, std::string_view value) { put(parameter, to_pg_text(value), 0); }

void pg_statement::bind_null(int parameter) {
    put(parameter, {}, 0);
    parameters_.nulls[static_cast<std::size_t>(parameter - 1)] = true;
}

result<void> pg_statement::start() {
    auto ready = keeper_.make_ready();
    if (ready) ready = prepare();
    if (ready) ready = link_.start(name_, parameters_, few_);
    if (!ready) return ready;
    active_ = this;
    state_ = state::rows;
    affected_ = 0;
    return {};
}

result<pg_result> pg_statement::next_result() {
    if (!kept_.empty()) {
        pg_result first = std::move(kept_.front());
        kept_.pop_front();
        return first;
    }
    // The line was lost in between, and what it carries now is somebody else's.
    if (active_ != this) return link_.failed(trouble::gone, "the connection was lost before all rows were read");
    return link_.next();
}

void pg_statement::finish(const PGresult* last) {
    if (last != nullptr) affected_ = to_integer(PQcmdTuples(const_cast<PGresult*>(last)));
    state_ = state::over;
    if (active_ != this) return;
    link_.drain();
    active_ = nullptr;
}

void pg_statement::forget_row() noexcept {
    row_.reset();
    at_ = in_row_ = 0;
    decoded_.clear();
}

result<bool> pg_statement::step() {
    if (at_ + 1 < in_row_) {
        ++at_;
        decoded_.clear();
        return true;
    }
    forget_row();
    if (state_ == state::over) return false;
    result<void> ready;
    if (state_ == state::unused) ready = start();
    if (state_ == state::failed) return link_.failed(trouble::other, "a statement that failed was used again");
    auto one = ready ? next_result() : std::unexpected(std::move(ready.error()));
    if (!one) {
        state_ = state::failed;
        if (active_ == this) active_ = nullptr; // after an error the line is free
        return std::unexpected(std::move(one.error()));
    }
    const bool last = !*one || PQresultStatus(one->get()) != PGRES_SINGLE_TUPLE;
    if (last) finish(one->get());
    row_ = std::move(*one);
    in_row_ = row_ ? PQntuples(row_.get()) : 0; // of the last one: all rows, or none
    if (in_row_ > 0) return true;
    row_.reset();
    return false;
}

result<void> pg_statement::make_room() {
    std::size_t octets = 0;
    while (true) {
        auto one = link_.next();
        if (!one) {
            active_ = nullptr;
            state_ = state::failed;
            return std::unexpected(std::move(one.error()));
        }
        if (!*one) break;
        octets += PQresultMemorySize(one->get());
        if (octets > max_kept_octets) {
            reset();
            state_ = state::failed;
            return link_.failed(trouble::other, "too many rows were unread when another statement began");
        }
        kept_.push_back(std::move(*one));
    }
    active_ = nullptr;
    return {};
}

void pg_statement::reset() noexcept {
    if (active_ == this) {
        link_.drain();
        active_ = nullptr;
    }
    kept_.clear();
    forget_row();
    state_ = state::unused;
    parameters_.nulls.assign(parameters_.nulls.size(), true);
}

bool pg_statement::has(int column) const noexcept {
    return row_ && column < PQnfields(row_.get()) && PQgetisnull(row_.get(), at_, column) == 0;
}

std::string_view pg_statement::raw(int column) const noexcept {
    if (!has(column)) return {};
    return {PQgetvalue(row_.get(), at_, column), static_cast<std::size_t>(PQgetlength(row_.get(), at_, column))};
}

std::int64_t pg_statement::integer(int column) const { return to_integer(raw(column)); }

std::string_view pg_statement::text(int column) const {
    const std::string_view value = raw(column);
    if (!is_spelled(value)) return value;
    if (decoded_.empty()) decoded_.resize(static_cast<std::size_t>(PQnfields(row_.get())));
    auto& text = decoded_[static_cast<std::size_t>(column)].text;
    if (!text) text = from_pg_text(value);
    return *text;
}

octets pg_statement::blob(int column) const {
    const std::string_view value = raw(column);
    if (!has(column)) return {};
    if (PQftype(row_.get(), column) != bytea_type)
        return {reinterpret_cast<const std::uint8_t*>(value.data()), value.size()};
    if (decoded_.empty()) decoded_.resize(static_cast<std::size_t>(PQnfields(row_.get())));
    auto& blob = decoded_[static_cast<std::size_t>(column)].blob;
    if (!blob) blob = from_bytea(value);
    return *blob;
}

} // namespace postferry::sql::detail
