// Small programs for a GPU, one a name on the command line: right ones print what they computed, and the
// wrong ones do what a GPU would punish. tests/test_software_gpu.py runs them.
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <curand.h>

#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#define LAUNCH_IN_A_MACRO(kernel, n, pointer) kernel<<<(n + 3) / 4, 4>>>(n, pointer)

template <typename T>
__global__ void count_visits(int n, T* visits) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) {
    visits[i] += 1;
  }
}

__global__ void where(int* places) {
  const int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const int threads = blockDim.x * blockDim.y * blockDim.z;
  places[block * threads + thread] = 100 * block + thread;
}

// Each thread writes one number and reads another's.
__global__ void reverse_blocks(int* numbers) {
  __shared__ int shared[8];
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  shared[threadIdx.x] = numbers[i];
  __syncthreads();
  numbers[i] = shared[blockDim.x - 1 - threadIdx.x];
}

__global__ void leave_others_waiting(int* numbers) {
  if (threadIdx.x % 2 == 0) { return; }
  __syncthreads();
  numbers[threadIdx.x] = 1;
}

__global__ void write_at(int* numbers, int where) { numbers[where] = 1; }

__global__ void last_of_all(int* number) { *number = blockIdx.x * blockDim.x + threadIdx.x; }

__global__ void absolute(float* number) { *number = abs(*number); }

template <typename T>
T* on_device(const std::vector<T>& numbers) {
  T* pointer = nullptr;
  if (cudaMalloc(&pointer, numbers.size() * sizeof(T)) != cudaSuccess) { return nullptr; }
  cudaMemcpy(pointer, numbers.data(), numbers.size() * sizeof(T), cudaMemcpyHostToDevice);
  return pointer;
}

template <typename T>
void show(const T* pointer, int n) {
  std::vector<T> numbers(n);
  cudaMemcpy(numbers.data(), pointer, n * sizeof(T), cudaMemcpyDeviceToHost);
  for (T number : numbers) { std::printf("%g ", static_cast<double>(number)); }
  std::printf("\n");
}

void show_error() { std::printf("%s\n", cudaGetErrorString(cudaGetLastError())); }

// op(A) op(B) for all four ways, of matrices whose columns lie further apart than they are long.
void multiply() {
  cublasHandle_t handle;
  cublasCreate(&handle);
  const int m = 2, n = 3, k = 4, apart = 5;
  for (int way = 0; way < 4; ++way) {
    std::vector<double> a(apart * apart), b(apart * apart), c(apart * n, 1);
    for (int i = 0; i < apart * apart; ++i) { a[i] = i, b[i] = 100 - 3 * i; }
    double *on_a = on_device(a), *on_b = on_device(b), *on_c = on_device(c);
    const double alpha = 2, beta = 0.5;
    const cublasStatus_t status = cublasDgemm(handle, way & 1 ? CUBLAS_OP_T : CUBLAS_OP_N,
        way & 2 ? CUBLAS_OP_T : CUBLAS_OP_N, m, n, k, &alpha, on_a, apart, on_b, apart, &beta, on_c, apart);
    std::printf("%d ", status);
    show(on_c, apart * n);
  }
}

void refuse_matrices_that_overlap_their_columns() {
  cublasHandle_t handle;
  cublasCreate(&handle);
  float* numbers = on_device(std::vector<float>(64, 1));
  const float one = 1;
  std::printf("%d\n", cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 4, 4, 4, &one, numbers, 3, numbers, 4,
                                  &one, numbers, 4));
}

void draw() {
  curandGenerator_t generator;
  curandCreateGenerator(&generator, CURAND_RNG_PSEUDO_DEFAULT);
  float* numbers = on_device(std::vector<float>(4));
  for (int time = 0; time < 2; ++time) {
    curandSetPseudoRandomGeneratorSeed(generator, 7);
    curandGenerateUniform(generator, numbers, 4);
    show(numbers, 4);
  }
  std::printf("%d\n", curandGenerateNormal(generator, numbers, 3, 0.F, 1.F));
}

