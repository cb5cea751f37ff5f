// Convolution as products of matrices, tile by tile.
//
// Caffe writes out the columns of one whole image, multiplies, and goes on to the next. A tile is as
// many columns as stay in the cache: some rows of a large image, or several small images at once, so
// that the weights are packed for one product instead of for each image. Threads take tiles of their own.
#include <algorithm>
#include <cstring>

#include "threads.hpp"

namespace kernels {
namespace {

// A tile's columns are as many numbers as a level-2 cache holds, but enough columns for the packing of
// the weights to be a small part of the product. Small images are put together to that end, where the
// product is large enough for it to be worth their copying.
// (OpenBLAS packs nothing for a product of less than a million multiplications.)
const size_t kTileNumbers = 1 << 18, kEnoughColumns = 256, kPackedProduct = 1000000;

void gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const float* a, int lda,
          const float* b, int ldb, float beta, float* c, int ldc) {
  cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}

void gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const double* a, int lda,
          const double* b, int ldb, double beta, double* c, int ldc) {
  cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}

// A matrix whose rows lie `stride` numbers apart.
template <typename Dtype>
struct Matrix {
  Dtype* data;
  int stride;
};

// What a thread writes columns and products into; kept for the next layer.
template <typename Dtype>
Dtype* scratch(int which, size_t numbers) {
  thread_local std::vector<Dtype> buffers[4];
  if (buffers[which].size() < numbers) {
    std::vector<Dtype>().swap(buffers[which]);  // before the larger one is there
    buffers[which].resize(numbers);
  }
  return buffers[which].data();
}
enum { kColumns, kColumnDiffs, kOutputs, kWeightDiffs };

// Some whole images, or some output rows of one image.
struct Tile {
  int image, images, row, rows;
};

// The sizes of one group's products.
struct Sizes {
  explicit Sizes(const Convolution& c)
      : outputs(c.num_output / c.groups),
        inputs(c.channels / c.groups),
        depth(inputs * c.kernel_h * c.kernel_w),
        in_size(c.height * c.width),
        out_size(c.output_height * c.output_width),
        pointwise(c.kernel_h == 1 && c.kernel_w == 1 && c.stride_h == 1 && c.stride_w == 1 &&
                  c.pad_h == 0 && c.pad_w == 0) {}

  const int outputs, inputs, depth, in_size, out_size;
  const bool pointwise;  // the image is its own columns

  int columns(const Convolution& c, const Tile& t) const { return t.images * t.rows * c.output_width; }
};

// The tiles of the images from first to last.
std::vector<Tile> tiles_of(const Convolution& c, const Sizes& s, int first, int last, int threads) {
  const size_t columns = std::max(kTileNumbers / s.depth, kEnoughColumns);
  const int rows = std::min<size_t>(std::max<size_t>(columns / c.output_width, 1), c.output_height);
  int images = 1;
  const size_t product = static_cast<size_t>(s.outputs) * s.depth * s.out_size;
  if (product > kPackedProduct && 2 * s.out_size <= static_cast<int>(kEnoughColumns)) {
    const int share = (last - first + threads - 1) / threads;  // so that each has some
    images = std::max(1, std::min<int>((kEnoughColumns + s.out_size - 1) / s.out_size, share));
  }
  std::vector<Tile> tiles;
  for (int image = first; image < last; image += images) {
    for (int row = 0; row < c.output_height; row += rows) {
      tiles.push_back(
          {image, std::min(images, last - image), row, std::min(rows, c.output_height - row)});
    }
  }
  return tiles;
}

// The output columns whose input column, `shift` further on, lies in the image.
struct Inside {
  Inside(const Convolution& c, int shift)
      : first(std::min(c.output_width, shift >= 0 ? 0 : (-shift + c.stride_w - 1) / c.stride_w)),
        last(shift >= c.width ? first
                              : std::max(first, std::min(c.output_width,
                                                         (c.width - 1 - shift) / c.stride_w + 1))) {}
  const int first, last;
};

// Calls body(columns, plane, down, right) for a tile's columns plane by plane: those that read a plane
// of the input so many rows further down and columns further right, before the stride.
template <typename Dtype, typename Input, typename Body>
void each_plane(const Convolution& c, const Sizes& s, const Tile& t, Input* x, Dtype* columns,
                const Body& body) {
  for (int channel = 0; channel < s.inputs; ++channel) {
    for (int kh = 0; kh < c.kernel_h; ++kh) {
      for (int kw = 0; kw < c.kernel_w; ++kw) {
        for (int image = t.image; image < t.image + t.images; ++image) {
          body(columns, x + (static_cast<size_t>(image) * c.channels + channel) * s.in_size,
               kh * c.dilation_h - c.pad_h, kw * c.dilation_w - c.pad_w);
          columns += t.rows * c.output_width;
        }
      }
    }
  }
}

