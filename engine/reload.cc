#include "engine/reload.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "engine/config/load.h"
#include "engine/config/restart.h"
#include "engine/io/clock.h"
#include "engine/io/file.h"
#include "maps/set_record.h"
#include "maps/spec.h"

namespace mx {
namespace {

constexpr int thread_nice = 10;
constexpr Duration poll_interval = seconds(2);
// Files that change together are read together.
constexpr Duration settling_time = milliseconds(20);
// How long old snapshots may hold up a publication before transactions are moved.
constexpr Duration patience = seconds(10);
// Of a source without a checksum that no event told of.
constexpr Duration resting_time = seconds(60);
constexpr size_t tables_named_max = 8;
constexpr std::string_view tables_alarm = "tables", reload_alarm = "reload";

std::optional<io::FileFacts> facts_of(const std::string& path) {
  const auto facts = io::file_facts(path);
  return facts ? std::optional(*facts) : std::nullopt;
}

// A new name for a file that is there already; an ordinary new file is told of when it is written.
bool is_link(const std::string& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0 && (S_ISLNK(status.st_mode) || status.st_nlink > 1);
}

// "hash:/a (10 keys), cidr:/b (2 keys)": the tables that `old` does not have.
std::string new_tables(const policy::Snapshot& snapshot, const policy::Snapshot& old) {
  std::string text;
  size_t count = 0;
  for (const policy::TablePointer& table : snapshot.tables) {
    if (std::ranges::find(old.tables, table) != old.tables.end()) continue;
    if (++count > tables_named_max) continue;
    text +=
        fmt::format("{}{} ({} keys)", text.empty() ? "" : ", ", table->name(), table->facts().keys);
  }
  if (count > tables_named_max) text += fmt::format(" and {} more", count - tables_named_max);
  return text;
}

// Whether what is in the file can be believed as soon as it stays the same for a moment: a checksum
// shows what is half written. Other sources must have rested for long: an export that is slow to
// write its first line is no empty table. (Closing the file ends the wait: an event.)
bool may_be_read(const std::string& path, const std::optional<io::FileFacts>& facts) {
  if (!facts || path.ends_with(maps::compiled_suffix) || path.ends_with(maps::set_record_name))
    return true;
  return io::wall_now().us - facts->mtime_ns / 1000 >= resting_time.us;
}

// The first error, with its place; the others are in the log before.
std::string refusal(const config::Diagnostics& said) {
  const auto is_error = [](const config::Diagnostic& d) {
    return d.severity == config::Severity::error;
  };
  const auto first = std::ranges::find_if(said, is_error);
  const auto count = std::ranges::count_if(said, is_error);
  return fmt::format(
      "the new configuration is refused: {}{}; the old one stays in service (send HUP again when "
      "it is right)",
      first == said.end() ? std::string() : config::to_string(*first),
      count > 1 ? fmt::format(" (and {} more)", count - 1) : std::string());
}

double milliseconds_since(Instant began) {
  return static_cast<double>((io::now() - began).us) / 1000;
}

}  // namespace

Reloader::Reloader(Context context, const std::vector<policy::TableFile>& files, uint64_t run)
    : context_(std::move(context)), started_(context_.publisher.newest()->settings), run_(run) {
  const std::string error = watch_.open();
  if (!error.empty()) {
    context_.log.line("master", "warning: {}: changed tables are noticed within seconds", error);
    watch_said_ = true;
  }
  follow(*context_.publisher.newest());
  note(files);
}

Reloader::~Reloader() {
  stop();
}

void Reloader::start() {
  thread_ = std::thread([this] { this->run(); });
}

void Reloader::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  context_.publisher.wake();
  thread_.join();
}

void Reloader::reload() {
  reload_asked_ = true;
  context_.publisher.wake();
}

void Reloader::run() {
  ::setpriority(PRIO_PROCESS, 0, thread_nice);  // of this thread; a wish
  raise_or_clear();                             // what the start met
  // What changed while it was read, before the watch: no event will tell of it.
  for (auto& [path, file] : files_) file.missed = facts_of(path) != file.seen;
  next_poll_ = io::now();
  while (!stopping_) {
    wait();
    context_.publisher.free_retired();
    take_events();
    if (io::now() >= next_poll_) poll_files();
    if (stopping_) break;
    const bool due = due_ && io::now() >= *due_;
    if (!(reload_asked_ || due) || !may_publish()) continue;
    if (reload_asked_.exchange(false))
      reload_all();
    else
      refresh();
  }
}

void Reloader::wait() {
  Instant until = next_poll_;
  if (due_ && !waiting_since_) until = std::min(until, *due_);
  const int64_t us = std::max<int64_t>(0, (until - io::now()).us);
  pollfd fds[] = {{context_.publisher.wake_fd(), POLLIN, 0}, {watch_.fd(), POLLIN, 0}};
  ::poll(fds, 2, static_cast<int>((us + 999) / 1000));  // a negative descriptor is passed over
}

void Reloader::take_events() {
  using enum io::DirectoryWatch::Change;
  watch_.take([this](const std::string& path, io::DirectoryWatch::Change change) {
    if (change == lost) {
      for (const auto& [each, file] : files_) changed_.insert(each);
    } else if (files_.contains(path) && (change != created || is_link(path))) {
      changed_.insert(path);
    }
  });
  if (!changed_.empty() && !due_) due_ = io::now() + settling_time;
}

