#include "tools/mxq/interrupt.h"

#include <csignal>
#include <initializer_list>

namespace mx::mxq {
namespace {

volatile std::sig_atomic_t count = 0;

void on_interrupt(int) {
  if (count < 100) count = count + 1;
}

}  // namespace

void count_interrupts() {
  struct sigaction action{};
  action.sa_handler = on_interrupt;
  for (const int signal : {SIGHUP, SIGINT, SIGTERM}) {
    struct sigaction before{};
    ::sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) ::sigaction(signal, &action, nullptr);
  }
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, nullptr);
}

int interrupts() {
  return count;
}

}  // namespace mx::mxq
