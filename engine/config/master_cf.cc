#include "engine/config/master_cf.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "engine/config/expand.h"
#include "engine/config/parameters.h"
#include "engine/config/values.h"
#include "proto/base/limits.h"
#include "proto/base/logical_lines.h"
#include "proto/base/text.h"

namespace mx::config {

namespace {

constexpr size_t shown_bytes_max = 60;
constexpr size_t fields_before_command = 7;
// Services whose work ringmx does itself: what changes them in Postfix would change its answers.
constexpr std::array<std::string_view, 8> replaced{"smtpd", "smtp",   "cleanup",  "trivial-rewrite",
                                                   "qmgr",  "bounce", "proxymap", "error"};
constexpr std::array<std::string_view, 5> filters{"content_filter", "smtpd_proxy_filter",
                                                  "smtpd_milters", "non_smtpd_milters",
                                                  "receive_override_options"};

// The next word; `{ … }` counts as one, without its braces.
std::string_view take_argument(std::string_view& text) {
  text = trim_front(text);
  if (!text.starts_with('{')) return take_word(text, " \t\r\n");
  size_t depth = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '{') ++depth;
    if (text[at] != '}' || --depth > 0) continue;
    const std::string_view inside = trim(text.substr(1, at - 1));
    text.remove_prefix(at + 1);
    return inside;
  }
  return std::exchange(text, {});
}

// Finds the physical line of each -o in turn.
class LineFinder {
 public:
  LineFinder(std::string_view text, uint32_t line, uint32_t last)
      : text_(text), line_(line), last_(last) {}
  // `name` stands on the line where the last search ended, or on a later one.
  uint32_t find(std::string_view name) {
    const LineFinder before = *this;
    for (; line_ <= last_; ++line_, at_ = 0) {
      const std::string_view whole = physical();
      if (trim_front(whole).starts_with('#')) continue;
      const size_t found = whole.find(name, at_);
      if (found == whole.npos) continue;
      at_ = found + name.size();
      return line_;
    }
    *this = before;
    return line_;
  }

 private:
  std::string_view physical() {
    while (number_ < line_) {
      const size_t newline = text_.find('\n');
      text_.remove_prefix(newline == text_.npos ? text_.size() : newline + 1);
      ++number_;
    }
    return text_.substr(0, text_.find('\n'));
  }
  std::string_view text_;
  uint32_t number_ = 1, line_, last_;
  size_t at_ = 0;
};

// Options come first: -o takes a value, others (-v, -D, -u) stand alone.
void read_options(Service& service, LineFinder& lines) {
  std::string_view rest = service.arguments;
  while (true) {
    rest = trim_front(rest);
    if (!rest.starts_with('-')) return;
    std::string_view word = take_word(rest, " \t\r\n");
    if (!word.starts_with("-o")) continue;
    word.remove_prefix(2);
    if (word.starts_with('{')) {
      // -o{ name = value }: the brace belongs to the argument.
      rest = std::string_view(word.data(),
                              static_cast<size_t>(rest.data() + rest.size() - word.data()));
      word = {};
    }
    if (word.empty()) word = take_argument(rest);
    const size_t equals = word.find('=');
    if (equals == word.npos || trim(word.substr(0, equals)).empty()) continue;
    const std::string_view name = trim(word.substr(0, equals));
    service.overrides.push_back(
        {std::string(name), std::string(trim(word.substr(equals + 1))), lines.find(name)});
  }
}

std::optional<Service> read_service(const LogicalLine& line, std::string_view file) {
  std::string_view rest = line.text;
  Service service;
  service.line = line.line;
  service.name = take_word(rest, " \t\r\n");
  service.type = take_word(rest, " \t\r\n");
  // private, unprivileged, chroot, wake-up, processes
  for (size_t i = 2; i < fields_before_command; ++i) take_word(rest, " \t\r\n");
  service.command = take_word(rest, " \t\r\n");
  if (service.command.empty()) return std::nullopt;
  service.arguments = trim(rest);
  LineFinder lines(file, line.line, line.last_line);
  read_options(service, lines);
  return service;
}

