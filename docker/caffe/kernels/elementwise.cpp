// ReLU, Eltwise and the solver's step, number by number.
#include <algorithm>
#include <cmath>

#include "threads.hpp"

namespace kernels {
namespace {

// c x + y, rounded once where the processor can, as OpenBLAS does it.
template <typename Dtype>
inline Dtype multiply_add(Dtype c, Dtype x, Dtype y) {
#ifdef __FMA__
  return std::fma(c, x, y);
#else
  return c * x + y;
#endif
}

}  // namespace

template <typename Dtype>
void relu(size_t count, const Dtype* x, Dtype negative_slope, Dtype* y) {
  in_ranges(count, threads_for(count), [=](size_t first, size_t last) {
#pragma omp simd
    for (size_t i = first; i < last; ++i) {
      const Dtype number = x[i];  // NaN is neither and passes through both
      y[i] = (number < 0 ? Dtype(0) : number) + negative_slope * (number > 0 ? Dtype(0) : number);
    }
  });
}

template <typename Dtype>
void relu_backward(size_t count, const Dtype* dy, const Dtype* x, Dtype negative_slope, Dtype* dx) {
  in_ranges(count, threads_for(count), [=](size_t first, size_t last) {
#pragma omp simd
    for (size_t i = first; i < last; ++i) {
      dx[i] = dy[i] * ((x[i] > 0) + negative_slope * (x[i] <= 0));
    }
  });
}

template <typename Dtype>
void weighted_sum(size_t count, const std::vector<const Dtype*>& inputs,
                  const std::vector<Dtype>& coefficients, Dtype* y) {
  const size_t block = 4096;  // a block's sums stay in the cache while input after input is added
  in_ranges(count, threads_for(count), [&](size_t first, size_t last) {
    for (size_t start = first; start < last; start += block) {
      const size_t end = std::min(last, start + block);
      for (size_t k = 0; k < inputs.size(); ++k) {
        const Dtype* x = inputs[k];
        const Dtype c = coefficients[k];
        if (k == 0) {
#pragma omp simd
          for (size_t i = start; i < end; ++i) y[i] = multiply_add(c, x[i], Dtype(0));
        } else {
#pragma omp simd
          for (size_t i = start; i < end; ++i) y[i] = multiply_add(c, x[i], y[i]);
        }
      }
    }
  });
}

template <typename Dtype>
void multiply(size_t count, Dtype coefficient, const Dtype* x, Dtype* y) {
  in_ranges(count, threads_for(count), [=](size_t first, size_t last) {
#pragma omp simd
    for (size_t i = first; i < last; ++i) y[i] = coefficient * x[i];
  });
}

template <typename Dtype>
void descend(size_t count, Dtype rate, Dtype momentum, Dtype decay, Dtype* weights, Dtype* diff,
             Dtype* history) {
  in_ranges(count, threads_for(count), [=](size_t first, size_t last) {
#pragma omp simd
    for (size_t i = first; i < last; ++i) {
      const Dtype gradient = decay == 0 ? diff[i] : multiply_add(decay, weights[i], diff[i]);
      const Dtype step = multiply_add(rate, gradient, momentum * history[i]);
      history[i] = diff[i] = step;
      weights[i] -= step;
    }
  });
}

#define INSTANTIATE(Dtype)                                                         \
  template void relu(size_t, const Dtype*, Dtype, Dtype*);                         \
  template void relu_backward(size_t, const Dtype*, const Dtype*, Dtype, Dtype*);  \
  template void weighted_sum(size_t, const std::vector<const Dtype*>&,             \
                             const std::vector<Dtype>&, Dtype*);                   \
  template void multiply(size_t, Dtype, const Dtype*, Dtype*);                     \
  template void descend(size_t, Dtype, Dtype, Dtype, Dtype*, Dtype*, Dtype*);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace kernels
