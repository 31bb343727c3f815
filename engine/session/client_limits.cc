// What one client may do (smtpd_client_*_limit), and what it may do when there are too many of all
// (`${stress?…}`).

#include "engine/session/inbound.h"
#include "engine/session/session.h"
#include "proto/base/assert.h"

namespace mx::session {
namespace {

smtp::Verdict too_many(std::string_view what, std::string_view ip) {
  smtp::Verdict verdict;
  verdict.kind = smtp::Verdict::Kind::refuse;
  verdict.code = 450;
  verdict.enhanced = {4, 7, 1};
  const bool fits = verdict.text.append("Error: too ") && verdict.text.append(what) &&
                    verdict.text.append(" from ") && verdict.text.append(ip);
  MX_ASSERT(fits);
  return verdict;
}

}  // namespace

// Whether the client is one that limits are for, and how many connections it has. False: too many,
// and the session ends. Those that may use XCLIENT are not counted, as in Postfix.
bool Inbound::count_connection(Session& s, bool xclient) {
  const config::ClientLimits& limits = s.settings->clients.limits;
  if (!limits.any() || xclient) return true;
  const policy::Match excepted = snapshot_->policy.client_limit_exceptions.match_client(
      s.client_name(), s.ip.view(), s.address);
  if (excepted != policy::Match::no) return true;
  s.limited = true;
  s.prefix = masked(s.address, s.address.v6 ? limits.ipv6_prefix : limits.ipv4_prefix);
  if (limits.connections == 0 && limits.connection_rate == 0) return true;
  const ClientTable::Figures figures =
      clients_.count(s.prefix, ClientTable::Event::connection, limits.window, loop_.now());
  s.counted = figures.open > 0;
  const bool crowd = limits.connections > 0 && figures.open > limits.connections;
  const bool haste = limits.connection_rate > 0 && figures.rate > limits.connection_rate;
  if (!crowd && !haste) return true;
  log_.line("smtpd", "warning: Connection {} limit exceeded: {} from {}[{}] for service smtp",
            crowd ? "concurrency" : "rate", crowd ? figures.open : figures.rate, s.client_name(),
            s.ip.view());
  counters_.clients_over_limit.add();
  FixedText<100> text;
  const bool fits = text.append("Error: too many connections from ") && text.append(s.ip.view());
  MX_ASSERT(fits);
  s.server.abort({4, 7, 0}, text.view());
  return false;
}

// A MAIL or RCPT over the client's rate is answered before policy is asked.
std::optional<smtp::Verdict> Inbound::over_rate(Session& s, smtp::Stage stage) {
  if (!s.limited) return std::nullopt;
  const config::ClientLimits& limits = s.settings->clients.limits;
  const bool mail = stage == smtp::Stage::mail;
  const bool rcpt = stage == smtp::Stage::rcpt || stage == smtp::Stage::vrfy;
  const uint32_t limit = mail ? limits.message_rate : rcpt ? limits.recipient_rate : 0;
  if (limit == 0) return std::nullopt;
  const auto event = mail ? ClientTable::Event::message : ClientTable::Event::recipient;
  const uint32_t rate = clients_.count(s.prefix, event, limits.window, loop_.now()).rate;
  if (rate <= limit) return std::nullopt;
  log_.line("smtpd", "warning: {} rate limit exceeded: {} from {}[{}] for service smtp",
            mail ? "Message delivery request" : "Recipient address", rate, s.client_name(),
            s.ip.view());
  counters_.clients_over_limit.add();
  return too_many(mail ? "much mail" : "many recipients", s.ip.view());
}

// Stress begins when nine of ten session slots are in use and ends at eight, so that it does not
// flutter. A session keeps what it began with.
bool Inbound::under_stress() {
  const uint64_t used = sessions_.used(), limit = sessions_.limit();
  const bool begins = !stressed_ && (used + 1) * 10 >= limit * 9;
  const bool ends = stressed_ && used * 10 < limit * 8;
  if (begins)
    log_.line("smtpd",
              "warning: stress: {} of {} sessions are in use; new ones run with stress = yes: less "
              "time, fewer errors",
              used + 1, limit);
  if (ends) log_.line("smtpd", "stress is over: {} of {} sessions are in use", used, limit);
  if (begins || ends) stressed_ = begins;
  return stressed_;
}

// debug_peer_list: the dialogue as it is, without message bodies.
void Inbound::debug_lines(const Session& s, char direction, std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::string_view shown = line.ends_with('\r') ? line.substr(0, line.size() - 1) : line;
    log_.line("smtpd", "{} {}[{}]: {}", direction, s.client_name(), s.ip.view(),
              observe::Peer{shown});
  }
}

}  // namespace mx::session
