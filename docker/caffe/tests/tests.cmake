# Caffe's own C++ tests, and a check of whole networks' gradients, linked to a libcaffe that is built
# already: the one that users train with. build.sh, beside this file, gives this to CMake as code to
# run in ../CMakeLists.txt, so that tests are compiled with what is written there for the library:
#
#   cmake -S docker/caffe -B <build> <the library's options> -D CAFFE_PREFIX=<where it is installed>
#         -D CMAKE_PROJECT_netgen_caffe_INCLUDE=docker/caffe/tests/tests.cmake
#
# One target, and one program, for each file src/caffe/test/test_*.cpp, and with CUDA each test_*.cu.
set(CAFFE_PREFIX "" CACHE PATH "The folder in which the library to test is installed")
set(CAFFE_TESTS ${CMAKE_CURRENT_LIST_DIR})

# Not before the end of ../CMakeLists.txt, when the target `caffe` is described.
cmake_language(DEFER CALL add_tests_of_caffe)

function(add_tests_of_caffe)
  # Only described: nothing that is built depends on `caffe` itself.
  add_library(installed_caffe SHARED IMPORTED)
  set_target_properties(installed_caffe PROPERTIES IMPORTED_LOCATION ${CAFFE_PREFIX}/lib/libcaffe.so)
  foreach(property COMPILE_DEFINITIONS COMPILE_OPTIONS INCLUDE_DIRECTORIES
      SYSTEM_INCLUDE_DIRECTORIES LINK_LIBRARIES)
    get_target_property(value caffe INTERFACE_${property})
    if(value)
      set_target_properties(installed_caffe PROPERTIES INTERFACE_${property} "${value}")
    endif()
  endforeach()
  if(TARGET Python3::Python) # a library with Python layers leaves libpython to its programs
    set_property(TARGET installed_caffe APPEND PROPERTY INTERFACE_LINK_LIBRARIES Python3::Python)
  endif()
  add_custom_target(messages DEPENDS ${proto_dir}/caffe.pb.h)

  add_executable(check_gradients ${CAFFE_TESTS}/check_gradients.cpp)
  target_link_libraries(check_gradients PRIVATE installed_caffe)
  add_dependencies(check_gradients messages)

  set(test ${CAFFE_SOURCE}/src/caffe/test)
  add_library(test_main STATIC ${CAFFE_SOURCE}/src/gtest/gtest-all.cpp ${test}/test_caffe_main.cpp)
  # std::tr1 left the standard library; gtest of 2010 brings a copy.
  target_compile_definitions(test_main PUBLIC GTEST_USE_OWN_TR1_TUPLE=1)
  target_link_libraries(test_main PUBLIC installed_caffe)
  add_dependencies(test_main messages)
  # Read once, not by each file: gtest, all of Caffe's headers, and what the tests share.
  target_precompile_headers(test_main PRIVATE <gtest/gtest.h> <caffe/caffe.hpp>
    <caffe/filler.hpp> <caffe/test/test_caffe_main.hpp> <caffe/test/test_gradient_check_util.hpp>)

  file(GLOB files ${test}/test_*.cpp)
  list(FILTER files EXCLUDE REGEX "/test_caffe_main\\.cpp$")
  foreach(file ${files})
    get_filename_component(name ${file} NAME_WE)
    add_executable(${name} ${file})
    target_link_libraries(${name} PRIVATE test_main)
    target_precompile_headers(${name} REUSE_FROM test_main)
  endforeach()

  if(CAFFE_GPU)
    file(GLOB files ${test}/test_*.cu) # they launch kernels of the library themselves
    foreach(file ${files})
      get_filename_component(name ${file} NAME_WE)
      add_executable(${name} ${file})
      target_link_libraries(${name} PRIVATE test_main)
    endforeach()
  endif()
endfunction()
