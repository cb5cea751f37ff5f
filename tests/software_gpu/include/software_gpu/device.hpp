// What kernels call: functions of a device that C++'s own headers lack. Atomic functions are plain,
// because the threads of a grid run one after the other.
#pragma once

#include <math.h>    // the overloads for float and double that are global in CUDA
#include <stdlib.h>  // ... those of abs
#include <string.h>

template <typename To, typename From>
inline To software_gpu_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "another size");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

inline long long __double_as_longlong(double x) { return software_gpu_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return software_gpu_bits<double>(x); }
inline int __float_as_int(float x) { return software_gpu_bits<int>(x); }
inline float __int_as_float(int x) { return software_gpu_bits<float>(x); }

template <typename T>
struct SoftwareGpuSame {
  typedef T type;
};

template <typename T>
inline T atomicAdd(T* address, typename SoftwareGpuSame<T>::type value) {
  const T old = *address;
  *address = old + value;
  return old;
}

template <typename T>
inline T atomicCAS(T* address, typename SoftwareGpuSame<T>::type compare,
                   typename SoftwareGpuSame<T>::type value) {
  const T old = *address;
  if (old == compare) { *address = value; }
  return old;
}

inline int min(int a, int b) { return b < a ? b : a; }
inline int max(int a, int b) { return a < b ? b : a; }
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
