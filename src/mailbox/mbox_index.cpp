#include "mailbox/mbox_index.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace postferry::mailbox {

namespace {

constexpr std::size_t piece = 256U << 10U;
constexpr std::int64_t second_ns = 1'000'000'000;

std::int64_t in_ns(const timespec& t) noexcept { return std::int64_t{t.tv_sec} * second_ns + t.tv_nsec; }

class indexer final : public message::mbox_sink {
  public:
    indexer(mbox_index& out, std::vector<std::string>& names) : out_(out), names_(names) {}

    void begin(std::uint64_t) override {}
    void octets(std::string_view content) override { hash_.update(content); }
    void end(message::mbox_message m) override {
        const sha256_digest digest = hash_.finish();
        mbox_entry e{.begin = m.begin,
                     .end = m.end,
                     .octets = m.octets,
                     .check = 0,
                     .flags = out_.flag_set(std::move(m.flags)),
                     .dated = m.date.has_value(),
                     .ours = m.ours,
                     .what = m.what};
        std::memcpy(&e.check, digest.octets.data(), sizeof e.check);
        if (m.date) {
            const message::message_date date = m.zone_told ? *m.date : with_local_zone(*m.date);
            e.date = date.unix_seconds;
            e.zone = static_cast<std::int16_t>(date.zone_minutes);
        }
        out_.entries.push_back(e);
        // It changes with every session, and is the same all the same.
        std::string name =
            m.what == message::mbox_message::kind::internal_data ? "internal-data" : mbox_content_name(digest);
        const std::uint32_t number = ++out_.times[name];
        names_.push_back(fmt::format("{}.{}", name, number));
    }

  private:
    mbox_index& out_;
    std::vector<std::string>& names_;
    sha256 hash_;
};

} // namespace

std::uint64_t mbox_stamp::as_modseq(std::int64_t now_ns) const noexcept {
    if (now_ns - std::max(modified_ns, changed_ns) < 2 * second_ns) return 0;
    std::uint64_t hash = 14'695'981'039'346'656'037U;
    for (const std::uint64_t part :
         {device, inode, size, static_cast<std::uint64_t>(modified_ns), static_cast<std::uint64_t>(changed_ns)}) {
        hash ^= part;
        hash *= 1'099'511'628'211U;
        hash ^= hash >> 29U;
    }
    return (hash >> 1U) | 1U; // the ledger's numbers are signed
}

result<mbox_stamp> stamp_of(int fd) {
    struct stat st{};
    if (::fstat(fd, &st) != 0) return file_failure(errno, phase::scan, "The mbox cannot be looked at");
    return mbox_stamp{.device = st.st_dev,
                      .inode = st.st_ino,
                      .size = static_cast<std::uint64_t>(st.st_size),
                      .modified_ns = in_ns(st.st_mtim),
                      .changed_ns = in_ns(st.st_ctim)};
}

std::uint32_t mbox_index::flag_set(std::vector<std::string> flags) {
    const auto at = std::ranges::find(flag_sets, flags);
    if (at != flag_sets.end()) return static_cast<std::uint32_t>(at - flag_sets.begin());
    flag_sets.push_back(std::move(flags));
    return static_cast<std::uint32_t>(flag_sets.size() - 1);
}

std::string mbox_content_name(const sha256_digest& digest) {
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    for (std::size_t i = 0; i < 16; ++i) {
        bits = (bits << 8U) | digest.octets[i];
        count += 8;
        for (; count >= 6; count -= 6) out += letters[(bits >> static_cast<unsigned>(count - 6)) & 63U];
    }
    out += letters[(bits << static_cast<unsigned>(6 - count)) & 63U];
    return out;
}

result<mbox_index> read_mbox_index(int fd, message::mbox_format format, std::vector<std::string>& names,
                                   const std::atomic<bool>& stop) {
    mbox_index out;
    const auto stamp = stamp_of(fd);
    if (!stamp) return std::unexpected(stamp.error());
    out.stamp = *stamp;
    indexer sink(out, names);
    message::mbox_reader reader(
        {.format = format, .separator_at = [fd](std::uint64_t at) { return mbox_separator_at(fd, at); }}, sink);
    std::string text(piece, '\0');
    // No further than it reached when we began: what is being added is complete at the next look.
    for (std::uint64_t at = 0; at < out.stamp.size;) {
        if (stop) return fail(retry_class::cancelled, phase::scan, "the mbox was closed");
        const ssize_t n =
            ::pread(fd, text.data(), std::min<std::uint64_t>(piece, out.stamp.size - at), static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return file_failure(errno, phase::scan, "The mbox cannot be read");
        if (n == 0) break;
        reader.feed(std::string_view(text).substr(0, static_cast<std::size_t>(n)));
        at += static_cast<std::uint64_t>(n);
    }
    reader.finish();
    out.lengths_hold = reader.lengths_hold();
    return out;
}

bool mbox_separator_at(int fd, std::uint64_t offset) {
    std::array<char, message::mbox_from_octets + 8> text{};
    if (offset > INT64_MAX) return false;
    const ssize_t n = ::pread(fd, text.data(), text.size(), static_cast<off_t>(offset));
    struct stat st{};
    if (n < 0 || ::fstat(fd, &st) != 0 || offset > static_cast<std::uint64_t>(st.st_size)) return false;
    std::string_view rest(text.data(), static_cast<std::size_t>(n));
    while (rest.starts_with('\n') || rest.starts_with("\r\n")) rest.remove_prefix(rest.starts_with('\n') ? 1 : 2);
    return rest.empty() || message::parse_mbox_from(rest.substr(0, rest.find('\n'))).has_value();
}

result<file_handle> open_mbox(int directory, const std::string& file) {
    constexpr int how = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    file_handle fd(::openat(directory, file.c_str(), how | O_NOATIME));
    if (!fd && errno == EPERM) fd = file_handle(::openat(directory, file.c_str(), how));
    if (!fd) return file_failure(errno, phase::scan, fmt::format("{} cannot be opened", quote_server_text(file)));
    return fd;
}

message::message_date with_local_zone(message::message_date as_utc) {
    const time_t seconds = as_utc.unix_seconds;
    struct tm parts{};
    if (::gmtime_r(&seconds, &parts) == nullptr) return as_utc;
    parts.tm_isdst = -1;
    const time_t local = ::mktime(&parts);
    if (local == -1) return as_utc;
    return {.unix_seconds = local, .zone_minutes = static_cast<int>((as_utc.unix_seconds - local) / 60)};
}

} // namespace postferry::mailbox
