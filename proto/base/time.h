// proto/base/time.h - time as a value. Nothing below the engine reads a clock; time comes in as a
// parameter.
//
// Instant is monotonic (microseconds since an arbitrary start; never goes back, not comparable
// between boots). WallTime is Unix time in microseconds; it may jump, so it is used only for what
// people and other systems read, and for what must survive a restart (a queue's next-attempt time).
#pragma once

#include <compare>
#include <cstdint>

namespace mx {

struct Duration {
  int64_t us = 0;
  constexpr auto operator<=>(const Duration&) const = default;
  constexpr Duration operator+(Duration other) const { return {us + other.us}; }
  constexpr Duration operator-(Duration other) const { return {us - other.us}; }
  constexpr Duration operator*(int64_t factor) const { return {us * factor}; }
  constexpr double seconds() const { return static_cast<double>(us) / 1e6; }
};
constexpr Duration microseconds(int64_t n) {
  return {n};
}
constexpr Duration milliseconds(int64_t n) {
  return {n * 1000};
}
constexpr Duration seconds(int64_t n) {
  return {n * 1'000'000};
}

struct Instant {
  int64_t us = 0;
  constexpr auto operator<=>(const Instant&) const = default;
  constexpr Instant operator+(Duration d) const { return {us + d.us}; }
  constexpr Instant operator-(Duration d) const { return {us - d.us}; }
  constexpr Duration operator-(Instant other) const { return {us - other.us}; }
};

struct WallTime {
  int64_t us = 0;
  constexpr auto operator<=>(const WallTime&) const = default;
  constexpr WallTime operator+(Duration d) const { return {us + d.us}; }
  constexpr Duration operator-(WallTime other) const { return {us - other.us}; }
  constexpr int64_t seconds() const { return us / 1'000'000; }
};

}  // namespace mx
