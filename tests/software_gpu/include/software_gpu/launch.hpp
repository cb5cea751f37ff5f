// How a kernel runs here: translation.py makes `kernel<<<grid, block>>>(arguments)` a call of launch(),
// which calls the kernel once for each thread of the grid, one after the other.
#pragma once

#include <driver_types.h>

#include <functional>

namespace software_gpu {

// Which thread of which grid runs; kernels read its parts by CUDA's names.
struct Index {
  uint3 thread, block, block_size, grid_size;
};
extern __thread Index index __attribute__((tls_model("initial-exec")));

struct Configuration {
  dim3 grid, block;
  size_t shared;
  cudaStream_t stream;
  Configuration(dim3 grid, dim3 block, size_t shared = 0, cudaStream_t stream = nullptr)
      : grid(grid), block(block), shared(shared), stream(stream) {}
};

// Whether the kernel of this name may run with these numbers of threads; if not, tells of the error.
bool may_launch(const char* kernel, const Configuration& configuration);

// Notes that the threads of a block wait for each other in kernels of this name.
bool note_synchronising(const char* kernel);
bool is_synchronising(const char* kernel);

// Checks that a pointer given to a kernel is null or of the current device's memory.
bool check_pointer(const char* kernel, int number, const void* pointer);
// Checks that a kernel wrote nothing beside the memory that it was given.
void check_memory_beside(const char* kernel, const void* pointer);

// Whether threads and blocks run from the last to the first: SOFTWARE_GPU_ORDER=reversed.
bool in_reversed_order();

// Now, or when a stream that was made is synchronised: as late as CUDA may.
void run_in(cudaStream_t stream, const std::function<void()>& work);

// Runs all threads of a block, each with a stack of its own, so that they can wait for each other.
void run_block_of_fibres(const std::function<void()>& thread);

// Lets this thread touch the memory of devices while it lives.
struct OnDevice {
  explicit OnDevice(const char* what);
  ~OnDevice();
  const char* before;
};

template <typename Body>
inline void for_each(const uint3& size, bool reversed, uint3* at, const Body& body) {
  for (unsigned int z = 0; z < size.z; ++z) {
    for (unsigned int y = 0; y < size.y; ++y) {
      for (unsigned int x = 0; x < size.x; ++x) {
        *at = reversed ? uint3{size.x - 1 - x, size.y - 1 - y, size.z - 1 - z} : uint3{x, y, z};
        body();
      }
    }
  }
}

template <typename Thread>
inline void run_grid(const char* kernel, const Configuration& configuration, const Thread& thread) {
  const OnDevice on_device(kernel);
  const bool reversed = in_reversed_order();
  const bool together = is_synchronising(kernel);
  const dim3 grid = configuration.grid, block = configuration.block;
  index.grid_size = {grid.x, grid.y, grid.z};
  index.block_size = {block.x, block.y, block.z};
  for_each(index.grid_size, reversed, &index.block, [&] {
    if (together) {
      run_block_of_fibres(thread);
    } else {
      for_each(index.block_size, reversed, &index.thread, thread);
    }
  });
}

template <typename T>
inline bool check_argument(const char*, int, const T&) { return true; }
template <typename T>
inline bool check_argument(const char* kernel, int number, T* const& pointer) {
  return check_pointer(kernel, number, pointer);
}
template <typename T>
inline void check_after(const char*, const T&) {}
template <typename T>
inline void check_after(const char* kernel, T* const& pointer) {
  check_memory_beside(kernel, pointer);
}

// Arguments are copied, as CUDA copies them; `call` calls the kernel with them.
template <typename Call, typename... Arguments>
inline void launch(const char* kernel, const Configuration& configuration, Call call,
                   Arguments... arguments) {
  if (!may_launch(kernel, configuration)) { return; }
  run_in(configuration.stream, [=] {
    bool good = true;
    int number = 0;
    const bool checked[] = {true, (good &= check_argument(kernel, ++number, arguments))...};
    (void)checked;
    if (!good) { return; }
    run_grid(kernel, configuration, [&] { call(arguments...); });
    const int after[] = {0, (check_after(kernel, arguments), 0)...};
    (void)after;
  });
}

}  // namespace software_gpu

void __syncthreads();

#define threadIdx (::software_gpu::index.thread)
#define blockIdx (::software_gpu::index.block)
#define blockDim (::software_gpu::index.block_size)
#define gridDim (::software_gpu::index.grid_size)
