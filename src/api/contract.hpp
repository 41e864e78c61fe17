#pragma once
#include <string>

namespace postferry::api {

/// openapi.yaml, as this program was built with it (cmake/embed_text.cmake makes it a source file).
[[nodiscard]] std::string contract_text();

} // namespace postferry::api
