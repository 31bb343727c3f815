// tinycdb: D. J. Bernstein's constant database, as Postfix's cdb: reads it, through mmap.
#include <cdb.h>
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "bench/rivals/contender.h"
#include "proto/base/assert.h"

namespace mx::bench {
namespace {

class TinyCdb final : public Contender {
 public:
  ~TinyCdb() override {
    if (fd_ < 0) return;
    cdb_free(&cdb_);
    ::close(fd_);
  }

  std::string name() const override { return "tinycdb"; }

  void build(const Pairs& pairs, const std::string& folder) override {
    const std::string path = folder + "/cdb";
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MX_ASSERT(fd_ >= 0);
    cdb_make maker;
    MX_ASSERT(cdb_make_start(&maker, fd_) == 0);
    for (size_t i = 0; i < pairs.keys.size(); ++i) {
      const std::string_view key = pairs.keys[i], value = pairs.values[i];
      MX_ASSERT(cdb_make_add(&maker, key.data(), static_cast<unsigned>(key.size()), value.data(),
                             static_cast<unsigned>(value.size())) == 0);
    }
    MX_ASSERT(cdb_make_finish(&maker) == 0);
    MX_ASSERT(cdb_init(&cdb_, fd_) == 0);
    bytes_ = std::filesystem::file_size(path);
  }

  uint64_t bytes() const override { return bytes_; }

  std::string_view find(std::string_view key) const override {
    if (cdb_find(&cdb_, key.data(), static_cast<unsigned>(key.size())) <= 0) return {};
    const void* const value = cdb_getdata(&cdb_);
    return {static_cast<const char*>(value), cdb_datalen(&cdb_)};
  }

 private:
  mutable cdb cdb_{};
  int fd_ = -1;
  uint64_t bytes_ = 0;
};

}  // namespace

std::unique_ptr<Contender> make_cdb() {
  return std::make_unique<TinyCdb>();
}

}  // namespace mx::bench
