#include "engine/relay/lookups.h"

#include <algorithm>
#include <memory>

#include "engine/dns/native.h"
#include "engine/dns/resolver.h"
#include "engine/io/clock.h"

namespace mx::relay {
namespace {

// A TTL is believed within these bounds.
constexpr Duration ttl_min = seconds(5), ttl_max = seconds(3600);
// After a failure; doubles up to the last.
constexpr Duration retry_first = seconds(5), retry_last = seconds(60);
// … that is no failure to ask.
constexpr Duration retry_refused = seconds(60);

std::string text_of(const NextHop& hop) {
  std::string text;
  for (const auto& backend : *hop.backends())
    text +=
        fmt::format("{}{} {}", text.empty() ? "" : ", ", backend->preference(), backend->text());
  return text;
}

}  // namespace

void Lookups::start() {
  thread_ = std::thread([this] {
    while (!stopping_) look_up(next_hops_.wait_for_due(stopping_));
  });
}

void Lookups::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  next_hops_.wake_up();
  thread_.join();
}

void Lookups::look_up(const std::vector<NextHops::Pointer>& due) {
  std::vector<std::unique_ptr<Lookup>> lookups;
  for (const auto& hop : due)
    lookups.push_back(std::make_unique<Lookup>(hop->hosts(), hop->ordered(),
                                               next_hops_.lookup_settings(), next_hops_.self()));
  while (!stopping_) {
    std::vector<dns::Question> questions;
    for (const auto& lookup : lookups)
      questions.insert(questions.end(), lookup->questions().begin(), lookup->questions().end());
    if (questions.empty()) break;
    const std::vector<dns::Answer> answers = ask(questions);
    size_t at = 0;
    for (const auto& lookup : lookups) {
      const size_t count = lookup->questions().size();
      if (count > 0) lookup->resume({answers.data() + at, count});
      at += count;
    }
  }
  if (stopping_) return;
  bool another = false;
  for (size_t i = 0; i < due.size(); ++i) {
    const uint32_t version = due[i]->version();
    finish(*due[i], lookups[i]->result());
    another |= due[i]->version() != version;
  }
  if (another) next_hops_.changed();
}

// smtp_host_lookup: MX are DNS'; for addresses the system may be asked too, or alone.
std::vector<dns::Answer> Lookups::ask(const std::vector<dns::Question>& questions) {
  const config::LookupSettings& settings = next_hops_.lookup_settings();
  std::vector<dns::Answer> answers(questions.size());
  std::vector<dns::Question> by_dns;
  for (const dns::Question& question : questions)
    if (settings.dns || question.type == dns::Type::mx) by_dns.push_back(question);
  std::vector<dns::Answer> told;
  if (!by_dns.empty()) told = dns::Resolver(settings.servers, stopping_).ask(by_dns);
  size_t next = 0;
  for (size_t i = 0; i < questions.size(); ++i) {
    const bool is_mx = questions[i].type == dns::Type::mx;
    if (settings.dns || is_mx) answers[i] = std::move(told[next++]);
    if (settings.native && !is_mx && answers[i].outcome != dns::Outcome::found && !stopping_)
      answers[i] = dns::ask_system(questions[i]);
  }
  return answers;
}

void Lookups::finish(NextHop& hop, const Targets& targets) {
  uint32_t& failures = hop.lookups().failures;
  Duration wait = std::clamp(targets.ttl, ttl_min, ttl_max);
  failures = targets.list.empty() ? failures + 1 : 0;
  if (failures > 0)
    wait = targets.code.status == 5
               ? retry_refused
               : std::min(retry_first * (int64_t{1} << std::min(failures - 1, 5U)), retry_last);
  if (hop.take(targets) && !targets.list.empty())
    log_.line("smtp", "next hop {}: {}", hop.name(), text_of(hop));
  std::string warning = targets.list.empty() ? targets.why : targets.warning;
  // A domain that does not exist is told of in the bounce.
  if (targets.list.empty() && targets.code.status == 5 && !hop.is_configured()) warning.clear();
  std::string& said = hop.lookups().said;
  if (!warning.empty() && warning != said) {
    const bool old = targets.list.empty() && !hop.backends()->empty();
    log_.line("smtp", "warning: next hop {}: {}{}", hop.name(), observe::Peer{warning},
              old ? "; what was known stays in use" : "");
  }
  said = std::move(warning);
  next_hops_.looked_up(hop, io::now() + wait);  // from here on another thread may have it
}

}  // namespace mx::relay
