#!/usr/bin/env bash
# Builds a Caffe with CUDA for the software GPU: by docker/caffe/build.sh as it is, which finds here what it
# takes for NVIDIA's toolkit, and keeps that Caffe in the cache under a key of its own.
#
#   build.sh VENV           builds the toolkit and that Caffe, if they are not in the cache; installs it into VENV,
#                           which it makes, beside .venv, if need be
#   build.sh --toolkit      builds the toolkit alone, and prints its folder
#   build.sh --environment  the same, and prints what a shell has to evaluate to use it: the build's options, and
#                           a PATH with its nvcc and nvidia-smi
#   build.sh --run WORD...  runs a command in that environment
#
# The environment of what runs then says what machine it is: SOFTWARE_GPUS is the number of GPUs (1),
# SOFTWARE_GPU_MEMORY the MiB of each (12288), and SOFTWARE_GPU_ORDER=reversed runs the threads of each
# kernel from the last to the first.
set -euo pipefail
shopt -s inherit_errexit

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
CACHE=$(realpath --canonicalize-missing "${NETGEN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/netgen}")

# shellcheck source=tests/software_gpu/toolkit.sh
. "$HERE/toolkit.sh"
# shellcheck source=docker/caffe/venv.sh
. "$ROOT/docker/caffe/venv.sh"

main() {
  case "$#:${1:-}" in
    1:--toolkit) toolkit ;;
    1:--environment) environment ;;
    1:--run) usage ;;
    *:--run) run_there "${@:2}" ;;
    1:-* | 1:) usage ;;
    1:*) install "$1" ;;
    *) usage ;;
  esac
}

run_there() {
  local settings
  settings=$(environment)
  eval "$settings"
  exec "$@"
}

install() {
  local settings
  [[ -x $ROOT/.venv/bin/python ]] || die "there is no $ROOT/.venv. Next: ./run setup"
  settings=$(environment)
  eval "$settings"
  mkdir -p "$(dirname "$1")"
  exec 6>"$1.lock" # tests may come together
  flock 6
  make_second_venv "$1" "$ROOT/.venv"
  "$ROOT/docker/caffe/build.sh" "$1" 6>&-
  exec 6>&-
}

usage() {
  sed -n 's/^#   build.sh/usage: build.sh/p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

die() {
  printf 'software_gpu/build.sh: %s\n' "$@" >&2
  exit 1
}

environment() {
  local folder
  folder=$(toolkit)
  # shellcheck disable=SC2016  # for the shell that evaluates it
  printf 'export PATH=%q:%q:$PATH\n' "$folder/bin" "$HERE/bin"
  printf 'export CAFFE_GPU=1 CAFFE_CUDNN=0 CAFFE_NCCL=1 CAFFE_CUDA_ARCHITECTURES=90 CAFFE_CUDA_ROOTS=%q\n' "$folder"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  main "$@"
  exit # before bash reads on, in a file that may have been edited meanwhile
fi
