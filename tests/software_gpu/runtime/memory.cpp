// The memory of devices. It starts full of NaN, ends at a page that nothing may touch, and belongs to the
// device: where the processor has protection keys, a program that touches it from outside a kernel or a
// copy faults, as it would with a GPU. What lies between an allocation and its pages' ends is compared
// after each kernel that was given it.
#include "runtime.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <vector>

namespace software_gpu {
namespace {

const size_t ALIGNMENT = 256;  // of what cudaMalloc gives
const unsigned char FRESH = 0xFF, BESIDE = 0xA5;

struct Allocation {
  char *mapped, *begin;  // mapped: with a page before and after that nothing may touch
  size_t mapped_size, size;
  int device;
  char* pages() const { return mapped + sysconf(_SC_PAGESIZE); }
  char* pages_end() const { return mapped + mapped_size - sysconf(_SC_PAGESIZE); }
};

// Never destroyed: static objects of the program may outlive this library's.
struct Memory {
  std::mutex mutex;
  std::map<const char*, Allocation> allocations;  // by their begin
  std::map<int, size_t> used;
  std::set<void*> pinned;
  size_t total = number_from_environment("SOFTWARE_GPU_MEMORY", 12288) << 20;
};
Memory& memory() {
  static Memory* const one = new Memory;
  return *one;
}

__thread const char* doing = nullptr;  // what runs on the device: a kernel's name, or a copy

// ---- protection -------------------------------------------------------------------------------------

int allocate_key() {
#ifdef PKEY_DISABLE_ACCESS
  return pkey_alloc(0, PKEY_DISABLE_ACCESS);
#else
  return -1;
#endif
}

int key() {
  static const int one = allocate_key();
  return one;
}

void let_access(bool may) {
#ifdef PKEY_DISABLE_ACCESS
  if (key() >= 0) { pkey_set(key(), may ? 0 : PKEY_DISABLE_ACCESS); }
#else
  (void)may;
#endif
}

// Explains a fault in a device's memory, then leaves it to whoever handled faults before.
struct sigaction handled_before;
std::atomic<uintptr_t> lowest{UINTPTR_MAX}, highest{0};

void say(const char* text) {
  if (write(STDERR_FILENO, text, std::strlen(text)) < 0) { return; }
}

void explain_fault(int, siginfo_t* info, void*) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(info->si_addr);
  if (at >= lowest && at < highest) {
    say("software GPU: ");
    say(doing == nullptr ? "the host" : doing);
    say(doing == nullptr ? " touched memory of a device\n"
                         : " touched memory outside what it was given\n");
  }
  sigaction(SIGSEGV, &handled_before, nullptr);  // returning faults again
}

void handle_faults() {
  struct sigaction action = {};
  action.sa_sigaction = explain_fault;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, &handled_before);
}

// ---- allocations ------------------------------------------------------------------------------------

// The allocation that holds a byte; null if none does. With the mutex held.
const Allocation* find(const void* pointer) {
  const char* at = static_cast<const char*>(pointer);
  auto found = memory().allocations.upper_bound(at);
  if (found == memory().allocations.begin()) { return nullptr; }
  --found;
  const Allocation& one = found->second;
  return at < one.begin + std::max<size_t>(one.size, 1) ? &one : nullptr;
}

bool allocate(size_t size, int device, Allocation* made) {
  const size_t page = sysconf(_SC_PAGESIZE);
  const size_t aligned = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  const size_t pages = (aligned + page - 1) / page * page;
  void* mapped = mmap(nullptr, pages + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) { return false; }
  made->mapped = static_cast<char*>(mapped);
  made->mapped_size = pages + 2 * page;
  made->size = size;
  made->device = device;
  made->begin = made->pages_end() - aligned;
  if (mprotect(made->pages(), pages, PROT_READ | PROT_WRITE) != 0) {
    munmap(mapped, made->mapped_size);
    return false;
  }
#ifdef PKEY_DISABLE_ACCESS
  if (key() >= 0) { pkey_mprotect(made->pages(), pages, PROT_READ | PROT_WRITE, key()); }
#endif
  const OnDevice on_device("cudaMalloc");
  std::memset(made->pages(), BESIDE, made->begin - made->pages());
  std::memset(made->begin, FRESH, size);
  std::memset(made->begin + size, BESIDE, made->pages_end() - (made->begin + size));
  return true;
}

bool is_untouched(const char* from, const char* to) {
  return std::all_of(from, to, [](char byte) { return static_cast<unsigned char>(byte) == BESIDE; });
}

bool is_untouched_beside(const Allocation& one) {
  const OnDevice on_device("a check");
  return is_untouched(one.pages(), one.begin) && is_untouched(one.begin + one.size, one.pages_end());
}

cudaError_t check_copy(const char* what, const void* pointer, size_t size, bool on_device) {
  const bool is = is_of_device(pointer, std::max<size_t>(size, 1));
  if (is == on_device) { return cudaSuccess; }
  return misuse(cudaErrorInvalidValue, "%s: %p is%s memory of a device", what, pointer,
                is ? "" : " not, or not all of it,");
}

}  // namespace

OnDevice::OnDevice(const char* what) : before(doing) {
  doing = what;
  let_access(true);
}

OnDevice::~OnDevice() {
  doing = before;
  if (before == nullptr) { let_access(false); }
}

bool is_of_device(const void* pointer, size_t size, int device) {
  const std::lock_guard<std::mutex> lock(memory().mutex);
  const Allocation* found = find(pointer);
  return found != nullptr && (device < 0 || found->device == device) &&
         static_cast<const char*>(pointer) + size <= found->begin + std::max<size_t>(found->size, 1);
}

