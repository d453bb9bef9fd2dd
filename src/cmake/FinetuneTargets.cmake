# Functions that define a library, and what every target gets: warnings as errors, sanitizer, include roots.

# A second clone finds what the first compiled, whatever the machine's own settings: paths below the tree are hashed as
# relative ones; the precompiled header wants the sloppiness, and to be known as g++'s, since clang's holds the times of files.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(launcher "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${launcher} "${CCACHE_PROGRAM}")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND launcher CCACHE_COMPILERTYPE=gcc)
  endif()
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher} "${CCACHE_PROGRAM}")
endif()

add_library(finetune_options INTERFACE)
target_include_directories(finetune_options INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
  $<INSTALL_INTERFACE:include/finetune>)
target_compile_features(finetune_options INTERFACE cxx_std_20)
target_compile_options(finetune_options INTERFACE
  $<BUILD_INTERFACE:$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wno-missing-field-initializers;-Werror>>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")  # false positives on std::string in gcc 12 (its bug 105651)
  target_compile_options(finetune_options INTERFACE $<BUILD_INTERFACE:$<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>>)
endif()

if(FINETUNE_SANITIZE)
  if(NOT FINETUNE_SANITIZE MATCHES "^(address|thread)$")
    message(FATAL_ERROR "FINETUNE_SANITIZE must be address or thread, not '${FINETUNE_SANITIZE}'")
  endif()
  # What a sanitizer adds makes gcc's flow analysis see variables that nobody set (its manual, -fsanitize).
  set(flags -fsanitize=${FINETUNE_SANITIZE} -fno-omit-frame-pointer -g1 -Wno-maybe-uninitialized)
  string(APPEND CMAKE_CXX_FLAGS " -O1")  # before a target's own
  if(FINETUNE_SANITIZE STREQUAL "address")  # the checks left out double the time to compile, and ASan sees what they see
    list(APPEND flags -fsanitize=undefined -fno-sanitize=null,object-size,vptr)
  endif()
  target_compile_options(finetune_options INTERFACE $<BUILD_INTERFACE:${flags}>)
  target_link_options(finetune_options INTERFACE $<BUILD_INTERFACE:${flags}>)
endif()

# finetune_library(NAME SOURCES a.cpp ... LINK other targets ...): a static library named finetune_NAME.
set_property(GLOBAL PROPERTY FINETUNE_LIBRARIES finetune_options)
function(finetune_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(finetune_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(finetune_${name} PUBLIC finetune_options ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK})
  set_property(GLOBAL APPEND PROPERTY FINETUNE_LIBRARIES finetune_${name})
endfunction()

# finetune_torch_library: the same with LibTorch and the shared precompiled header.
function(finetune_torch_library name)
  finetune_library(${name} ${ARGN})
  target_link_libraries(finetune_${name} PUBLIC LibTorch::torch)
  finetune_precompile_torch(finetune_${name})
endfunction()

function(finetune_precompile_torch target)
  finetune_precompile(${target} torch_pch HEADERS <ATen/ATen.h> <ATen/Parallel.h> <vector> <string> <span> LINK LibTorch::torch)
endfunction()

# finetune_precompile(TARGET NAME HEADERS ... LINK ... OPTIONS ...): the target reads the precompiled header finetune_NAME,
# which the first call makes. A precompiled header wants the same flags wherever it is read: -fPIC in programs too.
function(finetune_precompile target name)
  cmake_parse_arguments(ARG "" "" "HEADERS;LINK;OPTIONS" ${ARGN})
  if(NOT TARGET finetune_${name})
    file(WRITE "${PROJECT_BINARY_DIR}/${name}.cpp" "// Owner of the precompiled header.\n")
    add_library(finetune_${name} OBJECT "${PROJECT_BINARY_DIR}/${name}.cpp")
    target_link_libraries(finetune_${name} PRIVATE finetune_options ${ARG_LINK})
    target_compile_options(finetune_${name} PRIVATE ${ARG_OPTIONS})
    target_precompile_headers(finetune_${name} PRIVATE ${ARG_HEADERS})
  endif()
  target_compile_options(${target} PRIVATE -fPIC ${ARG_OPTIONS})
  target_precompile_headers(${target} REUSE_FROM finetune_${name})
endfunction()

# Seconds after which a test counts as hung: far above what any takes, so that none fails on a slow machine.
set(FINETUNE_TEST_TIMEOUT 1800)
add_custom_target(fast_tests)  # what `test.sh fast` builds

# finetune_test(NAME LABEL fast|torch|gpu|slow SOURCES ... LINK ...): a GoogleTest program named test_NAME.
function(finetune_test name)
  cmake_parse_arguments(ARG "TORCH" "LABEL" "SOURCES;LINK" ${ARGN})
  add_executable(test_${name} ${ARG_SOURCES})
  target_link_libraries(test_${name} PRIVATE finetune_options ${ARG_LINK} finetune_test_places GTest::gtest GTest::gtest_main)
  target_include_directories(test_${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  set_target_properties(test_${name} PROPERTIES UNITY_BUILD OFF)  # tests share names of cases and fixtures
  # Half of building everything is building tests, whose own code need not be fast; with sanitizers it takes twice as long.
  set(speed -O1)
  if(FINETUNE_SANITIZE)
    set(speed -O0)
  endif()
  set(headers <gtest/gtest.h> <nlohmann/json.hpp> <filesystem> <functional> <map> <string> <vector>)
  if(ARG_TORCH)
    target_link_libraries(test_${name} PRIVATE LibTorch::torch)
    finetune_precompile(test_${name} torch_test_pch HEADERS <ATen/ATen.h> <ATen/Parallel.h> ${headers}
      LINK LibTorch::torch GTest::gtest OPTIONS ${speed})
  else()
    finetune_precompile(test_${name} test_pch HEADERS ${headers} LINK GTest::gtest OPTIONS ${speed})
  endif()
  if(ARG_LABEL STREQUAL "fast")
    add_dependencies(fast_tests test_${name})
  endif()
  add_test(NAME ${name} COMMAND test_${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${FINETUNE_TEST_TIMEOUT})
endfunction()
