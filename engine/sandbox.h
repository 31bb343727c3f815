// engine/sandbox.h - after the start: a seccomp filter for the whole process, with the system calls
// that a running ringmx has use for.
//
// A call that is not listed fails with EPERM and is logged by the kernel (audit): a C library or a
// name service that calls something new must not end a mail server. Calls by which an attacker
// would take over the process or the machine (execve, ptrace, setuid, mount, bpf, another io_uring,
// …) end the process at once. What is asked of an io_uring is limited by the ring itself
// (io/ring.h). Processor: x86-64 and aarch64; the numbers of other tables (32-bit) end the process.
//
// Threads: enter_sandbox() from any, once, when all threads are there; it holds for all of them.
#pragma once

#include <string>

namespace mx {

// AddressSanitizer and ThreadSanitizer need more than a sandbox gives.
bool built_with_sanitizers();

// Empty: in force. Else why not ("off: …"); the process goes on without, and the caller says so.
std::string enter_sandbox();

}  // namespace mx
