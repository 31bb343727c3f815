#include "engine/config/expand.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::config {

namespace {

constexpr size_t shown_bytes_max = 40;

bool is_name_byte(char c) {
  return is_alnum(c) || c == '_';
}

// Length of the text up to the `close` that ends what an `open` before `text` began.
std::optional<size_t> balanced(std::string_view text, char open, char close) {
  size_t depth = 1;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == open) ++depth;
    if (text[i] == close && --depth == 0) return i;
  }
  return std::nullopt;
}

// One reference: what stands after a `$` that is not `$$`.
struct Reference {
  std::string_view inside;  // the name, or the text between the brackets
  bool bracketed = false;
  size_t length = 0;  // of all of it, the `$` not counted
};

std::expected<Reference, std::string> take_reference(std::string_view after_dollar,
                                                     std::string_view whole) {
  const auto error = [&](std::string_view what) {
    return std::unexpected(fmt::format("{}: \"{}\"", what, printable(whole, shown_bytes_max)));
  };
  Reference reference;
  if (after_dollar.starts_with('{') || after_dollar.starts_with('(')) {
    const char open = after_dollar.front();
    const auto size = balanced(after_dollar.substr(1), open, open == '{' ? '}' : ')');
    if (!size) return error("truncated macro reference");
    reference = {after_dollar.substr(1, *size), true, *size + 2};
  } else {
    size_t size = 0;
    while (size < after_dollar.size() && is_name_byte(after_dollar[size])) ++size;
    reference = {after_dollar.substr(0, size), false, size};
  }
  if (reference.inside.empty()) return error("empty macro name");
  return reference;
}

enum class Operator : uint8_t { equal, unequal, less, at_most, at_least, greater };
struct Comparison {
  std::string_view left, right;
  Operator how = Operator::equal;
  bool levels = false;
};

// The inside of a bracketed reference, taken apart but not expanded.
struct Expression {
  std::string_view name;                 // of a named value, else:
  std::optional<Comparison> comparison;  // ${{left} OP {right} …}
  bool conditional = false;              // has ? or :
  std::optional<std::string_view> if_true, if_false;
};

std::unexpected<std::string> unexpected_at(std::string_view wanted, std::string_view where) {
  return std::unexpected(fmt::format("{} at: \"{}\"", wanted, printable(where, shown_bytes_max)));
}

// `{text}` off the front of `rest`, after white space.
std::expected<std::string_view, std::string> take_braced(std::string_view& rest) {
  rest = trim_front(rest);
  if (!rest.starts_with('{')) return unexpected_at("\"{expression}\" expected", rest);
  const auto size = balanced(rest.substr(1), '{', '}');
  if (!size) return unexpected_at("unbalanced {} in attribute expression", rest);
  const std::string_view inside = rest.substr(1, *size);
  rest.remove_prefix(*size + 2);
  return inside;
}

// What follows ? or :, either {text} or all the rest as it is.
std::expected<std::string_view, std::string> take_branch(std::string_view& rest) {
  if (trim_front(rest).starts_with('{')) {
    auto branch = take_braced(rest);
    rest = trim_front(rest);
    return branch;
  }
  return std::exchange(rest, {});
}

std::expected<void, std::string> parse_branches(std::string_view rest, Expression& out) {
  rest = trim_front(rest);
  if (rest.empty()) return {};
  const char mode = rest.front();
  if (mode != '?' && mode != ':') return unexpected_at("\"?\" or \":\" expected", rest);
  out.conditional = true;
  rest.remove_prefix(1);
  auto branch = take_branch(rest);
  if (!branch) return std::unexpected(branch.error());
  (mode == '?' ? out.if_true : out.if_false) = *branch;
  if (rest.empty()) return {};
  if (mode == ':') return unexpected_at("unexpected input", rest);
  if (rest.front() != ':') return unexpected_at("\":\" expected", rest);
  rest.remove_prefix(1);
  branch = take_branch(rest);
  if (!branch) return std::unexpected(branch.error());
  out.if_false = *branch;
  if (!rest.empty()) return unexpected_at("unexpected input", rest);
  return {};
}

