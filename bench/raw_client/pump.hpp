#pragma once

#include "connection.hpp"
#include "mirror_ring.hpp"
#include "options.hpp"

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace raw_client {

struct folder_pair {
    std::string source;
    std::string target;
};

struct totals {
    std::uint64_t messages = 0;
    std::uint64_t octets = 0;
    std::uint64_t batches = 0;
    std::uint64_t empty = 0; // messages of no octet; Dovecot refuses them
    std::uint64_t polls = 0;
    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
};

// Streams the folders from one connection to the other. Octets are copied once from the kernel into the ring and once
// back: a batch is never gathered, an APPEND command is begun with its first message and ended when it is full.
class pump {
  public:
    pump(connection& source, connection& target, const options& how, std::vector<folder_pair> folders);
    virtual ~pump() = default;
    totals run();

  protected:
    virtual void send_fetches();
    virtual bool parse_line(); // and what is between the literals; false: more octets are needed
    void begin_message(std::string_view line);
    void end_batch();
    void push_ring(std::uint64_t from, std::size_t octets);

    connection& source_;
    const options& how_;
    mirror_ring ring_;         // from the source
    std::uint64_t parsed_ = 0; // of the ring
    std::size_t literal_left_ = 0;
    std::size_t folder_ = 0; // index into folders_

  private:
    struct segment {
        const char* data;
        std::size_t octets;
        std::uint64_t ring_end; // once written, the ring is free up to here; glue frees nothing
        std::uint64_t glue_end;
    };

    bool fill(); // false: nothing to read, or no room
    void parse();
    void end_of_folder(std::string_view line);
    void push_glue(std::string_view text);
    bool drain(); // false: the target takes no more now
    void written(std::size_t octets);
    void read_answers();
    void wait(bool full);
    bool finished() const;

    connection& target_;
    std::vector<folder_pair> folders_;
    mirror_ring glue_; // what goes between the literals
    std::deque<segment> queue_;
    std::size_t queued_octets_ = 0;
    bool folder_selected_ = false;
    bool source_has_buffered_ = false; // TLS: decrypted octets that poll() does not know of
    std::size_t batch_messages_ = 0;
    std::size_t batch_octets_ = 0;
    std::uint64_t commands_sent_ = 0;
    std::uint64_t commands_answered_ = 0;
    std::string answer_; // of the target, a line that is not complete yet
    totals totals_;
};

} // namespace raw_client
