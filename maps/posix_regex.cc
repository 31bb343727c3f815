#include "maps/posix_regex.h"

#include <algorithm>
#include <bitset>
#include <optional>
#include <utility>
#include <vector>

#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::maps {

namespace {

using ByteSet = std::bitset<256>;

constexpr const char* bad_pattern = "Invalid regular expression";
constexpr const char* bad_collation = "Invalid collation character";
constexpr const char* bad_class = "Invalid character class name";
constexpr const char* bad_escape = "Trailing backslash";
constexpr const char* bad_reference = "Invalid back reference";
constexpr const char* bad_bracket = "Unmatched [, [^, [:, [., or [=";
// Also for a `\)` too many.
constexpr const char* open_parenthesis = "Unmatched ( or \\(";
constexpr const char* open_brace = "Unmatched \\{";
constexpr const char* bad_interval = "Invalid content of \\{\\}";
constexpr const char* bad_range = "Invalid range end";
constexpr const char* bad_repeat = "Invalid preceding regular expression";
constexpr const char* too_big = "Regular expression too big";

constexpr int32_t repeat_max = 0x7FFF;  // RE_DUP_MAX
constexpr size_t class_name_max = 32;   // BRACKET_NAME_BUF_SIZE

uint8_t byte(char c) {
  return static_cast<uint8_t>(c);
}

std::optional<ByteSet> class_named(std::string_view name) {
  const auto set = [](const auto& test) {
    ByteSet out;
    for (size_t i = 0; i < 128; ++i) out[i] = test(static_cast<char>(i));
    return out;
  };
  const auto graph = [](char c) { return c > ' ' && c < 0x7F; };
  if (name == "alpha") return set(is_alpha);
  if (name == "digit") return set(is_digit);
  if (name == "alnum") return set(is_alnum);
  if (name == "upper") return set([](char c) { return c >= 'A' && c <= 'Z'; });
  if (name == "lower") return set([](char c) { return c >= 'a' && c <= 'z'; });
  if (name == "space") return set(is_space);
  if (name == "blank") return set([](char c) { return c == ' ' || c == '\t'; });
  if (name == "cntrl") return set([](char c) { return c < ' ' || c == 0x7F; });
  if (name == "graph") return set(graph);
  if (name == "print") return set([&](char c) { return c == ' ' || graph(c); });
  if (name == "punct") return set([&](char c) { return graph(c) && !is_alnum(c); });
  if (name == "xdigit")
    return set([](char c) { return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'f'); });
  return std::nullopt;
}

void append_hex(std::string& out, size_t value) {
  constexpr std::string_view digits = "0123456789abcdef";
  out += "\\x";
  out += digits[value / 16];
  out += digits[value % 16];
}

void append_literal(std::string& out, char c) {
  if (is_alnum(c))
    out += c;
  else
    append_hex(out, byte(c));
}

void append_set(std::string& out, const ByteSet& set) {
  if (set.none()) {
    out += "[^\\x00-\\xff]";
    return;
  }
  out += '[';
  for (size_t i = 0; i < 256; ++i) {
    if (!set[i]) continue;
    size_t last = i;
    while (last + 1 < 256 && set[last + 1]) ++last;
    append_hex(out, i);
    if (last > i) {
      if (last > i + 1) out += '-';
      append_hex(out, last);
    }
    i = last;
  }
  out += ']';
}

// --- Bracket expressions

class Bracket {
 public:
  // `at` is after the `[`; afterwards it is after the `]`.
  Bracket(std::string_view pattern, size_t& at, PosixFlags flags)
      : pattern_(pattern), at_(at), flags_(flags) {}

  // The bytes that match, or what is wrong.
  std::expected<ByteSet, const char*> parse() {
    if (at_ == pattern_.size()) return std::unexpected(bad_pattern);
    const bool negative = pattern_[at_] == '^';
    if (negative && ++at_ == pattern_.size()) return std::unexpected(bad_pattern);
    if (const char* problem = parse_elements()) return std::unexpected(problem);
    // The C library compares upper-cased text with an upper-cased pattern.
    ByteSet out;
    for (size_t i = 0; i < 256; ++i) {
      const char c = static_cast<char>(i);
      out[i] = set_[byte(flags_.ignore_case ? to_upper(c) : c)] != negative;
    }
    if (negative && flags_.newline) out.reset('\n');
    return out;
  }

 private:
  struct Element {
    enum class Kind : uint8_t { byte, named, equivalent, collating } kind = Kind::byte;
    std::string_view name;
    char c = 0;
  };

  bool at_end() const { return at_ == pattern_.size(); }
  char folded(char c) const { return flags_.ignore_case ? to_upper(c) : c; }