// What is found different is taken when it is still the same at the next poll: a file that is being
// written is left alone.
void Reloader::poll_files() {
  watch_directories();
  for (auto& [path, file] : files_) {
    const auto facts = facts_of(path);
    const bool differs = facts != file.seen;
    const bool rests = differs && file.differs && facts == file.polled;
    if ((rests && (file.missed || may_be_read(path, facts))) || file.retry) changed_.insert(path);
    file.differs = differs;
    file.polled = facts;
  }
  if (!changed_.empty() && !due_) due_ = io::now();
  next_poll_ = io::now() + poll_interval;
}

// Each new snapshot waits until there are few enough. A client that takes its time over a
// transaction must not hold up the tables of all others.
bool Reloader::may_publish() {
  if (context_.publisher.alive() < policy::Publisher::alive_max) {
    waiting_since_.reset();
    return true;
  }
  if (!waiting_since_) waiting_since_ = io::now();
  if (io::now() - *waiting_since_ >= patience) {
    context_.log.line("master", "transactions with old tables go on with the present ones");
    for (auto& shard : context_.shards) shard->post([](shard::Shard& s) { s.renew_snapshots(); });
    waiting_since_ = io::now();
  }
  return false;
}

void Reloader::reload_all() {
  const Instant began = io::now();
  policy::SnapshotPointer old = context_.publisher.newest();
  policy::SnapshotResult result =
      policy::load_snapshot(context_.directory, config::disk_reader(), context_.host, old->tables);
  if (result.snapshot)
    config::report_restart_needed(*started_, *result.snapshot->settings, result.warnings);
  for (const config::Diagnostic& d : result.warnings)
    context_.log.line("master", "{}", config::to_string(d));
  for (const config::Diagnostic& d : result.errors)
    context_.log.line("master", "{}", config::to_string(d));
  if (!result.snapshot) {
    context_.alarms.raise(context_.log, reload_alarm, refusal(result.errors));
    return;
  }
  context_.alarms.clear(context_.log, reload_alarm);
  changed_.clear();
  due_.reset();
  files_.clear();
  run_ = result.run;
  follow(*result.snapshot);
  note(result.files);
  raise_or_clear();
  const std::string tables = new_tables(*result.snapshot, *old);
  old.reset();
  const policy::SettingsPointer settings = result.snapshot->settings;
  publish(std::move(result.snapshot));
  context_.next_hops.now_configured({&settings->relay.relay_hosts, &settings->relay.default_hosts});
  context_.log.line("master", "reload: new configuration in service after {:.1f} ms, {}{}",
                    milliseconds_since(began),
                    tables.empty() ? "the tables as before" : "new tables: ", tables);
}

void Reloader::refresh() {
  const Instant began = io::now();
  policy::SnapshotPointer old = context_.publisher.newest();
  due_.reset();
  policy::SnapshotResult result = policy::refresh_snapshot(*old, run_, std::exchange(changed_, {}));
  for (const config::Diagnostic& d : result.warnings)
    context_.log.line("master", "{}", config::to_string(d));
  if (!result.errors.empty()) {  // tables change faster than they can be read
    for (auto& [path, file] : files_) file.retry = true;
    context_.alarms.raise(context_.log, tables_alarm, config::to_string(result.errors.front()));
    return;
  }
  run_ = result.run;
  note(result.files);
  raise_or_clear();
  if (!result.snapshot) return;
  const std::string tables = new_tables(*result.snapshot, *old);
  old.reset();
  publish(std::move(result.snapshot));
  context_.log.line("master", "tables: {} in service after {:.1f} ms", tables,
                    milliseconds_since(began));
}

// Files of the snapshot that were not followed yet.
void Reloader::follow(const policy::Snapshot& snapshot) {
  files_[policy::set_record_path(context_.directory)];
  for (const policy::TablePointer& table : snapshot.tables)
    if (!table->facts().path.empty()) files_[table->facts().path];
  watch_directories();
}

// Also again: another directory may have taken the place of one that was watched.
void Reloader::watch_directories() {
  std::set<std::string> directories;
  for (const auto& [path, file] : files_) directories.insert(io::directory_of(path));
  for (const std::string& directory : directories) {
    const std::string error = watch_.add(directory);
    if (error.empty() || std::exchange(watch_said_, true)) continue;
    context_.log.line("master", "warning: {}: changed tables are noticed within seconds", error);
  }
}

// A file that several tables are made of has an error when one of them has.
void Reloader::note(const std::vector<policy::TableFile>& files) {
  std::set<std::string> broken;
  for (const policy::TableFile& one : files) {
    const auto at = files_.find(one.path);
    if (at == files_.end() || broken.contains(one.path)) continue;
    if (!one.error.empty()) broken.insert(one.path);
    at->second = {};
    at->second.seen = one.seen;
    at->second.error = one.error;
    at->second.retry = !one.error.empty() && !one.damaged;
  }
}

void Reloader::raise_or_clear() {
  std::string text;
  size_t count = 0;
  for (const auto& [path, file] : files_)
    if (!file.error.empty() && ++count == 1) text = file.error;
  if (count == 0) {
    context_.alarms.clear(context_.log, tables_alarm);
    return;
  }
  if (count > 1) text += fmt::format(" (and {} more)", count - 1);
  context_.alarms.raise(context_.log, tables_alarm, text + "; what was read before stays in use");
}

void Reloader::publish(std::unique_ptr<const policy::Snapshot> snapshot) {
  const policy::SnapshotPointer pointer = context_.publisher.publish(std::move(snapshot));
  for (auto& shard : context_.shards)
    shard->post([pointer](shard::Shard& s) { s.publish(pointer); });
}

}  // namespace mx
