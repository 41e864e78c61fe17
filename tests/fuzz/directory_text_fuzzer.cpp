// Texts about accounts, from files, commands and servers: what is taken is safe to put into a path, a command's
// environment or a pattern, and is taken again as it stands.
#include "directory/company_defaults.hpp"
#include "directory/exec_lists.hpp"
#include "directory/fill.hpp"
#include "directory/password_hash.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace postferry::directory;

void require(bool holds) {
    if (!holds) std::abort();
}

bool holds_control(std::string_view text) {
    for (const char c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
    return false;
}

void judge_address(std::string_view text) {
    const auto a = address::parse(text);
    if (!a) return require(a.error().message().size() < 1000);
    require(a->text().size() <= 254 && a->local().size() <= 64 && !a->local().empty());
    require(!holds_control(a->text()) && a->text().find_first_of("/*%\\\" ") == std::string_view::npos);
    require(!a->local().starts_with('.') && a->text().find("..") == std::string_view::npos);
    const auto again = address::parse(a->text());
    require(again && *again == *a);
    require(domain_name::parse(a->domain()).has_value());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    judge_address(text);
    static const address someone = address::parse("a@b").value();
    const bool good_pattern = check_pattern(text).has_value();
    const std::string filled_in = filled(text, someone);
    require(filled_in.size() <= text.size());
    if (good_pattern) require(!holds_control(filled_in));
    if (const auto one = parse_account_line(text))
        require(!one->address.empty() && one->address.find('\t') == std::string::npos);
    if (const auto one = parse_alias_line(text)) require(!one->address.empty());
    (void)check_hashed(postferry::secret(std::string(text)));
    (void)validate(
        domain_settings{.brand = std::string(text), .language = std::string(text), .time_zone = std::string(text)});
    return 0;
}
