// bench/rivals/contender.h - one way to keep a constant set of (key, value) and find one of them,
// as maps_rivals measures it. Keys and values live in one Pairs; a contender copies what it needs,
// as a program that reads its file would have it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mx::bench {

// Strings one after the other in one block, so that reading them in order misses no cache.
class Strings {
 public:
  void add(std::string_view text) {
    starts_.push_back(text_.size());
    text_.append(text);
  }
  size_t size() const { return starts_.size(); }
  std::string_view operator[](size_t i) const {
    const size_t end = i + 1 < starts_.size() ? starts_[i + 1] : text_.size();
    return std::string_view(text_).substr(starts_[i], end - starts_[i]);
  }

 private:
  std::string text_;
  std::vector<uint64_t> starts_;
};

struct Pairs {
  Strings keys, values;  // keys differ; both have at least one byte
};

class Contender {
 public:
  virtual ~Contender() = default;
  virtual std::string name() const = 0;
  // `folder` for those that need a file. Called once.
  virtual void build(const Pairs& pairs, const std::string& folder) = 0;
  // Bytes of what look-ups read: the file, or the memory.
  virtual uint64_t bytes() const = 0;
  // The value; data() is nullptr when the key is absent.
  virtual std::string_view find(std::string_view key) const = 0;
  // One after the other, unless it knows better.
  virtual void find_batch(std::span<const std::string_view> keys,
                          std::span<std::string_view> values) const {
    for (size_t i = 0; i < keys.size(); ++i) values[i] = find(keys[i]);
  }
};

// The table of maps/, built on all cores as mapc does; `addresses` are what a look-up of it
// touches, for the bare memory figure.
struct Touched {
  const std::byte* pilot = nullptr;
  const std::byte* slot = nullptr;
  const std::byte* pair = nullptr;  // nullptr: absent, nothing is read after the slot
};
class TableContender : public Contender {
 public:
  virtual Touched touched(std::string_view key) const = 0;
};

std::unique_ptr<TableContender> make_table(size_t threads);
std::unique_ptr<Contender> make_plain();
std::unique_ptr<Contender> make_lmdb();
std::unique_ptr<Contender> make_cdb();
std::unique_ptr<Contender> make_cmph();

}  // namespace mx::bench
