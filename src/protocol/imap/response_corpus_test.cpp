// Answers that real servers gave and that other projects' tests hold, where such a collection lies beside the source.
#include "protocol/imap/detail/parse_for_test.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace postferry::imap {
namespace {

namespace fs = std::filesystem;

std::optional<fs::path> corpus(const char* folder) {
    const char* const named = std::getenv("POSTFERRY_CORPUS");
    if (named == nullptr || !fs::is_directory(fs::path(named) / folder)) return std::nullopt;
    return fs::path(named) / folder;
}

std::string content(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

std::vector<fs::path> files(const fs::path& root, std::string_view extension) {
    std::vector<fs::path> out;
    for (const auto& entry : fs::recursive_directory_iterator(root))
        if (entry.path().extension() == extension) out.push_back(entry.path());
    std::ranges::sort(out);
    return out;
}

// Reads the double-quoted YAML scalar behind `at`'s quote: escapes, and line folding (YAML 1.2, 7.3.1).
std::string double_quoted(std::string_view text, std::size_t at) {
    std::string out;
    for (; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\n') { // a line break and the white space around it is one space, an empty line is a line feed
            while (out.ends_with(' ')) out.pop_back();
            std::size_t feeds = 0;
            while (at < text.size() && (text[at] == '\n' || text[at] == ' ')) feeds += text[at++] == '\n' ? 1U : 0U;
            --at;
            out += feeds == 1 ? " " : std::string(feeds - 1, '\n');
        } else if (text[at] != '\\') {
            out += text[at];
        } else if (const char c = text[++at]; c == '\n') { // an escaped break: nothing
            while (text[at + 1] == ' ' || text[at + 1] == '\n') ++at;
        } else if (c == 'x') {
            out += static_cast<char>(std::stoi(std::string(text.substr(at + 1, 2)), nullptr, 16));
            at += 2;
        } else {
            constexpr std::string_view names = "rnt0\\\"/ ";
            EXPECT_NE(names.find(c), std::string_view::npos) << "unknown YAML escape " << c;
            out += "\r\n\t\0\\\"/ "[names.find(c)];
        }
    }
    return out;
}

struct sample {
    std::string where;
    std::string wire;
};

// The values of ":response:", each perhaps with an anchor and on a line of its own.
std::vector<sample> net_imap_samples(const fs::path& root) {
    constexpr std::string_view key = ":response:";
    std::vector<sample> out;
    for (const fs::path& file : files(root, ".yml")) {
        const std::string text = content(file);
        for (std::size_t at = text.find(key); at != std::string_view::npos; at = text.find(key, at + 1)) {
            std::size_t value = text.find_first_not_of(" \n", at + key.size());
            if (text[value] == '&') value = text.find_first_not_of(" \n", text.find_first_of(" \n", value));
            const auto line =
                1 + std::ranges::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
            const std::string where = fmt::format("{}:{}", file.filename().string(), line);
            EXPECT_EQ(text[value], '"') << where;
            out.push_back({where, double_quoted(text, value + 1)});
        }
    }
    return out;
}

TEST(corpus, net_imap_responses) {
    const auto root = corpus("net-imap-responses");
    if (!root) GTEST_SKIP() << "no corpus; name one with POSTFERRY_CORPUS";
    const auto samples = net_imap_samples(*root);
    EXPECT_EQ(samples.size(), 181U);
    std::size_t others = 0;
    for (const auto& [where, wire] : samples) {
        const auto events = detail::events_whatever_the_cuts(wire);
        EXPECT_EQ(events.back(), "between responses") << where << ": " << wire;
        EXPECT_GE(events.size(), 2U) << where;
        if (std::ranges::any_of(events, [](const std::string& e) { return e.starts_with("other "); })) ++others;
    }
    // One of ACL, six of THREAD, one of UIDFETCH: everything else has a type of its own.
    EXPECT_EQ(others, 8U);
}

// The transcripts were kept with bare line feeds; their literals count CRLF, as MailKit feeds them (unix2dos).
std::string with_crlf(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\n') out += '\r';
        out += c;
    }
    if (!out.ends_with('\n')) out += "\r\n";
    return out;
}

TEST(corpus, mailkit_transcripts) {
    const auto root = corpus("mailkit-transcripts/Imap/Resources");
    if (!root) GTEST_SKIP() << "no corpus; name one with POSTFERRY_CORPUS";
    const auto transcripts = files(*root, ".txt");
    EXPECT_EQ(transcripts.size(), 290U);
    std::size_t responses = 0;
    std::size_t messages = 0;
    for (const fs::path& file : transcripts) {
        const std::string wire = with_crlf(content(file));
        const auto events = wire.size() < 500 ? detail::events_whatever_the_cuts(wire) : detail::events_of(wire, {});
        // The one literal that was counted wrongly by hand: three octets of the header come behind it (MailKit #954).
        if (file.filename() == "headers.1+unsolicited-info.txt") {
            EXPECT_THAT(events.back(), testing::StartsWith("malformed: FETCH response: ")) << file;
            continue;
        }
        EXPECT_EQ(events.back(), "between responses") << file;
        // Pieces of a size that no structure has, for the long ones too.
        std::vector<std::size_t> cuts;
        for (std::size_t at = 997; at < wire.size(); at += 997) cuts.push_back(at);
        EXPECT_EQ(detail::events_of(wire, cuts), events) << file;
        const auto bodies = std::ranges::count(events, "end");
        messages += static_cast<std::size_t>(bodies);
        responses += events.size() - 1 - static_cast<std::size_t>(3 * bodies);
    }
    EXPECT_EQ(responses, 1081U);
    EXPECT_EQ(messages, 32U);
}

} // namespace
} // namespace postferry::imap
