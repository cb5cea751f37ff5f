// NCCL between threads of one process. Each operation waits until all ranks have come to it, then one of
// them does it for all, adding up in the order of the ranks.
#include "runtime.hpp"

#include <nccl.h>

#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

namespace {

using namespace software_gpu;

struct Part {
  const void* from;
  void* to;
};

class Group {
 public:
  explicit Group(int ranks) : parts_(ranks) {}

  // Calls `work` with the parts of all ranks, in the thread of the last to come.
  void together(int rank, const Part& part, const std::function<void(const std::vector<Part>&)>& work) {
    std::unique_lock<std::mutex> lock(mutex_);
    parts_[rank] = part;
    const size_t round = round_;
    if (++arrived_ == parts_.size()) {
      work(parts_);
      arrived_ = 0;
      ++round_;
      all_.notify_all();
    } else {
      all_.wait(lock, [&] { return round_ != round; });
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_;
  std::vector<Part> parts_;
  size_t arrived_ = 0, round_ = 0;
};

template <typename Real>
void add_up(const std::vector<Part>& parts, size_t count) {
  std::vector<Real> sums(count, Real(0));
  for (const Part& part : parts) {
    const Real* from = static_cast<const Real*>(part.from);
    for (size_t i = 0; i < count; ++i) { sums[i] += from[i]; }
  }
  for (const Part& part : parts) { std::memcpy(part.to, sums.data(), count * sizeof(Real)); }
}

size_t size_of(ncclDataType_t type) { return type == ncclFloat ? sizeof(float) : sizeof(double); }

}  // namespace

struct ncclComm {
  std::shared_ptr<Group> group;
  int rank, device;
};

namespace {

bool is_memory(const ncclComm* comm, const char* what, const void* pointer, size_t bytes) {
  if (is_of_device(pointer, bytes, comm->device)) { return true; }
  misuse(cudaErrorIllegalAddress, "%s: %zu bytes at %p are not all memory of device %d", what, bytes,
         pointer, comm->device);
  return false;
}

}  // namespace

extern "C" {

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess: return "no error";
    case ncclUnhandledCudaError: return "unhandled cuda error";
    case ncclSystemError: return "unhandled system error";
    case ncclInternalError: return "internal error";
    case ncclInvalidArgument: return "invalid argument";
    case ncclInvalidUsage: return "invalid usage";
  }
  return "unknown result code";
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::memset(id, 0, sizeof *id);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t*, int, ncclUniqueId, int) {
  misuse(cudaSuccess, "ncclCommInitRank: several processes cannot train together on software GPUs");
  return ncclInvalidUsage;
}

ncclResult_t ncclCommInitAll(ncclComm_t* comms, int ranks, const int* devices) {
  const auto group = std::make_shared<Group>(ranks);
  for (int rank = 0; rank < ranks; ++rank) {
    if (devices[rank] < 0 || devices[rank] >= device_count()) { return ncclInvalidArgument; }
    for (int other = 0; other < rank; ++other) {
      if (devices[rank] == devices[other]) { return ncclInvalidUsage; }
    }
    comms[rank] = new ncclComm{group, rank, devices[rank]};
  }
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  delete comm;
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* from, void* to, size_t count, ncclDataType_t type, ncclRedOp_t,
                           ncclComm_t comm, cudaStream_t stream) {
  const size_t bytes = count * size_of(type);
  if (!is_memory(comm, "ncclAllReduce", from, bytes) || !is_memory(comm, "ncclAllReduce", to, bytes)) {
    return ncclInvalidArgument;
  }
  run_in(stream, [=] {
    comm->group->together(comm->rank, {from, to}, [=](const std::vector<Part>& parts) {
      const OnDevice on_device("ncclAllReduce");
      type == ncclFloat ? add_up<float>(parts, count) : add_up<double>(parts, count);
    });
  });
  return ncclSuccess;
}

ncclResult_t ncclBcast(void* buffer, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                       cudaStream_t stream) {
  const size_t bytes = count * size_of(type);
  if (!is_memory(comm, "ncclBcast", buffer, bytes)) { return ncclInvalidArgument; }
  run_in(stream, [=] {
    comm->group->together(comm->rank, {buffer, buffer}, [=](const std::vector<Part>& parts) {
      const OnDevice on_device("ncclBcast");
      for (const Part& part : parts) {
        if (part.to != parts[root].from) { std::memcpy(part.to, parts[root].from, bytes); }
      }
    });
  });
  return ncclSuccess;
}

}  // extern "C"
