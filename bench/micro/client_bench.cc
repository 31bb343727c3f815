// The SMTP client machine: one message over an open connection, all replies included.
#include <benchmark/benchmark.h>

#include <string_view>

#include "proto/base/assert.h"
#include "proto/smtp/client.h"

namespace {

using mx::smtp::Client;

void message(benchmark::State& state, bool pipelining) {
  const mx::smtp::ClientSettings settings;
  Client client(settings);
  const auto feed = [&](std::string_view replies) {
    client.out().clear();  // sent
    client.feed(replies);
  };
  feed("220 mx.example.com ESMTP\r\n");
  feed(pipelining ? "250-mx.example.com\r\n250-SIZE 10240000\r\n250 PIPELINING\r\n"
                  : "250-mx.example.com\r\n250 SIZE 10240000\r\n");
  const std::string_view recipient = "recipient@example.com";
  mx::smtp::Delivery delivery;
  delivery.sender = "sender@example.org";
  delivery.recipients = &recipient;
  delivery.recipient_count = 1;
  delivery.size = 4096;
  for (auto _ : state) {
    client.start(delivery);
    if (pipelining) {
      feed("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
    } else {
      feed("250 2.1.0 Ok\r\n");
      feed("250 2.1.5 Ok\r\n");
      feed("354 End data with <CR><LF>.<CR><LF>\r\n");
    }
    client.body_sent();
    feed("250 2.0.0 Ok: queued as 4Dy6Tq2Hn9z1\r\n");
    benchmark::DoNotOptimize(client.recipient_outcome(0));
    MX_ASSERT(client.recipient_outcome(0).result == mx::smtp::Result::sent);
    client.finish();
  }
}

BENCHMARK_CAPTURE(message, lock_step, false);
BENCHMARK_CAPTURE(message, pipelined, true);

}  // namespace

BENCHMARK_MAIN();
