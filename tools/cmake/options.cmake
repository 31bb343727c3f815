# Instrumentation only. Asserts stay on in every build (style: a wrong state must stop, not spread).
set(RINGMX_SANITIZE "" CACHE STRING "sanitizers for -fsanitize=, e.g. address,undefined")
option(RINGMX_FUZZ "build the fuzz targets with libFuzzer (clang only)" OFF)

if(RINGMX_SANITIZE)
  add_compile_options(-fsanitize=${RINGMX_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer -fno-optimize-sibling-calls)
  add_link_options(-fsanitize=${RINGMX_SANITIZE})
  # The vptr check reads type information that the libraries, built with -fno-rtti, do not have.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=vptr>)
endif()
if(RINGMX_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