size_t memory_total() { return memory().total; }

size_t memory_used(int device) {
  const std::lock_guard<std::mutex> lock(memory().mutex);
  return memory().used[device];
}

bool check_pointer(const char* kernel, int number, const void* pointer) {
  if (pointer == nullptr || is_of_device(pointer, 1, current_device())) { return true; }
  misuse(cudaErrorIllegalAddress, "%s: its argument %d points to no memory of device %d", kernel,
         number, current_device());
  return false;
}

void check_memory_beside(const char* kernel, const void* pointer) {
  Allocation found;
  {
    const std::lock_guard<std::mutex> lock(memory().mutex);
    const Allocation* one = find(pointer);
    if (one == nullptr) { return; }
    found = *one;
  }
  if (!is_untouched_beside(found)) {
    misuse(cudaErrorIllegalAddress, "%s wrote beside an allocation of %zu bytes", kernel, found.size);
  }
}

}  // namespace software_gpu

using namespace software_gpu;

extern "C" {

cudaError_t cudaMalloc(void** pointer, size_t size) {
  *pointer = nullptr;
  if (device_count() == 0) { return noted(cudaErrorNoDevice); }
  static std::once_flag once;
  std::call_once(once, handle_faults);
  const std::lock_guard<std::mutex> lock(memory().mutex);
  size_t& used = memory().used[current_device()];
  Allocation made;
  if (used + size > memory().total || !allocate(size, current_device(), &made)) {
    return noted(cudaErrorMemoryAllocation);
  }
  used += size;
  tell_used(current_device(), used);
  lowest = std::min<uintptr_t>(lowest, reinterpret_cast<uintptr_t>(made.mapped));
  highest = std::max<uintptr_t>(highest, reinterpret_cast<uintptr_t>(made.mapped + made.mapped_size));
  memory().allocations[made.begin] = made;
  *pointer = made.begin;
  return noted(cudaSuccess);
}

cudaError_t cudaFree(void* pointer) {
  if (device_count() == 0) { return noted(cudaErrorNoDevice); }
  if (pointer == nullptr) { return noted(cudaSuccess); }
  Allocation freed;
  {
    const std::lock_guard<std::mutex> lock(memory().mutex);
    const auto found = memory().allocations.find(static_cast<char*>(pointer));
    if (found == memory().allocations.end()) {
      return misuse(cudaErrorInvalidValue, "cudaFree: %p is not what cudaMalloc gave", pointer);
    }
    freed = found->second;
    memory().allocations.erase(found);
    memory().used[freed.device] -= freed.size;
    tell_used(freed.device, memory().used[freed.device]);
  }
  const bool untouched = is_untouched_beside(freed);
  munmap(freed.mapped, freed.mapped_size);
  if (untouched) { return noted(cudaSuccess); }
  return misuse(cudaErrorIllegalAddress, "something wrote beside an allocation of %zu bytes", freed.size);
}

cudaError_t cudaMallocHost(void** pointer, size_t size) {
  if (device_count() == 0) { return noted(cudaErrorNoDevice); }
  *pointer = std::malloc(std::max<size_t>(size, 1));
  if (*pointer == nullptr) { return noted(cudaErrorMemoryAllocation); }
  const std::lock_guard<std::mutex> lock(memory().mutex);
  memory().pinned.insert(*pointer);
  return noted(cudaSuccess);
}

cudaError_t cudaFreeHost(void* pointer) {
  {
    const std::lock_guard<std::mutex> lock(memory().mutex);
    if (pointer != nullptr && memory().pinned.erase(pointer) == 0) {
      return misuse(cudaErrorInvalidValue, "cudaFreeHost: %p is not what cudaMallocHost gave", pointer);
    }
  }
  std::free(pointer);
  return noted(cudaSuccess);
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  if (device_count() == 0) { return noted(cudaErrorNoDevice); }
  *total = memory_total();
  *free = *total - memory_used(current_device());
  return noted(cudaSuccess);
}

cudaError_t cudaMemset(void* pointer, int value, size_t size) {
  if (size == 0) { return noted(cudaSuccess); }
  const cudaError_t error = check_copy("cudaMemset", pointer, size, true);
  if (error != cudaSuccess) { return error; }
  const OnDevice on_device("cudaMemset");
  std::memset(pointer, value, size);
  return noted(cudaSuccess);
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind kind) {
  if (size == 0) { return noted(cudaSuccess); }
  const bool to_device = kind == cudaMemcpyDefault
      ? is_of_device(to, 1) : kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDefault
      ? is_of_device(from, 1) : kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  cudaError_t error = check_copy("cudaMemcpy, the target", to, size, to_device);
  if (error == cudaSuccess) { error = check_copy("cudaMemcpy, the source", from, size, from_device); }
  if (error != cudaSuccess) { return error; }
  const OnDevice on_device("cudaMemcpy");
  std::memcpy(to, from, size);
  return noted(cudaSuccess);
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  run_in(stream, [=] { cudaMemcpy(to, from, size, kind); });
  return noted(cudaSuccess);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  const std::lock_guard<std::mutex> lock(memory().mutex);
  const Allocation* found = find(pointer);
  void* const plain = const_cast<void*>(pointer);
  attributes->type = found != nullptr ? cudaMemoryTypeDevice
      : memory().pinned.count(plain) != 0 ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered;
  attributes->device = found != nullptr ? found->device : current_device();
  attributes->devicePointer = found != nullptr ? plain : nullptr;
  attributes->hostPointer = found != nullptr ? nullptr : plain;
  return noted(cudaSuccess);
}

}  // extern "C"
