# shellcheck shell=bash
# ./run gpu-pack and ./run gpu-proof. What it calls and does not define is in ../../run, which reads this.

declare -gA GPU_ENGINES=([plain]="without cuDNN" [cudnn]="with cuDNN")
GPU_PACKS=build/gpu-pack

# Builds a Caffe with CUDA and its tests for each engine named; sets where they are.
declare -gA GPU_VENVS GPU_TESTS
build_gpu_engines() {
  local name suites
  prepare
  # shellcheck source=docker/caffe/cuda.sh
  . docker/caffe/cuda.sh
  heading "CUDA's libraries"
  provide_cuda_libraries
  mapfile -t suites < <(PYTHONPATH=tests .venv/bin/python -c \
    'from support.engine_suites import TABLE_2_SUITES; print(*TABLE_2_SUITES, sep="\n")')
  export CAFFE_GPU=1 CAFFE_CUDNN
  for name in "$@"; do
    heading "Caffe with CUDA, ${GPU_ENGINES[$name]}"
    CAFFE_CUDNN=$([[ $name == cudnn ]] && echo 1 || echo 0)
    GPU_VENVS[$name]=build/gpu-$name-venv
    make_second_venv "${GPU_VENVS[$name]}" .venv
    docker/caffe/build.sh "${GPU_VENVS[$name]}"
    docker/caffe/tests/build.sh "${GPU_VENVS[$name]}" "${suites[@]}"
    GPU_TESTS[$name]=$(docker/caffe/tests/build.sh --folder "${GPU_VENVS[$name]}")
  done
}

gpu_pack() {
  local architecture=$1 name engines=() out
  [[ $architecture =~ ^[0-9]{2,3}$ ]] ||
    die "gpu-pack takes a card's compute capability without its dot, not '$architecture'." \
      "Next: ./run gpu-pack 90 for a card of 9.0; \`nvidia-smi --query-gpu=compute_cap --format=csv\` tells."
  export CAFFE_CUDA_ARCHITECTURES=$architecture CAFFE_PORTABLE=1
  build_gpu_engines plain cudnn
  for name in plain cudnn; do
    engines+=(--engine "$name=${GPU_VENVS[$name]},${GPU_TESTS[$name]}")
  done
  heading "packing"
  out=$GPU_PACKS/gpu-pack-$architecture-$(uname -m).tar.xz
  mkdir -p "$GPU_PACKS"
  PYTHONPATH=tests run_shown .venv/bin/python -m gpu_proof.pack --out "$out" \
    --architecture "$architecture" "${engines[@]}"
}

# ---- the proof ------------------------------------------------------------------------------------------

