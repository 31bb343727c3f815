# Warnings for our own targets only; each is there because it found, or would have found, a real defect.
add_library(mx_warnings INTERFACE)
target_compile_options(mx_warnings INTERFACE
  -Wall -Wextra -Wpedantic
  -Wshadow                # a shadowed length or offset is the classic parser bug
  -Wconversion            # record formats: no silent narrowing
  -Wsign-conversion
  -Wold-style-cast
  -Wcast-align
  -Wnon-virtual-dtor
  -Woverloaded-virtual
  -Wformat=2
  -Wswitch-enum           # a new enumerator must be met everywhere
  -Wundef)
if(NOT RINGMX_SANITIZE)   # GCC 12 gives false positives under the sanitizers
  target_compile_options(mx_warnings INTERFACE -Werror)
endif()
