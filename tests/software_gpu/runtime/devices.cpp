// Devices and errors. SOFTWARE_GPUS in the environment says how many there are (1), and
// SOFTWARE_GPU_MEMORY how many MiB each has (12,288); CUDA_VISIBLE_DEVICES hides some, as it does for CUDA.
#include "runtime.hpp"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <atomic>
#include <sstream>
#include <string>

namespace software_gpu {
namespace {

std::atomic<cudaError_t> lasting{cudaSuccess};
thread_local cudaError_t last = cudaSuccess;
thread_local int device_of_thread = 0;

int count_devices() {
  const size_t all = number_from_environment("SOFTWARE_GPUS", 1);
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (visible == nullptr) { return static_cast<int>(all); }
  // As CUDA does: those before the first number that is none of a device.
  std::istringstream numbers(visible);
  std::string number;
  int count = 0;
  while (std::getline(numbers, number, ',')) {
    char* end = nullptr;
    const long device = std::strtol(number.c_str(), &end, 10);
    if (end == number.c_str() || device < 0 || device >= static_cast<long>(all)) { break; }
    ++count;
  }
  return count;
}

const char* name_of(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorInvalidResourceHandle: return "invalid resource handle";
    case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
    case cudaErrorLaunchFailure: return "unspecified launch failure";
  }
  return "unrecognized error code";
}

}  // namespace

size_t number_from_environment(const char* name, size_t otherwise) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') { return otherwise; }
  char* end = nullptr;
  const unsigned long long number = std::strtoull(text, &end, 10);
  if (*end != '\0' || *text < '0' || *text > '9') {
    std::fprintf(stderr, "software GPU: %s='%s' is no number: change it, or unset it\n", name, text);
    std::exit(2);
  }
  return number;
}

cudaError_t noted(cudaError_t error) {
  if (error == cudaErrorIllegalAddress || error == cudaErrorLaunchFailure) { lasting = error; }
  if (lasting != cudaSuccess) { error = lasting; }
  if (error != cudaSuccess) { last = error; }
  return error;
}

cudaError_t misuse(cudaError_t error, const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  std::fprintf(stderr, "software GPU: %s\n", text);
  return noted(error);
}

int device_count() {
  static const int count = count_devices();
  return count;
}

int current_device() { return device_of_thread; }

CurrentDevice::CurrentDevice(int device) : before_(device_of_thread) { device_of_thread = device; }
CurrentDevice::~CurrentDevice() { device_of_thread = before_; }

}  // namespace software_gpu

using software_gpu::noted;

extern "C" {

const char* cudaGetErrorString(cudaError_t error) { return software_gpu::name_of(error); }
const char* cudaGetErrorName(cudaError_t error) { return software_gpu::name_of(error); }

cudaError_t cudaPeekAtLastError() {
  const cudaError_t lasting = software_gpu::lasting;
  return lasting != cudaSuccess ? lasting : software_gpu::last;
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = cudaPeekAtLastError();
  software_gpu::last = cudaSuccess;
  return error;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = software_gpu::device_count();
  return noted(*count > 0 ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaGetDevice(int* device) {
  if (software_gpu::device_count() == 0) { return noted(cudaErrorNoDevice); }
  *device = software_gpu::device_of_thread;
  return noted(cudaSuccess);
}

cudaError_t cudaSetDevice(int device) {
  if (software_gpu::device_count() == 0) { return noted(cudaErrorNoDevice); }
  if (device < 0 || device >= software_gpu::device_count()) { return noted(cudaErrorInvalidDevice); }
  software_gpu::device_of_thread = device;
  return noted(cudaSuccess);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (software_gpu::device_count() == 0) { return noted(cudaErrorNoDevice); }
  if (device < 0 || device >= software_gpu::device_count()) { return noted(cudaErrorInvalidDevice); }
  std::memset(properties, 0, sizeof *properties);
  std::strcpy(properties->name, "netgen software GPU");
  properties->totalGlobalMem = software_gpu::memory_total();
  properties->sharedMemPerBlock = 48 << 10;
  properties->memPitch = (size_t{1} << 31) - 1;
  properties->totalConstMem = 64 << 10;
  properties->textureAlignment = 512;
  properties->regsPerBlock = 1 << 16;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  const int threads[] = {1024, 1024, 64}, blocks[] = {2147483647, 65535, 65535};
  std::memcpy(properties->maxThreadsDim, threads, sizeof threads);
  std::memcpy(properties->maxGridSize, blocks, sizeof blocks);
  properties->clockRate = 1000000;
  properties->major = 9;
  properties->multiProcessorCount = 1;
  properties->asyncEngineCount = 1;
  properties->deviceOverlap = 1;
  properties->unifiedAddressing = 1;
  return noted(cudaSuccess);
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  *can = device != peer;
  return noted(cudaSuccess);
}
cudaError_t cudaDeviceEnablePeerAccess(int, unsigned int) { return noted(cudaSuccess); }
cudaError_t cudaDeviceDisablePeerAccess(int) { return noted(cudaSuccess); }

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return noted(cudaSuccess);
}
cudaError_t cudaDriverGetVersion(int* version) { return cudaRuntimeGetVersion(version); }

}  // extern "C"
