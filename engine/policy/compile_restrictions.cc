#include "engine/policy/compile_restrictions.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "engine/policy/restrictions.h"
#include "maps/spec.h"
#include "proto/base/text.h"

namespace mx::policy {

namespace {

constexpr uint32_t sleep_seconds_max = 3600;

std::string quoted(std::string_view text) {
  return "\"" + printable(text, 200) + "\"";
}

class Compiler {
 public:
  Compiler(const PolicyInputs& inputs, TableStore& tables, Policy& policy,
           std::vector<ConfigError>& errors)
      : inputs_(inputs), tables_(tables), policy_(policy), errors_(errors) {}

  void run();

 private:
  // A bare type:table stands for a check of what the list is about; in some lists it can't.
  using BareTable = std::optional<Check>;

  RestrictionList list(const Tokens& words, BareTable bare);
  void element(const Tokens& words, size_t& at, BareTable bare, RestrictionList& out);
  bool argument(const KnownRestriction& known, const Tokens& words, size_t& at, Restriction& out);
  bool open(const Token& word, Restriction& out);
  bool is_served(Check check) const;
  std::optional<uint32_t> find_class(std::string_view name) const;
  std::string refusal(std::string_view word, const KnownRestriction* known) const;
  bool guards_relaying(const Tokens& words) const;
  void check_guard();
  void error(const Token& word, std::string text) {
    errors_.push_back({word.file, word.line, std::move(text)});
  }
  void warn(const Token& word, std::string text) {
    policy_.warnings.push_back({word.file, word.line, std::move(text)});
  }

