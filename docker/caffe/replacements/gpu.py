"""Edits for builds with CUDA, whether or not there is a GPU."""

from __future__ import annotations

from replacement import Replacement


def nan_is_wrong(after: str, why: str) -> Replacement:
    """Make scores that are NaN no right answer, where the text `after` follows."""
    score = "bottom_data[n * dim + k * spatial_dim + s]"
    return Replacement(
        # 1.0; the others count on the CPU, where layers.py mends it.
        why=why,
        file="src/caffe/layers/accuracy_layer.cu",
        old=f"          ({score} >= prob_of_true_class);\n      }}\n      {after}",
        new=f"          !({score} < prob_of_true_class);\n      }}\n      {after}",
        optional=True,
    )


ROWS = (
    nan_is_wrong("acc[index] =", "scores that are NaN are no right answer on a GPU"),
    nan_is_wrong("acc[label_value", "scores that are NaN are no right answer of a class on a GPU"),
    Replacement(
        # pypi: it has 2016's P2PSync, and calls 1.0's NCCL class, which it lacks.
        why="`caffe train -gpu 0,1` trains on several GPUs",
        file="tools/caffe.cpp",
        old="""\
#ifdef USE_NCCL
    caffe::NCCL<float> nccl(solver);
    nccl.Run(gpus, FLAGS_snapshot.size() > 0 ? FLAGS_snapshot.c_str() : NULL);
#else
    LOG(FATAL) << "Multi-GPU execution not available - rebuild with USE_NCCL";
#endif
""",
        new="""\
    caffe::P2PSync<float> sync(solver, NULL, solver->param());
    sync.Run(gpus);
""",
        unneeded_if=("P2PSync<float> sync(", "add_weights(FLAGS_weights)"),
    ),
    Replacement(
        # All trees. The thread that reads the data asked for a GPU whatever the solver's mode.
        why="a build with CUDA starts its threads on a machine without a GPU",
        file="src/caffe/internal_thread.cpp",
        old="  CUDA_CHECK(cudaGetDevice(&device));\n",
        new="  if (Caffe::mode() == Caffe::GPU) { CUDA_CHECK(cudaGetDevice(&device)); }\n",
    ),
    Replacement(
        # All trees.
        why="a build with CUDA runs its threads on a machine without a GPU",
        file="src/caffe/internal_thread.cpp",
        old="  CUDA_CHECK(cudaSetDevice(device));\n",
        new="  if (mode == Caffe::GPU) { CUDA_CHECK(cudaSetDevice(device)); }\n",
    ),
    Replacement(
        # All trees: CUDA 13 dropped three fields that only `caffe device_query` prints.
        why="common.cpp compiles with CUDA 13: the clock rate is left out",
        file="src/caffe/common.cpp",
        old="""\
  LOG(INFO) << "Clock rate:                    " << prop.clockRate;
""",
        new="""\
#if CUDART_VERSION < 13000
  LOG(INFO) << "Clock rate:                    " << prop.clockRate;
#endif
""",
    ),
    Replacement(
        # All trees.
        why="common.cpp compiles with CUDA 13: another field tells of concurrent copies",
        file="src/caffe/common.cpp",
        old="prop.deviceOverlap ?",
        new="prop.asyncEngineCount > 0 ?",
    ),
    Replacement(
        # All trees.
        why="common.cpp compiles with CUDA 13: the kernel's time limit is left out",
        file="src/caffe/common.cpp",
        old="""\
  LOG(INFO) << "Kernel execution timeout:      "
      << (prop.kernelExecTimeoutEnabled ? "Yes" : "No");
""",
        new="""\
#if CUDART_VERSION < 13000
  LOG(INFO) << "Kernel execution timeout:      "
      << (prop.kernelExecTimeoutEnabled ? "Yes" : "No");
#endif
""",
    ),
    Replacement(
        # 2016: cuDNN 6 asks for the type to compute in.
        why="convolutions are described to cuDNN as its version wants it",
        file="include/caffe/util/cudnn.hpp",
        old="pad_h, pad_w, stride_h, stride_w, 1, 1, CUDNN_CROSS_CORRELATION));",
        new="""\
pad_h, pad_w, stride_h, stride_w, 1, 1, CUDNN_CROSS_CORRELATION
#if CUDNN_VERSION >= 6000
      , dataType<Dtype>::type
#endif
      ));""",
        unneeded_if=("CUDNN_VERSION_MIN(6, 0, 0)",),
    ),
)
