#include "directory/settings_reader.hpp"

#include "base/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace postferry::directory {

std::string setting_fault::text() const {
    std::string out = position.empty() ? "" : position + ": ";
    if (!name.empty()) out += name + ": ";
    return out + what;
}

settings_reader::settings_reader(setting_list all) {
    for (setting& one : all) {
        std::ranges::replace(one.name, '-', '_');
        if (find(one.name) != nullptr)
            faults_.push_back({one.name, one.position, "is there twice"});
        else
            entries_.push_back({std::move(one)});
    }
    known_.clear();
}

settings_reader::entry* settings_reader::find(std::string_view name) {
    known_.emplace(name);
    const auto found =
        std::ranges::find(entries_, name, [](const entry& e) -> std::string_view { return e.held.name; });
    if (found == entries_.end()) return nullptr;
    return &*found;
}

std::string settings_reader::position_of(std::string_view name) {
    const entry* e = find(name);
    return e == nullptr ? "" : e->held.position;
}

void settings_reader::fault(std::string_view name, std::string what) {
    faults_.push_back({std::string(name), position_of(name), std::move(what)});
}

void settings_reader::check(std::string_view name, const result<void>& ok) {
    if (!ok) fault(name, ok.error().what);
}

template <class T> const T* settings_reader::value_of(std::string_view name, std::string_view type) {
    entry* e = find(name);
    if (e == nullptr) return nullptr;
    e->asked = true;
    const T* value = std::get_if<T>(&e->held.value);
    if (value == nullptr) fault(name, fmt::format("must be {}", type));
    return value;
}

std::string settings_reader::text(std::string_view name, std::string_view otherwise) {
    const auto* value = value_of<std::string>(name, "a text");
    return value == nullptr ? std::string(otherwise) : *value;
}

std::optional<std::string> settings_reader::required_text(std::string_view name) {
    if (find(name) == nullptr) {
        fault(name, "is missing");
        return std::nullopt;
    }
    const auto* value = value_of<std::string>(name, "a text");
    if (value == nullptr) return std::nullopt;
    if (value->empty()) fault(name, "is empty");
    return *value;
}

std::int64_t settings_reader::number(std::string_view name, std::int64_t otherwise, std::int64_t least,
                                     std::int64_t most) {
    const auto* value = value_of<std::int64_t>(name, "a whole number");
    if (value == nullptr) return otherwise;
    if (*value < least || *value > most) fault(name, fmt::format("must be from {} to {}", least, most));
    return *value;
}

std::uint64_t settings_reader::size(std::string_view name, std::uint64_t otherwise, std::uint64_t most) {
    entry* e = find(name);
    if (e == nullptr) return otherwise;
    e->asked = true;
    std::optional<std::uint64_t> octets;
    if (const auto* text = std::get_if<std::string>(&e->held.value)) octets = parse_size(*text);
    if (const auto* number = std::get_if<std::int64_t>(&e->held.value); number != nullptr && *number >= 0)
        octets = static_cast<std::uint64_t>(*number);
    if (!octets || *octets > most)
        fault(name, fmt::format("must be a size of at most {}, such as \"25 MB\"", format_size(most)));
    return octets.value_or(otherwise);
}

secret settings_reader::secret_value(std::string_view name) {
    entry* e = find(name);
    if (e == nullptr) return {};
    e->asked = true;
    if (auto* hidden = std::get_if<secret>(&e->held.value)) return *hidden;
    if (auto* text = std::get_if<std::string>(&e->held.value)) return secret(*text);
    fault(name, "must be a text");
    return {};
}

setting::list settings_reader::texts(std::string_view name) {
    const auto* value = value_of<setting::list>(name, "a list of texts");
    return value == nullptr ? setting::list() : *value;
}

std::size_t settings_reader::choice(std::string_view name, std::span<const std::string_view> words,
                                    std::size_t otherwise) {
    const auto* value = value_of<std::string>(name, "a text");
    if (value == nullptr) return otherwise;
    for (std::size_t i = 0; i < words.size(); ++i)
        if (iequals(*value, words[i])) return i;
    fault(name, fmt::format("must be one of {}", fmt::join(words, ", ")));
    return otherwise;
}

std::vector<std::pair<std::string, std::string>> settings_reader::below(std::string_view prefix) {
    std::vector<std::pair<std::string, std::string>> out;
    for (entry& e : entries_) {
        if (!e.held.name.starts_with(prefix) || e.held.name.size() <= prefix.size() + 1 ||
            e.held.name[prefix.size()] != '.')
            continue;
        e.asked = true;
        if (const auto* text = std::get_if<std::string>(&e.held.value))
            out.emplace_back(e.held.name.substr(prefix.size() + 1), *text);
        else
            fault(e.held.name, "must be a text");
    }
    return out;
}

std::vector<setting_fault> settings_reader::finish(std::string_view driver) {
    for (const entry& e : entries_)
        if (!e.asked)
            faults_.push_back(
                {e.held.name, e.held.position,
                 fmt::format("the driver {} has no such setting; it has {}", driver, fmt::join(known_, ", "))});
    return std::move(faults_);
}

} // namespace postferry::directory
