#include "app/config_toml.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 8
// toml++ 3.3 asserts at "[(" that a key begins there, and with NDEBUG has the compiler believe it. The lines below such
// assertions tell the fault as they should, if they are left in: so neither assert nor assume.
#define TOML_ASSERT(expr) static_assert(true)
#pragma push_macro("NDEBUG")
#undef NDEBUG
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

namespace postferry::app {

namespace {

constexpr std::size_t max_text = 1U << 20U;
constexpr std::size_t max_dots = 32;
constexpr std::size_t max_levels = 8;

std::unexpected<config_fault> refuse(config_place where, std::string what) {
    return std::unexpected(config_fault{.where = where, .key = {}, .what = std::move(what)});
}

config_place place_of(const toml::source_region& region) { return {region.begin.line, region.begin.column}; }

std::string_view line_at(std::string_view text, std::uint32_t line) {
    for (; line > 1; --line) {
        const std::size_t end = text.find('\n');
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return text.substr(0, text.find('\n'));
}

/// What must be right before toml++ sees it, outside of the texts and comments of TOML. It makes a table of every part
/// of a dotted key and takes them apart by recursion: a file of dots would end the stack. And its tables of letters are
/// asked for what is in none of them (3.3), where TOML 1.0 takes ASCII only.
class outline {
  public:
    explicit outline(std::string_view text) : rest_(text) {
        if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);
    }

    /// The first fault; nothing: none.
    std::optional<config_fault> check() {
        while (!rest_.empty()) {
            const char c = rest_.front();
            if (c == '"' || c == '\'') {
                skip_text(c);
                continue;
            }
            if (c == '#') {
                rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
                continue;
            }
            if (c == '\n') next_line();
            if (static_cast<unsigned char>(c) >= 0x80) return fault("only ASCII stands outside of texts in quotes");
            if (c == '.' && ++dots_ > max_dots) return fault(fmt::format("more than {} dots in one line", max_dots));
            rest_.remove_prefix(1);
        }
        return std::nullopt;
    }

  private:
    config_fault fault(std::string what) const { return {.where = {line_, 1}, .key = {}, .what = std::move(what)}; }

    void next_line() {
        ++line_;
        dots_ = 0;
    }

    void skip_text(char quote) {
        const std::string three(3, quote);
        const bool long_text = rest_.starts_with(three);
        rest_.remove_prefix(long_text ? 3 : 1);
        while (!rest_.empty()) {
            if (long_text ? rest_.starts_with(three) : rest_.front() == quote) {
                rest_.remove_prefix(long_text ? 3 : 1);
                // A text may end in one or two quotes of its own: """a""""".
                while (long_text && rest_.starts_with(quote)) rest_.remove_prefix(1);
                return;
            }
            if (rest_.front() == '\n') {
                next_line();
                if (!long_text) return rest_.remove_prefix(1); // a fault, which toml++ tells
            }
            rest_.remove_prefix(quote == '"' && rest_.front() == '\\' && rest_.size() > 1 && rest_[1] != '\n' ? 2 : 1);
        }
    }

    std::string_view rest_;
    std::uint32_t line_ = 1;
    std::size_t dots_ = 0;
};

/// The first line that is no UTF-8; 0: none.
std::uint32_t line_of_other_octets(std::string_view text) {
    for (std::uint32_t line = 1; !text.empty(); ++line) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        if (!is_utf8(text.substr(0, end))) return line;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return 0;
}

class flattener {
  public:
    std::vector<toml_entry> out;

    /// False when it is too deep.
    bool walk(const toml::table& table) {
        if (path_.size() >= max_levels) return false;
        for (const auto& [key, node] : table) {
            path_.emplace_back(key.str());
            out.push_back(entry_of(place_of(key.source()), node));
            if (const auto* inner = node.as_table(); inner != nullptr && !walk(*inner)) return false;
            path_.pop_back();
        }
        return true;
    }

  private:
    toml_entry entry_of(config_place key_at, const toml::node& node) const {
        toml_entry e{.path = path_, .value = {}, .type = {}, .key_at = key_at, .value_at = place_of(node.source())};
        switch (node.type()) {
        case toml::node_type::string: e.value = **node.as_string(); break;
        case toml::node_type::integer: e.value = **node.as_integer(); break;
        case toml::node_type::floating_point: e.value = **node.as_floating_point(); break;
        case toml::node_type::boolean: e.value = **node.as_boolean(); break;
        case toml::node_type::array: add_list(e, *node.as_array()); break;
        case toml::node_type::table: e.type = "a table"; break;
        default: e.type = "a date or a time"; break;
        }
        return e;
    }

    static void add_list(toml_entry& e, const toml::array& list) {
        std::vector<std::string> texts;
        for (const toml::node& one : list) {
            if (!one.is_string()) {
                e.type = one.is_table() ? "a list of tables" : "a list of other things than texts";
                return;
            }
            texts.push_back(**one.as_string());
        }
        e.value = std::move(texts);
    }

    std::vector<std::string> path_;
};

} // namespace

std::expected<std::vector<toml_entry>, config_fault> read_toml(std::string_view text,
                                                               bool (*never_repeat_line)(std::string_view line)) {
    if (text.size() > max_text) return refuse({}, "is larger than 1 MiB");
    if (const std::uint32_t line = line_of_other_octets(text); line != 0) return refuse({line, 1}, "is no UTF-8");
    if (auto fault = outline(text).check()) return std::unexpected(std::move(*fault));
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
        const toml::parse_error& why = parsed.error();
        const config_place where = place_of(why.source());
        const bool quiet = never_repeat_line != nullptr && never_repeat_line(line_at(text, where.line));
        return refuse(where, fmt::format("this is not TOML: {}. What follows was not read",
                                         quiet ? "a text stands in quotes, with \\ before each \" and \\ in it"
                                               : quote_server_text(why.description())));
    }
    flattener flat;
    if (!flat.walk(parsed.table())) return refuse({}, fmt::format("has tables in more than {} levels", max_levels));
    std::ranges::sort(flat.out, [](const toml_entry& a, const toml_entry& b) {
        return std::tie(a.key_at.line, a.key_at.column, a.path) < std::tie(b.key_at.line, b.key_at.column, b.path);
    });
    return std::move(flat.out);
}

} // namespace postferry::app