  const PolicyInputs& inputs_;
  TableStore& tables_;
  Policy& policy_;
  std::vector<ConfigError>& errors_;
};

std::optional<uint32_t> Compiler::find_class(std::string_view name) const {
  for (size_t i = 0; i < policy_.classes.size(); ++i)
    if (policy_.classes[i].name == name) return static_cast<uint32_t>(i);
  return std::nullopt;
}

// What to say about a word that is no restriction which acts.
std::string Compiler::refusal(std::string_view word, const KnownRestriction* known) const {
  if (known != nullptr) return "restriction " + quoted(word) + " is not supported yet";
  if (word.starts_with('#')) return "#comment after other text is not allowed: " + quoted(word);
  const std::string_view near = near_restriction(word);
  return "unknown restriction " + quoted(word) +
         (near.empty() ? "" : "; did you mean " + std::string(near) + "?");
}

// Whether somebody answers the questions that it asks.
bool Compiler::is_served(Check check) const {
  if (check == Check::policy_service) return inputs_.has_policy_client;
  if (check == Check::unknown_sender_domain || check == Check::unknown_recipient_domain ||
      check == Check::unknown_client_hostname || check == Check::unknown_reverse_client_hostname)
    return inputs_.has_resolver;
  return true;
}

bool Compiler::open(const Token& word, Restriction& out) {
  auto table = tables_.open(word.text);
  if (!table) {
    error(word, table.error());
    return false;
  }
  out.table = table->get();
  policy_.access_tables.push_back(std::move(*table));
  return true;
}

// Takes the words that belong to `known`. False: the element is left out; why is said.
bool Compiler::argument(const KnownRestriction& known, const Tokens& words, size_t& at,
                        Restriction& out) {
  if (known.argument == Argument::none) return true;
  const Token& name = words[at];
  if (at + 1 == words.size()) {
    error(name, "restriction " + quoted(name.text) + " needs an argument");
    return false;
  }
  const Token& word = words[++at];
  switch (known.argument) {
    case Argument::table:
      if (maps::looks_like_table(word.text)) return open(word, out);
      error(word, "restriction " + quoted(name.text) + " needs a table (type:name), not " +
                      quoted(word.text));
      return false;
    case Argument::seconds: {
      const char* const end = word.text.data() + word.text.size();
      const auto [stopped, failed] = std::from_chars(word.text.data(), end, out.number);
      if (failed == std::errc() && stopped == end && out.number <= sleep_seconds_max) return true;
      error(word, "sleep needs a number of seconds of at most " +
                      std::to_string(sleep_seconds_max) + ", not " + quoted(word.text));
      return false;
    }
    case Argument::service:
      if (word.text.find(':') == std::string::npos) {
        error(word,
              "check_policy_service needs inet:host:port or unix:path, not " + quoted(word.text));
        return false;
      }
      out.number = static_cast<uint32_t>(policy_.policy_services.size());
      policy_.policy_services.push_back(word.text);
      return true;
    case Argument::other:
    case Argument::none:
      return true;
  }
  return true;
}

void Compiler::element(const Tokens& words, size_t& at, BareTable bare, RestrictionList& out) {
  const Token& word = words[at];
  Restriction restriction;
  if (maps::looks_like_table(word.text)) {
    if (!bare) {
      error(word, "say what is to be looked up in " + quoted(word.text) +
                      ": check_client_access, check_helo_access, check_sender_access or "
                      "check_recipient_access before it");
    } else if (restriction.check = *bare; open(word, restriction)) {
      out.push_back(restriction);
    }
    return;
  }
  const KnownRestriction* const known = find_restriction(word.text);
  if (known == nullptr) {
    const auto number = find_class(word.text);
    if (number)
      out.push_back({Check::restriction_class, *number, nullptr});
    else
      error(word, refusal(word.text, nullptr));
    return;
  }
  if (!known->acts || !is_served(*known->acts)) {
    error(word, refusal(word.text, known));
    if (known->argument != Argument::none) ++at;
    return;
  }
  restriction.check = *known->acts;
  if (argument(*known, words, at, restriction)) out.push_back(restriction);
}

RestrictionList Compiler::list(const Tokens& words, BareTable bare) {
  RestrictionList out;
  const Token* last = nullptr;  // permit, reject or defer: nothing after it is reached
  for (size_t at = 0; at < words.size(); ++at) {
    const Token& word = words[at];
    if (last != nullptr) {
      warn(word,
           "restriction " + quoted(word.text) + " after " + quoted(last->text) + " is ignored");
      RestrictionList ignored;
      element(words, at, bare, ignored);
      continue;
    }
    const bool only_warns = !out.empty() && out.back().check == Check::warn_if_reject;
    element(words, at, bare, out);
    if (out.empty() || at + 1 == words.size()) continue;
    const Check check = out.back().check;
    if (check == Check::permit ||
        ((check == Check::reject || check == Check::defer) && !only_warns))
      last = &word;
  }
  return out;
}

// smtpd refuses to run without one of these before a `permit`: it would relay for everybody.
bool Compiler::guards_relaying(const Tokens& words) const {
  constexpr std::array guards{"reject_unauth_destination", "defer_unauth_destination", "reject",
                              "defer", "defer_if_permit"};
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string name = lower(words[i].text);
    if (name == "warn_if_reject") {
      ++i;
      continue;
    }
    if (name == "permit") return false;
    if (std::find(guards.begin(), guards.end(), name) != guards.end()) return true;
  }
  return false;
}

void Compiler::check_guard() {
  if (guards_relaying(inputs_.relay) || guards_relaying(inputs_.recipient)) return;
  const Tokens& where = inputs_.recipient.empty() ? inputs_.relay : inputs_.recipient;
  errors_.push_back({where.empty() ? inputs_.main_cf : where.front().file,
                     where.empty() ? 0 : where.front().line,
                     "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, "
                     "specify at least one working instance of: reject_unauth_destination, "
                     "defer_unauth_destination, reject, defer, defer_if_permit"});
}

void Compiler::run() {
  // All names first: a class may name another.
  for (const PolicyInputs::Class& one : inputs_.classes)
    policy_.classes.push_back({one.name.text, {}});
  for (size_t i = 0; i < inputs_.classes.size(); ++i)
    policy_.classes[i].list = list(inputs_.classes[i].words, Check::list_access);
  policy_.client = list(inputs_.client, Check::client_access);
  policy_.helo = list(inputs_.helo, Check::helo_access);
  policy_.sender = list(inputs_.sender, Check::sender_access);
  policy_.relay = list(inputs_.relay, Check::recipient_access);
  policy_.recipient = list(inputs_.recipient, Check::recipient_access);
  policy_.data = list(inputs_.data, {});
  policy_.end_of_data = list(inputs_.end_of_data, {});
  policy_.etrn = list(inputs_.etrn, Check::etrn_access);
  check_guard();
}

}  // namespace

void compile_restrictions(const PolicyInputs& inputs, TableStore& tables, Policy& policy,
                          std::vector<ConfigError>& errors) {
  Compiler(inputs, tables, policy, errors).run();
}

}  // namespace mx::policy
