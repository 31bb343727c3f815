# One helper for each kind of target. Sources are found by glob, so that adding a file is one step.

# A layer: mx_library(mx_maps DEPENDS mx_base xxhash); its files are those of FOLDERS (this one), WITHOUT some,
# or SOURCES. No exceptions or RTTI below the tools.
function(mx_library name)
  cmake_parse_arguments(ARG "EXCEPTIONS" "" "DEPENDS;FOLDERS;SOURCES;WITHOUT" ${ARGN})
  if(NOT ARG_FOLDERS AND NOT ARG_SOURCES)
    set(ARG_FOLDERS .)
  endif()
  set(sources ${ARG_SOURCES})
  foreach(folder IN LISTS ARG_FOLDERS)
    file(GLOB found CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cc
                                      ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.h)
    list(APPEND sources ${found})
  endforeach()
  foreach(name_left_out IN LISTS ARG_WITHOUT)
    list(FILTER sources EXCLUDE REGEX "/${name_left_out}$")
  endforeach()
  if(NOT sources)  # a layer that has its place but nothing in it yet
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE ${ARG_DEPENDS})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_DEPENDS} PRIVATE mx_warnings)
  if(NOT ARG_EXCEPTIONS)
    target_compile_options(${name} PRIVATE -fno-exceptions -fno-rtti)
  endif()
endfunction()

# A program of tools/: one main file. jemalloc is linked here and nowhere else.
function(mx_tool name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  add_executable(${name} ${name}.cc)
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} mx_warnings)
  target_compile_definitions(${name} PRIVATE RINGMX_VERSION="${PROJECT_VERSION}")
  if(NOT RINGMX_SANITIZE AND NOT RINGMX_FUZZ)
    target_link_libraries(${name} PRIVATE mx_jemalloc)
    target_compile_definitions(${name} PRIVATE RINGMX_JEMALLOC)
  endif()
endfunction()

# All unit tests of a folder in one GoogleTest program: mx_unit_tests(maps DEPENDS mx_maps).
function(mx_unit_tests folder)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*_test.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(unit_${folder} ${sources})
  target_link_libraries(unit_${folder} PRIVATE ${ARG_DEPENDS} mx_test_support mx_warnings
                        GTest::gtest GTest::gtest_main)
  add_test(NAME unit_${folder} COMMAND unit_${folder} --gtest_brief=1)
  set_tests_properties(unit_${folder} PROPERTIES LABELS unit TIMEOUT 600)
endfunction()

# A fuzz target: <layer>_<what>_fuzz.cc with LLVMFuzzerTestOneInput, corpus in corpus/<layer>_<what>.
# Under the fuzz preset it is a libFuzzer program; elsewhere it replays its corpus as a test.
function(mx_fuzz name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  add_executable(${name}_fuzz ${name}_fuzz.cc)
  target_link_libraries(${name}_fuzz PRIVATE ${ARG_DEPENDS} mx_warnings)
  if(RINGMX_FUZZ)
    target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${name}_fuzz PRIVATE replay_main.cc)
    add_test(NAME fuzz_${name} COMMAND ${name}_fuzz ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
    set_tests_properties(fuzz_${name} PROPERTIES LABELS fuzz TIMEOUT 120)
  endif()
endfunction()
