// proto/smtp/data_scanner.h - finds the end of a message in the byte stream after DATA, and what in
// it is not clean CRLF text. Works in place on contiguous memory: the body stays where it was
// received.
//
// Only CR LF '.' CR LF ends data (RFC 5321 4.1.1.4; the first line counts as preceded by CR LF). A
// lone dot line with a bare LF on either side is content. The usual block has no event at all: it
// is checked 64 bytes at a time by a SIMD kernel chosen once (kernel_name()); see
// data_scanner_kernels.h.
//
// Invariant: if the owner stores the clean bytes and does what each event says, what it has stored
// holds no CR LF '.' CR LF before its end, and every CR in it is followed by LF and every LF
// preceded by CR. It does not depend on how the stream was cut into calls. NUL and bytes above 127
// are content like any other.
//
// Owner and threads: one session; the kernels have no state. Cost: one pass, 64 bytes in a few
// cycles; a line that begins with a dot costs no more; each event costs one return to the owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mx::smtp {

class DataScanner {
 public:
  enum class Event : uint8_t {
    more,         // nothing else can be said yet; see `taken`
    bare_lf,      // store CR LF in place of this LF (or refuse)
    bare_cr,      // store a space in place of this CR
    lone_dot,     // the dot of a lone-dot line that ends nothing: store nothing in place of it
    end,          // the five bytes are complete; the body ended before the dot
    leading_dot,  // only of ChunkScanner: store two dots in place of this one
  };
  struct Step {
    size_t clean;  // bytes at the front of `in` that are body as they stand
    size_t taken;  // bytes of `in` dealt with: clean plus the bytes of the event. Bytes from
                   // `taken` on (on Event::more at most untaken_bytes_max: a CR, a dot at line
                   // start, or "." CR) must be given again, followed by what comes after them.
    Event event;
  };
  static constexpr size_t untaken_bytes_max = 2;

  // REQUIRES: the last Step was not Event::end, or reset() since.
  Step scan(std::string_view in);

  // Dots at line starts that dot-stuffing added, so far: unstuffed size = stored bytes - this.
  uint64_t stuffed_dots() const { return stuffed_dots_; }
  void reset() { *this = DataScanner(); }

  // For tests and benchmarks: "scalar", "sse2", "avx2", "avx512"; force_kernel returns false when
  // unknown or unsupported here. Not thread safe against running scans.
  static std::string_view kernel_name();
  static bool force_kernel(std::string_view name);

 private:
  Step at_dot(std::string_view in, size_t at);

  bool line_start_ = true;      // the next byte begins a line
  bool after_bare_lf_ = false;  // … and that line follows a bare LF
  uint64_t stuffed_dots_ = 0;
};

}  // namespace mx::smtp
