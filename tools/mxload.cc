// mxload - sends mail as fast as a server takes it, and says how fast that was. See
// tools/man/mxload.1.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "tools/load/source.h"
#include "tools/load/target.h"

namespace {

using mx::load::Histogram;
using mx::load::SourceOptions;
using mx::load::SourceTotals;

constexpr int exit_usage = 64, exit_unavailable = 69, exit_incomplete = 1;

nlohmann::ordered_json to_json(const Histogram& histogram) {
  return {{"count", histogram.count()},        {"p50", histogram.quantile(0.5)},
          {"p90", histogram.quantile(0.9)},    {"p99", histogram.quantile(0.99)},
          {"p999", histogram.quantile(0.999)}, {"max", histogram.max()}};
}

nlohmann::ordered_json to_json(const SourceTotals& totals, double rate) {
  return {{"sent", totals.sent},
          {"accepted", totals.accepted},
          {"refused", totals.refused},
          {"errors", totals.errors},
          {"connections", totals.connections},
          {"seconds", totals.elapsed.seconds()},
          {"rate", rate},
          {"commit_us", to_json(totals.commit)},
          {"late_us", to_json(totals.late)},
          {"connect_us", to_json(totals.connect)}};
}

void print_text(const SourceTotals& totals, double rate) {
  fmt::print("{} sent, {} accepted, {} refused, {} errors in {:.2f} s: {:.0f} a second\n",
             totals.sent, totals.accepted, totals.refused, totals.errors, totals.elapsed.seconds(),
             rate);
  const auto line = [](const char* name, const Histogram& h) {
    fmt::print("{} µs: p50 {}, p90 {}, p99 {}, p99.9 {}, max {}\n", name, h.quantile(0.5),
               h.quantile(0.9), h.quantile(0.99), h.quantile(0.999), h.max());
  };
  line("final dot to answer,", totals.commit);
  line("connect to banner,", totals.connect);
  if (totals.late.count() > 0) line("due to begun,", totals.late);
}

std::string host_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return name;
}

void raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
  SourceOptions options;
  std::string target;
  bool json = false;
  options.helo = host_name();

  CLI::App app("mxload: SMTP load generator", "mxload");
  app.add_option("-s,--sessions", options.sessions, "sessions in parallel")
      ->check(CLI::Range(1, 60'000));
  app.add_option("-m,--messages", options.messages, "messages in all");
  app.add_option("-l,--length", options.body_bytes, "bytes of each message after its header");
  app.add_flag("-d,--keep", options.keep_connection, "do not disconnect after each message");
  app.add_flag("--declare-size", options.declare_size,
               "say in MAIL how large a message is (SIZE=)");
  app.add_flag("-p,--pipeline", options.pipeline, "pipeline commands where the server offers it");
  app.add_option("-f,--from", options.sender, "sender address (default: foo@HELO)");
  app.add_option("-t,--to", options.recipient, "recipient address (default: foo@HELO)");
  app.add_option("-r,--recipients", options.recipients, "recipients of each message")
      ->check(CLI::Range(1, 50'000));
  app.add_option("--domains", options.domains,
                 "recipients take turns in so many domains: d0.DOMAIN, d1.DOMAIN, …")
      ->check(CLI::Range(1, 10'000'000));
  app.add_option("--rate", options.rate,
                 "messages a second in all, at random moments (default: as fast as answered)")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("-M,--helo", options.helo, "name to say in EHLO");
  app.add_option("--ledger", options.ledger, "append the id of each accepted message to this file");
  app.add_flag("--json", json, "print the result as one line of JSON");
  app.add_option("target", target, "[inet:][host]:port")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_usage;
  }
  if (options.sender.empty()) options.sender = "foo@" + options.helo;
  if (options.recipient.empty()) options.recipient = "foo@" + options.helo;
  options.progress = ::isatty(STDERR_FILENO) != 0;

  const auto server = mx::load::parse_target(target);
  if (!server) {
    fmt::print(stderr, "mxload: {}\n", server.error());
    return exit_usage;
  }
  options.server = *server;
  raise_descriptor_limit();

  auto source = mx::load::Source::create(options);
  if (!source) {
    fmt::print(stderr, "mxload: {}\n", source.error());
    return exit_unavailable;
  }
  const SourceTotals& totals = source->run();
  if (!totals.first_error.empty()) fmt::print(stderr, "mxload: {}\n", totals.first_error);
  const double seconds = totals.elapsed.seconds();
  const double rate = seconds > 0 ? static_cast<double>(totals.accepted) / seconds : 0;
  if (json) {
    fmt::print("{}\n", to_json(totals, rate).dump());
  } else {
    print_text(totals, rate);
  }
  return totals.accepted == options.messages ? 0 : exit_incomplete;
}
