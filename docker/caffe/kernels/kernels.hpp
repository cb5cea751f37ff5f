// Faster loops for the layers that a residual network is made of, on the CPU. Each stands before the
// loop of Caffe that it replaces (replacements/speed.py puts the calls there), and computes the same
// numbers: only sums may be added up in another order.
//
//   CAFFE_PLAIN=1   in the environment: Caffe's own loops run, to compare with
//
// Work is divided by channel, image or position among as many threads as OpenBLAS has, always in the
// same way, so a result depends on the number of threads alone.
#pragma once

#include <cstddef>
#include <vector>

namespace kernels {

// Whether these loops are to run.
bool on();

// As many threads as OpenBLAS has; one where `work`, a number of floating-point operations or so, is
// too little to be worth waking them.
int threads_for(size_t work);

// ---- BatchNorm and Scale: channels of planes ---------------------------------------------------------

// Of images x channels planes of `size` numbers each.
struct Planes {
  int images, channels, size;
  size_t at(int image, int channel) const {
    return (static_cast<size_t>(image) * channels + channel) * size;
  }
  size_t count() const { return static_cast<size_t>(images) * channels * size; }
};

// What BatchNorm keeps: its three blobs, and how fast they move.
template <typename Dtype>
struct Averages {
  Dtype* mean;
  Dtype* variance;
  Dtype* weight;  // of both sums: they are divided by it when they are used
  Dtype fraction;
};

// Sets each channel's mean and deviation, sqrt(variance + eps): those of x, with which the averages
// move, or those of the averages.
template <typename Dtype>
void moments(const Planes& planes, const Dtype* x, Dtype eps, const Averages<Dtype>& averages,
             Dtype* mean, Dtype* deviation);
template <typename Dtype>
void moments_of(const Averages<Dtype>& averages, int channels, Dtype eps, Dtype* mean,
                Dtype* deviation);

// y = (x - mean) / deviation. y may be x. x_norm: a copy of y for the backward pass, or null.
template <typename Dtype>
void normalise(const Planes& planes, const Dtype* x, const Dtype* mean, const Dtype* deviation,
               Dtype* y, Dtype* x_norm);

// dx = (dy - mean(dy) - mean(dy y) y) / deviation. dx may be dy.
template <typename Dtype>
void normalise_backward(const Planes& planes, const Dtype* dy, const Dtype* y,
                        const Dtype* deviation, Dtype* dx);

// dx = dy / deviation, where the statistics were given. dx may be dy.
template <typename Dtype>
void divide(const Planes& planes, const Dtype* dy, const Dtype* deviation, Dtype* dx);

// y = factor x + bias; x is kept in `kept`, and bias left out, where they are not null. y may be x.
template <typename Dtype>
void scale(const Planes& planes, const Dtype* x, const Dtype* factor, const Dtype* bias, Dtype* y,
           Dtype* kept);

// Adds to the diffs of factor and bias; dx = factor dy. Each may be null; dx may be dy.
template <typename Dtype>
void scale_backward(const Planes& planes, const Dtype* dy, const Dtype* x, const Dtype* factor,
                    Dtype* factor_diff, Dtype* bias_diff, Dtype* dx);

// normalise(), scale() and, where asked for, ReLU in one pass.
template <typename Dtype>
void normalise_and_scale(const Planes& planes, const Dtype* x, const Dtype* mean,
                         const Dtype* deviation, const Dtype* factor, const Dtype* bias, bool relu,
                         Dtype* y, Dtype* x_norm);

// The three back; y is what came out. `given`: whether the statistics were given, and so have no
// gradient of their own. Adds to the diffs of factor and bias, which may be null; dx may be dy.
template <typename Dtype>
void normalise_and_scale_backward(const Planes& planes, const Dtype* dy, const Dtype* x_norm,
                                  const Dtype* y, const Dtype* deviation, const Dtype* factor,
                                  bool relu, bool given, Dtype* factor_diff, Dtype* bias_diff,
                                  Dtype* dx);

// The mean of each plane, and its gradient.
template <typename Dtype>
void mean_of_planes(size_t planes, size_t size, const Dtype* x, Dtype* y);
template <typename Dtype>
void mean_of_planes_backward(size_t planes, size_t size, const Dtype* dy, Dtype* dx);

// ---- elementwise -------------------------------------------------------------------------------------

template <typename Dtype>
void relu(size_t count, const Dtype* x, Dtype negative_slope, Dtype* y);

template <typename Dtype>
void relu_backward(size_t count, const Dtype* dy, const Dtype* x, Dtype negative_slope, Dtype* dx);

// y = sum of coefficients x inputs, in their order.
template <typename Dtype>
void weighted_sum(size_t count, const std::vector<const Dtype*>& inputs,
                  const std::vector<Dtype>& coefficients, Dtype* y);

// y = coefficient x.
template <typename Dtype>
void multiply(size_t count, Dtype coefficient, const Dtype* x, Dtype* y);

// A step of gradient descent with momentum and L2 decay: diff becomes the step, which the weights lose.
template <typename Dtype>
void descend(size_t count, Dtype rate, Dtype momentum, Dtype decay, Dtype* weights, Dtype* diff,
             Dtype* history);

// ---- max pooling -------------------------------------------------------------------------------------

struct Pooling {
  int planes, height, width, pooled_height, pooled_width;
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
};

template <typename Dtype>
void max_pool(const Pooling& pooling, const Dtype* x, Dtype* y, int* mask);

template <typename Dtype>
void max_pool_backward(const Pooling& pooling, const Dtype* dy, const int* mask, Dtype* dx);

// ---- convolution -------------------------------------------------------------------------------------

struct Convolution {
  int images, groups;
  int channels, height, width;                   // of the input
  int num_output, output_height, output_width;
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
};

// y = weights * x + bias, where bias is not null.
template <typename Dtype>
void convolve(const Convolution& convolution, const Dtype* x, const Dtype* weights,
              const Dtype* bias, Dtype* y);

// Adds to the diffs of the weights and the bias; overwrites dx. Each may be null.
template <typename Dtype>
void convolve_backward(const Convolution& convolution, const Dtype* dy, const Dtype* x,
                       const Dtype* weights, Dtype* weight_diff, Dtype* bias_diff, Dtype* dx);

}  // namespace kernels
