// cmph's CHD: a minimal perfect hash function only, so what makes it an exact table is added here:
// an array of places by hash value, and the pairs.
#include <cmph.h>

#include <cstdio>
#include <cstring>

#include "bench/rivals/contender.h"
#include "engine/io/file.h"
#include "proto/base/assert.h"

namespace mx::bench {
namespace {

class Chd final : public Contender {
 public:
  ~Chd() override {
    if (function_ != nullptr) cmph_destroy(function_);
  }

  std::string name() const override { return "cmph CHD"; }

  void build(const Pairs& pairs, const std::string&) override {
    std::vector<std::string> texts;  // it wants them with a NUL at the end
    std::vector<char*> keys;
    uint64_t blob_bytes = 0;
    texts.reserve(pairs.keys.size());
    for (size_t i = 0; i < pairs.keys.size(); ++i) {
      texts.emplace_back(pairs.keys[i]);
      keys.push_back(texts.back().data());
      blob_bytes += pairs.keys[i].size() + pairs.values[i].size();
    }
    cmph_io_adapter_t* const source =
        cmph_io_vector_adapter(keys.data(), static_cast<cmph_uint32>(keys.size()));
    cmph_config_t* const config = cmph_config_new(source);
    cmph_config_set_algo(config, CMPH_CHD);
    cmph_config_set_graphsize(config, 1.01);
    function_ = cmph_new(config);
    MX_ASSERT(function_ != nullptr);
    cmph_config_destroy(config);
    cmph_io_vector_adapter_destroy(source);
    packed_.resize(cmph_packed_size(function_));
    cmph_pack(function_, packed_.data());
    places_ = io::AlignedBuffer(cmph_size(function_) * sizeof(Place));
    blob_ = io::AlignedBuffer(blob_bytes);
    fill(pairs);
  }

  uint64_t bytes() const override { return packed_.size() + places_.size() + blob_.size(); }

  std::string_view find(std::string_view key) const override {
    const cmph_uint32 index = cmph_search_packed(const_cast<char*>(packed_.data()), key.data(),
                                                 static_cast<cmph_uint32>(key.size()));
    if (index >= places_.size() / sizeof(Place)) return {};
    const Place& place = reinterpret_cast<const Place*>(places_.bytes().data())[index];
    const char* const pair = reinterpret_cast<const char*>(blob_.bytes().data()) + place.offset;
    if (std::string_view(pair, place.key_size) != key) return {};
    return {pair + place.key_size, place.value_size};
  }

 private:
  struct Place {
    uint64_t offset;
    uint32_t key_size, value_size;
  };

  void fill(const Pairs& pairs) {
    auto* const places = reinterpret_cast<Place*>(places_.data());
    uint64_t at = 0;
    for (size_t i = 0; i < pairs.keys.size(); ++i) {
      const std::string_view key = pairs.keys[i], value = pairs.values[i];
      const cmph_uint32 index =
          cmph_search_packed(packed_.data(), key.data(), static_cast<cmph_uint32>(key.size()));
      places[index] = {at, static_cast<uint32_t>(key.size()), static_cast<uint32_t>(value.size())};
      std::memcpy(blob_.data() + at, key.data(), key.size());
      std::memcpy(blob_.data() + at + key.size(), value.data(), value.size());
      at += key.size() + value.size();
    }
  }

  cmph_t* function_ = nullptr;
  std::vector<char> packed_;
  io::AlignedBuffer places_, blob_;
};

}  // namespace

std::unique_ptr<Contender> make_cmph() {
  return std::make_unique<Chd>();
}

}  // namespace mx::bench
