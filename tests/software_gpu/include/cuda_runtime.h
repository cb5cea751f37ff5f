// CUDA's runtime for C++. What kernels see is only here when nvcc, the software one, compiles.
#pragma once

#include <cuda_runtime_api.h>

template <typename T>
inline cudaError_t cudaMalloc(T** pointer, size_t size) {
  return cudaMalloc(reinterpret_cast<void**>(pointer), size);
}

template <typename T>
inline cudaError_t cudaMallocHost(T** pointer, size_t size) {
  return cudaMallocHost(reinterpret_cast<void**>(pointer), size);
}

#ifdef __CUDACC__
#include <software_gpu/device.hpp>
#include <software_gpu/launch.hpp>
#endif
