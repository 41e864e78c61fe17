# Every library Postferry links, once. All are Debian 12 packages; scripts/install names them.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(fmt REQUIRED)
# Time zones: libstdc++ 12 has none of its own.
find_package(date REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
# The header alone: the library of Debian's package throws where a text is no TOML.
find_path(TOMLPLUSPLUS_INCLUDE toml++/toml.h REQUIRED)
# Debian's default Boost is 1.74; 1.81 is asked for by name.
find_package(Boost 1.81.0 EXACT REQUIRED CONFIG COMPONENTS json url)
pkg_check_modules(GSASL REQUIRED IMPORTED_TARGET libgsasl)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(PQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(CRYPT REQUIRED IMPORTED_TARGET libcrypt)
pkg_check_modules(RE2 REQUIRED IMPORTED_TARGET re2)
# Registry and text format; our own HTTP server serves them.
pkg_check_modules(PROMETHEUS REQUIRED IMPORTED_TARGET prometheus-cpp-core)
if(POSTFERRY_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
