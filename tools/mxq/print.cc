#include "tools/mxq/print.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <numeric>
#include <vector>

#include "proto/base/text.h"

namespace mx::mxq {
namespace {

using nlohmann::json;

unsigned long long number(const json& value) {
  return value.get<uint64_t>();
}

}  // namespace

void Listing::add(const json& m) {
  if (messages_++ == 0)
    std::printf("%-17s %8s %-20s %s\n", "-Queue ID-", "--Size--", "---Arrival Time----",
                "-Sender/Recipient------");
  bytes_ += m["message_size"].get<uint64_t>();
  const time_t arrival = m["arrival_time"].get<time_t>();
  char when[32];
  std::strftime(when, sizeof when, "%a %b %e %H:%M:%S", std::localtime(&arrival));
  const std::string state = m["queue_name"];
  const std::string sender = m["sender"];
  std::printf("%-17s %8llu %-20s %s\n",
              (m["queue_id"].get<std::string>() + (state == "active" ? "*"
                                                   : state == "hold" ? "!"
                                                                     : ""))
                  .c_str(),
              number(m["message_size"]), when, sender.empty() ? "MAILER-DAEMON" : sender.c_str());
  std::string reason;
  for (const json& r : m["recipients"]) {
    const std::string why = r.value("delay_reason", "");
    if (why != reason) std::printf("%*s(%s)\n", 8, "", why.c_str());
    reason = why;
    std::printf("%*s%s\n", 48, "", r["address"].get<std::string>().c_str());
  }
  std::printf("\n");
}

void Listing::end() {
  if (messages_ == 0)
    std::printf("Mail queue is empty\n");
  else
    std::printf("-- %llu Kbytes in %llu Request%s.\n",
                static_cast<unsigned long long>((bytes_ + 1023) / 1024),
                static_cast<unsigned long long>(messages_), messages_ == 1 ? "" : "s");
}

void AgeTable::add(const json& message, int64_t now) {
  const int64_t minutes = (now - message["arrival_time"].get<int64_t>()) / 60;
  size_t column = 0;
  for (int64_t limit = 5; column + 1 < columns && minutes >= limit; limit *= 2) ++column;
  for (const json& recipient : message["recipients"]) {
    const std::string address = recipient["address"];
    const size_t at = address.rfind('@');
    const std::string domain = at == std::string::npos ? address : lower(address.substr(at + 1));
    ++rows_[domain][column];
    ++total_[column];
  }
}

void AgeTable::print_row(const std::string& name, const Row& row) {
  std::printf(
      "%32s %7llu", name.c_str(),
      static_cast<unsigned long long>(std::accumulate(row.begin(), row.end(), uint64_t{0})));
  for (const uint64_t count : row) std::printf(" %6llu", static_cast<unsigned long long>(count));
  std::printf("\n");
}

void AgeTable::print() const {
  std::printf("%32s %7s", "", "T");
  for (size_t i = 0; i + 1 < columns; ++i) std::printf(" %6u", 5U << i);
  std::printf(" %6s\n", "1280+");
  print_row("TOTAL", total_);
  std::vector<std::pair<std::string, Row>> rows(rows_.begin(), rows_.end());
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    const auto sum = [](const Row& r) { return std::accumulate(r.begin(), r.end(), uint64_t{0}); };
    return sum(a.second) > sum(b.second);
  });
  for (const auto& [name, row] : rows) print_row(name, row);
}

namespace {

// Nothing is lost on the way: both sides are the same when no mail moves.
void print_conservation(const json& counters) {
  const auto n = [&](const char* name) { return number(counters[name]); };
  std::printf(
      "recipients: accepted %llu + recovered %llu + generated %llu = sent %llu + bounced "
      "%llu + discarded %llu + deleted %llu + expanded %llu + queued %llu (held %llu)\n",
      n("recipients_accepted"), n("recipients_recovered"), n("recipients_generated"),
      n("recipients_sent"), n("recipients_bounced"), n("recipients_discarded"),
      n("recipients_deleted"), n("recipients_expanded"), n("recipients_queued"),
      n("recipients_held"));
}

void print_backends(const json& hop) {
  for (const json& b : hop["backends"]) {
    std::printf("backend %s: %s", b["host"].get<std::string>().c_str(),
                b["state"].get<std::string>().c_str());
    if (b.contains("for_s")) std::printf(" for %llu s", number(b["for_s"]));
    std::printf(", %llu connections of at most %llu", number(b["connections"]),
                number(b["window"]));
    if (number(b["failures"]) > 0) std::printf(", %llu failures", number(b["failures"]));
    if (b.contains("next_probe_s"))
      std::printf(", next probe in %llu s", number(b["next_probe_s"]));
    if (const std::string why = b.value("why", ""); !why.empty()) std::printf(" (%s)", why.c_str());
    std::printf("\n");
  }
}

// Those that are down first, those of which no address is known last, and no more than a person
// reads.
void print_next_hops(const json& hops) {
  constexpr size_t most = 40;
  size_t shown = 0;
  const auto print = [&](bool has_backends, bool up) {
    for (const json& hop : hops) {
      if (hop["backends"].empty() == has_backends || hop["up"].get<bool>() != up) continue;
      if (shown++ >= most) continue;
      print_backends(hop);
      if (!has_backends)
        std::printf("next hop %s: no address\n", hop["name"].get<std::string>().c_str());
    }
  };
  print(true, false);
  print(true, true);
  print(false, false);
  if (shown > most)
    std::printf("… and %zu more next hops (mxq --status --json has all)\n", shown - most);
}

}  // namespace

void print_status(const json& s) {
  for (const auto& [name, value] : s["counters"].items())
    std::printf("%-24s %llu\n", name.c_str(), number(value));
  for (const char* name : {"shards", "free_segments", "free_bytes", "snapshots", "publications"})
    std::printf("%-24s %llu\n", name, number(s[name]));
  if (s["next_hop"].is_null())
    std::printf("%-24s the domain of each recipient\n", "next_hop");
  else
    std::printf("%-24s %s (%s)\n", "next_hop", s["next_hop"].get<std::string>().c_str(),
                s["next_hop_up"].get<bool>() ? "up" : "down");
  print_next_hops(s["next_hops"]);
  print_conservation(s["counters"]);
  for (const json& table : s["tables"])
    std::printf("table %s: %llu keys, read in %.1f ms\n", table["name"].get<std::string>().c_str(),
                number(table["keys"]), table["load_ms"].get<double>());
  if (s["alarms"].empty()) std::printf("no alarms\n");
  for (const json& alarm : s["alarms"])
    std::printf("ALARM %s: %s\n", alarm["name"].get<std::string>().c_str(),
                alarm["text"].get<std::string>().c_str());
}

}  // namespace mx::mxq
