// tools/mapc/table_run.h - the tables that one run writes, made visible together (protocol:
// maps/set_record.h, maps/README.md).
//
// add() writes PATH.phm.new-RUN, synced. commit() writes the set record (the one moment in which
// all of them become the tables) and renames them. A run that ends without commit() leaves nothing.
// A run that was killed after its record is finished by the next one, in begin(). One table alone
// needs no record: its rename is atomic. Runs exclude each other by a lock in the configuration
// directory; where that directory is missing or belongs to somebody else there is neither lock nor
// record, and tables become visible one by one (said once).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "engine/io/fd.h"
#include "engine/io/file.h"
#include "maps/set_record.h"
#include "proto/base/bytes.h"
#include "tools/mapc/message.h"

namespace mx::mapc {

// DIR/tables.set; an empty record where there is none. One that can't be read as a record is said
// and counts as empty.
Result<maps::SetRecord> read_set_record(const std::string& directory);

class TableRun {
 public:
  // `compiled_paths`: PATH.phm of every table that the run is going to write.
  TableRun(std::string directory, std::vector<std::string> compiled_paths);
  ~TableRun();
  TableRun(const TableRun&) = delete;
  TableRun& operator=(const TableRun&) = delete;

  // Takes the lock, finishes a committed run, removes what killed runs left of our tables.
  Result<> begin();
  // `like`: whose permissions, and as root whose owner, the file gets.
  Result<> add(const std::string& compiled_path, Bytes content, const io::FileFacts& like);
  Result<> commit();

 private:
  bool is_ours(const std::string& path) const;
  Result<> take_lock();
  Result<> finish_committed();
  void remove_left_overs() const;
  Result<bool> write_record();
  Result<> rename_all();

  std::string directory_;
  std::vector<std::string> paths_;
  uint64_t run_;
  io::Fd lock_;
  std::vector<std::string> added_;  // written as PATH.phm.new-RUN and not renamed yet
  bool committed_ = false;
};

}  // namespace mx::mapc
