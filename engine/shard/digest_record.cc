#include "engine/shard/digest_record.h"

#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::shard {
namespace {

constexpr std::string_view first_line = "ringmx quarantine digest 1";

}  // namespace

std::optional<DigestRecord> parse_digest_record(std::string_view text) {
  DigestRecord record;
  const auto next_line = [&]() -> std::optional<std::string_view> {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    return line;
  };
  if (next_line() != first_line) return std::nullopt;
  const auto last = next_line();
  if (!last || !last->starts_with("last ")) return std::nullopt;
  const auto seconds = parse_decimal(last->substr(5));
  if (!seconds || *seconds > INT64_MAX / 1'000'000) return std::nullopt;
  record.last_seconds = static_cast<int64_t>(*seconds);
  while (!text.empty()) {
    const auto line = next_line();
    if (!line || !line->starts_with("told ") || record.told.size() == limits::digest_remembered_max)
      return std::nullopt;
    const std::string_view rest = line->substr(5);
    const size_t blank = std::min(rest.find(' '), rest.size());
    const auto id = queue::parse_message_id(rest.substr(0, blank));
    const auto attempts = parse_decimal(rest.substr(std::min(blank + 1, rest.size())));
    if (!id || !attempts || *attempts > UINT16_MAX) return std::nullopt;
    record.told.emplace(*id, static_cast<uint16_t>(*attempts));
  }
  return record;
}

std::string to_text(const DigestRecord& record) {
  std::string out(first_line);
  out += "\nlast ";
  out += Decimal(static_cast<uint64_t>(record.last_seconds)).view();
  out += '\n';
  for (const auto& [id, attempts] : record.told) {
    out += "told ";
    out += queue::to_text(id).view();
    out += ' ';
    out += Decimal(attempts).view();
    out += '\n';
  }
  return out;
}

}  // namespace mx::shard
