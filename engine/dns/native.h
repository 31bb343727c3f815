// engine/dns/native.h - addresses by the system's own means (getaddrinfo: /etc/hosts, nsswitch).
#pragma once

#include "engine/dns/answer.h"

namespace mx::dns {

// A or AAAA; blocking, and nobody can say for how long. TTLs are not known there: a minute.
Answer ask_system(const Question& question);

}  // namespace mx::dns
