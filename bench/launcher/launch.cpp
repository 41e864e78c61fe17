// bench_launch [--watch] RESULT COMMAND [ARGUMENT ...]: runs the command and writes to RESULT, as JSON, its wall time,
// its CPU time and its peak memory.
//
// A program of its own because a child inherits its parent's peak at fork and keeps it over exec: started from Python,
// every tool would seem to need Python's 30 MB. This parent is small.
//
// --watch also adds up what the command holds on tmpfs without mapping it (memfd, open and perhaps unlinked files in
// /dev/shm): that is memory too. Looks 100 times a second, so it is for memory rows, not for speed.

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <map>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace {

volatile sig_atomic_t child_to_end = 0;

extern "C" void end_child(int) {
    if (child_to_end > 0) kill(child_to_end, SIGKILL);
}

// Octets of tmpfs files that the process has open, each file once.
long long open_tmpfs_octets(pid_t pid) {
    const std::string folder = "/proc/" + std::to_string(pid) + "/fd";
    DIR* fds = opendir(folder.c_str());
    if (fds == nullptr) return 0;
    std::map<std::pair<dev_t, ino_t>, long long> files;
    while (const dirent* entry = readdir(fds)) {
        const std::string path = folder + '/' + entry->d_name;
        std::array<char, 256> link{};
        const ssize_t n = readlink(path.c_str(), link.data(), link.size());
        if (n <= 0) continue;
        const std::string_view to(link.data(), static_cast<std::size_t>(n));
        struct stat about{};
        if ((to.starts_with("/memfd:") || to.starts_with("/dev/shm/")) && stat(path.c_str(), &about) == 0 &&
            S_ISREG(about.st_mode))
            files[{about.st_dev, about.st_ino}] = static_cast<long long>(about.st_blocks) * 512;
    }
    closedir(fds);
    long long sum = 0;
    for (const auto& [id, octets] : files) sum += octets;
    return sum;
}

[[noreturn]] void run(char** command) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); // the child must not outlive a launcher that is killed
    execvp(command[0], command);
    std::fprintf(stderr, "bench_launch: %s: %s\n", command[0], std::strerror(errno));
    std::_Exit(127);
}

double seconds_of(const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; }

} // namespace

int main(int argc, char** argv) {
    const bool watch = argc > 1 && std::string_view(argv[1]) == "--watch";
    if (argc < (watch ? 4 : 3)) {
        std::fprintf(stderr, "usage: bench_launch [--watch] RESULT COMMAND [ARGUMENT ...]\n");
        return 2;
    }
    if (watch) ++argv;
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) std::signal(number, end_child);
    const auto begin = std::chrono::steady_clock::now();
    const pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) run(argv + 2);
    child_to_end = child;
    long long tmpfs = 0;
    int status = 0;
    rusage usage{};
    for (;;) {
        const pid_t ended = wait4(child, &status, watch ? WNOHANG : 0, &usage);
        if (ended == child) break;
        if (ended < 0 && errno != EINTR) return 1;
        if (!watch) continue;
        tmpfs = std::max(tmpfs, open_tmpfs_octets(child));
        usleep(10'000);
    }
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
    std::FILE* out = std::fopen(argv[1], "w");
    if (out == nullptr) return 1;
    std::fprintf(out,
                 "{\"wall\":%.6f,\"user\":%.6f,\"system\":%.6f,\"maxrss_octets\":%lld,\"tmpfs_octets\":%lld,"
                 "\"exit\":%d,\"signal\":%d}\n",
                 wall.count(), seconds_of(usage.ru_utime), seconds_of(usage.ru_stime),
                 static_cast<long long>(usage.ru_maxrss) * 1024, tmpfs, WIFEXITED(status) ? WEXITSTATUS(status) : -1,
                 WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    return std::fclose(out) == 0 ? 0 : 1;
}
