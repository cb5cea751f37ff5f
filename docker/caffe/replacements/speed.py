"""Edits that make Caffe faster on the CPU, and change no number but in the order of a sum.

They put calls of ``kernels/`` before the loops of Caffe, which run as they are where a call does
not fit (another axis, another pooling), and everywhere with ``CAFFE_PLAIN=1``.
"""

from __future__ import annotations

from replacement import Replacement

NAMESPACE = "namespace caffe {\n"


def with_kernels(layer: str) -> Replacement:
    """Make the kernels known to a layer's file."""
    return Replacement(
        why=f"{layer} knows the faster loops",
        file=f"src/caffe/layers/{layer}_layer.cpp",
        old=f"\n{NAMESPACE}",
        new=f'\n#include "chain.hpp"\n\n{NAMESPACE}',
    )


def before(layer: str, why: str, old: str, call: str) -> Replacement:
    """Put a call before a text of a layer's file."""
    return Replacement(
        why=f"{layer}: {why}", file=f"src/caffe/layers/{layer}_layer.cpp", old=old, new=call + old
    )


# A convolution in two dimensions, for both passes.
CONVOLUTION = """\
  const bool flat = this->num_spatial_axes_ == 2 && !this->force_nd_im2col_;
  kernels::Convolution convolution;
  if (flat) {
    const int* shape = this->conv_input_shape_.cpu_data();
    const int* kernel = this->kernel_shape_.cpu_data();
    const int* stride = this->stride_.cpu_data();
    const int* pad = this->pad_.cpu_data();
    const int* dilation = this->dilation_.cpu_data();
    const kernels::Convolution flat_one = {this->num_, this->group_,
        this->channels_, shape[1], shape[2],
        this->num_output_, this->output_shape_[0], this->output_shape_[1],
        kernel[0], kernel[1], stride[0], stride[1], pad[0], pad[1],
        dilation[0], dilation[1]};
    convolution = flat_one;
  }
"""

POOLING = """\
  const kernels::Pooling pooling = {bottom[0]->num() * channels_, height_,
      width_, pooled_height_, pooled_width_, kernel_h_, kernel_w_, stride_h_,
      stride_w_, pad_h_, pad_w_};
  const bool plain_max = top.size() == 1 &&
      this->layer_param_.pooling_param().pool() == PoolingParameter_PoolMethod_MAX;
  const bool global_mean = pad_h_ == 0 && pad_w_ == 0 && pooled_height_ == 1 &&
      pooled_width_ == 1 && kernel_h_ == height_ && kernel_w_ == width_ &&
      this->layer_param_.pooling_param().pool() == PoolingParameter_PoolMethod_AVE;
"""

AVERAGES = """\
    const kernels::Averages<Dtype> averages = {
        this->blobs_[0]->mutable_cpu_data(), this->blobs_[1]->mutable_cpu_data(),
        this->blobs_[2]->mutable_cpu_data(), moving_average_fraction_};
"""

# What a net does for the chains of BatchNorm, Scale and ReLU (kernels/chain.hpp).
CHAINS = (
    Replacement(
        why="layers know their chain: what it is",
        file="include/caffe/layer.hpp",
        old="namespace boost { class mutex; }\n",
        new="namespace boost { class mutex; }\n\n"
        "namespace kernels { template <typename Dtype> struct Chain; }\n",
    ),
    Replacement(
        why="layers know their chain: where they keep it",
        file="include/caffe/layer.hpp",
        old=" protected:\n  /** The protobuf that stores the layer parameters */\n",
        new="  shared_ptr<kernels::Chain<Dtype> > chain_;\n\n"
        " protected:\n  /** The protobuf that stores the layer parameters */\n",
    ),
    Replacement(
        why="net knows the faster loops",
        file="src/caffe/net.cpp",
        old=f"\n{NAMESPACE}",
        new=f'\n#include "chain.hpp"\n\n{NAMESPACE}',
    ),
    Replacement(
        why="net finds its chains",
        file="src/caffe/net.cpp",
        old="  debug_info_ = param.debug_info();\n",
        new="  debug_info_ = param.debug_info();\n"
        "  kernels::find_chains(layers_, bottom_vecs_, top_vecs_, layer_need_backward_);\n",
    ),
    Replacement(
        why="net tells its chains whether a run goes through all of them forward",
        file="src/caffe/net.cpp",
        old="  CHECK_GE(start, 0);\n  CHECK_LT(end, layers_.size());\n",
        new="  CHECK_GE(start, 0);\n  CHECK_LT(end, layers_.size());\n"
        "  kernels::enter_chains(layers_, start, end, true,\n"
        "      debug_info_ || kernels::is_watched(*this, 0));\n",
    ),
    Replacement(
        why="net tells its chains whether a run goes through all of them backward",
        file="src/caffe/net.cpp",
        old="  CHECK_GE(end, 0);\n  CHECK_LT(start, layers_.size());\n",
        new="  CHECK_GE(end, 0);\n  CHECK_LT(start, layers_.size());\n"
        "  kernels::enter_chains(layers_, end, start, false,\n"
        "      debug_info_ || kernels::is_watched(*this, 0));\n",
    ),
)

