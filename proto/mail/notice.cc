#include "proto/mail/notice.h"

#include <algorithm>

#include "proto/base/text.h"
#include "proto/mail/notice_text.h"

namespace mx::mail {
namespace {

constexpr size_t columns = 78;
constexpr size_t line_bytes_max = 900;  // of the 998 that RFC 5322 2.1.1 allows

std::string_view without_blanks_behind(std::string_view text) {
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

std::string count_of(uint64_t n, std::string_view what) {
  return number_text(n) + " " + std::string(what) + (n == 1 ? "" : "s");
}

// A word of a shell that means itself.
std::string shell_word(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  const bool plain = text.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789/._-") == std::string_view::npos;
  return plain && !text.empty() ? std::string(text) : out + "'";
}

void add_entry(std::string& out, const Digest& digest, const DigestEntry& entry,
               std::string_view mxq) {
  const std::string id = printable(entry.id);
  const auto field = [&](std::string_view name, std::string_view value) {
    add_wrapped(out, std::string(name) + std::string(value), columns - 4, "    ", "          ");
  };
  out += "\n" + id + "  " + count_of(entry.size, "byte") + "  " +
         date_text(entry.arrival, digest.zone) + "\n";
  field("from: ", "<" + entry.sender + ">");
  for (const std::string& recipient : entry.recipients) field("to:   ", "<" + recipient + ">");
  if (entry.more_recipients > 0)
    field("to:   ", "and " + number_text(entry.more_recipients) + " more");
  field("why:  ", entry.reason.empty() ? "not known any more: see the log" : entry.reason);
  out += "    " + std::string(mxq) + " -H " + id + "    # try it again\n";
  out += "    " + std::string(mxq) + " -d " + id + "    # delete it\n";
}

}  // namespace

void add_wrapped(std::string& out, std::string_view text, size_t width, std::string_view first,
                 std::string_view later) {
  std::string clean;
  append_printable(clean, text);
  std::string_view rest = clean;
  std::string_view indent = first;
  do {
    // The last blank that leaves the line short enough, else the first one behind it.
    size_t end = rest.size();
    if (end > width) {
      const size_t fits = rest.rfind(' ', width);
      end =
          std::min(end, fits != 0 && fits != std::string_view::npos ? fits : rest.find(' ', width));
    }
    if (end > line_bytes_max) {
      end = line_bytes_max;
      while ((static_cast<unsigned char>(rest[end]) & 0xC0) == 0x80) --end;  // not within UTF-8
    }
    out.append(indent).append(without_blanks_behind(rest.substr(0, end))) += '\n';
    rest = trim_front(rest.substr(end));
    if (indent.data() == first.data()) width = first.size() + width - later.size();
    indent = later;
  } while (!rest.empty());
}

ReportText write_notice(const Notice& notice) {
  ReportText text;
  text.utf8 = !is_ascii(notice.to);
  text.eight_bit = text.utf8 || !is_ascii(notice.text) || !is_ascii(notice.subject);
  std::string& header = text.header;
  const std::string date = date_text(notice.now, notice.zone);
  const std::string host = printable(notice.hostname);
  add_line(header, "Received: by " + host + " (" + printable(notice.mail_name) + ")");
  add_line(header, "\tid " + std::string(notice.id) + "; " + date);
  add_line(header, "Date: " + date);
  add_line(header, "From: Mail Delivery System <MAILER-DAEMON@" + printable(notice.origin) + ">");
  add_line(header, "To: Postmaster <" + printable(notice.to, line_bytes_max) + ">");
  add_folded(header, "Subject: ", notice.subject, "    ");
  add_line(header, "Auto-Submitted: auto-generated");
  if (text.eight_bit) {
    add_line(header, "MIME-Version: 1.0");
    add_line(header, "Content-Type: text/plain; charset=utf-8");
    add_line(header, "Content-Transfer-Encoding: 8bit");
  }
  add_line(header, "Message-Id: <" + std::string(notice.id) + "." +
                       number_text(static_cast<uint64_t>(notice.now.us)) + "@" + host + ">");
  text.body.reserve(notice.text.size() + notice.text.size() / 16 + 16);
  add_line(text.body, "");
  std::string_view rest = notice.text;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string line;
    append_printable(line, rest.substr(0, end), line_bytes_max);
    add_line(text.body, line);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return text;
}

std::string digest_subject(const Digest& digest) {
  const uint64_t fresh = digest.entries.size() + digest.left_out;
  return "Quarantined mail: " + number_text(fresh) + " new, " + number_text(fresh + digest.told) +
         " held";
}

std::string digest_text(const Digest& digest) {
  const std::string mxq = "mxq -c " + shell_word(digest.config_directory);
  const uint64_t fresh = digest.entries.size() + digest.left_out;
  std::string out;
  out += "This is the mail system at host " + std::string(digest.hostname) + ".\n\n";
  out += count_of(fresh, "message") + " could not be delivered after " +
         (fresh == 1 ? "it" : "they") + " had been accepted, and " + (fresh == 1 ? "is" : "are") +
         " held\ninstead of being returned (ringmx_bounce = quarantine). Nobody else was told.\n";
  if (digest.told > 0)
    out += count_of(digest.told, "message") + " of earlier digests " +
           (digest.told == 1 ? "is" : "are") + " held as well.\n";
  if (digest.left_out > 0)
    out += "Below are the " + number_text(digest.entries.size()) +
           " oldest; the next digest goes on with the others.\n";
  out += "\nAll that is held:  " + mxq + " -p\n";
  for (const DigestEntry& entry : digest.entries) add_entry(out, digest, entry, mxq);
  return out;
}

}  // namespace mx::mail
