#include "maps/cidr.h"

#include <algorithm>
#include <expected>
#include <optional>
#include <unordered_map>
#include <utility>

#include "maps/cidr_flatten.h"
#include "maps/rules.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::maps {

namespace {

std::string quoted(std::string_view text) {
  return "\"" + printable(text) + "\"";
}

// A network as Postfix's cidr_match_parse() reads it and in its words; mynetworks
// (IpNetwork::parse) speaks differently.
std::expected<IpNetwork, std::string> parse_network(std::string_view text) {
  std::string_view address_text = text;
  std::optional<std::string_view> mask;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos)
      return std::unexpected("missing ']' character after " + quoted(text));
    const std::string_view rest = text.substr(end + 1);
    address_text = text.substr(1, end - 1);
    if (rest.starts_with('/'))
      mask = rest.substr(1);
    else if (!rest.empty())
      return std::unexpected("garbage after " + quoted(text.substr(0, end + 1)));
  }
  if (const size_t slash = address_text.find('/'); !mask && slash != std::string_view::npos) {
    mask = address_text.substr(slash + 1);
    address_text = address_text.substr(0, slash);
  }
  const auto address = parse_ip_address(address_text);
  if (!mask) {
    if (!address) return std::unexpected("bad address pattern: " + quoted(address_text));
    return IpNetwork{*address, address->bits()};
  }
  const std::string both = quoted(std::string(address_text) + "/" + std::string(*mask));
  if (mask->empty() || !std::all_of(mask->begin(), mask->end(), is_digit))
    return std::unexpected("bad mask value in " + both);
  const auto bits = parse_decimal(*mask);
  const bool v6 = address_text.find(':') != std::string_view::npos;
  if (!bits || *bits > (v6 ? 128 : 32)) return std::unexpected("bad mask length in " + both);
  if (!address) return std::unexpected("bad network value in " + both);
  const IpNetwork network{masked(*address, *bits), static_cast<uint8_t>(*bits)};
  if (network.address != *address) {
    return std::unexpected("non-null host address bits in " + both + ", perhaps you should use \"" +
                           to_string(network.address) + "/" + std::to_string(*bits) + "\" instead");
  }
  return network;
}

class Compiler {
 public:
  Compiler(std::string_view source, std::vector<SourceDiagnostic>& diagnostics)
      : reader_(source, diagnostics) {}

  void run() {
    while (reader_.next()) {
      if (rules_.size() == limits::table_cidr_rules_max) {
        reader_.complain(SourceFault::limit,
                         "more than " + std::to_string(rules_.size()) + " rules");
        return;
      }
      std::string_view text = reader_.text();
      std::string problem;
      if (take_keyword(text, "IF")) {
        problem = take_if(text);
      } else if (take_keyword(text, "ENDIF")) {
        problem = take_endif(text);
      } else {
        problem = take_rule(text);
      }
      if (!problem.empty())
        reader_.complain(SourceFault::ignored, problem + ": skipping this rule");
    }
  }

  const std::vector<CidrRule>& rules() const { return rules_; }
  std::vector<std::string> take_values() { return std::move(values_); }

 private:
  // These return what is wrong, or nothing.
  std::string take_if(std::string_view text) {
    const bool affirmative = take_negations(text);
    if (text.empty()) return "no address pattern";
    const auto network = parse_network(trim(text));
    if (!network) return network.error();
    const auto rule = static_cast<uint32_t>(rules_.size());
    add(*network, affirmative, CidrRule::is_if);
    if (reader_.open_if(rule)) parent_ = rule;
    return {};
  }

  std::string take_endif(std::string_view text) {
    if (!trim(text).empty()) return "garbage after ENDIF";
    if (!reader_.in_if()) return "ENDIF without IF";
    parent_ = rules_[reader_.close_if()].parent;
    return {};
  }

  std::string take_rule(std::string_view text) {
    const bool affirmative = take_negations(text);
    const size_t size = std::min(
        static_cast<size_t>(std::find_if(text.begin(), text.end(), is_space) - text.begin()),
        text.size());
    if (size == 0) return "no address pattern";
    const auto network = parse_network(text.substr(0, size));
    if (!network) return network.error();
    const std::string_view value = trim(text.substr(size));
    if (value.empty()) return "no lookup result";
    add(*network, affirmative, number_of(value));
    return {};
  }

  void add(const IpNetwork& network, bool affirmative, uint32_t value) {
    rules_.push_back({network, affirmative, parent_, value});
  }

  uint32_t number_of(std::string_view value) {
    const auto next = static_cast<uint32_t>(values_.size() + 1);
    const auto [entry, is_new] = numbers_.try_emplace(std::string(value), next);
    if (is_new) values_.emplace_back(value);
    return entry->second;
  }

  RuleReader reader_;
  std::vector<CidrRule> rules_;
  uint32_t parent_ = CidrRule::no_parent;
  std::vector<std::string> values_;
  std::unordered_map<std::string, uint32_t> numbers_;
};

}  // namespace

CidrTable CidrTable::compile(std::string_view source, std::vector<SourceDiagnostic>& diagnostics) {
  Compiler compiler(source, diagnostics);
  compiler.run();
  CidrTable table;
  table.ipv4_ = flatten_ipv4(compiler.rules());
  table.ipv6_ = flatten_ipv6(compiler.rules());
  table.rule_count_ = static_cast<size_t>(
      std::count_if(compiler.rules().begin(), compiler.rules().end(),
                    [](const CidrRule& rule) { return rule.value != CidrRule::is_if; }));
  table.values_ = compiler.take_values();
  return table;
}

Lookup CidrTable::find(std::string_view key) const {
  const auto address = parse_ip_address(key);
  return address ? find(*address) : Lookup::miss();
}

Lookup CidrTable::find(const IpAddress& address) const {
  const uint32_t number =
      address.v6 ? ipv6_.find(ipv6_number(address)) : ipv4_.find(ipv4_number(address));
  if (number == 0) return Lookup::miss();
  return Lookup::hit(values_[number - 1]);
}

}  // namespace mx::maps