  const char* parse_elements() {
    for (bool first = true; first || at_end() || pattern_[at_] != ']'; first = false) {
      if (at_end()) return bad_bracket;
      Element element;
      if (const char* problem = take(element, first)) return problem;
      const bool may_start =
          element.kind == Element::Kind::byte || element.kind == Element::Kind::collating;
      if (may_start && at_end()) return bad_bracket;
      if (may_start && is_range_sign()) {
        if (at_ + 1 == pattern_.size()) return bad_bracket;
        if (pattern_[at_ + 1] != ']') {
          ++at_;
          if (const char* problem = take_range(element)) return problem;
          continue;
        }
      }
      if (const char* problem = add(element)) return problem;
    }
    ++at_;
    return nullptr;
  }

  bool is_range_sign() const { return pattern_[at_] == '-'; }

  const char* take(Element& element, bool accepts_hyphen) {
    if (pattern_[at_] == '[' && at_ + 1 < pattern_.size()) {
      const char kind = pattern_[at_ + 1];
      if (kind == ':' || kind == '=' || kind == '.') return take_name(element, kind);
    }
    if (!accepts_hyphen && is_range_sign() &&
        !(at_ + 1 < pattern_.size() && pattern_[at_ + 1] == ']')) {
      return bad_range;
    }
    element = {Element::Kind::byte, {}, folded(pattern_[at_++])};
    return nullptr;
  }

  const char* take_name(Element& element, char kind) {
    const size_t start = at_ + 2;
    const char end[] = {kind, ']', '\0'};
    const size_t stop = pattern_.find(end, start);
    if (stop == std::string_view::npos || stop - start >= class_name_max) return bad_bracket;
    element.name = pattern_.substr(start, stop - start);
    element.kind = kind == ':'   ? Element::Kind::named
                   : kind == '=' ? Element::Kind::equivalent
                                 : Element::Kind::collating;
    at_ = stop + 2;
    return nullptr;
  }

  // A single byte, or nothing.
  std::optional<char> single(const Element& element) const {
    if (element.kind == Element::Kind::byte) return element.c;
    if (element.name.size() != 1) return std::nullopt;
    return folded(element.name.front());
  }

  const char* take_range(const Element& first) {
    Element last;
    if (const char* problem = take(last, true)) return problem;
    if (last.kind == Element::Kind::named || last.kind == Element::Kind::equivalent)
      return bad_range;
    const auto low = single(first), high = single(last);
    if (!low || !high) return bad_collation;
    if (byte(*low) > byte(*high)) return bad_range;
    for (size_t i = byte(*low); i <= byte(*high); ++i) set_.set(i);
    return nullptr;
  }

  const char* add(const Element& element) {
    if (element.kind == Element::Kind::named) {
      const bool cased = element.name == "upper" || element.name == "lower";
      const auto named =
          class_named(cased && flags_.ignore_case ? std::string_view("alpha") : element.name);
      if (!named) return bad_class;
      set_ |= *named;
      return nullptr;
    }
    const auto c = single(element);
    if (!c) return bad_collation;
    set_.set(byte(*c));
    return nullptr;
  }

  std::string_view pattern_;
  size_t& at_;
  PosixFlags flags_;
  ByteSet set_;
};

// --- Everything else

struct Token {
  enum class Kind : uint8_t {
    end,
    literal,
    alternative,
    open,
    close,
    repeat,
    open_interval,
    close_interval,
    bracket,
    any,
    anchor,
    escape_class,
    reference,
    backslash,
  } kind = Kind::end;
  char c = 0;       // the byte; of an anchor or a class, its letter
  size_t size = 0;  // in the pattern
};

class Translator {
 public:
  Translator(std::string_view pattern, PosixFlags flags) : pattern_(pattern), flags_(flags) {}

  std::expected<std::string, PosixError> run() {
    while (true) {
      const Token token = peek();
      if (token.kind == Token::Kind::end) break;
      if (const char* problem = step(token)) return std::unexpected(PosixError{problem, false});
      if (open_.size() > limits::pattern_nesting_max + 1) {
        return std::unexpected(PosixError{"more than " +
                                              std::to_string(limits::pattern_nesting_max) +
                                              " parentheses inside one another",
                                          true});
      }
    }
    if (open_.size() > 1) return std::unexpected(PosixError{open_parenthesis, false});
    return std::move(out_);
  }

 private:
  using Kind = Token::Kind;
  using Groups = std::bitset<10>;
  // What is open: a group, or the whole pattern. A back-reference may name a group that is closed
  // before it in its own alternative, or before the alternatives began.
  struct Level {
    size_t number = 0;
    size_t start = 0;  // in out_
    Groups before;     // closed when its first alternative began
    Groups others;     // closed in the alternatives so far
  };

