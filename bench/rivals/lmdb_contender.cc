// LMDB 0.9: keys appended in order, which is its fastest way to be filled, without syncs; look-ups
// in one read transaction that stays open.
#include <lmdb.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "bench/rivals/contender.h"
#include "proto/base/assert.h"

namespace mx::bench {
namespace {

MDB_val value_of(std::string_view text) {
  return {text.size(), const_cast<char*>(text.data())};
}

void must(int code) {
  MX_ASSERT(code == 0);
}

class Lmdb final : public Contender {
 public:
  ~Lmdb() override {
    if (transaction_ != nullptr) mdb_txn_abort(transaction_);
    if (environment_ != nullptr) mdb_env_close(environment_);
  }

  std::string name() const override { return "LMDB"; }

  void build(const Pairs& pairs, const std::string& folder) override {
    const std::string path = folder + "/lmdb";
    std::filesystem::remove(path);
    must(mdb_env_create(&environment_));
    must(mdb_env_set_mapsize(environment_, 64UL << 20 | pairs.keys.size() * 512));
    must(mdb_env_open(environment_, path.c_str(),
                      MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOLOCK | MDB_NORDAHEAD, 0600));
    std::vector<uint32_t> order(pairs.keys.size());
    std::iota(order.begin(), order.end(), 0U);
    std::sort(order.begin(), order.end(),
              [&](uint32_t a, uint32_t b) { return pairs.keys[a] < pairs.keys[b]; });
    MDB_txn* writing = nullptr;
    must(mdb_txn_begin(environment_, nullptr, 0, &writing));
    must(mdb_dbi_open(writing, nullptr, 0, &database_));
    for (const uint32_t i : order) {
      MDB_val key = value_of(pairs.keys[i]), value = value_of(pairs.values[i]);
      must(mdb_put(writing, database_, &key, &value, MDB_APPEND));
    }
    must(mdb_txn_commit(writing));
    must(mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &transaction_));
    bytes_ = std::filesystem::file_size(path);
  }

  uint64_t bytes() const override { return bytes_; }

  std::string_view find(std::string_view text) const override {
    MDB_val key = value_of(text), value{};
    if (mdb_get(transaction_, database_, &key, &value) != 0) return {};
    return {static_cast<const char*>(value.mv_data), value.mv_size};
  }

 private:
  MDB_env* environment_ = nullptr;
  MDB_txn* transaction_ = nullptr;
  MDB_dbi database_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace

std::unique_ptr<Contender> make_lmdb() {
  return std::make_unique<Lmdb>();
}

}  // namespace mx::bench
