// The network and the disk of the simulated world.

#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/spool/spool.h"
#include "proto/base/assert.h"
#include "tests/sim/world/world.h"

namespace mx::sim {
namespace {

constexpr size_t send_piece_max = 48U << 10;

}  // namespace

ConnectionPointer World::find(int fd) {
  const auto found = connections_.find(fd);
  return found == connections_.end() || !found->second->open ? nullptr : found->second;
}

ConnectionPointer World::connect_client(std::shared_ptr<Peer> peer, const sockaddr_storage& from) {
  auto connection = std::make_shared<Connection>();
  connection->peer = std::move(peer);
  connection->address = from;
  backlog_.push_back(connection);
  after(up_to(faults.network_us), [this] { accept_waiting(); });
  return connection;
}

void World::accept_waiting() {
  while (!backlog_.empty()) {
    const auto free = std::find_if(operations_.begin(), operations_.end(), [](const auto& each) {
      return each.second.kind == Operation::Kind::accept;
    });
    if (free == operations_.end()) return;
    if (strikes(faults.accept_error)) {
      constexpr int errors[] = {EMFILE, ECONNABORTED, ENOBUFS, EINTR};
      complete(free->first, -errors[prng.below(std::size(errors))]);
      continue;
    }
    const ConnectionPointer connection = backlog_.front();
    backlog_.pop_front();
    if (!connection->open) continue;
    // A descriptor for the code to hold; nothing is ever sent on it.
    connection->fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MX_ASSERT(connection->fd >= 0);
    connections_[connection->fd] = connection;
    std::memcpy(free->second.address, &connection->address, sizeof(sockaddr_in));
    *free->second.address_length = sizeof(sockaddr_in);
    complete(free->first, connection->fd);
    connection->peer->on_open();
  }
}

void World::connect(uint64_t id) {
  Operation& operation = operations_.at(id);
  const Answer answer = on_connect(operation.address);
  if (answer.takes.us < 0) return;  // until it is cancelled
  after(answer.takes, [this, id, answer] {
    const auto found = operations_.find(id);
    if (found == operations_.end()) return;
    if (answer.result == 0) {
      auto connection = std::make_shared<Connection>();
      connection->fd = found->second.fd;
      connections_[connection->fd] = connection;  // a stale one was closed without the ring
      connection->peer = answer.peer(connection);
      connection->peer->on_open();
    }
    complete(id, answer.result);
  });
}

void World::peer_sends(const ConnectionPointer& connection, std::string bytes,
                       std::function<void()> received) {
  connection->sent += bytes.size();
  if (received) connection->marks.emplace_back(connection->sent, std::move(received));
  connection->arrives_last = std::max(connection->arrives_last, now + up_to(faults.network_us));
  at(connection->arrives_last, [this, connection, text = std::move(bytes)] {
    if (connection->end || connection->reset) return;
    connection->to_shard += text;
    try_receive(connection);
  });
}

void World::peer_closes(const ConnectionPointer& connection, bool reset) {
  connection->peer_reads = false;
  connection->arrives_last = std::max(connection->arrives_last, now + up_to(faults.network_us));
  at(connection->arrives_last, [this, connection, reset] {
    (reset ? connection->reset : connection->end) = true;
    if (!connection->open) return;
    if (reset && connection->sender != 0) complete(connection->sender, -EPIPE);
    if (connection->sender != 0) send_on(connection->sender);
    try_receive(connection);
  });
}

void World::peer_reads(const ConnectionPointer& connection, bool reads) {
  connection->peer_reads = reads;
  if (reads && connection->sender != 0) after({}, [this, id = connection->sender] { send_on(id); });
}

void World::shard_closes(const ConnectionPointer& connection) {
  connection->open = false;
  if (connection->sender != 0 || connection->receiver != 0)
    wrong("a socket was closed with operations under way");
  after(up_to(faults.network_us), [connection] { connection->peer->on_closed(); });
}

void World::end_of_process() {
  operations_.clear();
  ready_.clear();
  woken_ = false;
  free_buffers.clear();
  for (const auto& [fd, connection] : connections_) {
    if (!connection->open) continue;
    connection->open = false;
    ::close(fd);
    after(up_to(faults.network_us), [connection] { connection->peer->on_closed(); });
  }
  connections_.clear();
  for (const ConnectionPointer& connection : backlog_)
    after(up_to(faults.network_us), [connection] { connection->peer->on_closed(); });
  backlog_.clear();
}

void World::try_receive(const ConnectionPointer& connection) {
  if (connection == nullptr || !connection->open || connection->receiver == 0) return;
  if (connection->to_shard.empty() && !connection->end && !connection->reset) return;
  after(up_to(20), [this, id = connection->receiver] { receive(id); });
}

void World::receive(uint64_t id) {
  const auto found = operations_.find(id);
  if (found == operations_.end()) return;
  Operation& operation = found->second;
  const ConnectionPointer connection = find(operation.fd);
  if (connection->reset || strikes(faults.socket_error)) return complete(id, -ECONNRESET);
  if (connection->to_shard.empty()) return connection->end ? complete(id, 0) : void();
  size_t room = operation.select ? buffer_bytes : operation.size;
  std::byte* into = operation.into;
  uint32_t flags = 0;
  if (operation.select) {
    if (free_buffers.empty() || strikes(faults.no_buffers)) return complete(id, -ENOBUFS);
    const uint16_t buffer = free_buffers.front();
    free_buffers.erase(free_buffers.begin());
    into = buffers + buffer * buffer_bytes;
    flags = IORING_CQE_F_BUFFER | static_cast<uint32_t>(buffer) << IORING_CQE_BUFFER_SHIFT;
  }
  room = std::min(room, connection->to_shard.size());
  if (prng.chance(faults.short_receive_percent)) room = 1 + prng.below(room);
  std::memcpy(into, connection->to_shard.data(), room);
  connection->to_shard.erase(0, room);
  connection->received += room;
  complete(id, static_cast<int32_t>(room), flags);
  while (!connection->marks.empty() && connection->marks.front().first <= connection->received) {
    auto told = std::move(connection->marks.front().second);
    connection->marks.pop_front();
    told();
  }
}

// All of it, piece by piece, as the peer takes it (MSG_WAITALL).
void World::send_on(uint64_t id) {
  const auto found = operations_.find(id);
  if (found == operations_.end()) return;
  Operation& operation = found->second;
  const ConnectionPointer connection = find(operation.fd);
  if (connection->reset || connection->end || strikes(faults.socket_error)) {
    const int error = prng.chance(50) ? EPIPE : ECONNRESET;
    return complete(id, operation.done > 0 ? static_cast<int32_t>(operation.done) : -error);
  }
  if (!connection->peer_reads) return;  // peer_reads() or a cancellation ends that
  size_t most = prng.chance(80) ? send_piece_max : 1 + prng.below(2000);
  std::string bytes;
  while (most > 0 && !operation.pieces.empty()) {
    iovec& piece = operation.pieces.front();
    const size_t n = std::min(piece.iov_len, most);
    bytes.append(static_cast<const char*>(piece.iov_base), n);
    piece.iov_base = static_cast<char*>(piece.iov_base) + n;
    piece.iov_len -= n;
    most -= n;
    if (piece.iov_len == 0) operation.pieces.erase(operation.pieces.begin());
  }
  operation.done += bytes.size();
  after(up_to(faults.network_us / 4), [this, id, connection, bytes] {
    if (!connection->end && !connection->reset) connection->peer->on_bytes(bytes);
    const auto still = operations_.find(id);
    if (still == operations_.end()) return;
    if (!still->second.pieces.empty()) return send_on(id);
    complete(id, static_cast<int32_t>(still->second.done));
  });
}

uint32_t World::segment_of(int fd) const {
  const auto found = std::find(segment_fds.begin(), segment_fds.end(), fd);
  MX_ASSERT(found != segment_fds.end());
  return static_cast<uint32_t>(found - segment_fds.begin());
}

void World::perform(uint64_t id) {
  const auto found = operations_.find(id);
  if (found == operations_.end()) return;
  count_operation();
  const Operation& operation = found->second;
  if (operation.kind == Operation::Kind::read)
    read_segment(id, operation);
  else if (operation.kind == Operation::Kind::write)
    write_segment(id, operation);
  else
    flush_segment(id, operation);
}

void World::read_segment(uint64_t id, const Operation& operation) {
  const uint32_t segment = segment_of(operation.fd);
  const auto offset = static_cast<uint32_t>(operation.offset);
  const MutableBytes into{operation.into, operation.size};
  if (spool::is_read_back(operation.op.kind)) {  // what was just flushed
    if (strikes(faults.write_error)) {
      fail_device();
      say("reading back fails");
      return complete(id, -EIO);
    }
    return complete(id, static_cast<int32_t>(disk.read(segment, offset, into)));
  }
  if (strikes(faults.read_error)) return complete(id, -EIO);
  const int64_t n = disk.read(segment, offset, into);
  if (n > 0 && strikes(faults.short_read))
    return complete(id, static_cast<int32_t>(prng.below(static_cast<uint64_t>(n))));
  if (strikes(faults.wrong_read)) {  // sectors as they were, or of another place, or a flipped bit
    ++stats.wrong_reads;
    const size_t sector = prng.below(into.size() / 512) * 512;
    const auto other = static_cast<uint32_t>(prng.below(segment_fds.size()));
    std::byte elsewhere[512]{};
    if (prng.chance(50)) disk.read(other, static_cast<uint32_t>(sector), elsewhere);
    if (prng.chance(30))
      into[sector + prng.below(512)] ^= std::byte{16};
    else
      std::memcpy(into.data() + sector, elsewhere, sizeof elsewhere);
  }
  complete(id, static_cast<int32_t>(n));
}

void World::fail_device() {
  device_failed = true;
  on_device_failed();
}

void World::write_segment(uint64_t id, const Operation& operation) {
  const uint32_t segment = segment_of(operation.fd);
  const auto offset = static_cast<uint32_t>(operation.offset);
  if (std::memcmp(operation.into, operation.copy.data(), operation.size) != 0)
    wrong("what is written was changed while it was");
  const Bytes data{operation.into, operation.size};
  if (strikes(faults.write_error) || strikes(faults.short_write)) {
    constexpr int errors[] = {EIO, ENOSPC, ECANCELED, EINTR};
    fail_device();
    disk.write_torn(segment, offset, data, prng);
    say("write fails");
    const bool is_short = prng.chance(40);
    return complete(id, is_short ? static_cast<int32_t>(prng.below(operation.size))
                                 : -errors[prng.below(std::size(errors))]);
  }
  disk.write(segment, offset, data);
  if (operation.dsync && !flush_lies) disk.flush(segment);
  complete(id, static_cast<int32_t>(operation.size));
}

void World::flush_segment(uint64_t id, const Operation& operation) {
  const uint32_t segment = segment_of(operation.fd);
  if (strikes(faults.flush_error)) {
    fail_device();
    disk.lose_pending(segment, prng);
    say("flush fails");
    return complete(id, -EIO);
  }
  if (!flush_lies) disk.flush(segment);
  complete(id, 0);
}

void World::cut_power() {
  for (const auto& [id, operation] : operations_)
    if (operation.kind == Operation::Kind::write)
      disk.write(segment_of(operation.fd), static_cast<uint32_t>(operation.offset),
                 {operation.into, operation.size});
  disk.crash(prng);
}

void World::end_writes() {
  disk.sync_all();
  for (const auto& [id, operation] : operations_)
    if (operation.kind == Operation::Kind::write)
      disk.write_torn(segment_of(operation.fd), static_cast<uint32_t>(operation.offset),
                      {operation.into, operation.size}, prng);
}

}  // namespace mx::sim
