// What the parts of the software GPU's runtime share.
#pragma once

#include <cuda_runtime_api.h>
#include <software_gpu/launch.hpp>

#include <cstddef>

namespace software_gpu {

// Remembers an error as CUDA does, for cudaGetLastError, and returns it. One that says that a kernel
// went wrong stays for the life of the process.
cudaError_t noted(cudaError_t error);

// Says on standard error what the program does that a GPU would punish, and notes the error.
cudaError_t misuse(cudaError_t error, const char* format, ...) __attribute__((format(printf, 2, 3)));

int device_count();
int current_device();

// Makes a device the current one of this thread while it lives.
class CurrentDevice {
 public:
  explicit CurrentDevice(int device);
  ~CurrentDevice();

 private:
  const int before_;
};

// Whether all of these bytes are memory of a device that is in use; of this one, unless it is -1.
bool is_of_device(const void* pointer, size_t size, int device = -1);

// Bytes that a device has, and those in use.
size_t memory_total();
size_t memory_used(int device);

// Tells nvidia-smi how many bytes this process uses of a device.
void tell_used(int device, size_t bytes);

// A number from the environment; `otherwise` where the variable is unset or empty. Ends the program
// where it is no number, and names it.
size_t number_from_environment(const char* name, size_t otherwise);

}  // namespace software_gpu
