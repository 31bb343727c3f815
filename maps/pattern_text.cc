#include "maps/pattern_text.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "proto/base/text.h"

namespace mx::maps {

namespace {

std::string quoted(std::string_view text) {
  return "\"" + printable(text) + "\"";
}

// The name after a `$`, whose text goes off the front of `rest`; nothing when its bracket is not
// closed.
std::optional<std::string_view> take_name(std::string_view& rest) {
  if (rest.empty() || (rest.front() != '{' && rest.front() != '(')) {
    const auto end =
        std::find_if(rest.begin(), rest.end(), [](char c) { return !is_alnum(c) && c != '_'; });
    const auto size = static_cast<size_t>(end - rest.begin());
    const std::string_view name = rest.substr(0, size);
    rest.remove_prefix(size);
    return name;
  }
  const char open = rest.front(), close = open == '{' ? '}' : ')';
  size_t depth = 0;
  for (size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] == open) ++depth;
    if (rest[i] == close && --depth == 0) {
      const std::string_view name = rest.substr(1, i - 1);
      rest.remove_prefix(i + 1);
      return name;
    }
  }
  return std::nullopt;
}

}  // namespace

ParsedPatternText parse_pattern_text(std::string_view source, std::string_view out_of_range) {
  ParsedPatternText out;
  std::string literal;
  for (std::string_view rest = source; !rest.empty();) {
    const size_t size = std::min(rest.find('$'), rest.size());
    literal.append(rest.substr(0, size));
    rest.remove_prefix(size);
    if (rest.empty()) break;
    rest.remove_prefix(1);
    if (rest.starts_with('$')) {
      literal += '$';
      rest.remove_prefix(1);
      continue;
    }
    const auto name = take_name(rest);
    if (!name || name->empty()) {
      const char* const what = name ? "empty macro name: " : "truncated macro reference: ";
      out.complaints.push_back(what + quoted(source));
      return out;
    }
    if (!std::all_of(name->begin(), name->end(), is_digit)) {
      out.complaints.push_back("non-numeric replacement index " + quoted(*name));
      continue;
    }
    const uint64_t group = std::min<uint64_t>(parse_decimal(*name).value_or(INT32_MAX), INT32_MAX);
    if (group == 0) {
      out.complaints.push_back(std::string(out_of_range) + " replacement index " + quoted(*name));
      continue;
    }
    out.text.pieces.push_back({std::exchange(literal, {}), static_cast<uint32_t>(group)});
    out.text.group_max = std::max(out.text.group_max, static_cast<uint32_t>(group));
  }
  if (!literal.empty() || out.text.pieces.empty()) out.text.pieces.push_back({literal, 0});
  return out;
}

}  // namespace mx::maps
