// mxsink - an SMTP server that accepts mail and throws it away, counts it, and can fail on request.
// See tools/man/mxsink.1.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/io/fd.h"
#include "tools/load/sink.h"
#include "tools/load/target.h"

namespace {

using mx::load::SinkOptions;
using mx::load::SinkTotals;

constexpr int exit_usage = 64, exit_unavailable = 69;

void print(const SinkTotals& totals, bool json) {
  if (!json) {
    fmt::print("{} messages, {} recipients, {} bytes, {} connections, {} faults\n", totals.messages,
               totals.recipients, totals.bytes, totals.connections, totals.faults);
    return;
  }
  const nlohmann::ordered_json result = {{"messages", totals.messages},
                                         {"recipients", totals.recipients},
                                         {"bytes", totals.bytes},
                                         {"connections", totals.connections},
                                         {"faults", totals.faults}};
  fmt::print("{}\n", result.dump());
}

// TERM and INT become readable here instead of ending the program.
mx::io::Fd stop_signals() {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  ::sigprocmask(SIG_BLOCK, &stop, nullptr);
  return mx::io::Fd(::signalfd(-1, &stop, SFD_CLOEXEC));
}

void raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
  SinkOptions options;
  std::string target;
  std::vector<std::string> faults;
  bool json = false;

  CLI::App app("mxsink: SMTP server that throws mail away", "mxsink");
  app.add_option("--ledger", options.ledger, "append a line of JSON for each message to this file");
  app.add_option("--store", options.store, "keep each message as a file in this folder")
      ->check(CLI::ExistingDirectory);
  app.add_option("--fail", faults, "STAGE:CODE|drop[:PERCENT], may be given several times")
      ->allow_extra_args(false);
  app.add_option("--seed", options.seed, "of the random choice that --fail makes");
  app.add_option("--rate", options.bytes_a_second,
                 "bytes a second that are received in all (default: as they come)");
  app.add_flag("--json", json, "print the totals as one line of JSON");
  app.add_option("target", target, "[inet:][host]:port; port 0 takes a free one")->required();
  app.add_option("backlog", options.backlog, "connections that may wait to be accepted");
  try {
    app.parse(argc, argv);
    for (const std::string& text : faults) {
      const auto fault = mx::load::parse_fault(text);
      if (!fault) throw CLI::ValidationError("--fail", fault.error());
      options.faults.push_back(*fault);
    }
    const auto listen = mx::load::parse_target(target);
    if (!listen) throw CLI::ValidationError("target", listen.error());
    options.listen = *listen;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_usage;
  }
  raise_descriptor_limit();
  const mx::io::Fd stop = stop_signals();

  auto sink = mx::load::Sink::create(options);
  if (!sink) {
    fmt::print(stderr, "mxsink: {}\n", sink.error());
    return exit_unavailable;
  }
  fmt::print("listening on {}\n", mx::load::target_text((*sink)->local()));
  std::fflush(stdout);
  print((*sink)->run(stop.get()), json);
  return 0;
}
