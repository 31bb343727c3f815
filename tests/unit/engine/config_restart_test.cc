// Which changed parameters a reload can't take.
#include "engine/config/restart.h"

#include <gtest/gtest.h>

#include "tests/unit/engine/config_harness.h"

namespace mx::config {
namespace {

using test::load_text;

std::string said(const std::string& before, const std::string& after) {
  const LoadResult one = load_text(test::minimal + before);
  const LoadResult two = load_text(test::minimal + after);
  EXPECT_TRUE(one.settings && two.settings) << test::messages(one) << test::messages(two);
  if (!one.settings || !two.settings) return "?";
  Diagnostics out;
  report_restart_needed(*one.settings, *two.settings, out);
  return test::all_text(out);
}

TEST(Restart, IsNeededForWhatWasMadeAtTheStart) {
  for (const char* line : {"ringmx_listen = 127.0.0.1:2525", "ringmx_shards = 2", "mail_owner = x",
                           "queue_directory = /x", "maillog_file = /x", "syslog_name = x",
                           "ringmx_body_cache = 10000000", "ringmx_max_sessions = 5",
                           "ringmx_queue_size_limit = 2147483648", "ringmx_sandbox = no",
                           "ringmx_segment_size = 1048576", "ringmx_queue_sync = dsync",
                           "ringmx_queue_flush = each", "ringmx_backend_connections = 7"}) {
    const std::string name = std::string(line).substr(0, std::string(line).find(' '));
    EXPECT_EQ(said("", std::string(line) + "\n"),
              "/etc/ringmx/main.cf:3: warning: " + name +
                  ": the change takes effect at a restart, not at a reload\n");
    EXPECT_EQ(said(std::string(line) + "\n", std::string(line) + "\n"), "");
    // Taken away again: the file as a whole.
    EXPECT_NE(said(std::string(line) + "\n", "").find("/etc/ringmx/main.cf: warning: "),
              std::string::npos);
  }
}

TEST(Restart, ListenersComeFromInterfacesToo) {
  EXPECT_NE(said("", "inet_interfaces = 192.0.2.2\n").find(":3: warning: inet_interfaces: "),
            std::string::npos);
  EXPECT_EQ(said("ringmx_listen = 127.0.0.1:25\n", "inet_interfaces = 127.0.0.1\n"), "");
  EXPECT_NE(said("ringmx_listen = 127.0.0.1:25\n",
                 "ringmx_listen = 127.0.0.1:25\ninet_protocols = ipv4\n")
                .find("inet_protocols: the change takes effect"),
            std::string::npos);
}

TEST(Restart, IsNotNeededForTheRest) {
  EXPECT_EQ(said("",
                 "message_size_limit = 5\nrelay_domains = x.test\nmynetworks = 10.0.0.0/8\n"
                 "smtpd_timeout = 5s\nringmx_shutdown_timeout = 3s\n"),
            "");
}

}  // namespace
}  // namespace mx::config
