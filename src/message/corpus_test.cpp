// Real messages (a folder that does not belong to the repository): every one has a fingerprint that survives what
// servers do to it. POSTFERRY_CORPUS names the folder; without it the test is skipped.
#include "base/text.hpp"
#include "message/fingerprint.hpp"
#include "message/header_fields.hpp"
#include "message/received_date.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace postferry::message {
namespace {

namespace fs = std::filesystem;

fs::path corpus() {
    const char* const named = std::getenv("POSTFERRY_CORPUS");
    return named != nullptr ? named : "";
}

std::string read(const fs::path& path) {
    std::string text(fs::file_size(path), '\0');
    std::ifstream(path, std::ios::binary).read(text.data(), static_cast<std::streamsize>(text.size()));
    return text;
}

std::string with_lf(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (text[i] != '\r' || i + 1 == text.size() || text[i + 1] != '\n') out.push_back(text[i]);
    return out;
}

std::string with_crlf(std::string_view lf) {
    std::string out;
    for (const char c : lf) {
        if (c == '\n') out.push_back('\r');
        out.push_back(c);
    }
    return out;
}

std::string with_question_marks(std::string text) {
    for (char& c : text)
        if (static_cast<unsigned char>(c) >= 0x80) c = '?';
    return text;
}

bool is_message(const fs::directory_entry& entry) {
    const std::string extension = entry.path().extension().string();
    return entry.is_regular_file() &&
           (extension == ".eml" || extension == ".msg" || extension == ".raw" || extension == ".txt");
}

/// The header with its empty line and a little of the body.
std::string head_of(const std::string& text) {
    header_fields header(text);
    while (header.next()) {
    }
    return text.substr(0, header.position() + 200);
}

bool names_a_date(std::string_view text) {
    header_fields header(text);
    while (const auto field = header.next())
        if ((iequals(field->name, "date") || iequals(field->name, "received")) && field->body.size() > 20) return true;
    return false;
}

TEST(corpus, every_message_keeps_its_fingerprint) {
    if (!fs::exists(corpus())) GTEST_SKIP() << "POSTFERRY_CORPUS names no corpus";
    std::size_t messages = 0;
    std::size_t strong = 0;
    std::size_t dated = 0;
    std::size_t datable = 0;
    for (const auto& entry : fs::recursive_directory_iterator(corpus())) {
        if (!is_message(entry)) continue;
        const std::string text = read(entry.path());
        const fingerprint mark = fingerprint_of(text);
        const auto date = received_date(text);
        const std::string lf = with_lf(head_of(text));
        EXPECT_EQ(fingerprint_of(lf).digest, mark.digest) << entry.path();
        EXPECT_EQ(fingerprint_of(with_crlf(lf)).digest, mark.digest) << entry.path();
        EXPECT_EQ(fingerprint_of(with_question_marks(lf)).digest, mark.digest) << entry.path();
        EXPECT_EQ(received_date(with_crlf(lf)), date) << entry.path();
        ++messages;
        strong += mark.strong ? 1U : 0U;
        dated += date ? 1U : 0U;
        datable += names_a_date(text) ? 1U : 0U;
    }
    EXPECT_GT(messages, 1000U);
    // Most real mail can be recognised and dated; a reader that gave up would show here.
    EXPECT_GT(strong * 10, messages * 8) << strong << " of " << messages;
    EXPECT_GT(dated * 100, datable * 98) << dated << " of " << datable;
}

} // namespace
} // namespace postferry::message
