"""The few edits that Caffe's sources need, as a table, and the making of them.

    python3 replacements.py TREE        edits TREE in place: give it a copy, never a user's folder

Every row must find a text that shows that this tree needs no edit, or its old text exactly once. A
source in which neither is found is not the source that the row was written for, and nothing at all
is edited: an engine that is silently half mended would be worse than none.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Replacement:
    """One edit: in ``file``, ``old`` becomes ``new``.

    ``unneeded_if`` are texts of the file in trees that are right already; none where every tree
    needs the edit. In the table, "default" is the source that source.txt names, "2016" is BVLC of
    June 2016 (f28f5ae) and "1.0" is BVLC's last (9b89154).
    """

    why: str
    file: str
    old: str
    new: str
    unneeded_if: tuple[str, ...] = ()


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

REPLACEMENTS = (
    Replacement(
        # default. 2016 has a CopyLayers of its own; 1.0 gives the files' names to the solver.
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
        # default. 2016 and 1.0 say it; without it a log proves nothing about weights.
        why="the log names the layers of a .caffemodel that the net does not have",
        file="src/caffe/net.cpp",
        old=f"      D{IGNORED_LAYER}",
        new=f"      {IGNORED_LAYER}",
        unneeded_if=(f"      {IGNORED_LAYER}",),
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
    Replacement(
        # default and 2016. The default one drops a BatchNorm's three param{} when it reads a net,
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
    Replacement(
        # default: it has 2016's P2PSync, and calls 1.0's NCCL class, which it lacks.
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
    Replacement(
        # All trees: scikit-image renamed the argument in 0.15 and then dropped the old name.
        why="caffe.io.load_image works with today's scikit-image",
        file="python/caffe/io.py",
        old="as_grey=not color",
        new="as_gray=not color",
        unneeded_if=("as_gray=not color",),
    ),
    Replacement(
        # All trees: NumPy 2.3 dropped tostring, an alias of tobytes since 2010.
        why="caffe.io.array_to_datum works with today's NumPy",
        file="python/caffe/io.py",
        old="arr.tostring()",
        new="arr.tobytes()",
        unneeded_if=("arr.tobytes()",),
    ),
    Replacement(
        # All trees: NumPy 2.3 dropped fromstring of bytes. A bytearray keeps the result writable.
        why="caffe.io.datum_to_array works with today's NumPy",
        file="python/caffe/io.py",
        old="np.fromstring(datum.data,",
        new="np.frombuffer(bytearray(datum.data),",
        unneeded_if=("np.frombuffer(",),
    ),
)


class UnexpectedSourceError(Exception):
    """A source that holds neither what a replacement looks for nor what makes it unneeded."""


def mend(text: str, replacement: Replacement) -> tuple[str, bool]:
    """Give the text after one replacement, and whether it was needed."""
    # First, because a tree that is right already may hold the old text too, in another place.
    if any(sign in text for sign in replacement.unneeded_if):
        return text, False
    found = text.count(replacement.old)
    if found == 1:
        return text.replace(replacement.old, replacement.new), True
    raise UnexpectedSourceError(
        f"{replacement.file}: expected once, found {found} times:\n{replacement.old.rstrip()}\n"
        f"(wanted, so that {replacement.why})"
    )


def mend_tree(tree: Path) -> list[str]:
    """Make every replacement in ``tree``, or none; give a line on each for the build's log."""
    texts: dict[Path, str] = {}
    report = []
    for replacement in REPLACEMENTS:
        path = tree / replacement.file
        try:
            text = texts.get(path) or path.read_text(encoding="utf-8")
        except OSError as error:
            raise UnexpectedSourceError(f"{replacement.file}: {error.strerror}") from error
        texts[path], needed = mend(text, replacement)
        report.append(f"{'mended' if needed else 'right already'}: {replacement.why}")
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return report


def main() -> int:
    """Mend the tree named on the command line."""
    if len(sys.argv) != 2:
        print("usage: replacements.py TREE", file=sys.stderr)
        return 2
    try:
        report = mend_tree(Path(sys.argv[1]))
    except UnexpectedSourceError as error:
        print(
            f"replacements.py: this source of Caffe is not what the recipe expects: {error}\n"
            "Next: give one of the sources that the recipe knows (see replacements.py), or adapt "
            "its table to yours. Nothing was edited.",
            file=sys.stderr,
        )
        return 1
    print("\n".join(report))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
