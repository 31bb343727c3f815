// engine/dns/wire_type.h - a record type as c-ares names it. Private to this folder.
#pragma once

#include <ares.h>

#include "engine/dns/answer.h"
#include "proto/base/assert.h"

namespace mx::dns {

inline ares_dns_rec_type_t wire_type(Type type) {
  switch (type) {
    case Type::a:
      return ARES_REC_TYPE_A;
    case Type::aaaa:
      return ARES_REC_TYPE_AAAA;
    case Type::mx:
      return ARES_REC_TYPE_MX;
  }
  MX_ASSERT(false);
}

}  // namespace mx::dns