std::expected<Comparison, std::string> parse_comparison(std::string_view& rest) {
  constexpr std::array<std::pair<std::string_view, Operator>, 6> operators{{
      {"==", Operator::equal},
      {"!=", Operator::unequal},
      {"<=", Operator::at_most},
      {">=", Operator::at_least},
      {"<", Operator::less},
      {">", Operator::greater},
  }};
  Comparison comparison;
  const auto left = take_braced(rest);
  if (!left) return std::unexpected(left.error());
  comparison.left = *left;
  rest = trim_front(rest);
  const auto found = std::ranges::find_if(
      operators, [&](const auto& candidate) { return rest.starts_with(candidate.first); });
  if (found == operators.end()) return unexpected_at("comparison operator expected", rest);
  comparison.how = found->second;
  rest.remove_prefix(found->first.size());
  comparison.levels = rest.starts_with("level");
  if (comparison.levels) rest.remove_prefix(5);
  const auto right = take_braced(rest);
  if (!right) return std::unexpected(right.error());
  comparison.right = *right;
  return comparison;
}

std::expected<Expression, std::string> parse_expression(std::string_view inside) {
  Expression expression;
  std::string_view rest = trim_front(inside);
  if (rest.starts_with('{')) {
    auto comparison = parse_comparison(rest);
    if (!comparison) return std::unexpected(comparison.error());
    expression.comparison = *comparison;
  } else {
    size_t size = 0;
    while (size < rest.size() && is_name_byte(rest[size])) ++size;
    expression.name = rest.substr(0, size);
    rest.remove_prefix(size);
    const std::string_view next = trim_front(rest);
    if (size == 0 || (!next.empty() && next.front() != '?' && next.front() != ':'))
      return unexpected_at("attribute name syntax error", next.empty() ? inside : next);
  }
  if (auto branches = parse_branches(rest, expression); !branches)
    return std::unexpected(branches.error());
  return expression;
}

template <typename T>
bool holds(const T& left, Operator how, const T& right) {
  switch (how) {
    case Operator::equal:
      return left == right;
    case Operator::unequal:
      return left != right;
    case Operator::less:
      return left < right;
    case Operator::at_most:
      return left <= right;
    case Operator::at_least:
      return left >= right;
    case Operator::greater:
      return left > right;
  }
  return false;
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_digit);
}

std::expected<bool, std::string> compare(const Comparison& how, std::string_view left,
                                         std::string_view right) {
  const bool digits = all_digits(left) && all_digits(right);
  if (!how.levels && !digits) return holds(left, how.how, right);
  const auto number = [&](std::string_view text) {
    return how.levels ? parse_compatibility_level(text) : parse_decimal(text);
  };
  for (const std::string_view side : {left, right})
    if (!number(side))
      return std::unexpected(fmt::format(
          "{}: \"{}\"", how.levels ? "malformed compatibility level syntax" : "number out of range",
          printable(side, shown_bytes_max)));
  return holds(*number(left), how.how, *number(right));
}

class Expansion {
 public:
  explicit Expansion(const NameLookup& lookup) : lookup_(lookup) {}

  std::expected<void, std::string> append(std::string_view text, uint32_t depth, std::string& out) {
    if (depth > limits::config_expansion_depth_max)
      return std::unexpected(
          fmt::format("unreasonable macro call nesting: \"{}\"", printable(text, shown_bytes_max)));
    if (auto paid = pay(text.size() + 1); !paid) return paid;
    const std::string_view whole = text;
    while (!text.empty()) {
      const size_t dollar = std::min(text.find('$'), text.size());
      out.append(text.substr(0, dollar));
      if (out.size() > limits::config_value_bytes_max)
        return std::unexpected(fmt::format("the expanded value is larger than {} bytes",
                                           limits::config_value_bytes_max));
      text.remove_prefix(dollar);
      if (text.empty()) break;
      if (text.starts_with("$$")) {
        out += '$';
        text.remove_prefix(2);
        continue;
      }
      const auto reference = take_reference(text.substr(1), whole);
      if (!reference) return std::unexpected(reference.error());
      if (auto done = append_reference(*reference, depth, out); !done) return done;
      text.remove_prefix(reference->length + 1);
    }
    return {};
  }

