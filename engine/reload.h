// engine/reload.h - keeps the snapshot in service up to date: main.cf and all tables at HUP, a
// table when its file changes.
//
// Changes are noticed by inotify, and by looking at every file each two seconds (network file
// systems, targets of symbolic links, no watches left). A file that is missing, damaged or half
// written leaves the table in service; alarm `tables` says why until it is good again. Everything
// is read and built here, on one thread of low priority, and published to the shards by pointer; at
// most Publisher::alive_max snapshots are alive, and a transaction that would keep one of them for
// long is moved to the newest.
//
// Threads: start(), stop() and reload() from the main thread, the rest is the reloading thread's.
// All that is in the Context outlives the Reloader.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "engine/config/host_facts.h"
#include "engine/io/watch.h"
#include "engine/observe/alarms.h"
#include "engine/observe/log.h"
#include "engine/policy/publisher.h"
#include "engine/policy/snapshot.h"
#include "engine/relay/next_hops.h"
#include "engine/shard/shard.h"

namespace mx {

class Reloader {
 public:
  struct Context {
    std::string directory;  // with main.cf
    const config::HostFacts& host;
    observe::LogStream& log;
    observe::Alarms& alarms;
    policy::Publisher& publisher;
    relay::NextHops& next_hops;
    std::vector<std::unique_ptr<shard::Shard>>& shards;
  };
  // What the snapshot in service, that of the start, was read from.
  Reloader(Context context, const std::vector<policy::TableFile>& files, uint64_t run);
  ~Reloader();

  void start();
  void stop();
  void reload();  // HUP

 private:
  struct File {
    std::optional<io::FileFacts> seen;    // when it was read last
    std::optional<io::FileFacts> polled;  // a different state that the last poll met
    bool differs = false;                 // … which may be that there is no such file
    bool missed = false;                  // it changed before it was watched
    bool retry = false;                   // what went wrong may pass
    std::string error;
  };

  void run();
  void wait();
  void take_events();
  void poll_files();
  bool may_publish();
  void reload_all();
  void refresh();
  void follow(const policy::Snapshot& snapshot);
  void watch_directories();
  void note(const std::vector<policy::TableFile>& files);
  void raise_or_clear();
  void publish(std::unique_ptr<const policy::Snapshot> snapshot);

  Context context_;
  const policy::SettingsPointer started_;  // what needs a restart is still as these have it
  uint64_t run_;                           // of mapc, that the tables in service are of
  io::DirectoryWatch watch_;
  bool watch_said_ = false;
  std::map<std::string, File> files_;  // by path: of the tables in service, and the set record
  std::set<std::string> changed_;      // to be read again
  std::optional<Instant> due_;         // when that happens
  std::optional<Instant> waiting_since_;
  Instant next_poll_;
  std::atomic<bool> reload_asked_{false}, stopping_{false};
  std::thread thread_;
};

}  // namespace mx
