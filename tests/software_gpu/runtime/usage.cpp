// How much memory each process uses, for nvidia-smi: a file a process, in the folder SOFTWARE_GPU_STATE
// or one of this user's in /tmp. Where it cannot be written, nothing is told and nothing else changes.
#include "runtime.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace software_gpu {
namespace {

const int MOST_DEVICES = 16;
pid_t owner = 0;
std::string* file = nullptr;

void remove_file() {
  if (file != nullptr && getpid() == owner) { unlink(file->c_str()); }
}

uint64_t* open_table() {
  const char* given = std::getenv("SOFTWARE_GPU_STATE");
  const std::string folder = given != nullptr && *given != '\0'
      ? std::string(given) : "/tmp/software-gpu-" + std::to_string(getuid());
  mkdir(folder.c_str(), 0700);
  owner = getpid();
  file = new std::string(folder + "/" + std::to_string(owner));
  const int opened = open(file->c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (opened < 0) { return nullptr; }
  const size_t size = MOST_DEVICES * sizeof(uint64_t);
  void* mapped = ftruncate(opened, size) == 0
      ? mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, opened, 0) : MAP_FAILED;
  close(opened);
  std::atexit(remove_file);
  return mapped == MAP_FAILED ? nullptr : static_cast<uint64_t*>(mapped);
}

}  // namespace

void tell_used(int device, size_t bytes) {
  static uint64_t* const table = open_table();
  if (table != nullptr && device < MOST_DEVICES && getpid() == owner) { table[device] = bytes; }
}

}  // namespace software_gpu
