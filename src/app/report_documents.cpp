#include "app/report_documents.hpp"

#include "app/report_csv.hpp"
#include "app/report_html.hpp"
#include "app/report_json.hpp"
#include "input/fields.hpp"

namespace postferry::app {

namespace {

class json_document final : public api::report_document {
  public:
    explicit json_document(report_frame frame) : frame_(std::move(frame)) {}
    std::string begin() override { return pages_.begin(frame_.started); }
    result<std::string> mailbox(std::string_view json) override { return pages_.mailbox(json); }
    std::string end() override { return pages_.end(frame_.ended); }

  private:
    report_frame frame_;
    json_pages pages_;
};

class csv_document final : public api::report_document {
  public:
    std::string begin() override { return std::string(csv_header()); }
    result<std::string> mailbox(std::string_view json) override {
        const auto one = report_sums{}.add(json);
        if (!one) return std::unexpected(one.error());
        return csv_row(*one);
    }
    std::string end() override { return {}; }
};

class html_document final : public api::report_document {
  public:
    explicit html_document(report_frame frame) : frame_(std::move(frame)) {}
    bool looks_first() const noexcept override { return true; }
    result<void> look(std::string_view json) override { return page_.look(json); }
    std::string begin() override { return page_.begin(frame_); }
    result<std::string> mailbox(std::string_view json) override { return page_.mailbox(json); }
    std::string end() override { return page_.end(); }

  private:
    report_frame frame_;
    html_page page_;
};

/// Reports tell whole seconds.
std::string moment(store::unix_ms ms) { return input::rfc3339_of(ms / 1'000 * 1'000); }

} // namespace

std::unique_ptr<api::report_document> report_documents::make(api::report_form form, store::unix_ms started,
                                                             store::unix_ms ended) const {
    report_frame frame{.started = moment(started), .ended = moment(ended)};
    switch (form) {
    case api::report_form::json: return std::make_unique<json_document>(std::move(frame));
    case api::report_form::csv: return std::make_unique<csv_document>();
    case api::report_form::html: return std::make_unique<html_document>(std::move(frame));
    }
    return nullptr;
}

} // namespace postferry::app
