// cuBLAS by this machine's CBLAS, with the checks that NVIDIA's makes.
#include "runtime.hpp"

#include <cblas.h>
#include <cublas_v2.h>

#include <algorithm>

struct cublasContext {
  int device;
  cudaStream_t stream;
};

namespace {

using namespace software_gpu;

// OpenBLAS's own threads may not touch the memory of devices, so it gets none while a device computes.
void compute(cublasContext* handle, const char* what, const std::function<void()>& work) {
  run_in(handle->stream, [=] {
    if (openblas_get_num_threads() > 1) { openblas_set_num_threads(1); }
    const OnDevice on_device(what);
    work();
  });
}

bool is_usable(const cublasContext* handle, const char* what) {
  if (handle != nullptr && handle->device == current_device()) { return true; }
  misuse(cudaErrorInvalidResourceHandle, "%s: its handle was not made for the current device", what);
  return false;
}

// Bytes from a matrix's or a vector's first number to its last.
size_t extent(int rows, int columns, int leading, size_t size) {
  return rows == 0 || columns == 0 ? 0 : ((columns - 1) * size_t(leading) + rows) * size;
}

bool is_memory(const char* what, const void* pointer, size_t bytes) {
  if (bytes == 0 || is_of_device(pointer, bytes, current_device())) { return true; }
  misuse(cudaErrorIllegalAddress, "%s: %zu bytes at %p are not all memory of device %d", what, bytes,
         pointer, current_device());
  return false;
}

bool is_vector(const char* what, const void* pointer, int n, int step, size_t size) {
  return is_memory(what, pointer, n <= 0 ? 0 : extent(1, n, step, size));
}

CBLAS_TRANSPOSE of(cublasOperation_t operation) {
  return operation == CUBLAS_OP_N ? CblasNoTrans : CblasTrans;
}

// A number of the host: cuBLAS reads it when it is called, not when the stream is reached.
#define CHECK_HANDLE(name) \
  if (!is_usable(handle, name)) { return CUBLAS_STATUS_NOT_INITIALIZED; }
#define CHECK_ARGUMENTS(condition) \
  if (!(condition)) { return CUBLAS_STATUS_INVALID_VALUE; }
#define CHECK_MEMORY(condition) \
  if (!(condition)) { return CUBLAS_STATUS_EXECUTION_FAILED; }

}  // namespace

