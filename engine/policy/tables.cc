#include "engine/policy/tables.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/io/clock.h"
#include "engine/policy/system_tables.h"
#include "maps/builder.h"
#include "maps/hash.h"
#include "proto/base/assert.h"

namespace mx::policy {

namespace {

using maps::TableKind;

constexpr uint64_t compiled_bytes_max = 64ULL << 30;
// To open files that belong together takes microseconds, a run of mapc milliseconds.
constexpr int tries_max = 100;
// A source that is something else altogether must not fill the log.
constexpr size_t warnings_per_table_max = 20;

// The set record's text; empty when there is none.
std::expected<std::string, io::FileError> read_record_text(const std::string& path) {
  const auto file = io::read_file(path, limits::table_set_bytes_max);
  if (file) return std::string(as_text(file->buffer.bytes())) + (file->facts.size == 0 ? " " : "");
  if (file.error().error_number == ENOENT) return std::string();
  return std::unexpected(file.error());
}

// The file whose change changes the table; empty when there is none.
std::string path_of(const maps::TableSpec& spec) {
  if (spec.kind == TableKind::system) return std::string(system_table_file(spec.name));
  if (!spec.has_path()) return "";
  return spec.kind == TableKind::compiled ? spec.name + std::string(maps::compiled_suffix)
                                          : spec.name;
}

std::string remedy(const maps::TableSpec& spec) {
  return "; run: mapc " + spec.text();
}

TableFile failed(std::optional<io::FileFacts> seen, std::string error, bool damaged) {
  return {{}, seen, std::move(error), damaged};
}

struct InMemory {
  io::AlignedBuffer memory;
  maps::Table table;
};

std::expected<InMemory, std::string> build_in_memory(const SystemEntries& entries) {
  maps::TableBuilder builder;
  for (const auto& [key, value] : entries) {
    if (key.empty() || key.size() > limits::table_key_bytes_max ||
        value.size() > limits::table_value_bytes_max)
      return std::unexpected("a key or a value is too long");
    builder.add(key, value);
  }
  uint64_t seed = 0;  // of each start another one: nobody can choose addresses that collide
  const ssize_t random = ::getrandom(&seed, sizeof seed, 0);
  MX_ASSERT(random == sizeof seed);
  const auto built = std::move(builder).build(seed, {});
  if (!built) return std::unexpected("too many entries");
  io::AlignedBuffer memory(built->bytes.size());
  if (memory.data() == nullptr) return std::unexpected("out of memory");
  std::memcpy(memory.data(), built->bytes.data(), built->bytes.size());
  const auto table = maps::Table::open(memory.bytes());
  MX_ASSERT(table.has_value());
  return InMemory{std::move(memory), *table};
}

}  // namespace

struct TableStore::Made {
  maps::AnyTable table;
  io::AlignedBuffer memory;
  std::optional<io::FileFacts> seen;
  uint64_t checksum = 0, keys = 0;
};

std::string set_record_path(std::string_view directory) {
  return std::string(directory) + (directory.ends_with('/') ? "" : "/") +
         std::string(maps::set_record_name);
}

// A compiled file, or why there is none.
struct TableStore::OpenFile {
  std::expected<io::Fd, io::FileError> file;
  std::optional<io::FileFacts> seen;  // of the path, just before
  bool pending = false;               // opened under the name that a run gives it at first
};

TableStore::TableStore(TableOrigin origin) : origin_(std::move(origin)) {
  if (origin_.directory.empty()) return;
  const std::string path = set_record_path(origin_.directory);
  const std::optional<std::set<std::string>> changed = origin_.changed;
  for (int i = 0; i < tries_max; ++i) {
    origin_.changed = changed;
    files_.clear();
    warnings_.clear();
    expected_.clear();
    read_record(path);
    for (const std::string& wanted : origin_.expected)
      if (is_to_be_read(wanted)) expected_.emplace(wanted, open_compiled(wanted));
    if (!record_known_ || read_record_text(path) == record_text_) return;
  }
  opened_more_ = true;  // is_of_one_run() will say what came of it
}

TableStore::~TableStore() = default;

void TableStore::read_record(const std::string& path) {
  const auto seen = io::file_facts(path);
  files_.push_back({path, seen ? std::optional(*seen) : std::nullopt, "", true});
  const auto text = read_record_text(path);
  record_ = {};
  record_known_ = text.has_value();
  if (!record_known_) {
    // Not known to be of one run: what is in service stays until the record can be read.
    files_.back().error = "set record: " + text.error().text;
    files_.back().damaged = false;
    warnings_.push_back(files_.back().error);
    record_.run = origin_.run;
    if (origin_.changed) origin_.changed->clear();
    return;
  }
  record_text_ = *text;
  if (record_text_.empty()) return;
  auto record = maps::SetRecord::parse(record_text_);
  if (record) {
    record_ = std::move(*record);
  } else {
    files_.back().error = "set record " + path + " is " + std::string(describe(record.error())) +
                          ": tables become visible one by one; run: mapc -c " + origin_.directory +
                          " --all";
    warnings_.push_back(files_.back().error);
  }
  if (origin_.changed && record_.run != origin_.run)
    origin_.changed->insert(record_.paths.begin(), record_.paths.end());
}

bool TableStore::is_to_be_read(const std::string& path) const {
  return !origin_.changed || origin_.changed->contains(path);
}

TableStore::OpenFile TableStore::open_compiled(const std::string& path) const {
  OpenFile opened;
  // Of the path itself also where another name is read: when mapc renames that, it is a change.
  const auto facts = io::file_facts(path);
  opened.seen = facts ? std::optional(*facts) : std::nullopt;
  for (const std::string& candidate : record_.candidates(path)) {
    opened.pending = candidate != path;
    opened.file = io::open_file(candidate);
    if (opened.file || opened.file.error().error_number != ENOENT) break;
  }
  return opened;
}

bool TableStore::is_of_one_run() const {
  return !opened_more_ || origin_.directory.empty() || !record_known_ ||
         read_record_text(set_record_path(origin_.directory)) == record_text_;
}

TablePointer TableStore::find_previous(const std::string& name) const {
  for (const TablePointer& table : origin_.previous)
    if (table->name() == name) return table;
  return nullptr;
}

std::expected<TablePointer, std::string> TableStore::open(std::string_view text) {
  const auto spec = maps::parse_table_spec(text);
  if (!spec) return std::unexpected(spec.error());
  return open(*spec);
}

TableStore::Opened TableStore::open(const maps::TableSpec& spec) {
  const std::string name = spec.text();
  for (const TablePointer& table : tables_)
    if (table->name() == name) return table;
  const TablePointer previous = find_previous(name);
  auto opened =
      spec.kind == TableKind::union_of ? open_union(spec, previous) : open_file(spec, previous);
  if (opened) tables_.push_back(*opened);
  return opened;
}

TableStore::Opened TableStore::open_union(const maps::TableSpec& spec,
                                          const TablePointer& previous) {
  MapTable::Facts facts{spec, spec.text(), {}, 0, 0, {}, {}};
  maps::UnionTable table;
  for (const maps::TableSpec& part : spec.parts) {
    auto member = open(part);
    if (!member) return member;
    facts.keys += (*member)->facts().keys;
    table.tables.emplace_back(*member, &(*member)->any());
    facts.members.push_back(std::move(*member));
  }
  if (previous && previous->facts().members == facts.members) return previous;
  return std::make_shared<const MapTable>(std::move(facts), io::AlignedBuffer(),
                                          maps::AnyTable(std::move(table)));
}

TableStore::Opened TableStore::open_file(const maps::TableSpec& spec,
                                         const TablePointer& previous) {
  const std::string path = path_of(spec);
  // Without a file the name says everything.
  const bool unchanged = path.empty() || !is_to_be_read(path);
  if (previous && unchanged) return previous;
  const Instant began = io::now();
  MadeResult made = make(spec, path);
  if (!made) {
    std::string error = "table " + spec.text() + ": " + made.error().error;
    if (path.empty()) return std::unexpected(std::move(error));
    made.error().path = path;
    made.error().error = error;
    files_.push_back(std::move(made.error()));
    if (previous && origin_.changed) return previous;
    return std::unexpected(std::move(error));
  }
  if (!path.empty()) files_.push_back({path, made->seen, "", false});
  // A rename, a touch, the same text again: the table in service stays.
  if (previous && previous->facts().checksum == made->checksum) return previous;
  MapTable::Facts facts{spec, spec.text(), path, made->checksum, made->keys, io::now() - began, {}};
  return std::make_shared<const MapTable>(std::move(facts), std::move(made->memory),
                                          std::move(made->table));
}

TableStore::MadeResult TableStore::make(const maps::TableSpec& spec, const std::string& path) {
  switch (spec.kind) {
    case TableKind::compiled:
      return read_compiled(spec, path);
    case TableKind::cidr:
    case TableKind::regexp:
    case TableKind::pcre:
      return path.empty() ? compile_rules(spec, spec.source, spec.text()) : read_rules(spec, path);
    case TableKind::inline_entries: {
      auto built = build_in_memory(spec.entries);
      if (!built) return std::unexpected(failed({}, built.error(), true));
      const uint64_t keys = built->table.key_count();
      return Made{maps::AnyTable(built->table), std::move(built->memory), {}, 0, keys};
    }
    case TableKind::constant:
      return Made{maps::AnyTable(maps::StaticTable{spec.value}), {}, {}, 0, 0};
    case TableKind::failing:
      return Made{maps::AnyTable(maps::FailTable{}), {}, {}, 0, 0};
    case TableKind::system:
      return read_system(spec, path);
    case TableKind::union_of:
      break;
  }
  MX_ASSERT(false);
}

TableStore::MadeResult TableStore::read_compiled(const maps::TableSpec& spec,
                                                 const std::string& path) {
  asked_.insert(path);
  auto at = expected_.find(path);
  if (at == expected_.end()) {
    opened_more_ = true;
    at = expected_.emplace(path, open_compiled(path)).first;
  }
  const auto& [opened, seen, pending] = at->second;
  auto file = opened
                  ? io::read_file(*opened, path, compiled_bytes_max)
                  : std::expected<io::FileContent, io::FileError>(std::unexpected(opened.error()));
  if (!file) {
    const int why = file.error().error_number;
    if (why == ENOENT)
      return std::unexpected(
          failed({}, "not compiled (" + path + " is missing)" + remedy(spec), true));
    const bool forbidden = why == EACCES || why == EPERM;
    return std::unexpected(
        failed(seen, file.error().text + (forbidden ? "; let mail_owner read it" : remedy(spec)),
               forbidden || why == EISDIR || why == EINVAL || why == EFBIG));
  }
  const auto table = maps::Table::open(file->buffer.bytes());
  if (!table)
    return std::unexpected(failed(
        file->facts, path + " is " + std::string(describe(table.error())) + remedy(spec), true));
  warn_if_older(spec, path, file->facts, *table);
  // The header has the checksum of everything else, which open() verified.
  const uint64_t checksum = maps::checksum(file->buffer.bytes().first(maps::format::header_bytes));
  return Made{maps::AnyTable(*table), std::move(file->buffer),
              pending ? seen : std::optional(file->facts), checksum, table->key_count()};
}

// The source changed after it was read for compiling. A copy of both files without their times (cp)
// makes the source newer than recorded too; then the order of the copies and the size decide.
void TableStore::warn_if_older(const maps::TableSpec& spec, const std::string& compiled,
                               const io::FileFacts& facts, const maps::Table& table) {
  const auto source = io::file_facts(spec.name);
  if (!source || source->mtime_ns <= table.source_mtime_ns()) return;
  if (source->mtime_ns > facts.mtime_ns || source->size != table.source_size())
    warnings_.push_back("table " + compiled + " is older than its source " + spec.name +
                        remedy(spec));
}

TableStore::MadeResult TableStore::read_rules(const maps::TableSpec& spec,
                                              const std::string& path) {
  const auto before = io::file_facts(path);
  const auto file = io::read_file(path, limits::table_rules_bytes_max);
  if (!file) {
    const int why = file.error().error_number;
    const bool passing = why == EAGAIN || why == ENOMEM || why == EMFILE || why == ENFILE;
    return std::unexpected(
        failed(before ? std::optional(*before) : std::nullopt, file.error().text, !passing));
  }
  auto made = compile_rules(spec, as_text(file->buffer.bytes()), path);
  if (!made) {
    made.error().seen = file->facts;
    return made;
  }
  made->seen = file->facts;
  made->checksum = maps::checksum(file->buffer.bytes());
  return made;
}

// `place`: what lines are counted in.
TableStore::MadeResult TableStore::compile_rules(const maps::TableSpec& spec,
                                                 std::string_view source,
                                                 const std::string& place) {
  std::vector<maps::SourceDiagnostic> diagnostics;
  const auto compile = [&]() -> Made {
    if (spec.kind == TableKind::cidr) {
      auto table = maps::CidrTable::compile(source, diagnostics);
      const uint64_t rules = table.rule_count();
      return {maps::AnyTable(std::move(table)), {}, {}, 0, rules};
    }
    const auto syntax =
        spec.kind == TableKind::regexp ? maps::PatternSyntax::regexp : maps::PatternSyntax::pcre;
    auto table = maps::PatternTable::compile(source, syntax, diagnostics);
    const uint64_t rules = table.rule_count();
    return {maps::AnyTable(std::move(table)), {}, {}, 0, rules};
  };
  Made made = compile();
  size_t said = 0;
  for (const maps::SourceDiagnostic& one : diagnostics) {
    const std::string text = place + ", line " + std::to_string(one.line) + ": " + one.text;
    if (one.fault == maps::SourceFault::limit) return std::unexpected(failed({}, text, true));
    if (++said <= warnings_per_table_max) warnings_.push_back(text);
  }
  if (said > warnings_per_table_max)
    warnings_.push_back(place + ": and " + std::to_string(said - warnings_per_table_max) +
                        " more lines that say nothing; mapc " + spec.text() + " lists them");
  return made;
}

TableStore::MadeResult TableStore::read_system(const maps::TableSpec& spec,
                                               const std::string& path) {
  const auto facts = io::file_facts(path);
  const auto seen = facts ? std::optional(*facts) : std::nullopt;
  const auto entries = read_system_table(spec.name);
  if (!entries) return std::unexpected(failed(seen, entries.error(), false));
  if (const auto nsswitch = io::read_file("/etc/nsswitch.conf", limits::config_bytes_max)) {
    const std::string unlisted = unlisted_sources(as_text(nsswitch->buffer.bytes()), spec.name);
    if (!unlisted.empty())
      warnings_.push_back(spec.text() + ": accounts that " + unlisted +
                          " (/etc/nsswitch.conf) does not list are not found here: export them "
                          "and compile them: mapc --stdin hash:/path");
  }
  std::string all;
  for (const auto& [key, value] : *entries) all += value + "\n";
  auto built = build_in_memory(*entries);
  if (!built) return std::unexpected(failed(seen, built.error(), true));
  const uint64_t keys = built->table.key_count();
  return Made{maps::AnyTable(built->table), std::move(built->memory), seen,
              maps::checksum(as_bytes(all)), keys};
}

}  // namespace mx::policy
