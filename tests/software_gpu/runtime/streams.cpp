// Streams and events. What is given to a stream of its own runs when that is synchronised, which is as
// late as CUDA may run it: who forgets to wait reads old numbers. All else runs at once.
#include "runtime.hpp"

#include <chrono>
#include <deque>
#include <mutex>
#include <set>

struct CUstream_st {
  int device;
  bool on_its_own;
  std::mutex mutex;
  std::deque<std::function<void()>> waiting;
};

struct CUevent_st {
  std::chrono::steady_clock::time_point at;
};

namespace software_gpu {
namespace {

// Those that live, for whoever waits for a whole device.
struct Streams {
  std::mutex mutex;
  std::set<cudaStream_t> all;
};
Streams& streams() {
  static Streams* const one = new Streams;
  return *one;
}

void run_waiting(cudaStream_t stream) {
  const CurrentDevice device(stream->device);
  for (;;) {
    std::function<void()> work;
    {
      const std::lock_guard<std::mutex> lock(stream->mutex);
      if (stream->waiting.empty()) { return; }
      work = std::move(stream->waiting.front());
      stream->waiting.pop_front();
    }
    work();
  }
}

}  // namespace

void run_in(cudaStream_t stream, const std::function<void()>& work) {
  if (stream == nullptr || !stream->on_its_own) {
    work();
    return;
  }
  const std::lock_guard<std::mutex> lock(stream->mutex);
  stream->waiting.push_back(work);
}

}  // namespace software_gpu

using namespace software_gpu;

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, 0); }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int flags) {
  if (device_count() == 0) { return noted(cudaErrorNoDevice); }
  *stream = new CUstream_st;
  (*stream)->device = current_device();
  (*stream)->on_its_own = flags == cudaStreamNonBlocking;
  const std::lock_guard<std::mutex> lock(streams().mutex);
  streams().all.insert(*stream);
  return noted(cudaSuccess);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (stream == nullptr) { return noted(cudaErrorInvalidResourceHandle); }
  {
    const std::lock_guard<std::mutex> lock(streams().mutex);
    streams().all.erase(stream);
  }
  run_waiting(stream);
  delete stream;
  return noted(cudaSuccess);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (stream != nullptr) { run_waiting(stream); }
  return cudaPeekAtLastError();
}

cudaError_t cudaDeviceSynchronize() {
  std::set<cudaStream_t> all;
  {
    const std::lock_guard<std::mutex> lock(streams().mutex);
    all = streams().all;
  }
  for (cudaStream_t stream : all) {
    if (stream->device == current_device()) { run_waiting(stream); }
  }
  return cudaPeekAtLastError();
}

cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned int) { return noted(cudaSuccess); }

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  if (device_count() == 0) { return noted(cudaErrorNoDevice); }
  *event = new CUevent_st;
  return noted(cudaSuccess);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return noted(cudaSuccess);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  run_in(stream, [event] { event->at = std::chrono::steady_clock::now(); });
  return noted(cudaSuccess);
}

cudaError_t cudaEventSynchronize(cudaEvent_t) { return noted(cudaSuccess); }

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->at - start->at).count();
  return noted(cudaSuccess);
}

}  // extern "C"
