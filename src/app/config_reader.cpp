// From the text of a configuration file to its values, or to all that is wrong with it.
#include "app/config_keys.hpp"
#include "app/config_toml.hpp"
#include "app/nearest.hpp"
#include "base/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

namespace postferry::app {

namespace {

constexpr std::size_t longest_name = 64;
constexpr std::string_view credentials = "${CREDENTIALS_DIRECTORY}";

std::string shown_name(std::string_view text) { return quote_server_text(text, longest_name); }

bool is_name(std::string_view text) noexcept {
    return !text.empty() && text.size() <= longest_name && std::ranges::all_of(text, [](char c) {
        const char l = ascii_lower(c);
        return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
}

bool is_file_key(std::string_view key) noexcept { return key.ends_with("_file") || key.ends_with("-file"); }

/// What of the table a name in the file stands for; a secret has two names.
struct known_key {
    const config_key* key = nullptr;
    bool file = false;
};

known_key find_key(const config_section& section, std::string_view name) {
    for (const config_key& key : section.keys) {
        if (key.name == name) return {.key = &key};
        if (key.kind == key_kind::secret && name.ends_with("_file") && name.substr(0, name.size() - 5) == key.name)
            return {.key = &key, .file = true};
    }
    return {};
}

const config_section* find_section(std::string_view name) {
    const auto all = config_sections();
    const auto found = std::ranges::find(all, name, &config_section::name);
    return found == all.end() ? nullptr : &*found;
}

std::vector<std::string_view> names_of(const config_section& section) {
    std::vector<std::string_view> names;
    for (const config_key& key : section.keys) names.push_back(key.name);
    return names;
}

std::string did_you_mean(std::string_view typed, const std::vector<std::string_view>& known) {
    const std::string_view word = nearest_word(typed, known);
    return word.empty() ? std::string{} : fmt::format("; did you mean {}?", word);
}

/// [other] and [another], where a key of this name stands.
std::string elsewhere(std::string_view key) {
    std::vector<std::string> places;
    for (const config_section& section : config_sections())
        if (find_key(section, key).key != nullptr)
            places.push_back(fmt::format("[{}{}]", section.name, section.named ? ".NAME" : ""));
    return places.empty() ? std::string{} : fmt::format("; it belongs into {}", fmt::join(places, " or "));
}

void put_fallbacks(config& into, const config_section& section, std::string_view full, std::string_view instance) {
    for (const config_key& key : section.keys) {
        if (key.fallback.empty()) continue;
        const auto read = read_toml(fmt::format("v = {}", key.fallback), nullptr);
        if (read && read->size() == 1 && read->front().value)
            key.put(into, {.section = full, .instance = instance, .key = key}, *read->front().value);
    }
}

class reader {
  public:
    reader(const std::filesystem::path& file, bool public_file, const config_surroundings& around)
        : folder_(std::filesystem::absolute(file).parent_path()), public_(public_file), around_(around) {
        out_.values = config::standard();
        out_.file = file;
        faults_.file = file;
    }

    std::expected<config_file, config_faults> read(std::string_view text) {
        auto entries = read_toml(text, [](std::string_view line) {
            return std::ranges::any_of(
                std::array<std::string_view, 3>{"password", "secret", "token"},
                [&](std::string_view word) { return line.find(word) != std::string_view::npos; });
        });
        if (!entries) {
            add(std::move(entries.error()));
            return std::unexpected(std::move(faults_));
        }
        for (const toml_entry& e : *entries) take(e);
        find_missing();
        for (auto& [name, client] : out_.values.oauth)
            if (!given("oauth." + name, "grant")) client.refresh = client.refresh_token.given();
        if (faults_.count == 0)
            for (config_fault& f : check_together(out_)) add(std::move(f));
        if (faults_.count == 0) return std::move(out_);
        std::ranges::sort(faults_.list, [](const config_fault& a, const config_fault& b) {
            return std::tie(a.where.line, a.where.column, a.key) < std::tie(b.where.line, b.where.column, b.key);
        });
        return std::unexpected(std::move(faults_));
    }

  private:
    void add(config_fault fault) {
        if (++faults_.count <= config_faults::most) faults_.list.push_back(std::move(fault));
    }
    void fault(config_place where, std::string key, std::string what) {
        add({.where = where, .key = std::move(key), .what = std::move(what)});
    }

    void take(const toml_entry& e) {
        const std::string& first = e.path.front();
        const config_section* section = find_section(first);
        if (section == nullptr) return unknown_section(e);
        std::size_t used = 1;
        if (!e.is_table() && e.path.size() == 1)
            return fault(e.value_at, first, fmt::format("is a section: [{}{}]", first, section->named ? ".NAME" : ""));
        if (e.path.size() == 1) return;
        if (section->named) {
            if (!is_name(e.path[1])) return bad_name(e);
            if (!e.is_table() && e.path.size() == 2) return without_name(e, *section);
            begin(*section, e);
            if (e.path.size() == 2) return;
            used = 2;
        }
        const std::string full = section->named ? fmt::format("{}.{}", first, e.path[1]) : first;
        const std::string_view instance = section->named ? std::string_view(e.path[1]) : std::string_view{};
        if (e.path.size() == used + 1) {
            take_key(e, *section, full, instance);
        } else if (section->open && find_key(*section, e.path[used]).key == nullptr) {
            take_open(e, full, instance,
                      fmt::format("{}", fmt::join(e.path.begin() + static_cast<int>(used), e.path.end(), ".")));
        }
        // What else lies deeper stands in a table that take_key() has named already.
    }

    void unknown_section(const toml_entry& e) {
        if (!unknown_.insert(e.path.front()).second) return;
        std::vector<std::string_view> names;
        for (const config_section& s : config_sections()) names.push_back(s.name);
        const std::string name = shown_name(e.path.front());
        if (!e.is_table() && e.path.size() == 1)
            return fault(e.key_at, name, fmt::format("stands outside of all sections{}", elsewhere(e.path.front())));
        fault(e.key_at, name,
              fmt::format("there is no such section{}. There are {}", did_you_mean(e.path.front(), names),
                          fmt::join(names, ", ")));
    }

    void bad_name(const toml_entry& e) {
        if (!unknown_.insert(e.path[0] + "." + e.path[1]).second) return;
        fault(e.key_at, e.path.front() + "." + shown_name(e.path[1]),
              fmt::format("a name is made of letters, digits, - and _, at most {} of them", longest_name));
    }

    void without_name(const toml_entry& e, const config_section& section) {
        fault(e.key_at, fmt::format("{}.{}", section.name, e.path[1]),
              fmt::format("this section needs a name of your choice: [{}.NAME]", section.name));
    }

    /// A named section: there once anything of it is.
    void begin(const config_section& section, const toml_entry& e) {
        const std::string full = fmt::format("{}.{}", e.path[0], e.path[1]);
        const bool is_new = std::ranges::none_of(begun_, [&](const begun& b) { return b.full == full; });
        if (!is_new) return;
        begun_.push_back({.full = full, .section = &section, .where = e.key_at});
        put_fallbacks(out_.values, section, full, e.path[1]);
    }

    void take_key(const toml_entry& e, const config_section& section, const std::string& full,
                  std::string_view instance) {
        const std::string& name = e.path.back();
        const known_key known = find_key(section, name);
        const std::string shown = fmt::format("{}.{}", full, shown_name(name));
        if (known.key == nullptr && section.open) return take_open(e, full, instance, name);
        if (known.key == nullptr) return unknown_key(e, section, shown);
        config_key key = *known.key;
        if (known.file) key.kind = key_kind::secret_file;
        if (!e.value) return fault(e.value_at, shown, fmt::format("is {}, and takes {}", e.type, allowed_of(key)));
        if (const std::string why = trouble_of(key, *e.value); !why.empty()) return fault(e.value_at, shown, why);
        if (key.kind == key_kind::secret && public_) return readable_secret(e, shown, name);
        if (key.kind == key_kind::secret && given(full, name + "_file")) return twice(e, shown, name);
        if (known.file && given(full, key.name)) return twice(e, shown, key.name);
        config_value value = *e.value;
        if (key.kind == key_kind::path || known.file) value = whole_path(std::get<std::string>(value));
        key.put(out_.values, {.section = full, .instance = instance, .key = key}, value);
        remember(e, full, name, key.kind == key_kind::secret);
    }

    void take_open(const toml_entry& e, const std::string& full, std::string_view instance, const std::string& name) {
        if (e.is_table()) return; // its keys follow
        const std::string shown = fmt::format("{}.{}", full, shown_name(name));
        if (!e.value)
            return fault(
                e.value_at, shown,
                fmt::format("is {}; a driver's setting is a text, a number, true, false or a list of texts", e.type));
        const bool hidden = sounds_secret(name) && std::holds_alternative<std::string>(*e.value);
        if (hidden && public_) return readable_secret(e, shown, name);
        config_value value = *e.value;
        if (auto* text = std::get_if<std::string>(&value); text != nullptr && is_file_key(name))
            *text = whole_path(*text);
        out_.values.provisioning[std::string(instance)].settings.push_back(
            {.key = name, .value = std::move(value), .where = e.value_at});
        remember(e, full, name, hidden);
    }

    void unknown_key(const toml_entry& e, const config_section& section, const std::string& shown) {
        std::string hint = did_you_mean(e.path.back(), names_of(section));
        if (hint.empty()) hint = elsewhere(e.path.back());
        if (hint.empty()) hint = fmt::format("; there are {}", fmt::join(names_of(section), ", "));
        fault(e.key_at, shown, fmt::format("there is no such key{}", hint));
    }

    void readable_secret(const toml_entry& e, const std::string& shown, std::string_view name) {
        fault(e.key_at, shown,
              fmt::format("is a secret, and others can read this file: chmod o-rwx {0}, or put it into a file of its "
                          "own and write {1}_file",
                          out_.file.string(), name));
    }

    void twice(const toml_entry& e, const std::string& shown, std::string_view name) {
        fault(e.key_at, shown, fmt::format("{0} and {0}_file exclude each other", name));
    }

    void find_missing() {
        for (const begun& b : begun_)
            for (const config_key& key : b.section->keys)
                if (key.required && !given(b.full, key.name) && !faulty(b.full, key.name))
                    fault(b.where, fmt::format("{}.{}", b.full, key.name),
                          fmt::format("is missing; it takes {}", allowed_of(key)));
    }

    bool given(std::string_view section, std::string_view key) const {
        return std::ranges::any_of(out_.given,
                                   [&](const config_given& g) { return g.section == section && g.key == key; });
    }
    bool faulty(std::string_view section, std::string_view key) const {
        return std::ranges::any_of(faults_.list,
                                   [&](const config_fault& f) { return f.key == fmt::format("{}.{}", section, key); });
    }

    void remember(const toml_entry& e, const std::string& section, const std::string& key, bool hidden) {
        out_.given.push_back(
            {.section = section, .key = key, .value = hidden ? std::string{} : as_toml(*e.value), .where = e.key_at});
    }

    /// Where systemd does not say where the credentials are, the name stays, for whoever tries to read it.
    std::string whole_path(const std::string& text) const {
        if (text.empty()) return text;
        if (text.starts_with(credentials)) {
            const char* folder = around_.environment ? around_.environment("CREDENTIALS_DIRECTORY") : nullptr;
            if (folder == nullptr || *folder == '\0') return text;
            return folder + text.substr(credentials.size());
        }
        return (folder_ / text).lexically_normal().string();
    }

    struct begun {
        std::string full;
        const config_section* section;
        config_place where;
    };

    std::filesystem::path folder_;
    bool public_;
    const config_surroundings& around_;
    config_file out_;
    config_faults faults_;
    std::vector<begun> begun_;
    std::set<std::string, std::less<>> unknown_;
};

} // namespace

config config::standard() {
    config out;
    for (const config_section& section : config_sections())
        if (!section.named) put_fallbacks(out, section, section.name, {});
    return out;
}

std::expected<config_file, config_faults> parse_config(std::string_view text, const std::filesystem::path& file,
                                                       bool public_file, const config_surroundings& around) {
    return reader(file, public_file, around).read(text);
}

} // namespace postferry::app
