#include "mailbox/message_spool.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <utility>

namespace postferry::mailbox {

namespace {

constexpr std::string_view what = "the temporary file of a large message";
constexpr std::size_t gathered_at_most = 64U << 10U;

/// /tmp may be memory, and then a large message would fill it.
std::string temporary_folder() {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment
    const char* named = std::getenv("TMPDIR");
    return named != nullptr && *named != '\0' ? named : "/var/tmp";
}

result<file_handle> open_temporary(const std::string& folder) {
    file_handle file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (file) return file;
    std::string name = folder + "/postferry-XXXXXX"; // file systems without O_TMPFILE
    file = file_handle(::mkostemp(name.data(), O_CLOEXEC));
    if (!file) return file_failure(errno, phase::fetch, what);
    ::unlink(name.c_str());
    return file;
}

result<std::size_t> read_at(int fd, std::span<char> room, std::uint64_t offset) {
    const ssize_t n = ::pread(fd, room.data(), room.size(), static_cast<off_t>(offset));
    if (n <= 0) return file_failure(n == 0 ? EIO : errno, phase::fetch, what);
    return static_cast<std::size_t>(n);
}

} // namespace

task<result<void>> message_spool::add(const client::block_ref& owner, std::string_view octets) {
    octets_ += octets.size();
    if (!file_ && octets_ > in_memory_)
        if (auto ok = co_await to_file(); !ok) co_return ok;
    if (file_) co_return co_await write(octets);
    chunks_.push_back({owner, octets});
    co_return result<void>{};
}

task<result<void>> message_spool::to_file() {
    if (!pool_) pool_ = file_pool::shared();
    auto file = co_await pool_->run([] { return open_temporary(temporary_folder()); });
    if (!file) co_return std::unexpected(file.error());
    file_ = std::move(*file);
    for (const chunk& c : chunks_)
        if (auto ok = co_await write(c.octets); !ok) co_return ok;
    chunks_.clear();
    co_return result<void>{};
}

// A message may come in pieces of a few octets (each line that begins with a dot is one), and each way to the pool
// costs more than their copy.
task<result<void>> message_spool::write(std::string_view octets) {
    gathered_ += octets;
    if (gathered_.size() < gathered_at_most) co_return result<void>{};
    co_return co_await write_gathered();
}

task<result<void>> message_spool::write_gathered() {
    co_return co_await pool_->run(
        [fd = file_.get(), text = std::exchange(gathered_, {})] { return write_all(fd, text, what); });
}

task<result<void>> message_spool::deliver(message_head head, message_sink& sink) {
    head.octets = octets_;
    result<void> ok;
    if (file_) ok = co_await write_gathered();
    if (ok) ok = co_await give(std::move(head), sink);
    clear();
    co_return ok;
}

task<result<void>> message_spool::give(message_head head, message_sink& sink) {
    if (auto ok = co_await sink.begin(std::move(head)); !ok) co_return ok;
    for (const chunk& c : chunks_)
        if (auto ok = co_await sink.chunk(c.owner, c.octets); !ok) co_return ok;
    for (std::uint64_t offset = 0; file_ && offset < octets_;) {
        const client::block_ref block = blocks_->take();
        const auto n =
            co_await pool_->run([fd = file_.get(), room = block->room(), offset] { return read_at(fd, room, offset); });
        if (!n) co_return std::unexpected(n.error());
        offset += *n;
        if (auto ok = co_await sink.chunk(block, block->filled(*n)); !ok) co_return ok;
    }
    co_return co_await sink.end();
}

void message_spool::clear() noexcept {
    chunks_.clear();
    file_.reset();
    gathered_ = {};
    octets_ = 0;
}

} // namespace postferry::mailbox
