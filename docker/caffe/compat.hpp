// Put before every source file of Caffe (-include), so that code of 2016 meets the libraries of today
// without a change. Each entry says who needs it; nothing here changes what a function computes.
#pragma once

#include <google/protobuf/io/coded_stream.h>
#include <opencv2/imgcodecs/legacy/constants_c.h>  // CV_LOAD_IMAGE_* for io.cpp, convert_imageset
#include <opencv2/imgproc/types_c.h>               // CV_BGR2GRAY and its like for im_transforms.cpp
#include <opencv2/opencv_modules.hpp>

// bbox_util.cpp draws filled boxes; OpenCV 4 kept the value only as the enumerator cv::FILLED.
#ifndef CV_FILLED
#define CV_FILLED -1
#endif

// bbox_util.cpp names a video format; OpenCV 4 made the macro a function of the same arithmetic.
#ifndef CV_FOURCC
#define CV_FOURCC(a, b, c, d) \
  (((a) & 255) + (((b) & 255) << 8) + (((c) & 255) << 16) + (((d) & 255) << 24))
#endif

// BVLC's io.cpp gives a second argument, the size from which to warn; protobuf 3.6 dropped it.
// (The header above is already read, so this meets calls only.)
#define SetTotalBytesLimit(limit, ...) SetTotalBytesLimit(limit)

// ---- cuDNN -----------------------------------------------------------------------------------------

// cuDNN 8 dropped the functions that choose an algorithm within a limit of memory, and kept those that
// list the algorithms, the fastest first. With these, conv_layer's old calls find what they ask for.
#ifdef USE_CUDNN
#include <cudnn.h>

#if CUDNN_MAJOR >= 8
#define CUDNN_CONVOLUTION_FWD_SPECIFY_WORKSPACE_LIMIT 2
#define CUDNN_CONVOLUTION_BWD_FILTER_SPECIFY_WORKSPACE_LIMIT 2
#define CUDNN_CONVOLUTION_BWD_DATA_SPECIFY_WORKSPACE_LIMIT 2

// The fastest algorithm that works within `limit` bytes; `least`, which needs next to none, if none does.
template <typename Found, typename Algorithm>
inline Algorithm fastest_within(size_t limit, const Found* found, int number, Algorithm least) {
  for (int i = 0; i < number; ++i) {
    if (found[i].status == CUDNN_STATUS_SUCCESS && found[i].memory <= limit) {
      return found[i].algo;
    }
  }
  return least;
}

inline cudnnStatus_t cudnnGetConvolutionForwardAlgorithm(
    cudnnHandle_t handle, cudnnTensorDescriptor_t bottom, cudnnFilterDescriptor_t filter,
    cudnnConvolutionDescriptor_t convolution, cudnnTensorDescriptor_t top, int, size_t limit,
    cudnnConvolutionFwdAlgo_t* chosen) {
  cudnnConvolutionFwdAlgoPerf_t found[CUDNN_CONVOLUTION_FWD_ALGO_COUNT];
  int number = 0;
  cudnnStatus_t status = cudnnGetConvolutionForwardAlgorithm_v7(
      handle, bottom, filter, convolution, top, CUDNN_CONVOLUTION_FWD_ALGO_COUNT, &number, found);
  *chosen = fastest_within(limit, found, number, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM);
  return status;
}

inline cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm(
    cudnnHandle_t handle, cudnnTensorDescriptor_t bottom, cudnnTensorDescriptor_t top,
    cudnnConvolutionDescriptor_t convolution, cudnnFilterDescriptor_t filter, int, size_t limit,
    cudnnConvolutionBwdFilterAlgo_t* chosen) {
  cudnnConvolutionBwdFilterAlgoPerf_t found[CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT];
  int number = 0;
  cudnnStatus_t status = cudnnGetConvolutionBackwardFilterAlgorithm_v7(
      handle, bottom, top, convolution, filter, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT, &number,
      found);
  *chosen = fastest_within(limit, found, number, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0);
  return status;
}

inline cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm(
    cudnnHandle_t handle, cudnnFilterDescriptor_t filter, cudnnTensorDescriptor_t top,
    cudnnConvolutionDescriptor_t convolution, cudnnTensorDescriptor_t bottom, int, size_t limit,
    cudnnConvolutionBwdDataAlgo_t* chosen) {
  cudnnConvolutionBwdDataAlgoPerf_t found[CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT];
  int number = 0;
  cudnnStatus_t status = cudnnGetConvolutionBackwardDataAlgorithm_v7(
      handle, filter, top, convolution, bottom, CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT, &number,
      found);
  *chosen = fastest_within(limit, found, number, CUDNN_CONVOLUTION_BWD_DATA_ALGO_0);
  return status;
}
#endif
#endif
