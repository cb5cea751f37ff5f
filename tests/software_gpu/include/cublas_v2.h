// cuBLAS, as far as Caffe calls it: matrices lie column by column.
#pragma once

#include <cuda_runtime_api.h>

typedef struct cublasContext* cublasHandle_t;

typedef enum {
  CUBLAS_STATUS_SUCCESS = 0,
  CUBLAS_STATUS_NOT_INITIALIZED = 1,
  CUBLAS_STATUS_ALLOC_FAILED = 3,
  CUBLAS_STATUS_INVALID_VALUE = 7,
  CUBLAS_STATUS_ARCH_MISMATCH = 8,
  CUBLAS_STATUS_MAPPING_ERROR = 11,
  CUBLAS_STATUS_EXECUTION_FAILED = 13,
  CUBLAS_STATUS_INTERNAL_ERROR = 14,
  CUBLAS_STATUS_NOT_SUPPORTED = 15,
  CUBLAS_STATUS_LICENSE_ERROR = 16,
} cublasStatus_t;

typedef enum { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1, CUBLAS_OP_C = 2 } cublasOperation_t;

extern "C" {
cublasStatus_t cublasCreate(cublasHandle_t* handle);
cublasStatus_t cublasDestroy(cublasHandle_t handle);
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream);
cublasStatus_t cublasGetStream(cublasHandle_t handle, cudaStream_t* stream);

#define SOFTWARE_GPU_CUBLAS(letter, real)                                                          \
  cublasStatus_t cublas##letter##gemm(cublasHandle_t handle, cublasOperation_t of_a,               \
      cublasOperation_t of_b, int m, int n, int k, const real* alpha, const real* a, int lda,      \
      const real* b, int ldb, const real* beta, real* c, int ldc);                                 \
  cublasStatus_t cublas##letter##gemv(cublasHandle_t handle, cublasOperation_t of_a, int m, int n, \
      const real* alpha, const real* a, int lda, const real* x, int incx, const real* beta,        \
      real* y, int incy);                                                                          \
  cublasStatus_t cublas##letter##axpy(cublasHandle_t handle, int n, const real* alpha,             \
      const real* x, int incx, real* y, int incy);                                                 \
  cublasStatus_t cublas##letter##scal(cublasHandle_t handle, int n, const real* alpha, real* x,    \
      int incx);                                                                                   \
  cublasStatus_t cublas##letter##copy(cublasHandle_t handle, int n, const real* x, int incx,       \
      real* y, int incy);                                                                          \
  cublasStatus_t cublas##letter##dot(cublasHandle_t handle, int n, const real* x, int incx,        \
      const real* y, int incy, real* result);                                                      \
  cublasStatus_t cublas##letter##asum(cublasHandle_t handle, int n, const real* x, int incx,       \
      real* result);
SOFTWARE_GPU_CUBLAS(S, float)
SOFTWARE_GPU_CUBLAS(D, double)
#undef SOFTWARE_GPU_CUBLAS
}
