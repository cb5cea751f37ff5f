"""Edits of the solver and of `caffe train`."""

from __future__ import annotations

from replacement import Replacement

# Where Net::CopyTrainedLayersFrom passes over a layer of the file. Net::ShareTrainedLayersWith has
# the same lines but for the last one.
IGNORED_LAYER = """\
LOG(INFO) << "Ignoring source layer " << source_layer_name;
      continue;
    }
    DLOG(INFO) << "Copying source layer " << source_layer_name;
    vector<shared_ptr<Blob<Dtype> > >& target_blobs =
        layers_[target_layer_id]->blobs();
    CHECK_EQ(target_blobs.size(), source_layer.blobs_size())
"""

ROWS = (
    Replacement(
        # pypi. 2016 has a CopyLayers of its own; 1.0 gives the files' names to the solver.
        why="`caffe train -weights` loads the weights: the option was read by nobody",
        file="tools/caffe.cpp",
        old="""\
    solver->Restore(FLAGS_snapshot.c_str());
  }
""",
        new="""\
    solver->Restore(FLAGS_snapshot.c_str());
  } else if (FLAGS_weights.size()) {
    vector<string> files;
    boost::split(files, FLAGS_weights, boost::is_any_of(","));
    for (size_t i = 0; i < files.size(); ++i) {
      LOG(INFO) << "Finetuning from " << files[i];
      solver->net()->CopyTrainedLayersFrom(files[i]);
      // A test net shares the training net's layers, but may have layers of its own.
      for (size_t j = 0; j < solver->test_nets().size(); ++j) {
        solver->test_nets()[j]->CopyTrainedLayersFrom(files[i]);
      }
    }
  }
""",
        unneeded_if=("CopyLayers(solver.get(), FLAGS_weights)", "add_weights(FLAGS_weights)"),
    ),
    Replacement(
        # pypi. 2016 and 1.0 say it; without it a log proves nothing about weights.
        why="the log names the layers of a .caffemodel that the net does not have",
        file="src/caffe/net.cpp",
        old=f"      D{IGNORED_LAYER}",
        new=f"      {IGNORED_LAYER}",
        unneeded_if=(f"      {IGNORED_LAYER}",),
    ),
    Replacement(
        # pypi and 2016: a division by zero, and the process ends by SIGFPE.
        why='lr_policy "step" without stepsize is refused',
        file="src/caffe/solvers/sgd_solver.cpp",
        old="""\
  } else if (lr_policy == "step") {
""",
        new="""\
  } else if (lr_policy == "step") {
    CHECK_GT(this->param_.stepsize(), 0) << "lr_policy \\"step\\" needs a stepsize";
""",
        unneeded_if=("CHECK_GT(this->param_.stepsize(), 0)",),
    ),
    Replacement(
        # pypi and 2016.
        why="pycaffe's solvers have apply_update: Python may call it",
        file="python/caffe/_caffe.cpp",
        old="""\
    .def("step", &Solver<Dtype>::Step)
""",
        new="""\
    .def("step", &Solver<Dtype>::Step)
    .def("apply_update", &Solver<Dtype>::ApplyUpdate)
""",
        unneeded_if=('.def("apply_update",',),
    ),
    Replacement(
        # pypi and 2016.
        why="pycaffe's solvers have apply_update: it is public",
        file="include/caffe/solver.hpp",
        old="""\
 protected:
  // Make and apply the update value for the current iteration.
  virtual void ApplyUpdate() = 0;
""",
        new="""\
  // Make and apply the update value for the current iteration.
  virtual void ApplyUpdate() = 0;

 protected:
""",
        unneeded_if=("  virtual void ApplyUpdate() = 0;\n\n protected:\n",),
    ),
    Replacement(
        # All trees: whether a layer has to be gone back through was asked of its parameters as they
        # are written, before BatchNorm sets its own rates to 0. So a frozen BatchNorm, and all that
        # lies above it, was gone through for nothing.
        why="what is frozen is not gone back through",
        file="src/caffe/net.cpp",
        old="""\
    const int param_size = layer_param.param_size();
    const int num_param_blobs = layers_[layer_id]->blobs().size();
    CHECK_LE(param_size, num_param_blobs)
        << "Too many params specified for layer " << layer_param.name();
    ParamSpec default_param_spec;
    for (int param_id = 0; param_id < num_param_blobs; ++param_id) {
      const ParamSpec* param_spec = (param_id < param_size) ?
          &layer_param.param(param_id) : &default_param_spec;
""",
        new="""\
    const LayerParameter& set_up_param = layers_[layer_id]->layer_param();
    const int param_size = set_up_param.param_size();
    const int num_param_blobs = layers_[layer_id]->blobs().size();
    CHECK_LE(param_size, num_param_blobs)
        << "Too many params specified for layer " << layer_param.name();
    ParamSpec default_param_spec;
    for (int param_id = 0; param_id < num_param_blobs; ++param_id) {
      const ParamSpec* param_spec = (param_id < param_size) ?
          &set_up_param.param(param_id) : &default_param_spec;
""",
    ),
)
