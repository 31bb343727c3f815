// engine/config/host_facts.h - what a configuration takes from the machine: the defaults of
// myhostname, mynetworks and ringmx_shards. read_host_facts() is the only function of this folder
// that asks the system; tests give a HostFacts of their own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/config/settings.h"

namespace mx::config {

struct InterfaceAddress {
  IpAddress address;
  uint8_t prefix_length = 0;
  bool loopback = false;
};

struct HostFacts {
  std::string hostname = "localhost";        // gethostname()
  std::vector<InterfaceAddress> interfaces;  // that are up, in the kernel's order
  uint32_t cores = 1;                        // this process may run on
};

HostFacts read_host_facts();

}  // namespace mx::config
