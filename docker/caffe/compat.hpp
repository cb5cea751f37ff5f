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
