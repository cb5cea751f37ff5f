// How the kernels divide their work among threads.
//
// These are threads of our own, not OpenMP's: its threads wait for each other by spinning, and on a
// machine that has other work to do a step then takes five times as long as with one thread.
#pragma once

#include <cblas.h>

#include <functional>

#include "kernels.hpp"

namespace kernels {

// While it lives, OpenBLAS computes each product in the thread that asks for it.
class OneBlasThread {
 public:
  OneBlasThread() : before_(openblas_get_num_threads()) { openblas_set_num_threads(1); }
  ~OneBlasThread() { openblas_set_num_threads(before_); }

 private:
  const int before_;
};

// Calls body(0) to body(parts - 1), each in a thread of its own, and waits for all of them.
void in_parts(int parts, const std::function<void(int)>& body);

// Calls body(first, last) for consecutive ranges of 0 to count - 1, one a thread.
template <typename Body>
void in_ranges(size_t count, int threads, const Body& body) {
  if (threads == 1) {
    body(size_t(0), count);
    return;
  }
  in_parts(threads, [&](int part) {
    body(count * part / threads, count * (part + 1) / threads);
  });
}

}  // namespace kernels
