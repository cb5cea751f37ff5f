"""Edits of layers."""

from __future__ import annotations

from replacement import Replacement


def outside(classes: str) -> str:
    """Give the check of a label, and what it says: the layer, the label and the classes."""
    return f"""\
      CHECK(label_value >= 0 && label_value < {classes})
          << this->layer_param_.name() << ": label " << label_value
          << " is outside the classes 0 to " << {classes} - 1;
"""


ROWS = (
    Replacement(
        # pypi: 16 x 32 x 32 plus 64 x 16 x 16 trained on scrambled sums, 16 plus 15 channels read
        # stray memory. 2016 and 1.0 compare.
        why="Eltwise adds only blobs of one shape",
        file="src/caffe/layers/eltwise_layer.cpp",
        old="""\
  // for (int i = 1; i < bottom.size(); ++i) {
  //   CHECK(bottom[i]->shape() == bottom[0]->shape());
  // }
""",
        new="""\
  for (int i = 1; i < bottom.size(); ++i) {
    CHECK(bottom[0]->shape() == bottom[i]->shape())
        << "bottom[0]: " << bottom[0]->shape_string()
        << ", bottom[" << i << "]: " << bottom[i]->shape_string();
  }
""",
        unneeded_if=(
            "    CHECK(bottom[i]->shape() == bottom[0]->shape());",
            "    CHECK(bottom[0]->shape() == bottom[i]->shape())",
        ),
    ),
    Replacement(
        # pypi. 2016 and 1.0 compare.
        why="Scale multiplies only axes of its factors' lengths",
        file="src/caffe/layers/scale_layer.cpp",
        old="""\
  // for (int i = 0; i < scale->num_axes(); ++i) {
  //   CHECK_EQ(bottom[0]->shape(axis_ + i), scale->shape(i))
  //       << "dimension mismatch between bottom[0]->shape(" << axis_ + i
  //       << ") and scale->shape(" << i << ")";
  // }
""",
        new="""\
  for (int i = 0; i < scale->num_axes(); ++i) {
    CHECK_EQ(bottom[0]->shape(axis_ + i), scale->shape(i))
        << "dimension mismatch between bottom[0]->shape(" << axis_ + i
        << ") and scale->shape(" << i << ")";
  }
""",
        unneeded_if=("    CHECK_EQ(bottom[0]->shape(axis_ + i), scale->shape(i))\n        <<",),
    ),
    Replacement(
        # All trees: a release build left the check out, and read and wrote out of bounds.
        why="Accuracy refuses labels outside its classes",
        file="src/caffe/layers/accuracy_layer.cpp",
        old="""\
      DCHECK_GE(label_value, 0);
      DCHECK_LT(label_value, num_labels);
""",
        new=outside("num_labels"),
    ),
    Replacement(
        # All trees: as in Accuracy.
        why="SoftmaxWithLoss refuses labels outside its classes",
        file="src/caffe/layers/softmax_loss_layer.cpp",
        old="""\
      DCHECK_GE(label_value, 0);
      DCHECK_LT(label_value, prob_.shape(softmax_axis_));
""",
        new=outside("prob_.shape(softmax_axis_)"),
    ),
    Replacement(
        # 1.0: no score is "at least" NaN, so a network of NaNs was right on every image.
        # 2016 sorts.
        why="scores that are NaN are no right answer",
        file="src/caffe/layers/accuracy_layer.cpp",
        old="""\
          (bottom_data[i * dim + k * inner_num_ + j] >= prob_of_true_class);
""",
        new="""\
          !(bottom_data[i * dim + k * inner_num_ + j] < prob_of_true_class);
""",
        unneeded_if=("std::partial_sort(",),
    ),
    Replacement(
        # pypi and 2016. The first drops a BatchNorm's three param{} when it reads a net,
        # and the zeros in them are lost; so does 1.0, but that sees to the zeros itself.
        why="no solver trains or decays BatchNorm's averages",
        file="src/caffe/layers/batch_norm_layer.cpp",
        old="""\
                this->blobs_[i]->mutable_cpu_data());
    }
  }
}
""",
        new="""\
                this->blobs_[i]->mutable_cpu_data());
    }
  }
  while (this->layer_param_.param_size() < 3) {
    this->layer_param_.add_param();
  }
  for (int i = 0; i < 3; ++i) {
    this->layer_param_.mutable_param(i)->set_lr_mult(0);
    this->layer_param_.mutable_param(i)->set_decay_mult(0);
  }
}
""",
        unneeded_if=("Mask statistics from optimization",),
    ),
)
