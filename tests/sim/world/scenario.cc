#include "tests/sim/world/scenario.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "proto/base/assert.h"
#include "proto/mail/envelope.h"
#include "queue/reader.h"
#include "tests/sim/oracle.h"

namespace mx::sim {
namespace {

constexpr Duration drain_most = seconds(24 * 3600);
constexpr Duration look_interval = seconds(5);

uint32_t one_of(Prng& prng, std::initializer_list<uint32_t> values) {
  return *(values.begin() + prng.below(values.size()));
}

}  // namespace

ShardWeather draw_shard_weather(Prng& prng) {
  const auto any = [&](std::initializer_list<uint32_t> values) { return one_of(prng, values); };
  ShardWeather w;
  w.disk.sector_bytes = any({512, 4096});
  w.disk.arrives_percent = any({0, 10, 50, 90, 100});
  w.dsync = prng.chance(30);
  w.segment_bytes = any({256U << 10, 512U << 10});
  w.segment_count = any({16, 24, 40});
  w.connections = any({5, 20, 60});
  w.horizon = seconds(any({5, 60, 600, 7200}));
  w.lives = any({1, 2, 3, 4, 6});
  w.operations_a_life = any({200, 1000, 5000});
  w.orders = any({0, 0, 5, 30});
  w.outages = any({0, 1, 3});
  w.clock_jumps = any({0, 0, 0, 2});
  w.reloads = any({0, 1, 4});
  w.two_backends = prng.chance(30);
  w.quarantine = prng.chance(15);
  w.tables_fail = prng.chance(30);
  w.ring.completions_a_turn = any({1, 4, 256});
  w.ring.buffers = any({2, 16, 2048});
  w.ring.disk_us = any({100, 2000, 50'000});
  w.ring.network_us = any({200, 5000, 100'000});
  if (prng.chance(30)) w.ring.write_error = w.ring.flush_error = any({5, 30});
  if (prng.chance(20)) w.ring.short_write = any({5, 30});
  if (prng.chance(30)) w.ring.read_error = w.ring.short_read = any({50, 1000});
  if (prng.chance(30)) w.ring.wrong_read = any({50, 1000});
  if (prng.chance(30)) w.ring.socket_error = any({5, 50, 200});
  if (prng.chance(30)) w.ring.accept_error = any({100, 2000});
  if (prng.chance(30)) w.ring.no_buffers = any({100, 3000});
  w.clients.hangs_up = any({0, 5, 30});
  w.clients.slow = any({0, 5, 30});
  w.clients.big = any({0, 15, 60});
  w.clients.pipelined = any({0, 50, 100});
  w.clients.chunked = any({0, 30, 100});
  w.clients.recipients_max = any({1, 4, 20});
  const uint32_t bad = any({0, 1, 1, 4});
  w.backend.later *= bad, w.backend.hangs_up *= bad, w.backend.stalls *= bad;
  w.backend.says_more *= bad, w.backend.says_early *= bad, w.backend.refuses *= bad;
  if (prng.chance(50)) w.backend.says_more = w.backend.says_early = 0;
  w.backend.never = any({0, 5, 30});
  w.backend.is_down = any({0, 0, 20});
  w.backend.busy = any({0, 0, 20});
  w.backend.pipelining = prng.chance(70);
  w.backend.eight_bit = prng.chance(70);
  w.backend.dsn = prng.chance(50);
  if (prng.chance(25)) {
    w.domains = any({2, 20, 200});
    w.next_hops = any({16, 50, 4096, 4096});
    w.names_fail = any({0, 10, 50});
  }
  return w;
}

Scenario::Scenario(const Options& options, const ShardWeather& weather, Report& report)
    : options_(options),
      weather_(weather),
      report_(report),
      world_(options.seed, weather.segment_bytes, weather.segment_count, weather.disk) {
  world_.tracing = options.trace;
  world_.faults = weather.ring;
  world_.flush_lies = options.flush_lies;
  world_.on_turn = [this] { take_log(); };
  world_.on_crash = [this] { crash(); };
  world_.on_wrong = [this](const std::string& why) { end(why); };
  world_.on_device_failed = [this] { ledger_.device_failed(); };
}

std::string Scenario::main_cf(uint32_t variant) const {
  std::string text =
      "compatibility_level = 3.6\nmyhostname = mx.example.test\nmydestination =\n"
      "mynetworks = 127.0.0.0/8\nmail_owner = nobody\nqueue_directory = /nowhere\n"
      "ringmx_listen = 127.0.0.1:25\nringmx_shards = 1\nringmx_max_sessions = 200\n"
      "ringmx_body_cache = 4194304\nrelay_domains = example.test\nrelay_recipient_maps =\n"
      "smtpd_relay_restrictions = reject_unauth_destination\nmessage_size_limit = 300000\n"
      "minimal_backoff_time = 60s\nmaximal_backoff_time = 600s\nsyslog_name = postfix\n"
      "smtpd_client_connection_count_limit = 0\n";
  if (weather_.domains == 0 || variant == 1)
    text += weather_.two_backends && variant != 1 ? "relayhost = [10.0.0.1]:25, [10.0.0.2]:25\n"
                                                  : "relayhost = [10.0.0.1]:25\n";
  if (weather_.quarantine) text += "ringmx_bounce = quarantine\n";
  if (variant == 2) text += "smtpd_recipient_restrictions = check_recipient_access fail:down\n";
  if (variant == 3)
    text +=
        "transport_maps = inline:{{example.test=smtp:[10.0.0.2]:25}, "
        "{.example.test=smtp:[10.0.0.2]:25}}\n";
  return text;
}

void Scenario::load_snapshots() {
  for (uint32_t variant = 0; variant < 4; ++variant) {
    if (variant == 3 && !weather_.two_backends) break;
    config::HostFacts host;
    host.hostname = "mx.example.test";
    const config::FileReader reader =
        [&](std::string_view path) -> std::expected<std::string, std::string> {
      if (path.ends_with("main.cf")) return main_cf(variant);
      return std::unexpected("No such file or directory");
    };
    policy::SnapshotResult loaded = policy::load_snapshot("/nowhere", reader, host);
    for (const config::Diagnostic& d : loaded.errors) end(config::to_string(d));
    snapshots_.emplace_back(std::move(loaded.snapshot));
  }
}

// Who comes when, and what is done to the world.
void Scenario::prepare() {
  Prng& prng = world_.prng;
  const auto some_time = [&] {
    return Duration{static_cast<int64_t>(prng.below(static_cast<uint64_t>(weather_.horizon.us)))};
  };
  for (uint32_t i = 0; i < weather_.connections; ++i)
    world_.after(some_time(), [this] { Client::start(world_, ledger_, weather_.clients); });
  for (uint32_t i = 0; i < weather_.orders; ++i) world_.after(some_time(), [this] { order(); });
  for (uint32_t i = 0; i < weather_.reloads; ++i) world_.after(some_time(), [this] { reload(); });
  for (const auto& backend : backends_)
    for (uint32_t i = 0; i < weather_.outages; ++i) {
      Backend* const b = backend.get();
      const bool black_hole = prng.chance(30);
      world_.after(some_time(), [this, b, black_hole] {
        world_.say("backend down");
        if (!calm_) b->go_down(black_hole);
      });
      world_.after(some_time() * 2, [b] { b->come_up(); });
    }
  for (uint32_t i = 0; i < weather_.clock_jumps; ++i)
    world_.after(some_time(), [this] {
      const auto days = static_cast<int64_t>(world_.prng.below(14)) - 7;
      world_.say("the clock jumps by {} days", days);
      world_.wall_offset = world_.wall_offset + seconds(days * 86'400);
    });
  world_.after(weather_.horizon, [this] {
    if (!calm_) calm();
  });
}

void Scenario::calm() {
  calm_ = true;
  calm_since_ = world_.now;
  world_.say("calm");
  world_.crash_at = 0;
  world_.faults = RingFaults{};
  world_.faults.disk_us = weather_.ring.disk_us;
  world_.faults.network_us = weather_.ring.network_us;
  for (const auto& backend : backends_) backend->calm();
  post([this](shard::Shard& shard) { shard.publish(snapshots_[0]); });
  // A device that failed is not believed again before a restart.
  if (!world_.device_failed) return;
  stopping_ = true;
  post([](shard::Shard& shard) { shard.begin_shutdown(); });
}

void Scenario::post(std::function<void(shard::Shard&)> task) {
  if (shard_ == nullptr) return;
  if (shard_->post(std::move(task))) world_.wake();
}

void Scenario::reload() {
  const uint64_t draw = world_.prng.next();
  if (calm_) return;
  uint64_t variant = draw % snapshots_.size();
  if (variant == 2 && !weather_.tables_fail) variant = 0;
  world_.say("reload: variant {}", variant);
  post([this, variant](shard::Shard& shard) {
    shard.publish(snapshots_[variant]);
    shard.renew_snapshots();
  });
}

void Scenario::order() {
  const uint64_t draw = world_.prng.next();
  post([this, draw](shard::Shard& shard) {
    if (draw % 5 == 0) return shard.flush_queue();
    steer(shard, draw / 5);
  });
}

void Scenario::steer(shard::Shard& shard, uint64_t draw) {
  using Steer = relay::Outbound::Steer;
  queue::MessageInfo page[64];
  uint32_t cursor = 0;
  const size_t count = shard.index().page(cursor, page, std::size(page));
  if (count == 0) return;
  const queue::MessageInfo& chosen = page[draw % count];
  constexpr Steer orders[] = {Steer::hold, Steer::release, Steer::requeue, Steer::kick,
                              Steer::remove};
  const Steer what = orders[draw / 64 % std::size(orders)];
  Mail* const mail = ledger_.find_id(queue::to_text(chosen.id).view());
  if (what == Steer::remove && mail == nullptr) return;  // a notice: who is told is not known
  const auto done = shard.steer(what, chosen.id);
  world_.say("order {} for {}: {}", static_cast<int>(what), queue::to_text(chosen.id).view(),
             static_cast<int>(done));
  if (what == Steer::remove) mail->deleted = true;
}

void Scenario::take_log() {
  if (log_ == nullptr) return;
  log_text_.clear();
  log_->take(log_text_);
  std::string_view rest = log_text_;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() + 1);
    const size_t at = line.find("]: ");  // time and process are another each time
    const std::string_view text = line.substr(at == std::string_view::npos ? 0 : at + 3);
    world_.note(text);
    ledger_.log_line(text);
  }
}

// What the look-up threads do, by a name server that takes its time and knows each domain's place.
void Scenario::look_up(relay::NextHops& next_hops) {
  if (weather_.domains == 0) return;
  static const std::atomic<bool> now{true};
  for (const relay::NextHops::Pointer& hop : next_hops.wait_for_due(now))
    world_.after(world_.up_to(calm_ ? 100'000 : 10'000'000),
                 [this, life = lives_, &next_hops, hop] {
                   if (life == lives_ && shard_ != nullptr) answer(next_hops, hop);
                 });
}

void Scenario::answer(relay::NextHops& next_hops, const relay::NextHops::Pointer& hop) {
  relay::Targets targets;
  if (!calm_ && world_.prng.chance(weather_.names_fail)) {
    targets.code = {4, 4, 3};
    targets.why = "the name server does not know now";
  } else {
    const auto place = std::hash<std::string>()(hop->name()) % backends_.size();
    targets.list.push_back({.address = *parse_ip_address(fmt::format("10.0.0.{}", place + 1)),
                            .port = 25,
                            .host = "mx.test"});
  }
  world_.say("look-up of {}: {}", hop->name(), targets.list.empty() ? "nothing" : "a host");
  if (hop->take(targets)) next_hops.changed();
  next_hops.looked_up(*hop, world_.now + (targets.list.empty() ? seconds(5) : seconds(300)));
}

// Everything is over for this life: is it for the scenario?
void Scenario::look() {
  world_.after(look_interval, [this] { look(); });
  if (!calm_ || shard_ == nullptr || stopping_) return;
  if (world_.now - life_since_ < seconds(1)) return;  // what was recovered is not counted yet
  const observe::Counters& counters = shard_->counters();
  if (world_.now - calm_since_ > drain_most)
    world_.wrong(fmt::format("not drained: {} messages, {} recipients held, {} clients",
                             counters.queued.get(), counters.recipients_held.get(),
                             Client::active));
  const uint64_t waiting = counters.recipients_queued.get() - counters.recipients_held.get();
  if (Client::active > 0 || waiting > 0 || !may_end()) return;
  if (counters.recipients_held.get() > 0 && !weather_.quarantine)
    return post([](shard::Shard& shard) {
      queue::MessageInfo page[64];
      uint32_t cursor = 0;
      while (cursor != queue::Index::none) {
        const size_t count = shard.index().page(cursor, page, std::size(page));
        for (size_t i = 0; i < count; ++i) shard.steer(relay::Outbound::Steer::release, page[i].id);
      }
    });
  stopping_ = last_ = true;
  post([](shard::Shard& shard) { shard.begin_shutdown(); });
}

void Scenario::check_recovered(const queue::Recovered& recovered) {
  const queue::Geometry geometry{weather_.segment_bytes, weather_.segment_count};
  if (!recovered.refusal.empty()) world_.wrong(recovered.refusal);
  if (!same(recovered, queue::recover(world_.disk, geometry)))
    world_.wrong("a second recovery differs");
  for (const queue::Damage& damage : recovered.damage)
    if (!damage.torn_tail) world_.wrong("damage told after a mere crash: " + damage.text);
  world_.say("life {}: {} messages recovered", lives_, recovered.messages.size());
}

void Scenario::live() {
  ++lives_;
  ledger_.life_begins();
  world_.device_failed = false;
  stopping_ = false;
  const queue::Geometry geometry{weather_.segment_bytes, weather_.segment_count};
  const queue::Recovered recovered = queue::recover(world_.disk, geometry);
  check_recovered(recovered);
  queue::SegmentPool pool(geometry, 1, queue::SegmentPool::reserve_min(1));
  queue::adopt(recovered, pool);
  observe::Log log("mx", "postfix", "");
  observe::Alarms alarms;
  relay::NextHops next_hops(snapshots_[0]->settings->relay, {}, world_.prng.next(),
                            weather_.next_hops);
  session::ClientTable clients(200, world_.prng.next());
  const config::Settings& settings = *snapshots_[0]->settings;
  for (const auto* hosts : {&settings.relay.relay_hosts, &settings.relay.default_hosts})
    if (!hosts->empty()) next_hops.get(*hosts, true);
  next_hops.on_change([this] { post([](shard::Shard&) {}); });
  world_.on_turn = [this, &next_hops] {
    take_log();
    look_up(next_hops);
  };
  const shard::Shared shared{
      .log = log,
      .alarms = alarms,
      .next_hops = next_hops,
      .clients = clients,
      .pool = pool,
      .files = *files_,
      .dsync = weather_.dsync,
      .epoch = world_.prng.next(),
      .largest_known_id = recovered.largest_id,
      .request_queue_run = [this] { post([](shard::Shard& s) { s.flush_queue(); }); }};
  std::vector<io::Fd> listeners;
  listeners.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  std::vector<const queue::RecoveredMessage*> messages;
  for (const queue::RecoveredMessage& message : recovered.messages) messages.push_back(&message);
  shard::Shard shard(0, shared, snapshots_[0], std::move(listeners), std::move(messages));
  serve(shard, log);
}

void Scenario::serve(shard::Shard& shard, observe::Log& log) {
  shard_ = &shard;
  life_since_ = world_.now;
  log_ = &log;
  const bool last = calm_ || lives_ >= weather_.lives;
  by_power_ = world_.prng.chance(70);
  if (!last)
    world_.crash_at = world_.stats.operations + 1 + world_.prng.below(weather_.operations_a_life);
  // Some lives end in order.
  if (!last && world_.prng.chance(25)) {
    world_.crash_at = 0;
    const Duration after = world_.up_to(weather_.horizon.us / 2);
    world_.after(after, [this, life = lives_] {
      if (life == lives_) post([](shard::Shard& s) { s.begin_shutdown(); });
    });
  }
  shard.run([&](std::string why) {
    if (!why.empty()) world_.wrong(why);
  });
  take_log();
  shard_ = nullptr;
  log_ = nullptr;
  world_.crash_at = 0;
  uint64_t came = 0, left = 0;
  const observe::Counters& c = shard.counters();
  came = c.recipients_accepted.get() + c.recipients_recovered.get() + c.recipients_generated.get();
  left = c.recipients_sent.get() + c.recipients_bounced.get() + c.recipients_discarded.get() +
         c.recipients_deleted.get() + c.recipients_queued.get();
  if (came != left)
    world_.wrong(fmt::format("the books do not balance: {} came, {} left", came, left));
  world_.say("life {} ended in order", lives_);
  ledger_.life_ends(true);
  world_.end_writes();
  world_.end_of_process();
}

// The stack below belongs to the life that has ended, and is never returned to.
void Scenario::crash() {
  take_log();
  world_.note(by_power_ ? "power cut" : "killed");
  ledger_.life_ends(false);
  if (by_power_)
    world_.cut_power();
  else
    world_.end_writes();
  shard_ = nullptr;
  log_ = nullptr;
  world_.end_of_process();
  while (!last_) live();
  finish();
}

void Scenario::run() {
  for (int i = 0; i < (weather_.two_backends ? 2 : 1); ++i)
    backends_.push_back(std::make_unique<Backend>(world_, ledger_, weather_.backend));
  world_.on_connect = [this](const sockaddr* to) {
    const auto address = ntohl(reinterpret_cast<const sockaddr_in*>(to)->sin_addr.s_addr);
    return backends_.at((address & 255) - 1)->connect();
  };
  load_snapshots();
  const queue::Geometry geometry{weather_.segment_bytes, weather_.segment_count};
  files_ = std::make_unique<spool::SegmentFiles>(options_.directory, geometry);
  if (const auto opened = files_->open(spool::SegmentFiles::Access::create); !opened)
    end(opened.error());
  for (uint32_t i = 0; i < weather_.segment_count; ++i) world_.segment_fds.push_back(files_->fd(i));
  prepare();
  look();
  while (!last_) live();
  finish();
}

// Pending recipients of what is still in the queue.
std::vector<std::string> Scenario::held_addresses(const queue::Recovered& recovered) {
  std::vector<std::string> held;
  for (const queue::RecoveredMessage& message : recovered.messages) {
    const queue::Window window = queue::window_of(message.commit);
    std::vector<std::byte> bytes(window.length);
    world_.disk.read(message.commit.segment, window.offset, bytes);
    const auto payload =
        queue::decode_record(bytes, message.commit, recovered.segments[message.commit.segment].life,
                             queue::RecordType::commit, message.id);
    queue::CommitView commit;
    mail::EnvelopeReader envelope;
    if (!payload || !commit.open(*payload) || !envelope.open(commit.envelope()))
      world_.wrong("a message in the queue can't be read");
    std::string_view address;
    std::vector<std::string> all;
    while (envelope.next_recipient(address)) all.emplace_back(address);
    for (const auto& [first, count] : message.pending)
      for (uint32_t i = first; i < first + count; ++i) held.push_back(all.at(i));
  }
  return held;
}

void Scenario::finish() {
  const queue::Geometry geometry{weather_.segment_bytes, weather_.segment_count};
  const queue::Recovered recovered = queue::recover(world_.disk, geometry);
  check_recovered(recovered);
  const std::vector<std::string> held = held_addresses(recovered);
  if (!held.empty() && !weather_.quarantine) world_.wrong("mail is left in a drained queue");
  report_.held = held.size();
  ledger_.check(held);
  judge();
  end("");
}

void Scenario::end(const std::string& why) {
  take_log();
  report_.hash = world_.hash;
  report_.operations = world_.stats.operations;
  report_.turns = world_.stats.turns;
  report_.errors = world_.stats.errors;
  report_.crashes = world_.stats.crashes;
  report_.wrong_reads = world_.stats.wrong_reads;
  report_.lives = lives_;
  report_.mails = ledger_.mails().size();
  report_.acknowledged = ledger_.acknowledged;
  report_.delivered = ledger_.delivered;
  report_.twice = ledger_.twice;
  report_.notices = ledger_.notices;
  report_.letters = ledger_.letters;
  report_.virtual_us = world_.now.us - 1'000'000'000;
  std::snprintf(report_.wrong, sizeof report_.wrong, "%s", why.c_str());
  report_.done = true;
  std::fflush(stdout);
  ::_exit(why.empty() ? 0 : 1);
}

}  // namespace mx::sim