// Where a tile's columns and a plane have the same width, and all rows follow each other in both: the
// columns are the plane from another place on, but for their borders.
struct Shifted {
  Shifted(const Convolution& c, const Tile& t, int down, int right)
      : first(std::max(t.row, -down)),
        last(std::max(first, std::min(t.row + t.rows, c.height - down))),
        count((last - first) * c.width),
        begin(std::max(0, -right)),
        end(count - std::max(0, right)) {}
  const int first, last;       // output rows whose input row lies in the image
  const int count;             // columns in them
  const int begin, end;        // those of them that are surely read from the plane, or are borders
};

bool is_shifted(const Convolution& c) {
  return c.stride_h == 1 && c.stride_w == 1 && c.output_width == c.width;
}

// Sets the columns of the borders left and right of the image to 0.
template <typename Dtype>
void clear_borders(const Convolution& c, const Inside& inside, int rows, Dtype* columns) {
  for (int row = 0; row < rows; ++row, columns += c.width) {
    for (int w = 0; w < inside.first; ++w) columns[w] = 0;
    for (int w = inside.last; w < c.width; ++w) columns[w] = 0;
  }
}

// Rows of few numbers: a vectorised loop would take longer to begin than to run.
template <typename Dtype>
__attribute__((optimize("no-tree-vectorize"))) void copy_strided(const Dtype* from, int stride,
                                                                 int count, Dtype* to) {
  for (int i = 0; i < count; ++i) to[i] = from[i * stride];
}

template <typename Dtype>
__attribute__((optimize("no-tree-vectorize"))) void add_strided(const Dtype* from, int stride,
                                                                int count, Dtype* to) {
  for (int i = 0; i < count; ++i) to[i * stride] += from[i];
}

template <typename Dtype>
void write_columns(const Convolution& c, const Sizes& s, const Tile& t, const Dtype* x,
                   Dtype* columns) {
  each_plane(c, s, t, x, columns, [&](Dtype* to, const Dtype* plane, int down, int right) {
    const Inside inside(c, right);
    const int all = t.rows * c.output_width;
    if (inside.first == inside.last) {
      std::fill(to, to + all, Dtype(0));
    } else if (is_shifted(c)) {
      const Shifted shifted(c, t, down, right);
      const int before = (shifted.first - t.row) * c.width;
      for (int i = 0; i < std::min(before, all); ++i) to[i] = 0;
      for (int i = before + shifted.count; i < all; ++i) to[i] = 0;
      Dtype* block = to + before;
      const Dtype* from = plane + (shifted.first + down) * c.width + right;
#pragma omp simd
      for (int i = shifted.begin; i < shifted.end; ++i) block[i] = from[i];
      clear_borders(c, inside, shifted.last - shifted.first, block);
    } else {
      for (int row = t.row; row < t.row + t.rows; ++row, to += c.output_width) {
        const int h = row * c.stride_h + down;
        if (h < 0 || h >= c.height) {
          std::fill(to, to + c.output_width, Dtype(0));
          continue;
        }
        for (int w = 0; w < inside.first; ++w) to[w] = 0;
        for (int w = inside.last; w < c.output_width; ++w) to[w] = 0;
        copy_strided(plane + h * c.width + inside.first * c.stride_w + right, c.stride_w,
                     inside.last - inside.first, to + inside.first);
      }
    }
  });
}

// Adds the columns to the places that they were read from. Overwrites their borders.
template <typename Dtype>
void add_columns(const Convolution& c, const Sizes& s, const Tile& t, Dtype* columns, Dtype* dx) {
  each_plane(c, s, t, dx, columns, [&](Dtype* from, Dtype* plane, int down, int right) {
    const Inside inside(c, right);
    if (inside.first == inside.last) return;
    if (is_shifted(c)) {
      const Shifted shifted(c, t, down, right);
      Dtype* block = from + (shifted.first - t.row) * c.width;
      Dtype* to = plane + (shifted.first + down) * c.width + right;
      clear_borders(c, inside, shifted.last - shifted.first, block);
#pragma omp simd
      for (int i = shifted.begin; i < shifted.end; ++i) to[i] += block[i];
      return;
    }
    for (int row = t.row; row < t.row + t.rows; ++row, from += c.output_width) {
      const int h = row * c.stride_h + down;
      if (h < 0 || h >= c.height) continue;
      add_strided(from + inside.first, c.stride_w, inside.last - inside.first,
                  plane + h * c.width + inside.first * c.stride_w + right);
    }
  });
}

// A tile of several images lies apart in a blob: these bring the images' planes side by side and back.
// `between`: the numbers from one image to the next.
template <typename Dtype>
void gather(const Tile& t, int planes, int size, size_t between, const Dtype* from, Dtype* to) {
  for (int plane = 0; plane < planes; ++plane, from += size) {
    for (int image = t.image; image < t.image + t.images; ++image, to += size) {
      std::copy(from + image * between, from + image * between + size, to);
    }
  }
}

