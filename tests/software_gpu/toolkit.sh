# shellcheck shell=bash
# What stands for NVIDIA's toolkit: nvcc, the headers, and libraries of the same names. Kept in the cache under
# a key of all that is in it, which is part of the key of the Caffe that it builds.

TOOLKIT_PARTS=(toolkit.sh __init__.py nvcc.py translation.py include runtime)
OPENBLAS=/usr/include/$(uname -m)-linux-gnu/openblas-pthread

# Prints the folder of the toolkit, after building it if need be: whole or not at all, one at a time.
toolkit() {
  local folder
  type -P c++ g++ >/dev/null || die "there is no C++ compiler. Next: ./run setup, which installs one"
  folder=$CACHE/software-gpu-$(key)
  if [[ ! -d $folder ]]; then
    mkdir -p "$CACHE"
    exec 7>"$folder.lock"
    flock 7
    if [[ ! -d $folder ]]; then make_toolkit "$folder"; fi
    exec 7>&-
  fi
  echo "$folder"
}

key() {
  local sources
  sources=$(cd "$HERE" && find "${TOOLKIT_PARTS[@]}" -type f -print0 | LC_ALL=C sort --zero-terminated |
    xargs --null sha256sum)
  printf '%s\n' "$sources" "$(g++ -dumpfullversion) $(uname -m)" | sha256sum | cut -c1-16
}

make_toolkit() {
  local folder=$1 work=$1.partial log=$1.log
  echo "building the software GPU: log: $log" >&2
  rm -rf "$work" # of a build that was killed
  mkdir -p "$work"/{bin,lib64,nvvm/libdevice,python/software_gpu}
  cp -r "$HERE/include" "$work"
  cp "$HERE"/{__init__,nvcc,translation}.py "$work/python/software_gpu"
  printf '#!/bin/sh\nSOFTWARE_GPU_ROOT=%q PYTHONPATH=%q exec /usr/bin/python3 -m software_gpu.nvcc "$@"\n' \
    "$folder" "$folder/python" >"$work/bin/nvcc"
  chmod +x "$work/bin/nvcc"
  : >"$log"
  library "$work" cudart 12 devices memory usage streams kernels
  library "$work" cublas 12 cublas -lcudart -lopenblas
  library "$work" curand 10 curand -lcudart
  library "$work" nccl 2 nccl -lcudart
  ar rc "$work/lib64/libcudadevrt.a"
  # What CMake links its own trials to; there is one runtime in a process, whoever asks for it.
  echo 'INPUT(-lcudart)' >"$work/lib64/libcudart_static.a"
  mv -T "$work" "$folder"
}

# A library of the toolkit: its name, its version, its sources and what it is linked to.
library() {
  local work=$1 name=$2 version=$3 log=${1%.partial}.log part words=()
  for part in "${@:4}"; do
    case $part in -l*) words+=("$part") ;; *) words+=("$HERE/runtime/$part.cpp") ;; esac
  done
  # shellcheck disable=SC2016  # the loader's own name
  g++ -std=c++17 -O2 -g -Wall -Wextra -fPIC -shared -pthread -I"$HERE/include" -I"$OPENBLAS" -L"$work/lib64" \
    -Wl,-soname,"lib$name.so.$version" -Wl,-rpath,'$ORIGIN' \
    -o "$work/lib64/lib$name.so.$version" "${words[@]}" >>"$log" 2>&1 ||
    { cat "$log" >&2 && die "the software GPU did not compile: the errors are above"; }
  ln -s "lib$name.so.$version" "$work/lib64/lib$name.so"
}
