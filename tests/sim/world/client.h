// tests/sim/world/client.h - a client of the shard: some messages over one connection, in the way
// that its habits say, until it has had enough.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/world/ledger.h"
#include "tests/sim/world/world.h"

namespace mx::sim {

// Chances in percent.
struct ClientHabits {
  uint32_t pipelined = 50, chunked = 30, slow = 5, hangs_up = 5, resets = 5;
  uint32_t big = 15, too_big = 3, null_sender = 10, never = 10, eight_bit = 20;
  uint32_t messages_max = 5, recipients_max = 4;
  size_t bytes_max = 3000, big_bytes_max = 120'000, too_big_bytes = 350'000;
};

class Client final : public Peer, public std::enable_shared_from_this<Client> {
 public:
  Client(World& world, Ledger& ledger, const ClientHabits& habits, bool calm);
  // Connects; the client lives as long as the connection does.
  static void start(World& world, Ledger& ledger, const ClientHabits& habits, bool calm = false);
  void on_open() override;
  void on_bytes(std::string_view bytes) override;
  void on_closed() override;
  static uint32_t active;  // clients that are not gone

 private:
  enum class Awaits : uint8_t { banner, ehlo, mail, rcpt, data, end, chunk, rset, quit };
  void reply(uint32_t code, std::string_view text);
  void begin_mail();
  void put(std::string bytes);
  void flush();
  void say(Awaits what, std::string line);
  void go_on();
  void send_body();
  void next_chunk();
  void accepted(std::string_view text);
  void hang_up();
  Mail& mail() { return ledger_.mails()[mail_]; }

  World& world_;
  Ledger& ledger_;
  ClientHabits habits_;
  ConnectionPointer connection_;
  std::string in_, out_;
  std::deque<Awaits> awaits_;
  std::deque<std::pair<Awaits, std::string>> script_;  // not said yet
  uint32_t mail_ = 0, messages_left_ = 0, rcpt_at_ = 0;
  size_t chunk_at_ = 0;
  bool pipelined_ = false, chunked_ = false, slow_ = false, gone_ = false, refused_ = false;
  bool has_mail_ = false;
  uint64_t hangs_up_at_ = UINT64_MAX, said_ = 0;
  Instant ended_;
};

}  // namespace mx::sim
