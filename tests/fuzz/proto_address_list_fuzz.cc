// An address list of any bytes: it ends, no address is empty, and all of them together are no
// longer than the list.
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/assert.h"
#include "proto/mail/address_list.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mx::mail::AddressList list({reinterpret_cast<const char*>(data), size});
  std::string address;
  size_t total = 0;
  while (list.next(address)) {
    MX_ASSERT(!address.empty());
    total += address.size();
    MX_ASSERT(total <= size);
  }
  return 0;
}
