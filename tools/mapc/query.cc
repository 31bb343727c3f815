#include "tools/mapc/query.h"

#include <fmt/format.h>
#include <sysexits.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

#include "engine/policy/system_tables.h"
#include "maps/any_table.h"
#include "maps/format.h"
#include "tools/mapc/input.h"
#include "tools/mapc/message.h"
#include "tools/mapc/open_table.h"

namespace mx::mapc {

namespace {

constexpr int not_found = 1;

void put(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void put_entry(std::string_view key, std::string_view value) {
  put(key);
  put("\t");
  put(value);
  put("\n");
}

// What could not be written (a full disk, a closed pipe) was not answered.
int finish(int status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  return report({EX_IOERR, fmt::format("stdout: {}", std::strerror(errno))});
}

struct Opened {
  std::string name;
  std::shared_ptr<const maps::AnyTable> table;
};

class Asker {
 public:
  explicit Asker(const std::vector<Opened>& tables) : tables_(tables) {}

  // The answer of the first table that does not miss; a tempfail is said.
  maps::Lookup ask(std::string_view key) {
    for (const Opened& one : tables_) {
      const maps::Lookup answer = one.table->find({key, false}, made_);
      if (answer.outcome == maps::Outcome::tempfail)
        say(fmt::format("table {}: query error for \"{}\"", one.name, key));
      if (answer.outcome != maps::Outcome::miss) return answer;
    }
    return maps::Lookup::miss();
  }

 private:
  const std::vector<Opened>& tables_;
  maps::ValueText made_;
};

int query_one(Asker& asker, const std::string& key) {
  const maps::Lookup answer = asker.ask(key);
  if (answer.outcome == maps::Outcome::tempfail) return EX_TEMPFAIL;
  if (!answer.is_hit()) return not_found;
  put(answer.value);
  put("\n");
  return finish(EX_OK);
}

int query_lines(Asker& asker) {
  const auto text = read_stdin();
  if (!text) return report(text.error());
  int status = not_found;
  for (std::string_view rest = *text; !rest.empty();) {
    const std::string_view key = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(key.size() + 1, rest.size()));
    const maps::Lookup answer = asker.ask(key);
    if (answer.outcome == maps::Outcome::tempfail) return finish(EX_TEMPFAIL);
    if (!answer.is_hit()) continue;
    put_entry(key, answer.value);
    status = EX_OK;
  }
  return finish(status);
}

// The blob has the pairs in the order of the source, and also those whose key came before: an entry
// is a pair that its own key leads to.
int dump_compiled(const maps::TableSpec& spec, const std::string& directory) {
  std::string path;
  const auto buffer = read_compiled(spec, directory, path);
  if (!buffer) return report(buffer.error());
  const Bytes file = buffer->bytes();
  const auto table = maps::Table::open(file);
  if (!table) return report({EX_DATAERR, fmt::format("{} is {}", path, describe(table.error()))});
  namespace format = maps::format;
  Bytes rest =
      file.subspan(format::header_bytes, load_le<uint64_t>(file.data() + format::at_blob_size));
  while (!rest.empty()) {
    format::PairSizes sizes;
    if (!sizes.load(rest)) return report({EX_DATAERR, path + " is damaged"});
    const std::string_view key = as_text(rest.subspan(sizes.header, sizes.key));
    const std::string_view value = as_text(rest.subspan(sizes.header + sizes.key, sizes.value));
    if (table->find(key).value.data() == value.data()) put_entry(key, value);
    rest = rest.subspan(sizes.total());
  }
  return finish(EX_OK);
}

}  // namespace

int query_tables(const std::vector<maps::TableSpec>& specs, const std::string& key,
                 const std::string& directory) {
  std::vector<Opened> tables;
  for (const maps::TableSpec& spec : specs) {
    auto table = open_table(spec, directory);
    if (!table) return report(table.error());
    tables.push_back({spec.text(), std::move(*table)});
  }
  Asker asker(tables);
  return key == "-" ? query_lines(asker) : query_one(asker, key);
}

int dump_table(const maps::TableSpec& spec, const std::string& directory) {
  if (spec.kind == maps::TableKind::compiled) return dump_compiled(spec, directory);
  if (spec.kind == maps::TableKind::inline_entries) {
    for (const auto& [key, value] : spec.entries) put_entry(key, value);
    return finish(EX_OK);
  }
  if (spec.kind == maps::TableKind::system) {
    const auto entries = policy::read_system_table(spec.name);
    if (!entries) return report({EX_UNAVAILABLE, spec.text() + ": " + entries.error()});
    for (const auto& [key, value] : *entries) put_entry(key, value);
    return finish(EX_OK);
  }
  return report({EX_USAGE, spec.text() + ": a table of this type has no list of keys"});
}

}  // namespace mx::mapc
