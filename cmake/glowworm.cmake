# The few functions the rooms' CMakeLists share.

set(GLOWWORM_WARNINGS -Wall -Wextra -Wpedantic -Wvla -Wshadow $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>)
if(GLOWWORM_WERROR)
  list(APPEND GLOWWORM_WARNINGS -Werror)
endif()

function(glowworm_compile target)
  target_compile_options(${target} PRIVATE ${GLOWWORM_WARNINGS} -ffp-contract=off -fno-math-errno)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  # Activations become NaN when they die (trainer/supernet/poison.h): where mistakes are looked for, not where people train.
  target_compile_definitions(${target} PRIVATE $<$<CONFIG:Debug>:GLOWWORM_POISON>)
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  if(GLOWWORM_SANITIZE)
    target_compile_definitions(${target} PRIVATE GLOWWORM_POISON)
    target_compile_options(${target} PUBLIC -fsanitize=${GLOWWORM_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${GLOWWORM_SANITIZE})
  endif()
endfunction()

# glowworm_room(name SOURCES a.c b.c LINK libs...): a static library "gw_<name>".
function(glowworm_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LINK" ${ARGN})
  add_library(gw_${name} STATIC ${ROOM_SOURCES})
  glowworm_compile(gw_${name})
  target_link_libraries(gw_${name} PUBLIC ${ROOM_LINK})
endfunction()

# glowworm_module(kind name SOURCES a.c LINK libs... [FOLDER folder]): the shared object glowworm-<kind>-<name>.so, which a
# program loads (base/module.h). It is installed unless a folder of its own is named, which only tests do.
set(GLOWWORM_MODULES_FOLDER lib/glowworm)
function(glowworm_module kind name)
  cmake_parse_arguments(MODULE "" "FOLDER" "SOURCES;LINK" ${ARGN})
  set(module glowworm-${kind}-${name})
  add_library(${module} MODULE ${MODULE_SOURCES})
  glowworm_compile(${module})
  target_link_libraries(${module} PRIVATE ${MODULE_LINK})
  set_target_properties(${module} PROPERTIES PREFIX "" C_VISIBILITY_PRESET hidden
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/${GLOWWORM_MODULES_FOLDER})
  if(MODULE_FOLDER)
    set_target_properties(${module} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${MODULE_FOLDER})
  else()
    install(TARGETS ${module} LIBRARY DESTINATION ${GLOWWORM_MODULES_FOLDER} COMPONENT ${kind})
  endif()
endfunction()

# glowworm_device(name ...): a module that is a device (kernels/device_module.h).
function(glowworm_device name)
  glowworm_module(device ${name} ${ARGN})
endfunction()

# glowworm_protobuf(target file.proto): generated code is compiled without our warnings.
function(glowworm_protobuf target proto)
  get_filename_component(stem ${proto} NAME_WE)
  get_filename_component(folder ${proto} DIRECTORY)
  file(RELATIVE_PATH where ${CMAKE_SOURCE_DIR} ${folder})
  set(out ${CMAKE_BINARY_DIR}/${where})
  file(MAKE_DIRECTORY ${out})
  add_custom_command(OUTPUT ${out}/${stem}.pb-c.c ${out}/${stem}.pb-c.h
    COMMAND protoc-c --c_out=${out} --proto_path=${folder} ${stem}.proto
    DEPENDS ${proto} VERBATIM)
  add_library(${target} STATIC ${out}/${stem}.pb-c.c ${out}/${stem}.pb-c.h)
  target_include_directories(${target} PUBLIC ${CMAKE_BINARY_DIR} PRIVATE ${out})
  pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
  target_link_libraries(${target} PUBLIC PkgConfig::PROTOBUF_C)
  if(GLOWWORM_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=${GLOWWORM_SANITIZE})
  endif()
endfunction()

# glowworm_test(name SOURCES test_x.c LINK gw_base ... [LABELS quick|full] [TIMEOUT seconds]): a cmocka program under
# CTest. quick (the default) runs always, full only with tests/run.sh --all.
function(glowworm_test name)
  cmake_parse_arguments(TEST "" "LABELS;TIMEOUT" "SOURCES;LINK" ${ARGN})
  if(NOT TEST_LABELS)
    set(TEST_LABELS quick)
  endif()
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 120)
  endif()
  if(GLOWWORM_SANITIZE)
    math(EXPR TEST_TIMEOUT "5 * ${TEST_TIMEOUT}")
  endif()
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
  add_executable(test_${name} ${TEST_SOURCES})
  glowworm_compile(test_${name})
  target_link_libraries(test_${name} PRIVATE ${TEST_LINK} PkgConfig::CMOCKA m)
  add_test(NAME ${name} COMMAND test_${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS ${TEST_LABELS} TIMEOUT ${TEST_TIMEOUT})
endfunction()

# glowworm_on(device ending test...): these tests of the same folder once more as <test>_<ending>.
set(GLOWWORM_TEST_DEVICES ${CMAKE_BINARY_DIR}/tests/devices)
function(glowworm_on device ending)
  foreach(name ${ARGN})
    get_test_property(${name} LABELS labels)
    get_test_property(${name} TIMEOUT timeout)
    add_test(NAME ${name}_${ending} COMMAND test_${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name}_${ending} PROPERTIES LABELS ${labels} TIMEOUT ${timeout}
      ENVIRONMENT "GLOWWORM_TEST_DEVICE=${device};GLOWWORM_DEVICES=${GLOWWORM_TEST_DEVICES}")
    add_dependencies(test_${name} glowworm-device-${device})
  endforeach()
endfunction()

# glowworm_on_late(test...): on the device "late" (tests/support/late_device), which runs everything late on memory that the
# host cannot touch.
function(glowworm_on_late)
  glowworm_on(late late ${ARGN})
endfunction()

# glowworm_on_cuda(test...): on the device "cuda-emulated", which is kernels/cuda on the GPU that tests/support/cuda emulates.
function(glowworm_on_cuda)
  glowworm_on(cuda-emulated cuda ${ARGN})
  if(NOT TARGET gpu)
    add_custom_target(gpu) # all that tests/gpu/run.sh runs
  endif()
  foreach(name ${ARGN})
    set_tests_properties(${name}_cuda PROPERTIES TIMEOUT 400)
  endforeach()
  list(TRANSFORM ARGN PREPEND test_)
  add_dependencies(gpu ${ARGN})
endfunction()

# glowworm_on_cuda_bf16(test...): again as <test>_cuda_bf16, with maps of bf16.
function(glowworm_on_cuda_bf16)
  foreach(name ${ARGN})
    glowworm_on(cuda-emulated cuda_bf16 ${name})
    set_tests_properties(${name}_cuda_bf16 PROPERTIES TIMEOUT 400)
    set_property(TEST ${name}_cuda_bf16 APPEND PROPERTY ENVIRONMENT GLOWWORM_TEST_PRECISION=bf16)
  endforeach()
endfunction()

# glowworm_on_each_isa(suite...): again on x86-64-v2 and x86-64-v3; by itself a suite takes the best there is.
function(glowworm_on_each_isa)
  foreach(suite ${ARGN})
    foreach(isa x86-64-v2 x86-64-v3)
      add_test(NAME ${suite}_${isa} COMMAND test_${suite} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
      set_tests_properties(${suite}_${isa} PROPERTIES LABELS quick TIMEOUT 120 ENVIRONMENT GLOWWORM_TEST_ISA=${isa})
    endforeach()
  endforeach()
endfunction()

# glowworm_on_bf16(suite...): again with maps of bf16, on the best instruction set there is; environments stay.
function(glowworm_on_bf16)
  foreach(suite ${ARGN})
    get_test_property(${suite} LABELS labels)
    get_test_property(${suite} TIMEOUT timeout)
    get_test_property(${suite} ENVIRONMENT environment)
    if(NOT environment)
      set(environment "")
    endif()
    add_test(NAME ${suite}_bf16 COMMAND test_${suite} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${suite}_bf16 PROPERTIES LABELS ${labels} TIMEOUT ${timeout}
      ENVIRONMENT "GLOWWORM_TEST_PRECISION=bf16;${environment}")
  endforeach()
endfunction()

