#pragma once
// The report's three forms, drawn for the API as the command line draws them.
#include "api/reports.hpp"

namespace postferry::app {

class report_documents final : public api::report_renderer {
  public:
    [[nodiscard]] std::unique_ptr<api::report_document> make(api::report_form form, store::unix_ms started,
                                                             store::unix_ms ended) const override;
};

} // namespace postferry::app
