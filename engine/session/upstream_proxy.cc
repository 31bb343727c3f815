// A connection that comes through a load balancer (smtpd_upstream_proxy_protocol): the PROXY header
// says who the client is, before the banner. Only ringmx_proxy_trusted is believed; everybody else,
// and every header that is not as specified, gets a 421 and no session.

#include "engine/session/inbound.h"
#include "engine/session/session.h"
#include "proto/base/assert.h"
#include "proto/proxy/proxy_header.h"

namespace mx::session {

void Inbound::await_header(Session& s) {
  s.server.set_client("unknown", s.ip.view());
  s.awaits_header = true;
  s.header_deadline = loop_.now() + s.settings->clients.proxy_timeout;
  const policy::Match trusted =
      snapshot_->policy.proxy_trusted.match_client("unknown", s.ip.view(), s.address);
  if (trusted != policy::Match::yes) give_up_header(s, "the peer is not in ringmx_proxy_trusted");
}

// What has come may be the header, a part of it, or more than it.
void Inbound::take_header(Session& s) {
  if (s.server.need() == smtp::Need::close) {
    s.awaits_header = false;
    return;
  }
  const proxy::Header header = proxy::parse_header(s.input());
  switch (header.state) {
    case proxy::Header::State::incomplete:
      if (s.receiving) return;
      receive_command(s, false);
      loop_.timers.arm(s.timer, s.header_deadline);
      return;
    case proxy::Header::State::bad:
      return give_up_header(s, header.error);
    case proxy::Header::State::proxied: {
      s.address = header.source;
      const bool fits = s.ip.assign(to_string(header.source));
      MX_ASSERT(fits);
      break;
    }
    case proxy::Header::State::own:
      break;
  }
  s.consume(header.bytes);
  s.awaits_header = false;
  begin(s);
}

void Inbound::give_up_header(Session& s, std::string_view why) {
  s.awaits_header = false;
  log_.line("smtpd", "warning: PROXY header from unknown[{}]: {}", s.ip.view(), why);
  s.server.abort({4, 3, 0}, "Server local error");
}

}  // namespace mx::session
