// master.cf: what is read from it, what is said of it, and that names it uses count as used.
#include "engine/config/master_cf.h"

#include <gtest/gtest.h>

#include "tests/unit/engine/config_harness.h"

namespace mx::config {
namespace {

using test::all_text;
using test::messages;

std::string report(std::string_view text) {
  Diagnostics said;
  const MasterCf master_cf = MasterCf::parse(text, "master.cf", said);
  report_master_cf(master_cf, said);
  return all_text(said);
}

// As Debian installs it, shortened.
constexpr std::string_view installed =
    "smtp      inet  n       -       y       -       -       smtpd\n"
    "#smtp      inet  n       -       y       -       1       postscreen\n"
    "#submission inet n       -       y       -       -       smtpd\n"
    "#  -o syslog_name=postfix/submission\n"
    "pickup    unix  n       -       y       60      1       pickup\n"
    "smtp      unix  -       -       y       -       -       smtp\n"
    "relay     unix  -       -       y       -       -       smtp\n"
    "        -o syslog_name=postfix/$service_name\n"
    "maildrop  unix  -       n       n       -       -       pipe\n"
    "  flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}\n";

TEST(MasterCf, TheInstalledFileIsNotWorthAWord) {
  EXPECT_EQ(report(installed), "");
}

TEST(MasterCf, ServicesComeOutWithTheirOverrides) {
  Diagnostics said;
  const MasterCf master_cf = MasterCf::parse(
      "# x\nsmtp inet n - y - 50 smtpd -v -o a=b\n"
      "  # a comment\n"
      "  -o { c = d e } -oq=r\n"
      "  -o a=\n",
      "master.cf", said);
  EXPECT_EQ(all_text(said), "");
  ASSERT_EQ(master_cf.services().size(), 1U);
  const Service& service = master_cf.services().front();
  EXPECT_EQ(service.command, "smtpd");
  EXPECT_EQ(service.line, 2U);
  std::string overrides;
  for (const Override& one : service.overrides)
    overrides += std::to_string(one.line) + " " + one.name + "=" + one.value + "\n";
  EXPECT_EQ(overrides, "2 a=b\n4 c=d e\n4 q=r\n5 a=\n");
}

TEST(MasterCf, SaysWhatIsNotHonoured) {
  EXPECT_EQ(
      report("smtp inet n - y - - smtpd\n"
             "  -o smtpd_helo_required=yes\n"
             "  -o content_filter=scan:[127.0.0.1]:10024\n"
             "submission inet n - y - - smtpd\n"
             "127.0.0.1:10025 inet n - y - - smtpd -o smtpd_milters= -o "
             "smtp_cname_overrides_servername=no\n"
             "25 inet n - y - 1 postscreen\n"
             "628 inet n - y - - qmqpd\n"
             "scan unix - - n - 10 smtp -o smtp_send_xforward_command=yes\n"
             "pickup unix n - y 60 1 pickup -o content_filter=x -o receive_override_options=y\n"),
      "master.cf:2: warning: smtp inet: -o smtpd_helo_required = yes: overrides are not honoured; "
      "what main.cf says is for all\n"
      "master.cf:3: warning: smtp inet: -o content_filter = scan:[127.0.0.1]:10024: filters of a "
      "service are not honoured\n"
      "master.cf:4: warning: submission inet smtpd: this listener is not honoured; name it in "
      "ringmx_listen if it is to answer as port 25 does\n"
      "master.cf:5: warning: 127.0.0.1:10025 inet smtpd: this listener is not honoured; name it in "
      "ringmx_listen if it is to answer as port 25 does\n"
      "master.cf:5: warning: 127.0.0.1:10025 inet: -o smtpd_milters = : filters of a service are "
      "not honoured\n"
      "master.cf:6: warning: 25 inet postscreen: postscreen is not built; ringmx answers clients "
      "itself\n"
      "master.cf:7: warning: 628 inet qmqpd: this listener is not honoured\n"
      "master.cf:8: warning: scan unix: -o smtp_send_xforward_command = yes: overrides are not "
      "honoured; what main.cf says is for all\n"
      "master.cf:9: warning: pickup unix: -o content_filter = x: filters of a service are not "
      "honoured\n"
      "master.cf:9: warning: pickup unix: -o receive_override_options = y: filters of a service "
      "are not honoured\n");
}

TEST(MasterCf, ABrokenLineIsIgnoredAndSaid) {
  EXPECT_EQ(report("  -o a=b\nsmtp inet n\nsmtp inet n - y - - smtpd -o\n  -o { x\n"),
            "master.cf:1: warning: bad service \"-o a=b\"; ignored\n"
            "master.cf:2: warning: bad service \"smtp inet n\"; ignored\n");
}

TEST(MasterCf, NamesThatItUsesAreNoUnusedParameters) {
  test::Files files;
  const std::string main_cf = test::minimal +
                              "our_clients = permit_mynetworks\nour_lists = $our_more\n"
                              "our_more = x\nour_none = x\nour_flags = F\n";
  EXPECT_NE(messages(test::load_text(main_cf)).find("our_clients"), std::string::npos);
  files["/etc/ringmx/master.cf"] =
      "pick unix n - y - - pipe flags=$our_flags\n"
      "send unix n - y - - pickup -o smtpd_client_restrictions=$our_clients -o x=${our_lists}\n";
  const LoadResult result = test::load_text(main_cf, files);
  ASSERT_TRUE(result.settings) << messages(result);
  EXPECT_EQ(messages(result).find("our_clients"), std::string::npos);
  EXPECT_EQ(messages(result).find("our_more"), std::string::npos);
  EXPECT_EQ(messages(result).find("our_flags"), std::string::npos);
  EXPECT_NE(messages(result).find("our_none"), std::string::npos);
}

}  // namespace
}  // namespace mx::config