bool is_filter(std::string_view name) {
  return std::ranges::find(filters, name) != filters.end();
}

// Whether an override changes what ringmx would do otherwise.
bool matters(const Override& one) {
  if (one.name == "syslog_name") return false;  // only what is logged
  const Parameter* row = find_parameter(one.name);
  return row == nullptr || row->kind != Class::harmless;
}

std::string listener_text(const Service& service) {
  const std::string_view port = std::string_view(service.name).substr(service.name.rfind(':') + 1);
  const bool is_smtp = port == "smtp" || port == "25";
  const std::string name = printable(service.name, shown_bytes_max);
  if (service.command == "postscreen")
    return fmt::format("{} inet postscreen: postscreen is not built; ringmx answers clients itself",
                       name);
  if (service.command != "smtpd")
    return fmt::format("{} inet {}: this listener is not honoured", name,
                       printable(service.command, shown_bytes_max));
  if (is_smtp && port.size() == service.name.size()) return {};
  return fmt::format(
      "{} inet smtpd: this listener is not honoured; name it in ringmx_listen if "
      "it is to answer as port 25 does",
      name);
}

}  // namespace

MasterCf MasterCf::parse(std::string_view text, std::string file, Diagnostics& diagnostics) {
  MasterCf result;
  result.file_ = std::move(file);
  const auto warn = [&](uint32_t line, std::string what) {
    diagnostics.push_back({result.file_, line, Severity::warning, std::move(what)});
  };
  if (text.size() > limits::config_bytes_max) {
    warn(0, fmt::format("the file is larger than {} bytes; ignored", limits::config_bytes_max));
    return result;
  }
  LogicalLines lines(text);
  for (LogicalLine line; lines.next(line);) {
    if (result.services_.size() == limits::config_entries_max) {
      warn(line.line, "too many services; the rest is ignored");
      break;
    }
    std::optional<Service> service;
    if (line.fault == LogicalLine::Fault::none) service = read_service(line, text);
    if (service)
      result.services_.push_back(std::move(*service));
    else
      warn(line.line,
           fmt::format("bad service \"{}\"; ignored", printable(trim(line.text), shown_bytes_max)));
  }
  return result;
}

void MasterCf::for_each_name(const std::function<void(std::string_view)>& found) const {
  for (const Service& service : services_) {
    config::for_each_name(service.arguments, found);
    for (const Override& one : service.overrides) config::for_each_name(one.value, found);
  }
}

MasterCf read_master_cf(std::string_view directory, const FileReader& reader,
                        Diagnostics& diagnostics) {
  const std::string path =
      fmt::format("{}{}master.cf", directory, directory.ends_with('/') ? "" : "/");
  const auto text = reader(path);
  if (text) return MasterCf::parse(*text, path, diagnostics);
  if (!text.error().ends_with(std::strerror(ENOENT)))
    diagnostics.push_back({path, 0, Severity::warning, text.error()});
  return {};
}

void report_master_cf(const MasterCf& master_cf, Diagnostics& diagnostics) {
  const auto warn = [&](uint32_t line, std::string text) {
    diagnostics.push_back({master_cf.file(), line, Severity::warning, std::move(text)});
  };
  for (const Service& service : master_cf.services()) {
    if (service.type == "inet")
      if (std::string text = listener_text(service); !text.empty())
        warn(service.line, std::move(text));
    const bool ours = std::ranges::find(replaced, service.command) != replaced.end();
    for (const Override& one : service.overrides) {
      if (!is_filter(one.name) && !(ours && matters(one))) continue;
      warn(one.line,
           fmt::format("{} {}: -o {} = {}: {}", printable(service.name, shown_bytes_max),
                       printable(service.type, shown_bytes_max),
                       printable(one.name, shown_bytes_max), printable(one.value, shown_bytes_max),
                       is_filter(one.name) ? "filters of a service are not honoured"
                                           : "overrides are not honoured; what main.cf says "
                                             "is for all"));
    }
  }
}

}  // namespace mx::config