template <typename Dtype>
void scatter(const Tile& t, int planes, int size, size_t between, const Dtype* from, Dtype* to) {
  for (int plane = 0; plane < planes; ++plane, to += size) {
    for (int image = t.image; image < t.image + t.images; ++image, from += size) {
      std::copy(from, from + size, to + image * between);
    }
  }
}

// A tile's columns of the group that begins at x.
template <typename Dtype>
Matrix<const Dtype> columns_of(const Convolution& c, const Sizes& s, const Tile& t, const Dtype* x) {
  const size_t between = static_cast<size_t>(c.channels) * s.in_size;
  if (s.pointwise && t.images == 1) {
    return {x + t.image * between + t.row * c.width, s.in_size};
  }
  const int columns = s.columns(c, t);
  Dtype* to = scratch<Dtype>(kColumns, static_cast<size_t>(s.depth) * columns);
  if (s.pointwise) {
    gather(t, s.inputs, s.in_size, between, x, to);
  } else {
    write_columns(c, s, t, x, to);
  }
  return {to, columns};
}

template <typename Dtype>
void add_bias(const Convolution& c, const Sizes& s, const Tile& t, const Dtype* bias, Dtype* y) {
  const int first = t.row * c.output_width;
  for (int image = t.image; image < t.image + t.images; ++image) {
    for (int output = 0; output < s.outputs; ++output) {
      const size_t plane = static_cast<size_t>(image) * c.num_output + output;
      Dtype* row = y + plane * s.out_size + first;
      const Dtype b = bias[output];
#pragma omp simd
      for (int i = 0; i < t.rows * c.output_width; ++i) row[i] += b;
    }
  }
}

template <typename Dtype>
void convolve_tile(const Convolution& c, const Sizes& s, const Tile& t, const Dtype* x,
                   const Dtype* weights, const Dtype* bias, Dtype* y) {
  const Matrix<const Dtype> in = columns_of(c, s, t, x);
  const int columns = s.columns(c, t);
  const size_t between = static_cast<size_t>(c.num_output) * s.out_size;
  const bool apart = t.images > 1;
  Dtype* to = apart ? scratch<Dtype>(kOutputs, static_cast<size_t>(s.outputs) * columns)
                    : y + t.image * between + t.row * c.output_width;
  gemm(CblasNoTrans, CblasNoTrans, s.outputs, columns, s.depth, weights, s.depth, in.data, in.stride,
       Dtype(0), to, apart ? columns : s.out_size);
  if (apart) scatter(t, s.outputs, s.out_size, between, to, y);
  if (bias != nullptr) add_bias(c, s, t, bias, y);
}

template <typename Dtype>
void backward_tile(const Convolution& c, const Sizes& s, const Tile& t, const Dtype* dy,
                   const Dtype* x, const Dtype* weights, Dtype beta, Dtype* weight_diff, Dtype* dx) {
  const int columns = s.columns(c, t);
  const size_t in_between = static_cast<size_t>(c.channels) * s.in_size;
  const size_t out_between = static_cast<size_t>(c.num_output) * s.out_size;
  const bool apart = t.images > 1;
  Matrix<const Dtype> top{dy + t.image * out_between + t.row * c.output_width, s.out_size};
  if (apart) {
    Dtype* to = scratch<Dtype>(kOutputs, static_cast<size_t>(s.outputs) * columns);
    gather(t, s.outputs, s.out_size, out_between, dy, to);
    top = {to, columns};
  }
  if (weight_diff != nullptr) {
    const Matrix<const Dtype> in = columns_of(c, s, t, x);
    gemm(CblasNoTrans, CblasTrans, s.outputs, s.depth, columns, top.data, top.stride, in.data,
         in.stride, beta, weight_diff, s.depth);
  }
  if (dx == nullptr) return;
  const bool direct = s.pointwise && !apart;
  Dtype* to = direct ? dx + t.image * in_between + t.row * c.width
                     : scratch<Dtype>(kColumnDiffs, static_cast<size_t>(s.depth) * columns);
  gemm(CblasTrans, CblasNoTrans, s.depth, columns, s.outputs, weights, s.depth, top.data, top.stride,
       Dtype(0), to, direct ? s.in_size : columns);
  if (direct) return;
  if (s.pointwise) {
    scatter(t, s.inputs, s.in_size, in_between, to, dx);
  } else {
    add_columns(c, s, t, to, dx);
  }
}

