#pragma once
// The report as one page that can be kept, printed and given to the mailbox's owner: no script, no picture from
// elsewhere, light and dark. Every text that comes from a server is escaped.
#include "app/report_json.hpp"

#include <boost/json.hpp>

#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace postferry::app {

/// For element content and double-quoted attributes; control characters become U+FFFD.
[[nodiscard]] std::string html_text(std::string_view text);

/// The picture of a balance: a bar of its parts, each at least wide enough to be seen, with words for those who cannot
/// see it.
[[nodiscard]] std::string balance_picture(const transfer::balance& messages, std::string_view css_class);

/// One mailbox in detail. `number` is its anchor.
[[nodiscard]] std::string html_of(const boost::json::object& mailbox, std::uint64_t number);

/// The page in pieces: every mailbox is shown to look(), in order; then comes begin(), mailbox() for each again, end().
class html_page {
  public:
    html_page();
    html_page(const html_page&) = delete;
    html_page& operator=(const html_page&) = delete;
    ~html_page();
    [[nodiscard]] result<void> look(std::string_view mailbox);
    [[nodiscard]] std::string begin(const report_frame& frame);
    [[nodiscard]] result<std::string> mailbox(std::string_view json);
    [[nodiscard]] std::string end() const;

  private:
    struct overview;
    std::unique_ptr<overview> all_;
    report_sums again_;
};

/// @param walk is gone through twice: for the overview, then for the details
[[nodiscard]] result<void> write_html_report(atomic_file& file, const report_frame& frame, const mailbox_walk& walk);

/// What stands in <style>.
[[nodiscard]] std::string_view report_style() noexcept;

} // namespace postferry::app