  Token escaped(char c) const {
    const Token literal{Kind::literal, c, 2};
    const bool basic = !flags_.extended;
    if (c >= '1' && c <= '9') return {Kind::reference, c, 2};
    switch (c) {
      case '<':
      case '>':
      case 'b':
      case 'B':
      case '`':
      case '\'':
        return {Kind::anchor, c, 2};
      case 'w':
      case 'W':
      case 's':
      case 'S':
        return {Kind::escape_class, c, 2};
      case '|':
        return basic ? Token{Kind::alternative, c, 2} : literal;
      case '(':
        return basic ? Token{Kind::open, c, 2} : literal;
      case ')':
        return basic ? Token{Kind::close, c, 2} : literal;
      case '{':
        return basic ? Token{Kind::open_interval, c, 2} : literal;
      case '}':
        return basic ? Token{Kind::close_interval, c, 2} : literal;
      case '+':
      case '?':
        return basic ? Token{Kind::repeat, c, 2} : literal;
      default:
        return literal;
    }
  }

  Token peek() const { return peek_at(at_, caret_is_anchor_); }

  Token peek_at(size_t at, bool caret_is_anchor) const {
    if (at >= pattern_.size()) return {};
    const char c = pattern_[at];
    const Token literal{Kind::literal, c, 1};
    const bool extended = flags_.extended;
    switch (c) {
      case '\\':
        if (at + 1 == pattern_.size()) return {Kind::backslash, c, 1};
        return escaped(pattern_[at + 1]);
      case '.':
        return {Kind::any, c, 1};
      case '[':
        return {Kind::bracket, c, 1};
      case '*':
        return {Kind::repeat, c, 1};
      case '|':
        return extended ? Token{Kind::alternative, c, 1} : literal;
      case '(':
        return extended ? Token{Kind::open, c, 1} : literal;
      case ')':
        return extended ? Token{Kind::close, c, 1} : literal;
      case '{':
        return extended ? Token{Kind::open_interval, c, 1} : literal;
      case '}':
        return extended ? Token{Kind::close_interval, c, 1} : literal;
      case '+':
      case '?':
        return extended ? Token{Kind::repeat, c, 1} : literal;
      case '^':
        return extended || caret_is_anchor || at == 0 ? Token{Kind::anchor, c, 1} : literal;
      case '$': {
        if (extended) return {Kind::anchor, c, 1};
        const bool doubled = pattern_.substr(at + 1).starts_with('$');
        const Kind next = doubled ? Kind::literal : peek_at(at + 1, false).kind;
        const bool last = next == Kind::end || next == Kind::alternative || next == Kind::close;
        return last ? Token{Kind::anchor, c, 1} : literal;
      }
      default:
        return literal;
    }
  }

  void advance(const Token& token, bool caret_is_anchor = false) {
    at_ += token.size;
    caret_is_anchor_ = caret_is_anchor;
  }

  // The operator, anchor or atom with its repetitions that begins here.
  const char* step(const Token& token) {
    const size_t start = out_.size();
    switch (token.kind) {
      case Kind::alternative:
        out_ += '|';
        open_.back().others |= closed_;
        closed_ = open_.back().before;
        advance(token, true);
        return nullptr;
      case Kind::open:
        open_.push_back({++groups_, start, closed_, {}});
        out_ += '(';
        advance(token, true);
        return nullptr;
      case Kind::close:
        return close(token);
      case Kind::anchor:
        append_anchor(token.c);
        advance(token, true);  // `^*`: an anchor can't be repeated, a branch begins after it
        return nullptr;
      case Kind::repeat:
      case Kind::open_interval:
        // Only at the start of a branch: elsewhere repetitions() has taken it.
        if (flags_.extended || token.kind == Kind::open_interval) return bad_repeat;
        append_literal(out_, token.c);
        advance(token);
        return repetitions(start);
      case Kind::backslash:
        return bad_escape;
      case Kind::reference:
        return reference(token);
      case Kind::bracket:
        return bracket(token);
      case Kind::any: {
        out_ += '.';
        break;
      }
      case Kind::escape_class: {
        out_ += '\\';
        out_ += token.c;
        break;
      }
      case Kind::literal:
        // The C library looks for an escaped small letter in text that it has put into capitals.
        if (token.size == 2 && flags_.ignore_case && to_upper(token.c) != token.c) {
          append_set(out_, {});
          break;
        }
        [[fallthrough]];
      case Kind::close_interval:
      case Kind::end:
        append_literal(out_, token.c);
        break;
    }
    advance(token);
    return repetitions(start);
  }