template <typename Dtype>
void add_bias_diff(const Convolution& c, const Sizes& s, const Dtype* dy, Dtype* bias_diff) {
  const size_t numbers = static_cast<size_t>(c.images) * c.num_output * s.out_size;
  in_ranges(c.num_output, kernels::threads_for(numbers), [&](size_t first, size_t last) {
    for (size_t output = first; output < last; ++output) {
      double total = 0;
      for (int image = 0; image < c.images; ++image) {
        const Dtype* plane = dy + (static_cast<size_t>(image) * c.num_output + output) * s.out_size;
        Dtype sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int i = 0; i < s.out_size; ++i) sum += plane[i];
        total += sum;
      }
      bias_diff[output] += total;
    }
  });
}

// Numbers of the weights' diffs that the threads of a backward pass may have for themselves.
const size_t kMostCopied = 1 << 26;

// Fewer images than threads are left to OpenBLAS, which divides each product.
int threads_for(const Convolution& c, const Sizes& s) {
  const size_t work = static_cast<size_t>(c.images) * c.num_output * s.depth * s.out_size;
  const int threads = kernels::threads_for(work);
  return c.images < threads ? 1 : threads;
}

}  // namespace

template <typename Dtype>
void convolve(const Convolution& c, const Dtype* x, const Dtype* weights, const Dtype* bias,
              Dtype* y) {
  const Sizes s(c);
  const int threads = threads_for(c, s);
  const std::vector<Tile> tiles = tiles_of(c, s, 0, c.images, threads);
  const auto convolve_tiles = [&](size_t first, size_t last) {
    for (int group = 0; group < c.groups; ++group) {
      const size_t weight = static_cast<size_t>(group) * s.outputs * s.depth;
      for (size_t i = first; i < last; ++i) {
        convolve_tile(c, s, tiles[i], x + static_cast<size_t>(group) * s.inputs * s.in_size,
                      weights + weight, bias == nullptr ? nullptr : bias + group * s.outputs,
                      y + static_cast<size_t>(group) * s.outputs * s.out_size);
      }
    }
  };
  if (threads == 1) {
    convolve_tiles(0, tiles.size());
    return;
  }
  const OneBlasThread one;
  in_ranges(tiles.size(), threads, convolve_tiles);
}

template <typename Dtype>
void convolve_backward(const Convolution& c, const Dtype* dy, const Dtype* x, const Dtype* weights,
                       Dtype* weight_diff, Dtype* bias_diff, Dtype* dx) {
  const Sizes s(c);
  if (bias_diff != nullptr) add_bias_diff(c, s, dy, bias_diff);
  if (weight_diff == nullptr && dx == nullptr) return;

  // The first thread adds to the weights' diff, each other one to a diff of its own.
  const size_t group_weights = static_cast<size_t>(s.outputs) * s.depth;
  const size_t copies = weight_diff == nullptr ? kMostCopied : kMostCopied / (c.groups * group_weights);
  const int threads = std::min<size_t>(threads_for(c, s), copies + 1);
  std::vector<Dtype*> diffs(threads, weight_diff);
  const auto backward = [&](size_t first, size_t last, int thread) {
    if (dx != nullptr && !s.pointwise) {
      std::fill(dx + first * c.channels * s.in_size, dx + last * c.channels * s.in_size, Dtype(0));
    }
    if (weight_diff != nullptr && thread > 0) {
      diffs[thread] = scratch<Dtype>(kWeightDiffs, c.groups * group_weights);
    }
    const std::vector<Tile> tiles = tiles_of(c, s, first, last, 1);
    for (int group = 0; group < c.groups; ++group) {
      const size_t in = static_cast<size_t>(group) * s.inputs * s.in_size;
      for (size_t i = 0; i < tiles.size(); ++i) {
        backward_tile(c, s, tiles[i], dy + static_cast<size_t>(group) * s.outputs * s.out_size, x + in,
                      weights + group * group_weights, Dtype(thread == 0 || i > 0),
                      weight_diff == nullptr ? nullptr : diffs[thread] + group * group_weights,
                      dx == nullptr ? nullptr : dx + in);
      }
    }
  };
  if (threads == 1) {
    backward(0, c.images, 0);
    return;
  }
  const OneBlasThread one;
  in_parts(threads, [&](int part) {
    backward(c.images * part / threads, c.images * (part + 1) / threads, part);
  });
  if (weight_diff == nullptr) return;
  in_ranges(c.groups * group_weights, threads, [&](size_t first, size_t last) {
    for (int other = 1; other < threads; ++other) {
      const Dtype* diff = diffs[other];
#pragma omp simd
      for (size_t i = first; i < last; ++i) weight_diff[i] += diff[i];
    }
  });
}

#define INSTANTIATE(Dtype)                                                                      \
  template void convolve(const Convolution&, const Dtype*, const Dtype*, const Dtype*, Dtype*); \
  template void convolve_backward(const Convolution&, const Dtype*, const Dtype*, const Dtype*, \
                                  Dtype*, Dtype*, Dtype*);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace kernels
