// engine/io/crash_point.h - named places at which a test has the process end as if by kill -9.
//
// The worst moments for a mail queue are a few instructions long, and a kill at random meets them
// seldom. RINGMX_CRASH_AT=NAME[:COUNT] in the environment at the start arms one of them: the
// process ends there, at the COUNTth passing (1), at once, with exit status 99 and without a word
// to anybody: no buffer is written out, nothing is closed in order. What was given to the kernel
// before is under way, as with a kill.
//
// Not armed it costs one comparison with a value that never changes after the start. Whoever can
// set the environment of ringmx can end it anyway; armed, it says so at the start.
//
// Threads: armed before the threads start; passed from any of them.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace mx::io {

class Ring;

enum class CrashPoint : uint8_t {
  none,
  segment_file_written,  // full of zeros, under its temporary name
  segment_file_renamed,  // the directory is not synced yet
  recovered,             // the queue is read, nothing is served yet
  // What the journal writes: given to the kernel, written, flushed.
  batch_submitted,
  batch_written,
  batch_flushed,
  marks_submitted,  // a batch with marks (what became of recipients)
  marks_written,
  marks_flushed,
  footer_submitted,
  footer_written,
  footer_flushed,
  header_submitted,
  header_written,
  header_flushed,
  grave_submitted,
  grave_written,
  grave_flushed,
  grave_copied,           // not flushed, by design
  before_250,             // a message is durable, its client not told
  after_250,              // the 250 has gone out, delivery has not begun
  delivered_before_mark,  // the backend's 250 is here, nothing notes it
  notice_committed,       // a bounce is durable, its cause not marked
  shutdown_drain,         // a turn of an orderly end
  end
};

namespace detail {
extern CrashPoint armed;
void passed(CrashPoint at, Ring* submit);
}  // namespace detail

// Before any thread starts. An empty text arms nothing. The error names what is known.
std::expected<void, std::string> arm_crash_point(std::string_view text);
std::string_view name_of(CrashPoint at);
inline CrashPoint armed_crash_point() {
  return detail::armed;
}
inline bool crash_armed(CrashPoint at) {
  return detail::armed == at;
}

inline void crash_point(CrashPoint at) {
  if (crash_armed(at)) [[unlikely]]
    detail::passed(at, nullptr);
}
// The same, after what was prepared on the ring has gone to the kernel.
inline void crash_point(CrashPoint at, Ring& submit) {
  if (crash_armed(at)) [[unlikely]]
    detail::passed(at, &submit);
}

}  // namespace mx::io