SOLVER = "src/caffe/solvers/sgd_solver.cpp"
STEPS = """\
  for (int param_id = 0; param_id < this->net_->learnable_params().size();
       ++param_id) {
    Normalize(param_id);
    Regularize(param_id);
    ComputeUpdateValue(param_id, rate);
  }
  this->net_->Update();
"""

ROWS = (
    *CHAINS,
    Replacement(
        why="sgd_solver knows the faster loops",
        file=SOLVER,
        old=f"\n{NAMESPACE}",
        new=f'\n#include "kernels.hpp"\n\n{NAMESPACE}',
    ),
    Replacement(
        why="sgd_solver: decay, momentum and update in one pass",
        file=SOLVER,
        old=STEPS,
        new=f"""\
  if (kernels::on() && Caffe::mode() == Caffe::CPU && string(this->type()) == "SGD" &&
      this->param_.regularization_type() == "L2") {{
    const vector<Blob<Dtype>*>& learned = this->net_->learnable_params();
    for (int param_id = 0; param_id < learned.size(); ++param_id) {{
      Normalize(param_id);
      Dtype decay = this->param_.weight_decay() * this->net_->params_weight_decay()[param_id];
      Dtype local_rate = rate * this->net_->params_lr()[param_id];
      kernels::descend<Dtype>(learned[param_id]->count(), local_rate, this->param_.momentum(),
          decay, learned[param_id]->mutable_cpu_data(), learned[param_id]->mutable_cpu_diff(),
          history_[param_id]->mutable_cpu_data());
    }}
  }} else {{
{STEPS}\
  }}
""",
    ),
    Replacement(
        # All trees. Batch normalisation squares every activation, and pow() took most of its time;
        # 1.0 squares by multiplying there, but its solvers do not.
        why="squares are products, in single precision",
        file="src/caffe/util/math_functions.cpp",
        old="  vsPowx(n, a, b, y);\n",
        new="  if (b == 2) { vsSqr(n, a, y); } else { vsPowx(n, a, b, y); }\n",
    ),
    Replacement(
        # All trees.
        why="squares are products, in double precision",
        file="src/caffe/util/math_functions.cpp",
        old="  vdPowx(n, a, b, y);\n",
        new="  if (b == 2) { vdSqr(n, a, y); } else { vdPowx(n, a, b, y); }\n",
    ),
    with_kernels("batch_norm"),
    before(
        "batch_norm",
        "two passes forward",
        """\
  if (bottom[0] != top[0]) {
    caffe_copy(bottom[0]->count(), bottom_data, top_data);
  }
""",
        f"""\
  if (kernels::on()) {{
    const kernels::Planes planes = {{num, channels_, spatial_dim}};
{AVERAGES}    Dtype* mean = mean_.mutable_cpu_data();
    Dtype* deviation = variance_.mutable_cpu_data();
    if (use_global_stats_) {{
      kernels::moments_of(averages, channels_, eps_, mean, deviation);
    }} else {{
      kernels::moments(planes, bottom_data, eps_, averages, mean, deviation);
    }}
    if (this->chain_) {{
      this->chain_->x_norm = &x_norm_;
      this->chain_->was_fused = kernels::fused_forward(this->chain_);
    }}
    if (kernels::fused_forward(this->chain_)) {{
      const vector<shared_ptr<Blob<Dtype> > >& scale = this->chain_->scale->blobs();
      kernels::normalise_and_scale(planes, bottom_data, mean, deviation,
          scale[0]->cpu_data(), scale[1]->cpu_data(), this->chain_->relu, top_data,
          x_norm_.mutable_cpu_data());
      return;
    }}
    kernels::normalise(planes, bottom_data, mean, deviation, top_data,
        use_global_stats_ && !this->chain_ ? NULL : x_norm_.mutable_cpu_data());
    return;
  }}
""",
    ),
    before(
        "batch_norm",
        "two passes backward",
        """\
  const Dtype* top_diff;
  if (bottom[0] != top[0]) {
    top_diff = top[0]->cpu_diff();
""",
        """\
  const int plane = bottom[0]->count()/(bottom[0]->shape(0)*channels_);
  if (kernels::on()) {
    const kernels::Planes planes = {bottom[0]->shape(0), channels_, plane};
    const Dtype* dy = top[0]->cpu_diff();
    Dtype* dx = bottom[0]->mutable_cpu_diff();
    if (kernels::fused_backward(this->chain_)) {
      Layer<Dtype>* layer = this->chain_->scale;
      const vector<shared_ptr<Blob<Dtype> > >& scale = layer->blobs();
      kernels::normalise_and_scale_backward(planes, dy, x_norm_.cpu_data(), top[0]->cpu_data(),
          variance_.cpu_data(), scale[0]->cpu_data(), this->chain_->relu, use_global_stats_,
          layer->param_propagate_down(0) ? scale[0]->mutable_cpu_diff() : NULL,
          layer->param_propagate_down(1) ? scale[1]->mutable_cpu_diff() : NULL, dx);
      return;
    }
    if (use_global_stats_) {
      kernels::divide(planes, dy, variance_.cpu_data(), dx);
    } else {
      kernels::normalise_backward(planes, dy, x_norm_.cpu_data(), variance_.cpu_data(), dx);
    }
    return;
  }
""",
    ),
    with_kernels("scale"),
    before(
        "scale",
        "one pass forward",
        """\
  if (bottom[0] == top[0]) {
    // In-place computation; need to store bottom data before overwriting it.
""",
        """\
  if (kernels::fused_forward(this->chain_)) { return; }
  if (this->chain_) { this->chain_->was_fused = false; }
  if (kernels::on() && bottom.size() == 1) {
    const kernels::Planes planes = {outer_dim_, scale_dim_, inner_dim_};
    kernels::scale(planes, bottom_data, this->blobs_[0]->cpu_data(),
        bias_layer_ ? this->blobs_[1]->cpu_data() : NULL, top[0]->mutable_cpu_data(),
        bottom[0] == top[0] ? temp_.mutable_cpu_data() : NULL);
    return;
  }
""",
    ),
    before(
        "scale",
        "one pass backward",
        """\
  if (bias_layer_ &&
      this->param_propagate_down_[this->param_propagate_down_.size() - 1]) {
    bias_layer_->Backward(""",
        """\
  if (kernels::fused_backward(this->chain_)) { return; }
  if (kernels::on() && bottom.size() == 1) {
    const kernels::Planes planes = {outer_dim_, scale_dim_, inner_dim_};
    const bool fused = this->chain_ && this->chain_->was_fused;
    const Blob<Dtype>* kept = fused ? this->chain_->x_norm : &temp_;
    const Dtype* x = (bottom[0] == top[0] ? kept : bottom[0])->cpu_data();
    kernels::scale_backward(planes, top[0]->cpu_diff(), x, this->blobs_[0]->cpu_data(),
        this->param_propagate_down_[0] ? this->blobs_[0]->mutable_cpu_diff() : NULL,
        bias_layer_ && this->param_propagate_down_[1] ?
            this->blobs_[1]->mutable_cpu_diff() : NULL,
        propagate_down[0] ? bottom[0]->mutable_cpu_diff() : NULL);
    return;
  }
""",
    ),
    with_kernels("relu"),
    before(
        "relu",
        "all threads forward",
        """\
  for (int i = 0; i < count; ++i) {
    top_data[i] = std::max(""",
        """\
  if (kernels::fused_forward(this->chain_)) { return; }
  if (this->chain_) { this->chain_->was_fused = false; }
  if (kernels::on()) {
    kernels::relu(count, bottom_data, negative_slope, top_data);
    return;
  }
""",
    ),
    before(
        "relu",
        "all threads backward",
        """\
    for (int i = 0; i < count; ++i) {
      bottom_diff[i] = top_diff[i] * (""",
        """\
    if (kernels::fused_backward(this->chain_)) { return; }
    if (kernels::on()) {
      kernels::relu_backward(count, top_diff, bottom_data, negative_slope, bottom_diff);
      return;
    }
""",
    ),
    with_kernels("eltwise"),
    Replacement(
        why="eltwise: one pass forward",
        file="src/caffe/layers/eltwise_layer.cpp",
        old="""\
  case EltwiseParameter_EltwiseOp_SUM:
    caffe_set(count, Dtype(0), top_data);
""",
        new="""\
  case EltwiseParameter_EltwiseOp_SUM:
    if (kernels::on()) {
      vector<const Dtype*> inputs;
      for (int i = 0; i < bottom.size(); ++i) {
        inputs.push_back(bottom[i]->cpu_data());
      }
      kernels::weighted_sum(count, inputs, coeffs_, top_data);
      break;
    }
    caffe_set(count, Dtype(0), top_data);
""",
    ),
    Replacement(
        why="eltwise: all threads backward",
        file="src/caffe/layers/eltwise_layer.cpp",
        old="""\
      case EltwiseParameter_EltwiseOp_SUM:
        if (coeffs_[i] == Dtype(1)) {
""",
        new="""\
      case EltwiseParameter_EltwiseOp_SUM:
        if (kernels::on()) {
          kernels::multiply(count, coeffs_[i], top_diff, bottom_diff);
        } else if (coeffs_[i] == Dtype(1)) {
""",
    ),
    with_kernels("split"),
    before(
        "split",
        "one pass backward",
        "  caffe_add(count_, top[0]->cpu_diff(), top[1]->cpu_diff(),\n",
        """\
  if (kernels::on()) {
    vector<const Dtype*> diffs;
    for (int i = 0; i < top.size(); ++i) {
      diffs.push_back(top[i]->cpu_diff());
    }
    const vector<Dtype> ones(top.size(), Dtype(1));
    kernels::weighted_sum(count_, diffs, ones, bottom[0]->mutable_cpu_diff());
    return;
  }
""",
    ),
    with_kernels("pooling"),
    before(
        "pooling",
        "max pooling by all threads forward",
        """\
  const Dtype* bottom_data = bottom[0]->cpu_data();
  Dtype* top_data = top[0]->mutable_cpu_data();
""",
        f"""\
{POOLING}\
  if (kernels::on() && plain_max) {{
    kernels::max_pool(pooling, bottom[0]->cpu_data(), top[0]->mutable_cpu_data(),
        max_idx_.mutable_cpu_data());
    return;
  }}
  if (kernels::on() && global_mean) {{
    kernels::mean_of_planes(pooling.planes, height_ * width_, bottom[0]->cpu_data(),
        top[0]->mutable_cpu_data());
    return;
  }}
""",
    ),
    before(
        "pooling",
        "max pooling by all threads backward",
        """\
  const Dtype* top_diff = top[0]->cpu_diff();
  Dtype* bottom_diff = bottom[0]->mutable_cpu_diff();
""",
        f"""\
{POOLING}\
  if (kernels::on() && plain_max) {{
    kernels::max_pool_backward(pooling, top[0]->cpu_diff(), max_idx_.cpu_data(),
        bottom[0]->mutable_cpu_diff());
    return;
  }}
  if (kernels::on() && global_mean) {{
    kernels::mean_of_planes_backward(pooling.planes, height_ * width_, top[0]->cpu_diff(),
        bottom[0]->mutable_cpu_diff());
    return;
  }}
""",
    ),
    with_kernels("conv"),
    before(
        "conv",
        "tiles forward",
        """\
  const Dtype* weight = this->blobs_[0]->cpu_data();
  for (int i = 0; i < bottom.size(); ++i) {
""",
        f"""\
{CONVOLUTION}\
  if (kernels::on() && flat) {{
    for (int i = 0; i < bottom.size(); ++i) {{
      kernels::convolve(convolution, bottom[i]->cpu_data(), this->blobs_[0]->cpu_data(),
          this->bias_term_ ? this->blobs_[1]->cpu_data() : NULL,
          top[i]->mutable_cpu_data());
    }}
    return;
  }}
""",
    ),
    before(
        "conv",
        "tiles backward",
        """\
  const Dtype* weight = this->blobs_[0]->cpu_data();
  Dtype* weight_diff = this->blobs_[0]->mutable_cpu_diff();
""",
        f"""\
{CONVOLUTION}\
  if (kernels::on() && flat) {{
    const bool bias = this->bias_term_ && this->param_propagate_down_[1];
    for (int i = 0; i < top.size(); ++i) {{
      kernels::convolve_backward(convolution, top[i]->cpu_diff(), bottom[i]->cpu_data(),
          this->blobs_[0]->cpu_data(),
          this->param_propagate_down_[0] ? this->blobs_[0]->mutable_cpu_diff() : NULL,
          bias ? this->blobs_[1]->mutable_cpu_diff() : NULL,
          propagate_down[i] ? bottom[i]->mutable_cpu_diff() : NULL);
    }}
    return;
  }}
""",
    ),
)
