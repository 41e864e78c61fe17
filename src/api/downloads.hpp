#pragma once
// Bodies that are made while they are sent, to be kept as a file.
#include "http/message.hpp"

#include <string>

namespace postferry::api {

/// `name` is made of words and numbers of our own only, never of what a client or a server has said.
[[nodiscard]] inline http::reply download(std::string type, const std::string& name, http::body_maker body) {
    http::reply r{.type = std::move(type), .body = std::move(body)};
    r.fields.emplace_back("Content-Disposition", "attachment; filename=\"" + name + "\"");
    r.fields.emplace_back("Cache-Control", "no-store");
    return r;
}

} // namespace postferry::api
