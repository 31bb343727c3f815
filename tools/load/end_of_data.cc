#include "tools/load/end_of_data.h"

namespace mx::load {
namespace {

constexpr std::string_view mark = "\r\n.\r\n";

// The longest beginning of the mark that `text` ends with.
size_t matched_at_end(std::string_view text) {
  for (size_t n = mark.size() - 1; n > 0; --n)
    if (text.ends_with(mark.substr(0, n))) return n;
  return 0;
}

}  // namespace

size_t EndOfData::find(std::string_view piece) {
  // A mark that began in an earlier piece ends within the first four bytes of this one.
  char joined[8];
  const size_t carried = mark.substr(0, matched_).copy(joined, matched_);
  const size_t front = piece.copy(joined + carried, sizeof joined - carried);
  const std::string_view seam(joined, carried + front);
  if (const size_t at = seam.find(mark); at != seam.npos) return at + mark.size() - carried;

  if (const size_t at = piece.find(mark); at != piece.npos) return at + mark.size();
  matched_ = matched_at_end(piece.size() >= mark.size() ? piece : seam);
  return none;
}

}  // namespace mx::load
