// BatchNorm and Scale, some channels at a time: as many as stay in the cache between the passes over
// them. No channel needs another thread's sums.
#include <algorithm>
#include <cmath>

#include "threads.hpp"

namespace kernels {
namespace {

// Sums of a plane are added up in single or double precision, as Dtype is; the planes' in double.
template <typename Dtype>
Dtype sum(const Dtype* x, int size) {
  Dtype total = 0;
#pragma omp simd reduction(+ : total)
  for (int i = 0; i < size; ++i) total += x[i];
  return total;
}

template <typename Dtype>
Dtype sum_of_squares(const Dtype* x, Dtype mean, int size) {
  Dtype total = 0;
#pragma omp simd reduction(+ : total)
  for (int i = 0; i < size; ++i) total += (x[i] - mean) * (x[i] - mean);
  return total;
}

template <typename Dtype>
Dtype sum_of_products(const Dtype* x, const Dtype* y, int size) {
  Dtype total = 0;
#pragma omp simd reduction(+ : total)
  for (int i = 0; i < size; ++i) total += x[i] * y[i];
  return total;
}

// Sums over some channels' planes, one a channel.
typedef std::vector<double> Sums;

// Calls body(first, last) for blocks of channels of about half a level-2 cache.
template <typename Body>
void each_block(const Planes& planes, const Body& body) {
  if (planes.count() == 0) return;
  const size_t numbers = 1 << 17, channel = static_cast<size_t>(planes.images) * planes.size;
  const size_t block = std::max<size_t>(numbers / channel, 1);
  in_ranges(planes.channels, threads_for(planes.count()), [&](size_t first, size_t last) {
    for (size_t start = first; start < last; start += block) {
      body(static_cast<int>(start), static_cast<int>(std::min(last, start + block)));
    }
  });
}

// Calls body(channel, offset) for every plane of a block, in the order in which they lie in memory.
template <typename Body>
void each_plane(const Planes& planes, int first, int last, const Body& body) {
  for (int image = 0; image < planes.images; ++image) {
    for (int channel = first; channel < last; ++channel) body(channel, planes.at(image, channel));
  }
}

}  // namespace

// Two passes, as in Caffe: the variance is the mean square of what the mean leaves.
template <typename Dtype>
void moments(const Planes& planes, const Dtype* x, Dtype eps, const Averages<Dtype>& averages,
             Dtype* mean, Dtype* deviation) {
  const double numbers = static_cast<double>(planes.images) * planes.size;
  const Dtype fraction = averages.fraction;
  const Dtype unbiased = numbers > 1 ? Dtype(numbers) / (Dtype(numbers) - 1) : 1;
  *averages.weight = *averages.weight * fraction + 1;
  each_block(planes, [&](int first, int last) {
    Sums totals(last - first), squares(last - first);
    each_plane(planes, first, last, [&](int c, size_t at) {
      totals[c - first] += sum(x + at, planes.size);
    });
    for (int c = first; c < last; ++c) mean[c] = totals[c - first] / numbers;
    each_plane(planes, first, last, [&](int c, size_t at) {
      squares[c - first] += sum_of_squares(x + at, mean[c], planes.size);
    });
    for (int c = first; c < last; ++c) {
      const Dtype variance = squares[c - first] / numbers;
      averages.mean[c] = averages.mean[c] * fraction + mean[c];
      averages.variance[c] = averages.variance[c] * fraction + unbiased * variance;
      deviation[c] = std::sqrt(variance + eps);
    }
  });
}

template <typename Dtype>
void moments_of(const Averages<Dtype>& averages, int channels, Dtype eps, Dtype* mean,
                Dtype* deviation) {
  const Dtype factor = *averages.weight == 0 ? 0 : 1 / *averages.weight;
  for (int c = 0; c < channels; ++c) {
    mean[c] = factor * averages.mean[c];
    deviation[c] = std::sqrt(factor * averages.variance[c] + eps);
  }
}

template <typename Dtype>
void normalise(const Planes& planes, const Dtype* x, const Dtype* mean, const Dtype* deviation,
               Dtype* y, Dtype* x_norm) {
  each_block(planes, [&](int first, int last) {
    each_plane(planes, first, last, [=](int c, size_t at) {
      const Dtype m = mean[c], d = deviation[c];
      const Dtype* from = x + at;
      Dtype* to = y + at;
      if (x_norm == nullptr) {
#pragma omp simd
        for (int i = 0; i < planes.size; ++i) to[i] = (from[i] - m) / d;
      } else {
        Dtype* kept = x_norm + at;
#pragma omp simd
        for (int i = 0; i < planes.size; ++i) to[i] = kept[i] = (from[i] - m) / d;
      }
    });
  });
}

template <typename Dtype>
void normalise_backward(const Planes& planes, const Dtype* dy, const Dtype* y,
                        const Dtype* deviation, Dtype* dx) {
  const double numbers = static_cast<double>(planes.images) * planes.size;
  each_block(planes, [&](int first, int last) {
    Sums totals(last - first), products(last - first);
    each_plane(planes, first, last, [&](int c, size_t at) {
      totals[c - first] += sum(dy + at, planes.size);
      products[c - first] += sum_of_products(dy + at, y + at, planes.size);
    });
    each_plane(planes, first, last, [&](int c, size_t at) {
      const Dtype a = totals[c - first] / numbers, b = products[c - first] / numbers;
      const Dtype d = deviation[c];
      const Dtype* top = dy + at;
      const Dtype* normalised = y + at;
      Dtype* bottom = dx + at;
#pragma omp simd
      for (int i = 0; i < planes.size; ++i) bottom[i] = (top[i] - (a + b * normalised[i])) / d;
    });
  });
}

template <typename Dtype>
void divide(const Planes& planes, const Dtype* dy, const Dtype* deviation, Dtype* dx) {
  each_block(planes, [&](int first, int last) {
    each_plane(planes, first, last, [=](int c, size_t at) {
      const Dtype d = deviation[c];
#pragma omp simd
      for (size_t i = at; i < at + planes.size; ++i) dx[i] = dy[i] / d;
    });
  });
}

template <typename Dtype>
void scale(const Planes& planes, const Dtype* x, const Dtype* factor, const Dtype* bias, Dtype* y,
           Dtype* kept) {
  each_block(planes, [&](int first, int last) {
    each_plane(planes, first, last, [=](int c, size_t at) {
      const Dtype f = factor[c], b = bias == nullptr ? Dtype(0) : bias[c];
      const Dtype* from = x + at;
      Dtype* to = y + at;
      if (kept == nullptr) {
#pragma omp simd
        for (int i = 0; i < planes.size; ++i) to[i] = from[i] * f + b;
      } else {
        Dtype* copy = kept + at;
#pragma omp simd
        for (int i = 0; i < planes.size; ++i) {
          const Dtype number = from[i];
          copy[i] = number;
          to[i] = number * f + b;
        }
      }
    });
  });
}

template <typename Dtype>
void scale_backward(const Planes& planes, const Dtype* dy, const Dtype* x, const Dtype* factor,
                    Dtype* factor_diff, Dtype* bias_diff, Dtype* dx) {
  each_block(planes, [&](int first, int last) {
    Sums totals(last - first), products(last - first);
    each_plane(planes, first, last, [&](int c, size_t at) {
      const Dtype f = factor[c];
      const Dtype* top = dy + at;
      if (bias_diff != nullptr) totals[c - first] += sum(top, planes.size);
      if (factor_diff != nullptr) {
        products[c - first] += sum_of_products(top, x + at, planes.size);
      }
      if (dx == nullptr) return;
      Dtype* bottom = dx + at;
#pragma omp simd
      for (int i = 0; i < planes.size; ++i) bottom[i] = top[i] * f;
    });
    for (int c = first; c < last; ++c) {
      if (bias_diff != nullptr) bias_diff[c] += totals[c - first];
      if (factor_diff != nullptr) factor_diff[c] += products[c - first];
    }
  });
}

template <typename Dtype>
void normalise_and_scale(const Planes& planes, const Dtype* x, const Dtype* mean,
                         const Dtype* deviation, const Dtype* factor, const Dtype* bias, bool relu,
                         Dtype* y, Dtype* x_norm) {
  each_block(planes, [&](int first, int last) {
    each_plane(planes, first, last, [=](int c, size_t at) {
      const Dtype m = mean[c], d = deviation[c], f = factor[c], b = bias[c];
      const Dtype* from = x + at;
      Dtype* kept = x_norm + at;
      Dtype* to = y + at;
      if (relu) {
#pragma omp simd
        for (int i = 0; i < planes.size; ++i) {
          const Dtype normalised = (from[i] - m) / d, scaled = normalised * f + b;
          kept[i] = normalised;
          to[i] = scaled < 0 ? Dtype(0) : scaled;
        }
      } else {
#pragma omp simd
        for (int i = 0; i < planes.size; ++i) {
          const Dtype normalised = (from[i] - m) / d;
          kept[i] = normalised;
          to[i] = normalised * f + b;
        }
      }
    });
  });
}

namespace {

// What a plane adds to the gradients: the sum of dy, and of dy x_norm, where the ReLU let y through.
template <typename Dtype, bool relu>
void add_sums(int size, const Dtype* dy, const Dtype* x_norm, const Dtype* y, double* total,
              double* products) {
  Dtype sum = 0, product = 0;
#pragma omp simd reduction(+ : sum, product)
  for (int i = 0; i < size; ++i) {
    const Dtype through = relu ? dy[i] * (y[i] > 0) : dy[i];
    sum += through;
    product += through * x_norm[i];
  }
  *total += sum;
  *products += product;
}

template <typename Dtype, bool relu>
void write_gradients(int size, const Dtype* dy, const Dtype* x_norm, const Dtype* y, Dtype f,
                     Dtype mean, Dtype slope, Dtype d, Dtype* dx) {
#pragma omp simd
  for (int i = 0; i < size; ++i) {
    const Dtype through = relu ? dy[i] * (y[i] > 0) : dy[i];
    dx[i] = (through * f - (mean + slope * x_norm[i])) / d;
  }
}

}  // namespace

template <typename Dtype>
void normalise_and_scale_backward(const Planes& planes, const Dtype* dy, const Dtype* x_norm,
                                  const Dtype* y, const Dtype* deviation, const Dtype* factor,
                                  bool relu, bool given, Dtype* factor_diff, Dtype* bias_diff,
                                  Dtype* dx) {
  const double numbers = static_cast<double>(planes.images) * planes.size;
  each_block(planes, [&](int first, int last) {
    Sums totals(last - first), products(last - first);
    each_plane(planes, first, last, [&](int c, size_t at) {
      (relu ? add_sums<Dtype, true> : add_sums<Dtype, false>)(
          planes.size, dy + at, x_norm + at, y + at, &totals[c - first], &products[c - first]);
    });
    each_plane(planes, first, last, [&](int c, size_t at) {
      const Dtype mean = given ? 0 : factor[c] * totals[c - first] / numbers;
      const Dtype slope = given ? 0 : factor[c] * products[c - first] / numbers;
      (relu ? write_gradients<Dtype, true> : write_gradients<Dtype, false>)(
          planes.size, dy + at, x_norm + at, y + at, factor[c], mean, slope, deviation[c], dx + at);
    });
    for (int c = first; c < last; ++c) {
      if (bias_diff != nullptr) bias_diff[c] += totals[c - first];
      if (factor_diff != nullptr) factor_diff[c] += products[c - first];
    }
  });
}

template <typename Dtype>
void mean_of_planes(size_t planes, size_t size, const Dtype* x, Dtype* y) {
  in_ranges(planes, threads_for(planes * size), [=](size_t first, size_t last) {
    for (size_t i = first; i < last; ++i) {
      y[i] = sum(x + i * size, static_cast<int>(size)) / static_cast<Dtype>(size);
    }
  });
}

template <typename Dtype>
void mean_of_planes_backward(size_t planes, size_t size, const Dtype* dy, Dtype* dx) {
  in_ranges(planes, threads_for(planes * size), [=](size_t first, size_t last) {
    for (size_t i = first; i < last; ++i) {
      std::fill(dx + i * size, dx + (i + 1) * size, dy[i] / static_cast<Dtype>(size));
    }
  });
}

#define INSTANTIATE(Dtype)                                                                        \
  template void moments(const Planes&, const Dtype*, Dtype, const Averages<Dtype>&, Dtype*,       \
                        Dtype*);                                                                  \
  template void moments_of(const Averages<Dtype>&, int, Dtype, Dtype*, Dtype*);                   \
  template void normalise(const Planes&, const Dtype*, const Dtype*, const Dtype*, Dtype*,        \
                          Dtype*);                                                                \
  template void normalise_backward(const Planes&, const Dtype*, const Dtype*, const Dtype*,       \
                                   Dtype*);                                                       \
  template void divide(const Planes&, const Dtype*, const Dtype*, Dtype*);                        \
  template void scale(const Planes&, const Dtype*, const Dtype*, const Dtype*, Dtype*, Dtype*);   \
  template void scale_backward(const Planes&, const Dtype*, const Dtype*, const Dtype*, Dtype*,   \
                               Dtype*, Dtype*);                                                   \
  template void normalise_and_scale(const Planes&, const Dtype*, const Dtype*, const Dtype*,      \
                                    const Dtype*, const Dtype*, bool, Dtype*, Dtype*);            \
  template void normalise_and_scale_backward(const Planes&, const Dtype*, const Dtype*,           \
                                             const Dtype*, const Dtype*, const Dtype*, bool,      \
                                             bool, Dtype*, Dtype*, Dtype*);                       \
  template void mean_of_planes(size_t, size_t, const Dtype*, Dtype*);                             \
  template void mean_of_planes_backward(size_t, size_t, const Dtype*, Dtype*);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace kernels
