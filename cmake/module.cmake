# One way to build everything: warnings, sanitizers, precompiled headers, modules, fuzzers.

add_library(pf_options INTERFACE)
target_include_directories(pf_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(pf_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wimplicit-fallthrough -Wextra-semi -Werror -fno-omit-frame-pointer -pthread)
target_link_options(pf_options INTERFACE -fuse-ld=lld)
target_compile_definitions(pf_options INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED POSTFERRY_VERSION="${PROJECT_VERSION}")
if(POSTFERRY_SANITIZE STREQUAL "address")
  target_compile_options(pf_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all)
  target_link_options(pf_options INTERFACE -fsanitize=address,undefined)
elseif(POSTFERRY_SANITIZE STREQUAL "thread")
  target_compile_options(pf_options INTERFACE -fsanitize=thread)
  target_link_options(pf_options INTERFACE -fsanitize=thread)
endif()
if(POSTFERRY_FUZZ)
  target_compile_options(pf_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Two precompiled headers: rooms without I/O get the standard library and {fmt} only, the others Asio as well.
foreach(kind pure io)
  add_library(pf_pch_${kind} STATIC ${PROJECT_SOURCE_DIR}/cmake/pch/${kind}.cpp)
  target_precompile_headers(pf_pch_${kind} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/pch/${kind}.hpp)
  target_compile_options(pf_pch_${kind} PRIVATE -Xclang -fno-pch-timestamp)
  target_link_libraries(pf_pch_${kind} PUBLIC pf_options fmt::fmt)
endforeach()
target_link_libraries(pf_pch_io PUBLIC Boost::headers Threads::Threads)

# add_module(NAME [IO] SOURCES a.cpp ... [TESTS a_test.cpp ...] [DEPS target ...])
# makes the static library pf_NAME of the current folder and, with TESTS, the program NAME_test known to ctest.
# IO says that the module may see Asio.
function(add_module name)
  cmake_parse_arguments(M "IO" "" "SOURCES;TESTS;DEPS;TEST_DEPS" ${ARGN})
  set(kind pure)
  if(M_IO)
    set(kind io)
  endif()
  add_library(pf_${name} STATIC ${M_SOURCES})
  target_link_libraries(pf_${name} PUBLIC pf_options fmt::fmt ${M_DEPS})
  if(M_IO)
    target_link_libraries(pf_${name} PUBLIC Boost::headers Threads::Threads)
  endif()
  target_precompile_headers(pf_${name} REUSE_FROM pf_pch_${kind})
  target_compile_options(pf_${name} PRIVATE -Xclang -fno-pch-timestamp)
  if(POSTFERRY_TESTS AND M_TESTS)
    add_executable(${name}_test ${M_TESTS})
    target_link_libraries(${name}_test PRIVATE pf_${name} ${M_TEST_DEPS} GTest::gmock GTest::gtest_main)
    target_precompile_headers(${name}_test REUSE_FROM pf_pch_${kind})
    target_compile_options(${name}_test PRIVATE -Xclang -fno-pch-timestamp)
    if(M_IO)
      target_link_libraries(${name}_test PRIVATE Boost::headers Threads::Threads)
    endif()
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST
      DISCOVERY_TIMEOUT 120 # of a cold, busy machine; the usual five seconds end ctest itself
      PROPERTIES TIMEOUT 600 ENVIRONMENT "POSTFERRY_SOURCE_DIR=${PROJECT_SOURCE_DIR}")
  endif()
endfunction()

# add_fuzzer(NAME SOURCE DEPS ...): a libFuzzer program, built only with POSTFERRY_FUZZ, in fuzzers/ of the build folder.
# The target `fuzzers` builds them all; scripts/fuzz runs them. Without POSTFERRY_FUZZ the test fuzz.NAME plays its seeds
# and what once broke it (tests/fuzz/corpus, tests/fuzz/crashes).
if(POSTFERRY_FUZZ)
  add_custom_target(fuzzers)
endif()
function(add_fuzzer name source)
  if(NOT POSTFERRY_FUZZ)
    add_executable(${name}_replay ${source} replay.cpp)
    target_link_libraries(${name}_replay PRIVATE pf_options ${ARGN})
    target_include_directories(${name}_replay PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    add_test(NAME fuzz.${name} COMMAND ${name}_replay ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name}
      ${CMAKE_CURRENT_SOURCE_DIR}/crashes/${name})
    set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT 600)
    return()
  endif()
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE pf_options ${ARGN})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzzers)
  add_dependencies(fuzzers ${name})
endfunction()
