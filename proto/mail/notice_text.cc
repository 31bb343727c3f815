#include "proto/mail/notice_text.h"

#include "proto/base/text.h"

namespace mx::mail {
namespace {

constexpr size_t fold_columns = 72;

}  // namespace

std::string number_text(uint64_t n) {
  return std::string(Decimal(n).view());
}

std::string date_text(WallTime time, const TimeZone& zone) {
  char text[date_bytes_max];
  const auto written = write_date(time, zone, text);
  return written ? std::string(text, *written) : std::string();
}

void add_line(std::string& out, std::string_view line) {
  if (line.starts_with('.')) out += '.';
  out += line;
  out += "\r\n";
}

void add_folded(std::string& out, std::string_view first, std::string_view text,
                std::string_view indent) {
  constexpr size_t word_max = 900;
  std::string line(first);
  bool fresh = true;
  std::string clean = printable(text);
  std::string_view rest = clean;
  while (true) {
    std::string_view word = take_word(rest, " ");
    if (word.empty()) break;
    while (!word.empty()) {
      const std::string_view piece = word.substr(0, word_max);
      word.remove_prefix(piece.size());
      if (!fresh && line.size() + 1 + piece.size() > fold_columns) {
        add_line(out, line);
        line = indent;
        fresh = true;
      }
      if (!fresh) line += ' ';
      line += piece;
      fresh = false;
    }
  }
  add_line(out, line);
}

}  // namespace mx::mail
