#include "app/report_files.hpp"

#include "app/report_csv.hpp"
#include "app/report_html.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <fstream>

namespace postferry::app {

namespace {

std::filesystem::path signature_of(const std::filesystem::path& report) { return report.string() + ".sig"; }

} // namespace

std::optional<report_format> format_of(const std::filesystem::path& file) {
    const std::string name = ascii_lower(file.string());
    if (name.ends_with(".json")) return report_format::json;
    if (name.ends_with(".csv")) return report_format::csv;
    if (name.ends_with(".html") || name.ends_with(".htm")) return report_format::html;
    return std::nullopt;
}

result<std::string> read_whole_file(const std::filesystem::path& file, std::uint64_t most) {
    std::error_code unknown;
    const auto size = std::filesystem::file_size(file, unknown);
    std::ifstream in(file, std::ios::binary);
    if (unknown || !in) return fail(retry_class::config, phase::usage, fmt::format("{} cannot be read", file.string()));
    if (size > most)
        return fail(retry_class::config, phase::usage,
                    fmt::format("{} is larger than {}", file.string(), format_size(most)));
    std::string text(size, '\0');
    in.read(text.data(), static_cast<std::streamsize>(size));
    text.resize(static_cast<std::size_t>(in.gcount()));
    return text;
}

result<signing_key> read_signing_key(const std::filesystem::path& file) {
    const auto pem = read_whole_file(file, 1U << 16U);
    if (!pem) return std::unexpected(pem.error());
    auto key = signing_key::read(*pem);
    if (!key) key.error().what = fmt::format("{}: {}", file.string(), key.error().what);
    return key;
}

result<report_files> report_files::open(const std::vector<std::filesystem::path>& places,
                                        const std::filesystem::path& sign_key) {
    report_files out;
    if (!sign_key.empty()) {
        auto key = read_signing_key(sign_key);
        if (!key) return std::unexpected(key.error());
        out.key_.emplace(std::move(*key));
    }
    for (const std::filesystem::path& place : places) {
        auto file = atomic_file::create(place);
        if (!file) return std::unexpected(file.error());
        one next{.place = place, .file = std::move(*file), .signature = std::nullopt};
        if (out.key_) {
            auto signature = atomic_file::create(signature_of(place));
            if (!signature) return std::unexpected(signature.error());
            next.signature.emplace(std::move(*signature));
        }
        out.files_.push_back(std::move(next));
    }
    return out;
}

result<void> report_files::write(const report_frame& frame, const mailbox_walk& mailboxes) {
    for (one& f : files_) {
        result<void> ok;
        switch (format_of(f.place).value_or(report_format::json)) {
        case report_format::json: ok = write_json_report(f.file, frame, mailboxes); break;
        case report_format::csv: ok = write_csv_report(f.file, mailboxes); break;
        case report_format::html: ok = write_html_report(f.file, frame, mailboxes); break;
        }
        if (ok) ok = f.file.commit();
        if (!ok) return ok;
        if (!f.signature) continue;
        // Over the octets that are on the disk now, whatever wrote them.
        const auto document = read_whole_file(f.place, largest_signed);
        if (!document) return std::unexpected(document.error());
        const auto signature = key_->sign(*document);
        if (!signature) return std::unexpected(signature.error());
        if (ok = f.signature->write(*signature); !ok) return ok;
        if (ok = f.signature->commit(); !ok) return ok;
    }
    files_.clear();
    return {};
}

} // namespace postferry::app
