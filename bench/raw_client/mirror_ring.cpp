#include "mirror_ring.hpp"

#include "connection.hpp"

#include <sys/mman.h>
#include <unistd.h>

namespace raw_client {

mirror_ring::mirror_ring(std::size_t octets) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    capacity_ = (octets + page - 1) / page * page;
    const int fd = memfd_create("ring", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, static_cast<off_t>(capacity_)) != 0) die("memfd");
    void* whole = mmap(nullptr, 2 * capacity_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (whole == MAP_FAILED) die("mmap");
    base_ = static_cast<char*>(whole);
    for (char* half : {base_, base_ + capacity_})
        if (mmap(half, capacity_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) == MAP_FAILED)
            die("mmap");
    close(fd);
}

mirror_ring::~mirror_ring() { munmap(base_, 2 * capacity_); }

} // namespace raw_client
