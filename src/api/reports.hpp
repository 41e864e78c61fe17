#pragma once
// Reports as documents. The API owns this interface; who can draw them (app) implements it.
#include "base/error.hpp"
#include "store/records.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace postferry::api {

enum class report_form : std::uint8_t { json, csv, html };

/// One document, in pieces, so that a report of many mailboxes is in memory nowhere. What it is given is an element of
/// "mailboxes" (docs/json.md), as passes have left them in the store. Errors: class local, it is none.
class report_document {
  public:
    virtual ~report_document() = default;
    /// Whether every mailbox must have been shown to look(), in order, before begin(): a page that begins with an
    /// overview.
    [[nodiscard]] virtual bool looks_first() const noexcept { return false; }
    virtual result<void> look(std::string_view) { return {}; }
    [[nodiscard]] virtual std::string begin() = 0;
    [[nodiscard]] virtual result<std::string> mailbox(std::string_view json) = 0;
    [[nodiscard]] virtual std::string end() = 0;
};

class report_renderer {
  public:
    virtual ~report_renderer() = default;
    /// `started`, `ended`: of what it is about, for its head.
    [[nodiscard]] virtual std::unique_ptr<report_document> make(report_form form, store::unix_ms started,
                                                                store::unix_ms ended) const = 0;
};

} // namespace postferry::api
