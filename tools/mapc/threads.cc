#include "tools/mapc/threads.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace mx::mapc {

namespace {

constexpr size_t threads_max = 16;  // memory: 20 MiB each

}  // namespace

void run_on_all_cores(size_t count, const maps::Task& task) {
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next++; i < count; i = next++) task(i);
  };
  const size_t wanted = std::min<size_t>({count, threads_max, std::thread::hardware_concurrency()});
  std::vector<std::jthread> others;
  for (size_t i = 1; i < wanted; ++i) others.emplace_back(work);
  work();
}

}  // namespace mx::mapc