extern "C" {

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  if (device_count() == 0) { return CUBLAS_STATUS_NOT_INITIALIZED; }
  *handle = new cublasContext{current_device(), nullptr};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  CHECK_HANDLE("cublasSetStream")
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetStream(cublasHandle_t handle, cudaStream_t* stream) {
  CHECK_HANDLE("cublasGetStream")
  *stream = handle->stream;
  return CUBLAS_STATUS_SUCCESS;
}

// With beta 0, what lies in the result is not read, so that NaN there does not matter.
#define DEFINE(letter, small, real)                                                                  \
  cublasStatus_t cublas##letter##gemm(cublasHandle_t handle, cublasOperation_t of_a,                 \
      cublasOperation_t of_b, int m, int n, int k, const real* alpha, const real* a, int lda,        \
      const real* b, int ldb, const real* beta, real* c, int ldc) {                                  \
    const char* const name = "cublas" #letter "gemm";                                                \
    CHECK_HANDLE(name)                                                                               \
    const int a_rows = of_a == CUBLAS_OP_N ? m : k, b_rows = of_b == CUBLAS_OP_N ? k : n;            \
    CHECK_ARGUMENTS(m >= 0 && n >= 0 && k >= 0 && lda >= std::max(1, a_rows) &&                      \
                    ldb >= std::max(1, b_rows) && ldc >= std::max(1, m))                             \
    CHECK_MEMORY(is_memory(name, a, extent(a_rows, of_a == CUBLAS_OP_N ? k : m, lda, sizeof(real)))) \
    CHECK_MEMORY(is_memory(name, b, extent(b_rows, of_b == CUBLAS_OP_N ? n : k, ldb, sizeof(real)))) \
    CHECK_MEMORY(is_memory(name, c, extent(m, n, ldc, sizeof(real))))                                \
    const real by = *alpha, keep = *beta;                                                            \
    compute(handle, name, [=] {                                                                      \
      cblas_##small##gemm(CblasColMajor, of(of_a), of(of_b), m, n, k, by, a, lda, b, ldb, keep, c,   \
                          ldc);                                                                      \
    });                                                                                              \
    return CUBLAS_STATUS_SUCCESS;                                                                    \
  }                                                                                                  \
  cublasStatus_t cublas##letter##gemv(cublasHandle_t handle, cublasOperation_t of_a, int m, int n,   \
      const real* alpha, const real* a, int lda, const real* x, int incx, const real* beta,          \
      real* y, int incy) {                                                                           \
    const char* const name = "cublas" #letter "gemv";                                                \
    CHECK_HANDLE(name)                                                                               \
    CHECK_ARGUMENTS(m >= 0 && n >= 0 && lda >= std::max(1, m) && incx > 0 && incy > 0)               \
    const int of_x = of_a == CUBLAS_OP_N ? n : m, of_y = of_a == CUBLAS_OP_N ? m : n;                \
    CHECK_MEMORY(is_memory(name, a, extent(m, n, lda, sizeof(real))))                                \
    CHECK_MEMORY(is_vector(name, x, of_x, incx, sizeof(real)))                                       \
    CHECK_MEMORY(is_vector(name, y, of_y, incy, sizeof(real)))                                       \
    const real by = *alpha, keep = *beta;                                                            \
    compute(handle, name, [=] {                                                                      \
      for (int i = 0; keep == 0 && i < of_y; ++i) { y[i * size_t(incy)] = 0; }                       \
      cblas_##small##gemv(CblasColMajor, of(of_a), m, n, by, a, lda, x, incx, keep, y, incy);        \
    });                                                                                              \
    return CUBLAS_STATUS_SUCCESS;                                                                    \
  }                                                                                                  \
  cublasStatus_t cublas##letter##axpy(cublasHandle_t handle, int n, const real* alpha,               \
      const real* x, int incx, real* y, int incy) {                                                  \
    const char* const name = "cublas" #letter "axpy";                                                \
    CHECK_HANDLE(name)                                                                               \
    CHECK_MEMORY(is_vector(name, x, n, incx, sizeof(real)))                                          \
    CHECK_MEMORY(is_vector(name, y, n, incy, sizeof(real)))                                          \
    const real by = *alpha;                                                                          \
    compute(handle, name, [=] { cblas_##small##axpy(n, by, x, incx, y, incy); });                    \
    return CUBLAS_STATUS_SUCCESS;                                                                    \
  }                                                                                                  \
  cublasStatus_t cublas##letter##scal(cublasHandle_t handle, int n, const real* alpha, real* x,      \
      int incx) {                                                                                    \
    const char* const name = "cublas" #letter "scal";                                                \
    CHECK_HANDLE(name)                                                                               \
    CHECK_MEMORY(is_vector(name, x, n, incx, sizeof(real)))                                          \
    const real by = *alpha;                                                                          \
    compute(handle, name, [=] { cblas_##small##scal(n, by, x, incx); });                             \
    return CUBLAS_STATUS_SUCCESS;                                                                    \
  }                                                                                                  \
  cublasStatus_t cublas##letter##copy(cublasHandle_t handle, int n, const real* x, int incx,         \
      real* y, int incy) {                                                                           \
    const char* const name = "cublas" #letter "copy";                                                \
    CHECK_HANDLE(name)                                                                               \
    CHECK_MEMORY(is_vector(name, x, n, incx, sizeof(real)))                                          \
    CHECK_MEMORY(is_vector(name, y, n, incy, sizeof(real)))                                          \
    compute(handle, name, [=] { cblas_##small##copy(n, x, incx, y, incy); });                        \
    return CUBLAS_STATUS_SUCCESS;                                                                    \
  }                                                                                                  \
  cublasStatus_t cublas##letter##dot(cublasHandle_t handle, int n, const real* x, int incx,          \
      const real* y, int incy, real* result) {                                                       \
    const char* const name = "cublas" #letter "dot";                                                 \
    CHECK_HANDLE(name)                                                                               \
    CHECK_MEMORY(is_vector(name, x, n, incx, sizeof(real)))                                          \
    CHECK_MEMORY(is_vector(name, y, n, incy, sizeof(real)))                                          \
    real sum = 0;                                                                                    \
    compute(handle, name, [=, &sum] { sum = cblas_##small##dot(n, x, incx, y, incy); });             \
    if (handle->stream != nullptr) { cudaStreamSynchronize(handle->stream); }                        \
    *result = sum; /* of the host: cuBLAS waits until it is known */                                 \
    return CUBLAS_STATUS_SUCCESS;                                                                    \
  }                                                                                                  \
  cublasStatus_t cublas##letter##asum(cublasHandle_t handle, int n, const real* x, int incx,         \
      real* result) {                                                                                \
    const char* const name = "cublas" #letter "asum";                                                \
    CHECK_HANDLE(name)                                                                               \
    CHECK_MEMORY(is_vector(name, x, n, incx, sizeof(real)))                                          \
    real sum = 0;                                                                                    \
    compute(handle, name, [=, &sum] { sum = cblas_##small##asum(n, x, incx); });                     \
    if (handle->stream != nullptr) { cudaStreamSynchronize(handle->stream); }                        \
    *result = sum;                                                                                   \
    return CUBLAS_STATUS_SUCCESS;                                                                    \
  }

DEFINE(S, s, float)
DEFINE(D, d, double)

}  // extern "C"
