// The SIMD kernels of the DATA scanner for x86-64. Each function carries its own target attribute,
// so the file needs no compiler flags and nothing else can be compiled for a CPU that is not there.
// The loops look alike on purpose: a template over the mask functions could not be inlined across
// target attributes.
#include "proto/smtp/data_scanner_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <bit>
#include <cstring>

namespace mx::smtp {
namespace {

constexpr size_t block_bytes = 64;
constexpr int no_stop = 64;

struct Masks {  // bit i is about byte i of the block
  uint64_t cr, lf, dot;
};

struct Carry {  // from one block to the next
  explicit Carry(bool begins_line) : line_start(begins_line ? 1 : 0) {}
  uint64_t cr = 0;      // 1: the last byte was a CR
  uint64_t line_start;  // 1: the next byte begins a line
  uint64_t stuffed = 0;
};

// Index in the block of the first byte that needs a decision, -1 for the last byte of the block
// before, or no_stop. `last`: index of the block's last valid byte; masks have no bits above it.
[[gnu::always_inline]] inline int first_stop(const Masks& masks, size_t last, Carry& carry) {
  const uint64_t unpaired = masks.lf ^ (masks.cr << 1 | carry.cr);
  const uint64_t dots = masks.dot & (masks.lf << 1 | carry.line_start);
  carry.cr = masks.cr >> 63;
  carry.line_start = masks.lf >> 63;
  if ((unpaired | dots) == 0) [[likely]]
    return no_stop;

  const uint64_t next_known = (uint64_t{1} << last) - 1;
  const uint64_t stuffed = dots & ~((masks.cr | masks.lf) >> 1) & next_known;
  const uint64_t stops = unpaired | (dots & ~stuffed);
  const uint64_t before_stop = (stops & (0 - stops)) - 1;  // all ones when there is none
  carry.stuffed += static_cast<uint64_t>(std::popcount(stuffed & before_stop));
  if (stops == 0) return no_stop;
  const int at = std::countr_zero(stops);
  // An unpaired bit without its LF belongs to the CR one byte earlier.
  const bool bare_cr = (unpaired >> at & 1) != 0 && (masks.lf >> at & 1) == 0;
  return bare_cr ? at - 1 : at;
}

[[gnu::always_inline]] inline FoundStop stopped(size_t block, int stop, const Carry& carry) {
  return {block + static_cast<size_t>(stop + 1) - 1, carry.stuffed};
}

// Nothing stopped the scan; a CR that is the very last byte is still undecided.
[[gnu::always_inline]] inline FoundStop ran_out(size_t size, const Carry& carry) {
  return {size - carry.cr, carry.stuffed};
}

struct alignas(block_bytes) Tail {
  Tail(const char* from, size_t size) { std::memcpy(bytes, from, size); }
  char bytes[block_bytes] = {};
};

[[gnu::always_inline]] inline uint64_t equal_sse2(const char* block, char what) {
  const __m128i wanted = _mm_set1_epi8(what);
  uint64_t mask = 0;
  for (size_t i = 0; i < block_bytes; i += 16) {
    const auto* from = reinterpret_cast<const __m128i*>(block + i);
    const int bits = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128(from), wanted));
    mask |= uint64_t{static_cast<uint32_t>(bits)} << i;
  }
  return mask;
}

[[gnu::always_inline]] inline Masks masks_sse2(const char* block) {
  return {equal_sse2(block, '\r'), equal_sse2(block, '\n'), equal_sse2(block, '.')};
}

#define MX_TARGET_AVX2 gnu::target("avx2,bmi,popcnt")
#define MX_TARGET_AVX512 gnu::target("avx512bw,bmi,popcnt")

[[MX_TARGET_AVX2, gnu::always_inline]] inline uint64_t equal_avx2(__m256i low, __m256i high,
                                                                  char what) {
  const __m256i wanted = _mm256_set1_epi8(what);
  const int low_bits = _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, wanted));
  const int high_bits = _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, wanted));
  return uint64_t{static_cast<uint32_t>(low_bits)} | uint64_t{static_cast<uint32_t>(high_bits)}
                                                         << 32;
}

[[MX_TARGET_AVX2, gnu::always_inline]] inline Masks masks_avx2(const char* block) {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + 32));
  return {equal_avx2(low, high, '\r'), equal_avx2(low, high, '\n'), equal_avx2(low, high, '.')};
}

[[MX_TARGET_AVX512, gnu::always_inline]] inline Masks masks_avx512(__m512i block) {
  return {_mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8('\r')),
          _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8('\n')),
          _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8('.'))};
}

}  // namespace

FoundStop find_stop_sse2(const char* bytes, size_t size, bool line_start) {
  Carry carry(line_start);
  size_t at = 0;
  for (; size - at >= block_bytes; at += block_bytes) {
    const int stop = first_stop(masks_sse2(bytes + at), block_bytes - 1, carry);
    if (stop != no_stop) return stopped(at, stop, carry);
  }
  if (at == size) return ran_out(size, carry);
  const Tail tail(bytes + at, size - at);
  const int stop = first_stop(masks_sse2(tail.bytes), size - at - 1, carry);
  return stop != no_stop ? stopped(at, stop, carry) : ran_out(size, carry);
}

[[MX_TARGET_AVX2]] FoundStop find_stop_avx2(const char* bytes, size_t size, bool line_start) {
  Carry carry(line_start);
  size_t at = 0;
  for (; size - at >= block_bytes; at += block_bytes) {
    const int stop = first_stop(masks_avx2(bytes + at), block_bytes - 1, carry);
    if (stop != no_stop) return stopped(at, stop, carry);
  }
  if (at == size) return ran_out(size, carry);
  const Tail tail(bytes + at, size - at);
  const int stop = first_stop(masks_avx2(tail.bytes), size - at - 1, carry);
  return stop != no_stop ? stopped(at, stop, carry) : ran_out(size, carry);
}

[[MX_TARGET_AVX512]] FoundStop find_stop_avx512(const char* bytes, size_t size, bool line_start) {
  Carry carry(line_start);
  size_t at = 0;
  for (; size - at >= block_bytes; at += block_bytes) {
    const int stop =
        first_stop(masks_avx512(_mm512_loadu_si512(bytes + at)), block_bytes - 1, carry);
    if (stop != no_stop) return stopped(at, stop, carry);
  }
  if (at == size) return ran_out(size, carry);
  const __mmask64 valid = (uint64_t{1} << (size - at)) - 1;
  const Masks tail = masks_avx512(_mm512_maskz_loadu_epi8(valid, bytes + at));
  const int stop = first_stop(tail, size - at - 1, carry);
  return stop != no_stop ? stopped(at, stop, carry) : ran_out(size, carry);
}

}  // namespace mx::smtp

#endif
