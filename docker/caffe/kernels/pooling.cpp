// Max pooling, plane by plane.
#include <algorithm>
#include <cfloat>

#include "threads.hpp"

namespace kernels {
namespace {

template <typename Dtype>
void pool_plane(const Pooling& p, const Dtype* x, Dtype* y, int* mask) {
  for (int ph = 0; ph < p.pooled_height; ++ph) {
    const int top = std::max(ph * p.stride_h - p.pad_h, 0);
    const int bottom = std::min(ph * p.stride_h - p.pad_h + p.kernel_h, p.height);
    for (int pw = 0; pw < p.pooled_width; ++pw) {
      const int left = std::max(pw * p.stride_w - p.pad_w, 0);
      const int right = std::min(pw * p.stride_w - p.pad_w + p.kernel_w, p.width);
      Dtype most = -FLT_MAX;
      int place = -1;
      for (int h = top; h < bottom; ++h) {
        for (int w = left; w < right; ++w) {
          const int index = h * p.width + w;
          place = x[index] > most ? index : place;
          most = x[index] > most ? x[index] : most;
        }
      }
      *y++ = most;
      *mask++ = place;
    }
  }
}

}  // namespace

template <typename Dtype>
void max_pool(const Pooling& p, const Dtype* x, Dtype* y, int* mask) {
  const size_t size = p.height * p.width, pooled = p.pooled_height * p.pooled_width;
  in_ranges(p.planes, threads_for(p.planes * size), [&](size_t first, size_t last) {
    for (size_t i = first; i < last; ++i) {
      pool_plane(p, x + i * size, y + i * pooled, mask + i * pooled);
    }
  });
}

template <typename Dtype>
void max_pool_backward(const Pooling& p, const Dtype* dy, const int* mask, Dtype* dx) {
  const size_t size = p.height * p.width, pooled = p.pooled_height * p.pooled_width;
  in_ranges(p.planes, threads_for(p.planes * size), [&](size_t first, size_t last) {
    std::fill(dx + first * size, dx + last * size, Dtype(0));
    for (size_t i = first; i < last; ++i) {
      for (size_t k = i * pooled; k < (i + 1) * pooled; ++k) {
        if (mask[k] >= 0) dx[i * size + mask[k]] += dy[k];  // -1: nothing there but NaN
      }
    }
  });
}

#define INSTANTIATE(Dtype)                                                 \
  template void max_pool(const Pooling&, const Dtype*, Dtype*, int*);      \
  template void max_pool_backward(const Pooling&, const Dtype*, const int*, Dtype*);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace kernels
