// BatchNorm, Scale and often ReLU, each in place after the other, as a residual network has them fifty
// times: BatchNorm computes all of them in its own two passes over the numbers, and the others return
// at once. That halves what goes through memory.
//
// Only where a run goes through the whole chain: who stops in the middle of it, prints each layer
// (debug_info) or is called back after each gets every layer's own numbers.
#pragma once

#include "caffe/layer.hpp"
#include "kernels.hpp"

namespace kernels {

template <typename Dtype>
struct Chain {
  int first, last;                    // places of its layers in the net
  bool goes_back;                     // whether BatchNorm is gone back through
  bool relu;                          // whether a ReLU is its last layer
  caffe::Layer<Dtype>* scale;
  const caffe::Blob<Dtype>* x_norm;   // BatchNorm's output, which Scale needs for its gradient
  bool whole_forward, whole_backward; // whether this run goes through all of it
  bool was_fused;                     // whether the last forward pass did
};

// Finds the chains among a net's layers, and tells the layers.
template <typename Dtype>
void find_chains(const std::vector<boost::shared_ptr<caffe::Layer<Dtype> > >& layers,
                 const std::vector<std::vector<caffe::Blob<Dtype>*> >& bottoms,
                 const std::vector<std::vector<caffe::Blob<Dtype>*> >& tops,
                 const std::vector<bool>& goes_back);

// Before the layers from `first` to `last` run forward or, from last to first, backward.
template <typename Dtype>
void enter_chains(const std::vector<boost::shared_ptr<caffe::Layer<Dtype> > >& layers, int first,
                  int last, bool forward, bool one_by_one);

// Whether a layer's work of this pass is done by its chain.
template <typename Dtype>
bool fused_forward(const boost::shared_ptr<Chain<Dtype> >& chain) {
  return chain && chain->whole_forward && on();
}
template <typename Dtype>
bool fused_backward(const boost::shared_ptr<Chain<Dtype> >& chain) {
  return chain && chain->whole_backward && chain->goes_back && chain->was_fused && on();
}

// Whether somebody looks at each layer while a net runs. (Nets of 2016 have no callbacks.)
template <typename Net>
auto is_watched(const Net& net, int) -> decltype(net.before_forward(), bool()) {
  return net.before_forward().size() + net.after_forward().size() + net.before_backward().size() +
             net.after_backward().size() > 0;
}
template <typename Net>
bool is_watched(const Net&, long) {
  return false;
}

}  // namespace kernels
