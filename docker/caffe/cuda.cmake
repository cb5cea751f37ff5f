# What a build with CUDA needs besides: the compiler, cuBLAS and cuRAND, and on request cuDNN and NCCL.
# NVIDIA's packages on PyPI hold libraries with a version in their names only, so those are looked for
# too; each folder of CAFFE_CUDA_ROOTS is one of theirs.
set(CMAKE_CUDA_STANDARD 17) # what CUDA 13's Thrust asks for
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared) # one runtime for libcaffe and the program that loads it
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
set(cuda_roots ${CAFFE_CUDA_ROOTS} ${CUDAToolkit_LIBRARY_ROOT})

# Sets <name>_FOLDER to where a header is and adds a library, of any of its major versions.
function(find_cuda_library name header)
  foreach(version ${ARGN})
    list(APPEND versioned lib${name}.so.${version})
  endforeach()
  find_path(${name}_FOLDER ${header} HINTS ${cuda_roots} ${CUDAToolkit_INCLUDE_DIRS}
    PATH_SUFFIXES include REQUIRED)
  find_library(${name}_LIBRARY NAMES ${name} ${versioned} HINTS ${cuda_roots}
    ${CUDAToolkit_LIBRARY_DIR} PATH_SUFFIXES lib lib64 lib/x86_64-linux-gnu REQUIRED)
  set(cuda_includes ${cuda_includes} ${${name}_FOLDER} PARENT_SCOPE)
  set(cuda_libraries ${cuda_libraries} ${${name}_LIBRARY} PARENT_SCOPE)
endfunction()

find_cuda_library(cublas cublas_v2.h 13 12 11)
find_cuda_library(curand curand.h 10)
if(CAFFE_CUDNN)
  find_cuda_library(cudnn cudnn.h 9 8)
  list(APPEND cuda_definitions USE_CUDNN)
endif()
if(CAFFE_NCCL)
  file(STRINGS ${CAFFE_SOURCE}/include/caffe/parallel.hpp nccl_class REGEX "^class NCCL")
  if(NOT nccl_class)
    message(FATAL_ERROR "error: CAFFE_NCCL is for BVLC 1.0: this source has no class NCCL in "
                        "include/caffe/parallel.hpp, and trains on several GPUs without it")
  endif()
  find_cuda_library(nccl nccl.h 2)
  list(APPEND cuda_definitions USE_NCCL)
endif()

# Some C++ files include Thrust, which nvcc alone finds and understands.
function(give_thrust_to_nvcc)
  foreach(source ${ARGN})
    file(STRINGS ${source} thrust REGEX "#include [\"<]thrust/" LIMIT_COUNT 1)
    if(thrust)
      set_source_files_properties(${source} PROPERTIES LANGUAGE CUDA)
    endif()
  endforeach()
endfunction()

function(use_cuda target)
  target_compile_definitions(${target} PUBLIC ${cuda_definitions})
  target_include_directories(${target} SYSTEM PUBLIC ${cuda_includes} ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(${target} PUBLIC ${cuda_libraries} CUDA::cudart)
endfunction()
