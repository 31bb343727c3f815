// engine/shard/digest.h - the digest of quarantined mail (ringmx_bounce = quarantine): every
// ringmx_quarantine_digest one letter to bounce_notice_recipient about the messages that are held
// because their next hop refused them after we had accepted them, if there are new ones.
//
// A message is told of once: QUEUE_DIRECTORY/digest remembers which (digest_record.h), and when the
// last digest was, so that a restart neither repeats nor puts off the next one. The file is written
// when the letter is durable: a crash in between repeats a digest and never loses one. The oldest
// messages come first; what one digest has no room for is in the next.
//
// A thread of its own: it asks each shard for a page at a time, reads the envelopes from the
// segments itself, and has one shard post the letter. Memory: digest_messages_max entries, and 24
// bytes for each message that it remembers. start() and stop() by the main thread.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/observe/log.h"
#include "engine/policy/publisher.h"
#include "engine/shard/digest_record.h"
#include "engine/shard/shard.h"
#include "engine/spool/queue_reader.h"
#include "engine/spool/segment_files.h"
#include "proto/mail/notice.h"
#include "queue/segment_pool.h"

namespace mx::shard {

class Digest {
 public:
  Digest(const std::string& queue_directory, observe::LogStream& log, spool::SegmentFiles& files,
         queue::SegmentPool& pool, const policy::Publisher& publisher,
         std::vector<std::unique_ptr<Shard>>& shards);
  ~Digest();
  void start();
  void stop();

 private:
  struct Held {
    WallTime arrival;
    DigestRecord::Told key;
    Shard* shard = nullptr;
    bool operator<(const Held& other) const { return arrival < other.arrival; }
  };
  struct Found {
    std::vector<Held> oldest;  // of those not told of; a heap, the newest on top
    uint64_t fresh = 0;        // all of those
    DigestRecord record;       // what is remembered of those that are still held
  };
  void run();
  Duration look();
  bool read_record();
  void save(DigestRecord record, WallTime now);
  bool find(Found& found);
  bool find(Shard& shard, Found& found);
  void take(const Held& held, Found& found);
  bool describe(const Held& held, mail::DigestEntry& entry);
  bool post(const config::Settings& settings, const mail::Digest& digest);

  std::string path_;
  observe::LogStream& log_;
  queue::SegmentPool& pool_;
  const policy::Publisher& publisher_;
  std::vector<std::unique_ptr<Shard>>& shards_;
  spool::QueueReader reader_;
  DigestRecord record_;
  bool unwritable_ = false;  // said already
  std::mutex mutex_;
  std::condition_variable told_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace mx::shard
