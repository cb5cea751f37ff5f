
#include "chain.hpp"

namespace kernels {
namespace {

template <typename Dtype>
using Blobs = std::vector<caffe::Blob<Dtype>*>;

template <typename Dtype>
bool is(const caffe::Layer<Dtype>& layer, const char* type) {
  return std::string(layer.type()) == type;
}

template <typename Dtype>
bool in_place(const Blobs<Dtype>& bottom, const Blobs<Dtype>& top, const caffe::Blob<Dtype>* blob) {
  return bottom.size() == 1 && top.size() == 1 && bottom[0] == blob && top[0] == blob;
}

// One factor and one bias a channel.
template <typename Dtype>
bool scales_channels(caffe::Layer<Dtype>& layer, const caffe::Blob<Dtype>& blob) {
  const std::vector<int> channels(1, blob.shape(1));
  return is(layer, "Scale") && layer.layer_param().scale_param().axis() == 1 &&
         layer.blobs().size() == 2 && layer.blobs()[0]->shape() == channels;
}

}  // namespace

template <typename Dtype>
void find_chains(const std::vector<boost::shared_ptr<caffe::Layer<Dtype> > >& layers,
                 const std::vector<Blobs<Dtype> >& bottoms, const std::vector<Blobs<Dtype> >& tops,
                 const std::vector<bool>& goes_back) {
  for (size_t i = 0; i + 1 < layers.size(); ++i) {
    if (!is(*layers[i], "BatchNorm")) continue;
    const caffe::Blob<Dtype>* blob = tops[i][0];
    if (blob->num_axes() < 3 || !in_place(bottoms[i + 1], tops[i + 1], blob) ||
        !scales_channels(*layers[i + 1], *blob)) {
      continue;
    }
    const bool relu = i + 2 < layers.size() && is(*layers[i + 2], "ReLU") &&
                      in_place(bottoms[i + 2], tops[i + 2], blob) &&
                      layers[i + 2]->layer_param().relu_param().negative_slope() == 0;
    const int first = static_cast<int>(i), last = first + (relu ? 2 : 1);
    const boost::shared_ptr<Chain<Dtype> > chain(new Chain<Dtype>{
        first, last, goes_back[i], relu, layers[i + 1].get(), nullptr, false, false, false});
    for (int k = first; k <= last; ++k) layers[k]->chain_ = chain;
  }
}

template <typename Dtype>
void enter_chains(const std::vector<boost::shared_ptr<caffe::Layer<Dtype> > >& layers, int first,
                  int last, bool forward, bool one_by_one) {
  for (int i = first; i <= last; ++i) {
    Chain<Dtype>* chain = layers[i]->chain_.get();
    if (chain == nullptr) continue;
    const bool whole = !one_by_one && first <= chain->first && chain->last <= last;
    (forward ? chain->whole_forward : chain->whole_backward) = whole;
  }
}

#define INSTANTIATE(Dtype)                                                                       \
  template void find_chains(const std::vector<boost::shared_ptr<caffe::Layer<Dtype> > >&,        \
                            const std::vector<Blobs<Dtype> >&, const std::vector<Blobs<Dtype> >&, \
                            const std::vector<bool>&);                                           \
  template void enter_chains(const std::vector<boost::shared_ptr<caffe::Layer<Dtype> > >&, int,  \
                             int, bool, bool);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace kernels
