// What is checked before a kernel runs, and blocks whose threads wait for each other.
#include "runtime.hpp"

#include <sys/mman.h>
#include <ucontext.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace software_gpu {

__thread Index index __attribute__((tls_model("initial-exec")));

namespace {

const size_t STACK = 64 << 10;
const size_t MOST_THREADS = 1024, MOST_SHARED = 48 << 10;

struct Names {
  std::mutex mutex;
  std::set<std::string> names;
};
Names& synchronising() {
  static Names* const one = new Names;
  return *one;
}

// "caffe::kernel<float, 2>" is named "kernel" where it is defined.
std::string bare(const char* kernel) {
  std::string name(kernel, std::strcspn(kernel, "< "));
  return name.substr(name.rfind(':') + 1);
}

struct Fibre {
  ucontext_t context;
  uint3 thread;
  char* stack = nullptr;
  bool ended;
};

struct Block {
  std::vector<Fibre> fibres;  // kept for the next block: their stacks are large
  ucontext_t scheduler;
  const std::function<void()>* body = nullptr;
  Fibre* running = nullptr;
};
thread_local Block* block = nullptr;

void run_fibre() {
  Fibre* const fibre = block->running;
  (*block->body)();
  fibre->ended = true;
  swapcontext(&fibre->context, &block->scheduler);
}

void prepare(Fibre* fibre, const uint3& thread) {
  fibre->thread = thread;
  fibre->ended = false;
  if (fibre->stack == nullptr) {
    void* stack = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) { std::abort(); }
    fibre->stack = static_cast<char*>(stack);
  }
  getcontext(&fibre->context);
  fibre->context.uc_stack.ss_sp = fibre->stack;
  fibre->context.uc_stack.ss_size = STACK;
  fibre->context.uc_link = nullptr;
  makecontext(&fibre->context, run_fibre, 0);
}

// Runs each thread to its next barrier or its end; returns how many have ended.
size_t run_to_barrier(size_t threads) {
  size_t ended = 0;
  for (size_t i = 0; i < threads; ++i) {
    Fibre& fibre = block->fibres[in_reversed_order() ? threads - 1 - i : i];
    if (!fibre.ended) {
      block->running = &fibre;
      index.thread = fibre.thread;
      swapcontext(&block->scheduler, &fibre.context);
    }
    ended += fibre.ended;
  }
  block->running = nullptr;
  return ended;
}

}  // namespace

bool in_reversed_order() {
  static const bool reversed = [] {
    const char* order = std::getenv("SOFTWARE_GPU_ORDER");
    if (order == nullptr || *order == '\0' || std::strcmp(order, "forward") == 0) { return false; }
    if (std::strcmp(order, "reversed") == 0) { return true; }
    std::fprintf(stderr, "software GPU: SOFTWARE_GPU_ORDER='%s': give forward or reversed\n", order);
    std::exit(2);
  }();
  return reversed;
}

bool may_launch(const char* kernel, const Configuration& to) {
  const size_t threads = size_t{to.block.x} * to.block.y * to.block.z;
  const bool good = threads > 0 && threads <= MOST_THREADS && to.block.z <= 64 && to.grid.x > 0 &&
      to.grid.x <= 0x7FFFFFFF && to.grid.y > 0 && to.grid.y <= 0xFFFF && to.grid.z > 0 &&
      to.grid.z <= 0xFFFF && to.shared <= MOST_SHARED;
  if (device_count() == 0) { return noted(cudaErrorNoDevice) == cudaSuccess; }
  if (!good) {
    misuse(cudaErrorInvalidConfiguration,
           "%s: no GPU runs a grid of %u x %u x %u blocks of %u x %u x %u threads", kernel, to.grid.x,
           to.grid.y, to.grid.z, to.block.x, to.block.y, to.block.z);
  }
  return good;
}

bool note_synchronising(const char* kernel) {
  const std::lock_guard<std::mutex> lock(synchronising().mutex);
  return synchronising().names.insert(bare(kernel)).second;
}

bool is_synchronising(const char* kernel) {
  const std::lock_guard<std::mutex> lock(synchronising().mutex);
  return synchronising().names.count(bare(kernel)) != 0;
}

void run_block_of_fibres(const std::function<void()>& thread) {
  thread_local Block mine;
  block = &mine;
  block->body = &thread;
  size_t threads = 0;
  block->fibres.resize(MOST_THREADS);
  for_each(index.block_size, false, &index.thread,
           [&] { prepare(&block->fibres[threads++], index.thread); });
  for (size_t ended = 0; ended < threads;) {
    ended = run_to_barrier(threads);
    if (ended > 0 && ended < threads) {
      misuse(cudaErrorLaunchFailure, "%zu of a block's %zu threads ended while the others wait for them",
             ended, threads);
    }
  }
  block = nullptr;
}

}  // namespace software_gpu

void __syncthreads() {
  using software_gpu::block;
  if (block == nullptr || block->running == nullptr) {
    std::fprintf(stderr, "software GPU: __syncthreads() is called by a function that a kernel calls: "
                 "only kernels that call it themselves run as threads that can wait\n");
    std::abort();
  }
  swapcontext(&block->running->context, &block->scheduler);
}