# Options but --without-cudnn are those of gpu_proof/__main__.py.
gpu_proof() {
  local packs=("$GPU_PACKS"/*.tar.xz) engines=(plain cudnn) options=() option out=experiments/gpu
  for option in "$@"; do
    case $option in
      --without-cudnn) engines=(plain) ;;
      --small) out=build/gpu-rehearsal options+=("$option") ;; # nothing to be kept
      *) options+=("$option") ;;
    esac
  done
  nvidia-smi >/dev/null 2>&1 || die "no NVIDIA GPU answers here: nvidia-smi is missing or fails." \
    "Next: run this on a machine with a card and its driver."
  if [[ -f ${packs[0]} ]]; then
    use_pack "${packs[0]}" "${engines[@]}"
  else
    use_builds "${engines[@]}"
  fi
  run_shown "$GPU_PYTHON" -m gpu_proof --out "$out" "${GPU_OPTIONS[@]}" "${options[@]}"
}

# Both set what gpu_proof runs.
GPU_PYTHON='' GPU_OPTIONS=()

use_builds() {
  local name
  build_gpu_engines "$@"
  for name in "$@"; do
    GPU_OPTIONS+=(--engine "${GPU_ENGINES[$name]}=${GPU_VENVS[$name]}/bin/python,${GPU_TESTS[$name]}")
  done
  GPU_PYTHON=.venv/bin/python
  export PYTHONPATH=$PWD/tests
}

use_pack() {
  local pack=$1 root=$GPU_PACKS/unpacked/gpu-pack name libraries
  heading "unpacking $pack"
  rm -rf "$GPU_PACKS/unpacked"
  mkdir -p "$GPU_PACKS/unpacked"
  python3 -W ignore -m tarfile --extract "$pack" "$GPU_PACKS/unpacked" >/dev/null ||
    die "$pack is damaged, or the disk is full. Next: copy it anew, or make it again: ./run gpu-pack."
  check_pack "$pack" "$root/pack.txt"
  [[ -f netgen/caffe/caffe_pb2.py ]] || cp "$root"/compiled/netgen/caffe/caffe_pb2.py netgen/caffe/
  libraries=$(cuda_library_folders "$(pack_fact "$root/pack.txt" cuda)" "${@:2}")
  for name in "${@:2}"; do
    [[ -d $root/engines/$name ]] || continue
    make_pack_venv "$PWD/$root" "$name"
    GPU_OPTIONS+=(--engine
      "${GPU_ENGINES[$name]}=$root/venvs/$name/bin/python,$root/engines/$name/tests")
  done
  GPU_PYTHON=$root/venvs/plain/bin/python
  export PYTHONPATH=$PWD/tests LD_LIBRARY_PATH=$PWD/$root/lib:$libraries
}

pack_fact() { sed -n "s/^$2: //p" "$1"; }

# A pack for another machine says so before anything is run.
check_pack() {
  local pack=$1 facts=$2 processor glibc architecture card
  [[ -f $facts ]] || die "$pack says nothing of itself. Next: make it again: ./run gpu-pack."
  processor=$(pack_fact "$facts" processor)
  [[ $processor == "$(uname -m)" ]] ||
    die "$pack is for $processor, and this machine is $(uname -m). Next: make it on such a machine."
  glibc=$(pack_fact "$facts" glibc)
  [[ $(printf '%s\n' "$glibc" "$(ldd --version | sed -n '1s/.* //p')" | sort -V | head -n 1) == "$glibc" ]] ||
    die "$pack needs glibc $glibc or newer: this system is older. Next: make it on a system of this age."
  architecture=$(pack_fact "$facts" architecture)
  card=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
  ((card >= architecture)) ||
    die "$pack is for compute capability $architecture and later, and this card has $card." \
      "Next: ./run gpu-pack $card, where it was made."
}

# A virtual environment of the packed Python: its packages, the clone's netgen, one of the Caffes.
make_pack_venv() {
  local root=$1 venv=$1/venvs/$2 site program
  LD_LIBRARY_PATH=$root/lib "$root/python/bin/python3" -m venv --without-pip "$venv"
  site=$(echo "$venv"/lib/python3*/site-packages)
  printf '%s\n' "$PWD" "$root/site" "$root/engines/$2/caffe/python" >"$site/gpu-pack.pth"
  for program in "$root/engines/$2"/caffe/bin/*; do
    ln -sfn "$program" "$venv/bin/"
  done
}

# Where this machine has the libraries of CUDA $1 that the engines need: the toolkit, or NVIDIA's
# packages of any Python here.
cuda_library_folders() {
  local cuda=$1 libraries=(libcudart.so."$1" libcublas.so."$1" libcublasLt.so."$1" libcurand.so.10)
  local library found folders=()
  if [[ " ${*:2} " == *" cudnn "* ]]; then libraries+=(libcudnn.so.9); fi
  for library in "${libraries[@]}"; do
    found=$(find_library "$library")
    [[ -n $found ]] ||
      die "$library is nowhere: not where CUDA's toolkit puts it, not in a package of a Python here." \
        "Next: install CUDA $cuda and cuDNN 9, NVIDIA's packages from PyPI serve; or give --without-cudnn."
    folders+=("$(dirname "$found")")
  done
  printf '%s\n' "${folders[@]}" | sort --unique | paste --serial --delimiters=:
}

find_library() {
  local python sites=()
  for python in python3 /opt/*/bin/python3 /opt/*/.venv/bin/python3; do
    if command -v "$python" >/dev/null; then
      sites+=("$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"/nvidia)
    fi
  done
  { find -L /usr/local/cuda*/lib64 /usr/local/cuda*/targets/*/lib /usr/lib/*-linux-gnu "${sites[@]}" \
    -name "$1" 2>/dev/null || true; } | sed -n 1p
}