void copy_late() {
  cudaStream_t stream;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  int* number = on_device(std::vector<int>{1});
  const int next = 2;
  cudaMemcpyAsync(number, &next, sizeof next, cudaMemcpyHostToDevice, stream);
  show(number, 1);
  cudaStreamSynchronize(stream);
  show(number, 1);
}

void fill_memory() {
  void* pointer = nullptr;
  std::printf("%s\n", cudaGetErrorString(cudaMalloc(&pointer, size_t{3} << 20)));
  std::printf("%s\n", cudaGetErrorString(cudaMalloc(&pointer, size_t{3} << 20)));
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  std::printf("%zu of %zu\n", free >> 20, total >> 20);
  std::fflush(stdout);
  std::getchar();  // until nvidia-smi has looked
}

const std::map<std::string, std::function<void()>> PROGRAMS = {
  {"visits", [] {
    int* visits = on_device(std::vector<int>(10));
    count_visits<int><<<3, 2>>>(10, visits);
    count_visits<<<dim3(2), 3, 0, nullptr>>>(5, visits);
    LAUNCH_IN_A_MACRO(count_visits<int>, 2, visits);
    show(visits, 10);
    show_error();
  }},
  {"places", [] {
    int* places = on_device(std::vector<int>(48));
    where<<<dim3(2, 1, 2), dim3(3, 2, 2)>>>(places);
    show(places, 48);
  }},
  {"barrier", [] {
    int* numbers = on_device(std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8});
    reverse_blocks<<<2, 4>>>(numbers);
    show(numbers, 8);
  }},
  {"order", [] {
    int* number = on_device(std::vector<int>{-1});
    last_of_all<<<2, 3>>>(number);
    show(number, 1);
  }},
  {"absolute", [] {
    float* number = on_device(std::vector<float>{-0.5F});
    absolute<<<1, 1>>>(number);
    show(number, 1);
  }},
  {"multiply", multiply},
  {"draw", draw},
  {"copy-late", copy_late},
  {"memory", fill_memory},
  {"overlapping", refuse_matrices_that_overlap_their_columns},
  {"no-blocks", [] {
    count_visits<int><<<0, 4>>>(0, on_device(std::vector<int>(1)));
    show_error();
  }},
  {"too-many-threads", [] {
    count_visits<int><<<1, 1025>>>(1, on_device(std::vector<int>(1)));
    show_error();
  }},
  {"hosts-memory", [] {
    int number = 0;
    count_visits<int><<<1, 1>>>(1, &number);
    show_error();
  }},
  {"beside", [] {
    write_at<<<1, 1>>>(on_device(std::vector<int>(4)), 4);
    show_error();
  }},
  {"far-beside", [] { write_at<<<1, 1>>>(on_device(std::vector<int>(4)), 200); }},
  {"host-reads", [] { std::printf("%d\n", *on_device(std::vector<int>(1))); }},
  {"wrong-direction", [] {
    int number = 0;
    std::printf("%s\n", cudaGetErrorString(
        cudaMemcpy(&number, on_device(std::vector<int>(1)), sizeof number, cudaMemcpyHostToDevice)));
  }},
  {"waiting", [] {
    leave_others_waiting<<<1, 4>>>(on_device(std::vector<int>(4)));
    show_error();
  }},
  {"freed", [] {
    int* numbers = on_device(std::vector<int>(4));
    cudaFree(numbers);
    count_visits<<<1, 1>>>(1, numbers);
    show_error();
  }},
  {"other-device", [] {
    int* numbers = on_device(std::vector<int>(4));
    cudaSetDevice(1);
    count_visits<<<1, 1>>>(1, numbers);
    show_error();
  }},
  {"devices", [] {
    int count = -1;
    std::printf("%s ", cudaGetErrorString(cudaGetDeviceCount(&count)));
    std::printf("%d\n", count);
  }},
};

int main(int, char** words) {
  PROGRAMS.at(words[1])();
  return 0;
}
