// CUDA's, not Caffe's: the functions of a device, which device.hpp has.
#pragma once
#include <cuda_runtime.h>
