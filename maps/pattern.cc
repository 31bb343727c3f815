#include "maps/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "maps/pattern_text.h"
#include "maps/pcre.h"
#include "maps/posix_regex.h"
#include "maps/rules.h"
#include "proto/base/assert.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::maps {

namespace {

struct Condition {
  Pcre pattern;
  bool affirmative = true;

  // Whether the rule applies: the opposite of a match for `!`.
  PcreMatch holds(std::string_view key) const {
    const PcreMatch match = pattern.match(key);
    if (match == PcreMatch::failed) return match;
    return (match == PcreMatch::yes) == affirmative ? PcreMatch::yes : PcreMatch::no;
  }
};

struct Rule {
  Condition condition;
  std::optional<Condition> also;  // regexp: `/a/!/b/`
  PatternText text;
  uint32_t skip_to = 0;  // of an `if`: the rule after its `endif`; 0: no `if`
};

// A pattern as it stands in a rule.
struct Written {
  std::string_view pattern;
  bool affirmative = true;
  uint32_t options = 0;  // pcre: PCRE2_… bits
  PosixFlags posix;
};

// What each option letter toggles.
std::optional<uint32_t> pcre_option(char c) {
  switch (c) {
    case 'i':
      return PCRE2_CASELESS;
    case 'm':
      return PCRE2_MULTILINE;
    case 's':
      return PCRE2_DOTALL;
    case 'x':
      return PCRE2_EXTENDED;
    case 'A':
      return PCRE2_ANCHORED;
    case 'E':
      return PCRE2_DOLLAR_ENDONLY;
    case 'U':
      return PCRE2_UNGREEDY;
    case 'X':
      return 0;  // PCRE2 is always this strict
    default:
      return std::nullopt;
  }
}

bool toggle_posix(PosixFlags& flags, char c) {
  if (c == 'i')
    flags.ignore_case = !flags.ignore_case;
  else if (c == 'm')
    flags.newline = !flags.newline;
  else if (c == 'x')
    flags.extended = !flags.extended;
  else
    return false;
  return true;
}

uint32_t pcre_options(const PosixFlags& flags) {
  return PCRE2_DOLLAR_ENDONLY | (flags.ignore_case ? PCRE2_CASELESS : 0U) |
         (flags.newline ? PCRE2_MULTILINE | PCRE2_ALT_CIRCUMFLEX : PCRE2_DOTALL);
}

}  // namespace

struct PatternTable::Rules {
  std::vector<Rule> all;
  size_t count = 0;  // without `if`s
};

namespace {

class Compiler {
 public:
  Compiler(std::string_view source, PatternSyntax syntax,
           std::vector<SourceDiagnostic>& diagnostics, std::vector<Rule>& rules)
      : reader_(source, diagnostics), posix_(syntax == PatternSyntax::regexp), rules_(rules) {}

  void run() {
    while (reader_.next()) {
      if (rules_.size() == limits::table_pattern_rules_max) {
        reader_.complain(SourceFault::limit,
                         "more than " + std::to_string(rules_.size()) + " patterns");
        return;
      }
      std::string_view text = reader_.text();
      if (!is_alnum(text.front()))
        take_rule(text);
      else if (take_keyword(text, "IF"))
        take_if(text);
      else if (take_keyword(text, "ENDIF"))
        take_endif(text);
      else
        ignore("ignoring unrecognized request");
    }
    // One that is still open reaches to the end.
    for (Rule& rule : rules_)
      if (rule.skip_to == open) rule.skip_to = static_cast<uint32_t>(rules_.size());
  }

 private:
  static constexpr uint32_t open = UINT32_MAX;

  void warn(std::string text) { reader_.complain(SourceFault::warning, std::move(text)); }
  void ignore(std::string text) { reader_.complain(SourceFault::ignored, std::move(text)); }

  // `!` pattern options; nothing, with a complaint, when they can't be read.
  std::optional<Written> take_pattern(std::string_view& text) {
    Written out;
    out.affirmative = take_negations(text);
    if (text.empty()) {
      ignore("no regexp: skipping this rule");
      return std::nullopt;
    }
    const char delimiter = text.front();
    size_t end = 1;
    while (end < text.size() && text[end] != delimiter) end += text[end] == '\\' ? 2U : 1U;
    if (end >= text.size()) {
      ignore("no closing regexp delimiter \"" + printable(text.substr(0, 1)) +
             "\": " + (posix_ ? "skipping" : "ignoring") + " this rule");
      return std::nullopt;
    }
    out.pattern = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    out.options = PCRE2_CASELESS | PCRE2_DOTALL;
    for (; !text.empty() && !is_space(text.front()); text.remove_prefix(1)) {
      if (posix_ && text.front() == '!') break;
      if (!toggle(out, text.front())) {
        ignore("unknown regexp option \"" + printable(text.substr(0, 1)) +
               "\": skipping this rule");
        return std::nullopt;
      }
    }
    return out;
  }

  bool toggle(Written& written, char c) {
    if (posix_) return toggle_posix(written.posix, c);
    const auto option = pcre_option(c);
    if (!option) return false;
    if (*option == 0) warn(std::string("ignoring obsolete regexp option \"") + c + "\"");
    written.options ^= *option;
    return true;
  }

  std::optional<Condition> compile(const Written& written) {
    if (written.pattern.size() > limits::pattern_bytes_max) {
      reader_.complain(SourceFault::limit, "pattern of " + std::to_string(written.pattern.size()) +
                                               " bytes; at most " +
                                               std::to_string(limits::pattern_bytes_max));
      return std::nullopt;
    }
    if (posix_) return compile_posix(written);
    auto pattern = Pcre::compile(written.pattern, written.options, false);
    if (!pattern) {
      ignore("error in regex at offset " + std::to_string(pattern.error().offset) + ": " +
             pattern.error().text);
      return std::nullopt;
    }
    return Condition{std::move(*pattern), written.affirmative};
  }