 private:
  std::expected<void, std::string> pay(size_t bytes) {
    if (bytes > budget_) return std::unexpected(std::string("expanding the value takes too long"));
    budget_ -= bytes;
    return {};
  }

  std::expected<std::string, std::string> expanded(std::string_view text, uint32_t depth) {
    std::string out;
    if (auto done = append(text, depth, out); !done) return std::unexpected(done.error());
    return out;
  }

  std::expected<void, std::string> append_name(std::string_view name, uint32_t depth,
                                               std::string& out) {
    const auto value = lookup_(name);
    return value ? append(*value, depth + 1, out) : std::expected<void, std::string>{};
  }

  std::expected<void, std::string> append_reference(const Reference& reference, uint32_t depth,
                                                    std::string& out) {
    if (!reference.bracketed) return append_name(reference.inside, depth, out);
    const auto expression = parse_expression(reference.inside);
    if (!expression) return std::unexpected(expression.error());
    if (!expression->comparison && !expression->conditional)
      return append_name(expression->name, depth, out);
    const auto truth = evaluate(*expression, depth);
    if (!truth) return std::unexpected(truth.error());
    if (!expression->conditional) {
      out += *truth ? "true" : "";
      return {};
    }
    const auto& branch = *truth ? expression->if_true : expression->if_false;
    return branch ? append(*branch, depth + 1, out) : std::expected<void, std::string>{};
  }

  std::expected<bool, std::string> evaluate(const Expression& expression, uint32_t depth) {
    if (!expression.comparison) {
      std::string value;
      if (auto done = append_name(expression.name, depth, value); !done)
        return std::unexpected(done.error());
      return !value.empty();
    }
    const auto left = expanded(expression.comparison->left, depth + 1);
    if (!left) return std::unexpected(left.error());
    const auto right = expanded(expression.comparison->right, depth + 1);
    if (!right) return std::unexpected(right.error());
    return compare(*expression.comparison, *left, *right);
  }

  const NameLookup& lookup_;
  size_t budget_ = limits::config_expansion_work_max;
};

void names_in(std::string_view text, uint32_t depth,
              const std::function<void(std::string_view)>& found) {
  if (depth > limits::config_expansion_depth_max) return;
  while (true) {
    const size_t dollar = text.find('$');
    if (dollar == std::string_view::npos) return;
    text.remove_prefix(dollar);
    if (text.starts_with("$$")) {
      text.remove_prefix(2);
      continue;
    }
    const auto reference = take_reference(text.substr(1), text);
    if (!reference) return;
    text.remove_prefix(reference->length + 1);
    if (!reference->bracketed) {
      found(reference->inside);
      continue;
    }
    const auto expression = parse_expression(reference->inside);
    if (!expression) return;
    if (expression->comparison) {
      names_in(expression->comparison->left, depth + 1, found);
      names_in(expression->comparison->right, depth + 1, found);
    } else {
      found(expression->name);
    }
    if (expression->if_true) names_in(*expression->if_true, depth + 1, found);
    if (expression->if_false) names_in(*expression->if_false, depth + 1, found);
  }
}

}  // namespace

std::expected<std::string, std::string> expand(std::string_view text, const NameLookup& lookup) {
  std::string out;
  Expansion expansion(lookup);
  if (auto done = expansion.append(text, 0, out); !done) return std::unexpected(done.error());
  return out;
}

void for_each_name(std::string_view text, const std::function<void(std::string_view)>& found) {
  names_in(text, 0, found);
}

std::optional<uint64_t> parse_compatibility_level(std::string_view text) {
  constexpr uint64_t part_max = 0xFFFF;
  uint64_t level = 0;
  for (int part = 0; part < 3; ++part) {
    uint64_t number = 0;
    if (part == 0 || !text.empty()) {
      const size_t dot = std::min(text.find('.'), text.size());
      const auto parsed = parse_decimal(text.substr(0, dot));
      if (!parsed || *parsed > part_max || dot + 1 == text.size()) return std::nullopt;
      number = *parsed;
      text.remove_prefix(std::min(dot + 1, text.size()));
    }
    level = level << 16 | number;
  }
  if (!text.empty()) return std::nullopt;
  return level;
}

}  // namespace mx::config