  void append_anchor(char c) {
    switch (c) {
      case '^':
        out_ += '^';
        break;
      case '$':
        out_ += '$';
        break;
      case '<':
        out_ += "\\b(?=\\w)";
        break;
      case '>':
        out_ += "\\b(?<=\\w)";
        break;
      case '`':
        out_ += "\\A";
        break;
      case '\'':
        out_ += "\\z";
        break;
      default:
        out_ += '\\';
        out_ += c;
        break;
    }
  }

  const char* close(const Token& token) {
    size_t start = out_.size();
    if (open_.size() == 1) {
      if (!flags_.extended) return open_parenthesis;
      append_literal(out_, token.c);
    } else {
      const Level& level = open_.back();
      start = level.start;
      closed_ |= level.others;
      if (level.number < closed_.size()) closed_.set(level.number);
      open_.pop_back();
      out_ += ')';
    }
    advance(token);
    return repetitions(start);
  }

  const char* reference(const Token& token) {
    const size_t start = out_.size();
    if (!closed_[byte(token.c) - byte('0')]) return bad_reference;
    out_ += "\\g{";
    out_ += token.c;
    out_ += '}';
    advance(token);
    return repetitions(start);
  }

  const char* bracket(const Token& token) {
    const size_t start = out_.size();
    advance(token);
    const auto set = Bracket(pattern_, at_, flags_).parse();
    if (!set) return set.error();
    append_set(out_, *set);
    return repetitions(start);
  }

  // `*`, `+`, `?` and intervals after the atom that out_ has from `start`. Several in a row are
  // allowed (ERE) and apply one after the other; PCRE2 would read the second as a modifier.
  const char* repetitions(size_t start) {
    char simple = 0;
    while (true) {
      const Token token = peek();
      if (token.kind == Kind::repeat) {
        advance(token);
        if (simple == 0) {
          out_ += token.c;
          simple = token.c;
        } else if (simple != token.c) {  // any two of them that differ make a `*`
          out_.back() = simple = '*';
        }
      } else if (token.kind == Kind::open_interval) {
        if (simple != 0) wrap(start);
        advance(token);
        if (const char* problem = interval()) return problem;
        wrap(start);
        simple = 0;
      } else {
        return nullptr;
      }
      if (!flags_.extended) {
        const Token next = peek();
        if ((next.kind == Kind::repeat && next.c == '*') || next.kind == Kind::open_interval)
          return bad_repeat;
      }
    }
  }

  void wrap(size_t start) {
    out_.insert(start, "(?:");
    out_ += ')';
  }

  // After `{`: writes PCRE2's form.
  const char* interval() {
    int32_t low = number();
    if (low == none) {
      if (interval_end_.c != ',') return bad_interval;
      low = 0;
    }
    int32_t high = low;
    if (low != invalid) {
      if (interval_end_.kind != Kind::close_interval)
        high = interval_end_.kind == Kind::literal && interval_end_.c == ',' ? number() : invalid;
    }
    if (low == invalid || high == invalid)
      return interval_end_.kind == Kind::end ? open_brace : bad_interval;
    if ((high != none && low > high) || interval_end_.kind != Kind::close_interval)
      return bad_interval;
    if ((high == none ? low : high) > repeat_max) return too_big;
    out_ += '{' + std::to_string(low) + ',' + (high == none ? "" : std::to_string(high)) + '}';
    return nullptr;
  }

  static constexpr int32_t none = -1, invalid = -2;

  // Digits up to `,` or `}`, which becomes interval_end_.
  int32_t number() {
    int32_t value = none;
    while (true) {
      const Token token = peek();
      interval_end_ = token;
      if (token.kind == Kind::end) return invalid;
      advance(token);
      if (token.kind == Kind::close_interval || token.c == ',') return value;
      if (token.kind != Kind::literal || !is_digit(token.c) || value == invalid)
        value = invalid;
      else
        value = std::min(repeat_max + 1, (value == none ? 0 : value * 10) + (token.c - '0'));
    }
  }

  std::string_view pattern_;
  PosixFlags flags_;
  size_t at_ = 0;
  bool caret_is_anchor_ = false;  // BRE: after \( and \| and anchors
  std::string out_;
  std::vector<Level> open_{1};
  size_t groups_ = 0;
  Groups closed_;
  Token interval_end_;
};

}  // namespace

std::expected<std::string, PosixError> pcre_from_posix(std::string_view pattern, PosixFlags flags) {
  return Translator(pattern, flags).run();
}

}  // namespace mx::maps
