// cuRAND: other numbers than NVIDIA's, of the same ranges. A generator with the same seed and offset gives
// the same numbers again.
#include "runtime.hpp"

#include <curand.h>

#include <cmath>
#include <random>

struct curandGenerator_st {
  int device;
  unsigned long long seed;
  std::mt19937_64 engine;
};

namespace {

using namespace software_gpu;

// In (0, 1], as cuRAND's.
template <typename Real>
Real uniform(std::mt19937_64* engine) {
  const int bits = sizeof(Real) == sizeof(float) ? 24 : 53;
  return (static_cast<Real>((*engine)() >> (64 - bits)) + 1) / static_cast<Real>(1ULL << bits);
}

template <typename Number, typename Make>
curandStatus_t fill(curandGenerator_t generator, const char* what, Number* numbers, size_t n, Make make) {
  if (generator == nullptr) { return CURAND_STATUS_NOT_INITIALIZED; }
  if (n == 0) { return CURAND_STATUS_SUCCESS; }
  if (!is_of_device(numbers, n * sizeof(Number), generator->device)) {
    misuse(cudaErrorIllegalAddress, "%s: %zu bytes at %p are not all memory of device %d", what,
           n * sizeof(Number), static_cast<void*>(numbers), generator->device);
    return CURAND_STATUS_LAUNCH_FAILURE;
  }
  const OnDevice on_device(what);
  for (size_t i = 0; i < n; ++i) { numbers[i] = make(&generator->engine); }
  return CURAND_STATUS_SUCCESS;
}

template <typename Real>
curandStatus_t fill_normally(curandGenerator_t generator, const char* what, Real* numbers, size_t n,
                             Real mean, Real deviation) {
  if (n % 2 != 0) { return CURAND_STATUS_LENGTH_NOT_MULTIPLE; }  // cuRAND makes them in pairs
  return fill(generator, what, numbers, n, [=](std::mt19937_64* engine) {
    const Real radius = std::sqrt(-2 * std::log(uniform<Real>(engine)));
    return mean + deviation * radius * std::cos(Real(2 * M_PI) * uniform<Real>(engine));
  });
}

}  // namespace

extern "C" {

curandStatus_t curandCreateGenerator(curandGenerator_t* generator, curandRngType_t) {
  if (device_count() == 0) { return CURAND_STATUS_INITIALIZATION_FAILED; }
  *generator = new curandGenerator_st{current_device(), 0, std::mt19937_64(0)};
  return CURAND_STATUS_SUCCESS;
}

curandStatus_t curandDestroyGenerator(curandGenerator_t generator) {
  delete generator;
  return CURAND_STATUS_SUCCESS;
}

curandStatus_t curandSetPseudoRandomGeneratorSeed(curandGenerator_t generator, unsigned long long seed) {
  if (generator == nullptr) { return CURAND_STATUS_NOT_INITIALIZED; }
  generator->seed = seed;
  generator->engine.seed(seed);
  return CURAND_STATUS_SUCCESS;
}

curandStatus_t curandSetGeneratorOffset(curandGenerator_t generator, unsigned long long offset) {
  if (generator == nullptr) { return CURAND_STATUS_NOT_INITIALIZED; }
  generator->engine.seed(generator->seed);
  generator->engine.discard(offset);
  return CURAND_STATUS_SUCCESS;
}

curandStatus_t curandGenerate(curandGenerator_t generator, unsigned int* numbers, size_t n) {
  return fill(generator, "curandGenerate", numbers, n, [](std::mt19937_64* engine) {
    return static_cast<unsigned int>((*engine)() >> 32);
  });
}

curandStatus_t curandGenerateUniform(curandGenerator_t generator, float* numbers, size_t n) {
  return fill(generator, "curandGenerateUniform", numbers, n, uniform<float>);
}

curandStatus_t curandGenerateUniformDouble(curandGenerator_t generator, double* numbers, size_t n) {
  return fill(generator, "curandGenerateUniformDouble", numbers, n, uniform<double>);
}

curandStatus_t curandGenerateNormal(curandGenerator_t generator, float* numbers, size_t n, float mean,
                                    float deviation) {
  return fill_normally(generator, "curandGenerateNormal", numbers, n, mean, deviation);
}

curandStatus_t curandGenerateNormalDouble(curandGenerator_t generator, double* numbers, size_t n,
                                          double mean, double deviation) {
  return fill_normally(generator, "curandGenerateNormalDouble", numbers, n, mean, deviation);
}

}  // extern "C"
