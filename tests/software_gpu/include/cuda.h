// The version of CUDA that the software GPU stands for, and the driver's names that Caffe mentions.
#pragma once

#define CUDA_VERSION 12040
