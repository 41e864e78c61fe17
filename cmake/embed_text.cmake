# cmake -DFROM=a.yaml -DTO=a.cpp -DINCLUDE=api/contract.hpp -DFUNCTION=postferry::api::contract_text -P embed_text.cmake
# A text as a function of C++. In pieces, because a compiler need not take a literal of more than 65,536 octets; the text
# is ASCII, so that a piece may end anywhere.
file(READ "${FROM}" text)
string(LENGTH "${text}" size)
set(source "// Made of ${FROM}; edit that.\n#include \"${INCLUDE}\"\n\nstd::string ${FUNCTION}() {\n    std::string all;\n")
set(at 0)
while(at LESS size)
  string(SUBSTRING "${text}" ${at} 16000 piece)
  string(APPEND source "    all += R\"embedded(${piece})embedded\";\n")
  math(EXPR at "${at} + 16000")
endwhile()
string(APPEND source "    return all;\n}\n")
file(WRITE "${TO}" "${source}")
