#include "proto/mail/received.h"

#include <algorithm>
#include <cstdint>

#include "proto/base/limits.h"

namespace mx::mail {
namespace {

constexpr size_t zone_name_bytes_max = 15;

// Appends to a buffer that the caller gave; remembers when something did not fit.
class Writer {
 public:
  explicit Writer(std::span<char> out) : out_(out) {}
  void add(std::string_view text) {
    if (text.size() > out_.size() - size_) {
      overflow_ = true;
      return;
    }
    std::copy(text.begin(), text.end(), out_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += text.size();
  }
  // A name from outside. `harmful`: printable bytes that mean something where the name will stand.
  void add_name(std::string_view name, std::string_view harmful) {
    const std::string_view shown = name.substr(0, limits::domain_bytes_max);
    for (const char& c : shown) {
      const bool harmless = c > ' ' && c <= '~' && harmful.find(c) == std::string_view::npos;
      add(harmless ? std::string_view(&c, 1) : "?");
    }
    if (shown.size() < name.size()) add("...");
  }
  void add_number(uint64_t value, size_t width) {
    char digits[20];
    size_t at = sizeof digits;
    while (at > sizeof digits - width || value != 0) {
      digits[--at] = static_cast<char>('0' + value % 10);
      value /= 10;
    }
    add({digits + at, sizeof digits - at});
  }
  std::optional<size_t> result() const {
    if (overflow_) return std::nullopt;
    return size_;
  }

 private:
  std::span<char> out_;
  size_t size_ = 0;
  bool overflow_ = false;
};

constexpr std::string_view breaks_comment = "()<>\\\";@";  // what Postfix replaces in a HELO name

struct Date {
  int64_t year, month, day;  // month and day from 1
};

// Gregorian date of a day counted from 1970-01-01. The calendar is taken in eras of 400 years, and
// a year from March, so that the leap day is its last (the method of Howard Hinnant's
// "days_from_civil").
Date date_of(int64_t days) {
  const int64_t from_march_0000 = days + 719'468;
  const int64_t era =
      (from_march_0000 >= 0 ? from_march_0000 : from_march_0000 - 146'096) / 146'097;
  const int64_t day_of_era = from_march_0000 - era * 146'097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month_from_march = (5 * day_of_year + 2) / 153;
  const int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month,
          day_of_year - (153 * month_from_march + 2) / 5 + 1};
}

void add_date(Writer& writer, WallTime time, const TimeZone& zone) {
  static constexpr std::string_view days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::string_view months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  // Years 0 to 9999 have the four digits that RFC 5322 wants; a clock outside them is not a clock.
  constexpr int64_t earliest = -62'167'219'200 + 86'400, latest = 253'402'300'799 - 86'400;
  const int64_t utc = std::clamp(time.seconds(), earliest, latest);
  const int offset = std::clamp(zone.offset_minutes, -23 * 60 - 59, 23 * 60 + 59);
  constexpr int64_t day_seconds = 86'400;
  const int64_t local = utc + int64_t{offset} * 60;
  const int64_t day = (local >= 0 ? local : local - (day_seconds - 1)) / day_seconds;
  const auto second_of_day = static_cast<uint64_t>(local - day * day_seconds);
  const Date date = date_of(day);
  const auto weekday = static_cast<size_t>(((day + 4) % 7 + 7) % 7);  // 1970-01-01 was a Thursday
  const auto distance = static_cast<uint64_t>(offset < 0 ? -offset : offset);

  writer.add(days[weekday]);
  writer.add(", ");
  writer.add_number(static_cast<uint64_t>(date.day), 1);
  writer.add(" ");
  writer.add(months[date.month - 1]);
  writer.add(" ");
  writer.add_number(static_cast<uint64_t>(date.year), 4);
  writer.add(" ");
  writer.add_number(second_of_day / 3600, 2);
  writer.add(":");
  writer.add_number(second_of_day / 60 % 60, 2);
  writer.add(":");
  writer.add_number(second_of_day % 60, 2);
  writer.add(offset < 0 ? " -" : " +");
  writer.add_number(distance / 60 * 100 + distance % 60, 4);
  if (zone.name.empty() || zone.name.size() > zone_name_bytes_max) return;
  writer.add(" (");
  writer.add_name(zone.name, breaks_comment);
  writer.add(")");
}

}  // namespace

std::optional<size_t> write_date(WallTime time, const TimeZone& zone, std::span<char> out) {
  Writer writer(out);
  add_date(writer, time, zone);
  return writer.result();
}

std::optional<size_t> write_received(const ReceivedFields& fields, std::span<char> out) {
  Writer writer(out.first(std::min<size_t>(out.size(), limits::header_block_bytes_max)));
  const bool ipv6 = fields.client_address.find(':') != std::string_view::npos;
  writer.add("Received: from ");
  writer.add_name(fields.helo.empty() ? fields.client_name : fields.helo, breaks_comment);
  writer.add(" (");
  writer.add_name(fields.client_name, breaks_comment);
  writer.add(ipv6 ? " [IPv6:" : " [");
  writer.add_name(fields.client_address, breaks_comment);
  writer.add("])\r\n\tby ");
  writer.add_name(fields.hostname, breaks_comment);
  writer.add(" (ringmx) with ");
  writer.add(fields.utf8 ? "UTF8SMTP" : fields.esmtp ? "ESMTP" : "SMTP");
  writer.add(" id ");
  writer.add_name(fields.queue_id, breaks_comment);
  if (fields.recipient.empty()) {
    writer.add(";\r\n\t");
  } else {
    writer.add("\r\n\tfor <");
    // A quoted local part may hold blanks and specials; only what breaks lines or the path itself
    // is harmful.
    for (const char& c : fields.recipient)
      writer.add((c >= ' ' && c <= '~') || (fields.utf8 && static_cast<unsigned char>(c) >= 0x80)
                     ? std::string_view(&c, 1)
                     : "?");
    writer.add(">; ");
  }
  add_date(writer, fields.time, fields.zone);
  writer.add("\r\n");
  return writer.result();
}

}  // namespace mx::mail
