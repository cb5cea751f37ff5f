# shellcheck shell=bash
# What build.sh asks of CUDA when CAFFE_GPU=1: the compiler, the GPUs to compile for, the options.

# nvcc, on the PATH or where NVIDIA's packages put it.
nvcc_path() {
  command -v nvcc || command -v /usr/local/cuda/bin/nvcc ||
    die "CAFFE_GPU=1 needs nvcc, and there is none on the PATH or in /usr/local/cuda/bin." \
      "Next: install NVIDIA's CUDA toolkit, or build in docker/cuda, which brings it."
}

cuda_release() { "$1" --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p'; }

# What nvcc compiles for, one number a line: 75 is a card of compute capability 7.5.
known_architectures() { "$1" --list-gpu-arch | sed -n 's/^compute_//p' | sort --numeric-sort; }

# This machine's GPUs; where there is none, the oldest that nvcc knows, whose code later GPUs'
# drivers translate when Caffe starts.
default_architectures() {
  local here
  here=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null |
    sed -n 's/^\([0-9]*\)\.\([0-9]*\)$/\1\2/p' | sort --unique | paste --serial --delimiters=';') || true
  echo "${here:-$(known_architectures "$1" | head -n 1)}"
}

# Prints the architectures to compile for, after checking that nvcc knows them.
gpu_architectures() {
  local wanted known architecture
  wanted=${CAFFE_CUDA_ARCHITECTURES:-$(default_architectures "$1")}
  known=$(known_architectures "$1")
  for architecture in ${wanted//;/ }; do
    grep --quiet --line-regexp "${architecture%%-*}" <<<"$known" ||
      die "CUDA $(cuda_release "$1") does not compile for architecture $architecture, only for" \
        "$(paste --serial --delimiters=' ' <<<"$known"). Next: change CAFFE_CUDA_ARCHITECTURES, or take" \
        "the CUDA that knows the card (12 is the last for cards before 7.5)."
  done
  echo "$wanted"
}

yes_or_no() { if [[ ${1:-} == 1 ]]; then echo yes; else echo no; fi; }

# For the key: all that a build with CUDA depends on besides.
describe_gpu() {
  local nvcc architectures
  if [[ ${CAFFE_GPU:-} != 1 ]]; then
    echo none
    return
  fi
  nvcc=$(nvcc_path)
  architectures=$(gpu_architectures "$nvcc")
  echo "CUDA $(cuda_release "$nvcc"), architectures $architectures," \
    "cuDNN $(yes_or_no "${CAFFE_CUDNN:-}"), NCCL $(yes_or_no "${CAFFE_NCCL:-}")," \
    "libraries ${CAFFE_CUDA_ROOTS:-of the toolkit}"
}

# Prints CMake's options for CUDA, one a line; nothing for a build without.
cuda_options() {
  local nvcc architectures
  if [[ ${CAFFE_GPU:-} != 1 ]]; then return; fi
  nvcc=$(nvcc_path)
  architectures=$(gpu_architectures "$nvcc")
  printf '%s\n' "-DCAFFE_GPU=ON" "-DCMAKE_CUDA_COMPILER=$nvcc" \
    "-DCMAKE_CUDA_FLAGS=-O3 -DNDEBUG -Wno-deprecated-gpu-targets" \
    "-DCMAKE_CUDA_ARCHITECTURES=$architectures" "-DCAFFE_CUDA_ROOTS=${CAFFE_CUDA_ROOTS:-}" \
    "-DCAFFE_CUDNN=$(yes_or_no "${CAFFE_CUDNN:-}")" "-DCAFFE_NCCL=$(yes_or_no "${CAFFE_NCCL:-}")"
}
