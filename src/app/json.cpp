#include "app/json.hpp"

#include "app/failure_advice.hpp"
#include "base/text.hpp"

#include <fmt/chrono.h>

namespace postferry::app {

namespace json = boost::json;

std::string rfc3339(wall_time t) {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(t)));
}

json::string json_text(std::string_view text) {
    if (is_utf8(text)) return json::string(text);
    std::string out;
    while (!text.empty()) {
        const std::size_t n = utf8_sequence_length(text);
        if (n == 0) {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text.front()));
        } else {
            out.append(text.substr(0, n));
        }
        text.remove_prefix(n == 0 ? 1 : n);
    }
    return json::string(out);
}

json::array json_texts(const std::vector<std::string>& texts) {
    json::array out;
    out.reserve(texts.size());
    for (const std::string& text : texts) out.emplace_back(json_text(text));
    return out;
}

json::object json_of_octets(const transfer::balance& b) {
    return {{"source", b.source},
            {"copied", b.copied},
            {"present", b.present},
            {"skipped", b.skipped},
            {"failed", b.failed}};
}

json::object json_of_messages(const transfer::balance& b) {
    json::object out = json_of_octets(b);
    out["residual"] = b.residual();
    return out;
}

json::object json_of(const transfer::failure& f) {
    return {{"folder", json_text(f.folder)},
            {"source_uid", f.source_uid},
            {"bytes", f.octets},
            {"message_id", json_text(f.message_id)},
            {"class", name_of(f.cls)},
            {"reason", json_text(f.reason)},
            {"advice", advice_for(f)},
            {"waived", f.waived}};
}

json::object json_of(const error& e) {
    json::object out{{"class", name_of(e.cls)}, {"phase", name_of(e.where)}};
    out["reason"] =
        json_text(e.server_said.empty() ? e.what : fmt::format("{}; server said: {}", e.what, e.server_said));
    if (!e.advice.empty()) out["advice"] = json_text(e.advice);
    if (!e.response_code.empty()) out["response_code"] = json_text(e.response_code);
    return out;
}

json::array json_of(const std::vector<transfer::collision>& collisions) {
    json::array out;
    for (const transfer::collision& c : collisions)
        out.push_back(json::object{{"sources", json_texts(c.sources)},
                                   {"target", json_text(c.target)},
                                   {"how", json_text(c.how)},
                                   {"fatal", c.fatal}});
    return out;
}

} // namespace postferry::app