  std::optional<Condition> compile_posix(const Written& written) {
    const auto translated = pcre_from_posix(written.pattern, written.posix);
    if (!translated) {
      reader_.complain(translated.error().limit ? SourceFault::limit : SourceFault::ignored,
                       translated.error().text);
      return std::nullopt;
    }
    auto pattern = Pcre::compile(*translated, pcre_options(written.posix), true);
    if (!pattern) {
      reader_.complain(SourceFault::limit, "too much for PCRE2: " + pattern.error().text);
      return std::nullopt;
    }
    return Condition{std::move(*pattern), written.affirmative};
  }

  void take_rule(std::string_view text) {
    const auto first = take_pattern(text);
    if (!first) return;
    std::optional<Written> second;
    if (posix_ && text.starts_with('!')) {
      second = take_pattern(text);
      if (!second) return;
    }
    text = trim(text);
    if (text.empty()) warn("no replacement text: using empty string");
    auto parsed = parse_pattern_text(text, posix_ ? "out-of-range" : "out of range");
    for (std::string& complaint : parsed.complaints) warn(std::move(complaint));
    if (!parsed.complaints.empty()) return ignore("bad replacement syntax: skipping this rule");
    const uint32_t group_max = parsed.text.group_max;
    if (group_max > 0 && !first->affirmative)
      return ignore("$number found in negative match replacement text: skipping this rule");
    auto condition = compile(*first);
    if (!condition) return;
    if (group_max > condition->pattern.group_count())
      return ignore("out of range replacement index \"" + std::to_string(group_max) +
                    "\": skipping this rule");
    if (group_max > limits::pattern_groups_max)
      return reader_.complain(SourceFault::limit, "replacement index " + std::to_string(group_max) +
                                                      "; at most " +
                                                      std::to_string(limits::pattern_groups_max));
    std::optional<Condition> also;
    if (second && !(also = compile(*second))) return;
    rules_.push_back({std::move(*condition), std::move(also), std::move(parsed.text), 0});
  }

  void take_if(std::string_view text) {
    const auto written = take_pattern(text);
    if (!written) return;
    text = trim(text);
    if (!text.empty()) {
      warn("ignoring extra text after IF statement: \"" + printable(text) + "\"");
      warn("do not prepend whitespace to statements between IF and ENDIF");
    }
    auto condition = compile(*written);
    if (!condition) return;
    if (!reader_.open_if(static_cast<uint32_t>(rules_.size()))) return;
    rules_.push_back({std::move(*condition), std::nullopt, {}, open});
  }

  void take_endif(std::string_view text) {
    if (!reader_.in_if()) return ignore("ignoring ENDIF without matching IF");
    if (!trim(text).empty()) warn("ignoring extra text after ENDIF");
    rules_[reader_.close_if()].skip_to = static_cast<uint32_t>(rules_.size());
  }

  RuleReader reader_;
  bool posix_;
  std::vector<Rule>& rules_;
};

Lookup value_of(const PatternText& text, std::string_view key, ValueText& made) {
  if (text.group_max == 0) return Lookup::hit(text.constant());
  made.clear();
  for (const PatternText::Piece& piece : text.pieces) {
    if (!made.append(piece.literal)) return Lookup::tempfail();
    if (piece.group > 0 && !made.append(Pcre::group(key, piece.group))) return Lookup::tempfail();
  }
  return Lookup::hit(made.view());
}

}  // namespace

PatternTable::PatternTable() : rules_(std::make_unique<Rules>()) {}
PatternTable::PatternTable(PatternTable&&) noexcept = default;
PatternTable& PatternTable::operator=(PatternTable&&) noexcept = default;
PatternTable::~PatternTable() = default;

PatternTable PatternTable::compile(std::string_view source, PatternSyntax syntax,
                                   std::vector<SourceDiagnostic>& diagnostics) {
  PatternTable table;
  std::vector<Rule>& rules = table.rules_->all;
  Compiler(source, syntax, diagnostics, rules).run();
  table.rules_->count = static_cast<size_t>(std::count_if(
      rules.begin(), rules.end(), [](const Rule& rule) { return rule.skip_to == 0; }));
  return table;
}

Lookup PatternTable::find(std::string_view key, ValueText& made) const {
  const std::vector<Rule>& rules = rules_->all;
  for (size_t i = 0; i < rules.size();) {
    const Rule& rule = rules[i];
    const PcreMatch match = rule.condition.holds(key);
    if (match == PcreMatch::failed) return Lookup::tempfail();
    const bool is_if = rule.skip_to > 0;
    if (is_if || match == PcreMatch::no) {
      i = is_if && match == PcreMatch::no ? rule.skip_to : i + 1;
      continue;
    }
    // The second overwrites the groups of the first, so where they are needed the first runs again.
    if (rule.also) {
      const PcreMatch also = rule.also->holds(key);
      if (also == PcreMatch::failed) return Lookup::tempfail();
      if (also == PcreMatch::no) {
        ++i;
        continue;
      }
      if (rule.text.group_max > 0 && rule.condition.pattern.match(key) != PcreMatch::yes)
        return Lookup::tempfail();
    }
    return value_of(rule.text, key, made);
  }
  return Lookup::miss();
}

size_t PatternTable::rule_count() const {
  return rules_->count;
}

bool PatternTable::jit_available() {
  return Pcre::jit_available();
}

}  // namespace mx::maps
