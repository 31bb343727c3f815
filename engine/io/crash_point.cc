#include "engine/io/crash_point.h"

#include <unistd.h>

#include <array>
#include <atomic>

#include "engine/io/ring.h"
#include "proto/base/assert.h"
#include "proto/base/text.h"

namespace mx::io {
namespace {

constexpr int exit_status = 99;

constexpr auto names = std::to_array<std::string_view>(
    {"none",           "segment-file-written",  "segment-file-renamed",
     "recovered",      "batch-submitted",       "batch-written",
     "batch-flushed",  "marks-submitted",       "marks-written",
     "marks-flushed",  "footer-submitted",      "footer-written",
     "footer-flushed", "header-submitted",      "header-written",
     "header-flushed", "grave-submitted",       "grave-written",
     "grave-flushed",  "grave-copied",          "before-250",
     "after-250",      "delivered-before-mark", "notice-committed",
     "shutdown-drain"});
static_assert(names.size() == static_cast<size_t>(CrashPoint::end));

std::atomic<uint64_t> passings_left{0};

}  // namespace

namespace detail {

CrashPoint armed = CrashPoint::none;

void passed(CrashPoint at, Ring* submit) {
  MX_ASSERT(at == armed);
  if (passings_left.fetch_sub(1) != 1) return;
  if (submit) submit->turn({}, {});
  ::_exit(exit_status);
}

}  // namespace detail

std::string_view name_of(CrashPoint at) {
  return names[static_cast<size_t>(at)];
}

std::expected<void, std::string> arm_crash_point(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const auto count = colon == text.npos ? 1 : parse_decimal(text.substr(colon + 1));
  for (size_t i = 1; i < names.size(); ++i) {
    if (names[i] != name || !count || *count == 0) continue;
    passings_left = *count;
    detail::armed = static_cast<CrashPoint>(i);
    return {};
  }
  if (text.empty()) return {};
  std::string known;
  for (size_t i = 1; i < names.size(); ++i) known.append(" ").append(names[i]);
  return std::unexpected("RINGMX_CRASH_AT=" + std::string(text) +
                         ": wanted is NAME[:COUNT]; names are" + known);
}

}  // namespace mx::io
