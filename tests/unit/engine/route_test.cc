// transport(5) and the classes: where mail for an address goes.
#include "engine/policy/route.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/config/addresses.h"

namespace mx::policy {
namespace {

class RouteTest : public testing::Test {
 protected:
  RouteTest() {
    inputs_.mydestination = {{"local.tld", "main.cf", 1}};
    inputs_.relay_domains = {{"relay.tld", "main.cf", 1}};
    inputs_.virtual_alias_domains = {{"virtual.tld", "main.cf", 1}};
    inputs_.recipient_delimiter = "+";
    inputs_.recipient = {{"reject_unauth_destination", "main.cf", 1}};
  }
  void table(const std::string& text) {
    inputs_.transport_maps = {{"inline:{" + text + "}", "main.cf", 1}};
  }
  Route route_of(std::string_view address) {
    TableStore tables;
    return policy::route(*compile(inputs_, tables), address);
  }
  // "relay own, else relay.tld", "smtp [a]:25", "smtp domain relay.tld", "error 5.1.1 text".
  std::string way(std::string_view address) {
    TableStore tables;
    auto policy = compile(inputs_, tables);
    if (!policy) return policy.error().front().text;
    const Route route = policy::route(*policy, address);
    if (route.kind == Route::Kind::hop)
      return std::string(route.relay ? "relay " : "smtp ") +
             (route.own         ? "own, else "
              : route.by_domain ? "domain "
                                : "") +
             std::string(route.next_hop.view());
    const char* const kinds[] = {"", "error", "retry", "discard"};
    return std::string(kinds[static_cast<int>(route.kind)]) + " " +
           std::to_string(route.enhanced.status) + "." + std::to_string(route.enhanced.subject) +
           "." + std::to_string(route.enhanced.detail) + " " + std::string(route.text.view());
  }

  PolicyInputs inputs_;
};

TEST_F(RouteTest, AWayInATableMakesADomainNotOurs) {
  for (const char* text : {"", "{* = smtp:}", "{* = relay:[a]}", "{* = :[a]}"}) {
    if (*text != 0) table(text);
    EXPECT_TRUE(route_of("a@relay.tld").ours) << text;
    EXPECT_FALSE(route_of("a@other.tld").ours) << text;
  }
}

// What main.cf is refused for is what mail would meet.
TEST_F(RouteTest, KnownTransportsAreThoseThatConfigKnows) {
  for (const char* name : {"relay", "smtp", "local", "error", "retry", "discard", "lmtp", "slow"}) {
    table("{* = " + std::string(name) + ":x}");
    EXPECT_EQ(way("a@local.tld") != "retry 4.3.5 mail transport unavailable",
              config::is_transport(name))
        << name;
  }
}

TEST_F(RouteTest, classes) {
  EXPECT_EQ(way("a@relay.tld"), "relay own, else relay.tld");
  EXPECT_EQ(way("a@other.tld"), "smtp own, else other.tld");
  EXPECT_EQ(way("a@local.tld").substr(0, 11), "error 5.1.1");
  EXPECT_EQ(way("a@virtual.tld").substr(0, 11), "error 5.1.1");
}

TEST_F(RouteTest, keys_from_the_address_to_the_star) {
  table(
      "{a+x@relay.tld=smtp:[1]}, {a@relay.tld=smtp:[2]}, {relay.tld=smtp:[3]}, "
      "{.other.tld=smtp:[4]}, {*=smtp:[5]}");
  EXPECT_EQ(way("A+x@Relay.tld"), "smtp [1]");
  EXPECT_EQ(way("a+y@relay.tld"), "smtp [2]");
  EXPECT_EQ(way("b@relay.tld"), "smtp [3]");
  EXPECT_EQ(way("b@sub.other.tld"), "smtp [4]");
  EXPECT_EQ(way("b@other.tld"), "smtp [5]");
  inputs_.parent_domain_matches_subdomains = {{"transport_maps", "main.cf", 1}};
  table("{other.tld=smtp:[4]}");
  EXPECT_EQ(way("b@sub.other.tld"), "smtp [4]");
}

TEST_F(RouteTest, results) {
  struct Row {
    const char *value, *local, *relay;
  };
  for (const Row& row : {
           Row{":", "error 5.1.1", "relay own, else relay.tld"},
           Row{":[h]:26", "error 5.1.1", "relay [h]:26"},
           Row{"relay:[h]", "relay [h]", "relay [h]"},
           Row{"smtp:[h] [i]:26", "smtp [h] [i]:26", "smtp [h] [i]:26"},
           Row{"smtp:", "smtp domain local.tld", "smtp domain relay.tld"},
           Row{"smtp", "smtp domain local.tld", "smtp domain relay.tld"},
           Row{"error:", "error 5.0.0 undeliverable", "error 5.0.0 undeliverable"},
           Row{"error:4.7.1 gone", "error 5.7.1 gone", "error 5.7.1 gone"},
           Row{"error:no such", "error 5.0.0 no such", "error 5.0.0 no such"},
           Row{"retry:4.2.1 later", "retry 4.2.1 later", "retry 4.2.1 later"},
           Row{"discard:away", "discard 2.0.0 away", "discard 2.0.0 away"},
           Row{"uucp:h", "retry 4.3.5 mail", "retry 4.3.5 mail"},
       }) {
    table("{*=" + std::string(row.value) + "}");
    EXPECT_EQ(way("a@local.tld").substr(0, std::string(row.local).size()), row.local) << row.value;
    EXPECT_EQ(way("a@relay.tld").substr(0, std::string(row.relay).size()), row.relay) << row.value;
  }
  inputs_.transport_maps = {{"fail:x", "main.cf", 1}};
  EXPECT_EQ(way("a@relay.tld").substr(0, 11), "retry 4.3.0");
}

}  // namespace
}  // namespace mx::policy
