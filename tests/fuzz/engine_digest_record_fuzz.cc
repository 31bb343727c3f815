// The record of digests: what is read is what would be written, whatever the file held.
#include <cstddef>
#include <cstdint>

#include "engine/shard/digest_record.h"
#include "proto/base/assert.h"
#include "proto/base/limits.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto record = mx::shard::parse_digest_record({reinterpret_cast<const char*>(data), size});
  if (!record) return 0;
  MX_ASSERT(record->told.size() <= mx::limits::digest_remembered_max);
  const auto again = mx::shard::parse_digest_record(to_text(*record));
  MX_ASSERT(again && again->last_seconds == record->last_seconds && again->told == record->told);
  return 0;
}
