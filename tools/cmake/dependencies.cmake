# What comes from Debian. tools/setup installs it; the folders' READMEs say why each one.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(liburing REQUIRED IMPORTED_TARGET liburing)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(libidn2 REQUIRED IMPORTED_TARGET libidn2)
pkg_check_modules(jemalloc REQUIRED IMPORTED_TARGET jemalloc)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)

add_library(mx_xxhash INTERFACE)
target_link_libraries(mx_xxhash INTERFACE PkgConfig::xxhash)
add_library(mx_pcre2 INTERFACE)
target_link_libraries(mx_pcre2 INTERFACE PkgConfig::pcre2)
add_library(mx_idn2 INTERFACE)
target_link_libraries(mx_idn2 INTERFACE PkgConfig::libidn2)
add_library(mx_liburing INTERFACE)
target_link_libraries(mx_liburing INTERFACE PkgConfig::liburing)
add_library(mx_jemalloc INTERFACE)
target_link_libraries(mx_jemalloc INTERFACE PkgConfig::jemalloc)

# What Debian 12 has too old, from source. The script fetches and builds it when it is not there yet,
# with this preset's compiler and sanitizers.
execute_process(
  COMMAND ${CMAKE_SOURCE_DIR}/tools/libraries --compiler ${CMAKE_C_COMPILER} --sanitize "${RINGMX_SANITIZE}"
  OUTPUT_VARIABLE RINGMX_LIBRARIES OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/libraries)
add_library(mx_cares INTERFACE)
target_include_directories(mx_cares SYSTEM INTERFACE ${RINGMX_LIBRARIES}/include)
target_link_libraries(mx_cares INTERFACE ${RINGMX_LIBRARIES}/lib/libcares.a)
