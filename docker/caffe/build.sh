#!/usr/bin/env bash
# Builds Caffe from source and puts it into a Python virtual environment: the programs caffe,
# convert_imageset and compute_image_mean on its PATH, and `import caffe` in its Python.
#
#   build.sh VENV                   finds the build in the cache or makes it; installs it into VENV
#   build.sh --key VENV             prints what the build is made of, and the cache key this gives
#   build.sh --prefix VENV          prints the folder that holds the build, or would
#   build.sh --unpack VENV FOLDER   fetches the source and unpacks it, unedited, into a new FOLDER
#
# VENV needs NumPy, whose headers pycaffe is compiled with. From the environment:
#
#   CAFFE_SOURCE    debian or pypi, or a folder or tar file with a tree of BVLC's Caffe; source.sh
#                   tells of the two, and which is taken by default
#   CAFFE_PORTABLE  1 for a build that runs on any processor of this kind, not only on this one
#   NETGEN_CACHE    where builds are kept (default: ${XDG_CACHE_HOME:-~/.cache}/netgen)
#   CAFFE_GPU       1 for a build with CUDA, by the nvcc on the PATH; it runs on the CPU too
#   CAFFE_CUDNN     1 to let cuDNN compute what it can
#   CAFFE_NCCL      1 for several GPUs (the trees of 2016 need no NCCL for that)
#   CAFFE_CUDA_ARCHITECTURES  the GPUs to compile for, e.g. "52;75" (default: this machine's)
#   CAFFE_CUDA_ROOTS  folders, with ; between them, that hold cuBLAS, cuRAND, cuDNN or NCCL in
#                   include/ and lib/, where they are not part of the CUDA toolkit
set -euo pipefail
shopt -s inherit_errexit # what fails inside $(...) fails here too

RECIPE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RECIPE_PARTS=(build.sh cuda.sh CMakeLists.txt cuda.cmake caffe_pb2.py compat.hpp replacements kernels)
CACHE=$(realpath --canonicalize-missing "${NETGEN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/netgen}")

# shellcheck source=docker/caffe/packages.sh
. "$RECIPE/packages.sh"
# shellcheck source=docker/caffe/source.sh
. "$RECIPE/source.sh"
# shellcheck source=docker/caffe/cuda.sh
. "$RECIPE/cuda.sh"

main() {
  case "$#:${1:-}" in
    2:--key) choose_source && print_key "$2" ;;
    2:--prefix) choose_source && prefix_of "$2" ;;
    3:--unpack) choose_source && unpack_source "$2" "$3" ;;
    1:-* | 1:) usage ;;
    1:*)
      local prefix
      choose_source
      prefix=$(prefix_of "$1")
      find_or_build "$1" "$prefix"
      install_into "$1" "$prefix"
      ;;
    *) usage ;;
  esac
}

usage() {
  sed -n '5,8s/^# */usage: /p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

die() {
  printf 'build.sh: %s\n' "$@" >&2
  exit 1
}

# ---- the key: everything that a build depends on ----------------------------------------------------

# No -ffast-math: it breaks Caffe's tests for NaN, and repeatability with them. What it contains and
# changes no number: nobody here reads errno or traps a floating-point exception, and only without
# them does GCC vectorise ReLU (ten times as fast) and square roots.
compiler_flags() {
  echo "-O3 -DNDEBUG -fno-math-errno -fno-trapping-math" \
    "$([[ ${CAFFE_PORTABLE:-} == 1 ]] || echo -march=native)"
}

# A build for this processor runs on another one only if the compiler would choose the same there.
processor() {
  if [[ ${CAFFE_PORTABLE:-} == 1 ]]; then
    echo "any $(uname -m)"
  else
    c++ -march=native -Q --help=target | sha256sum | cut -c1-16
  fi
}

# Names and bytes of some files and folders in the folder $1.
hash_of_parts() {
  (cd "$1" && find -L "${@:2}" -type f ! -name '*.pyc' -print0 |
    LC_ALL=C sort --zero-terminated | xargs --null sha256sum | sha256sum | cut -d' ' -f1)
}

# The ABIs that pycaffe is compiled for. NumPy keeps its own within a major release.
python_abi() {
  "$1/bin/python" - 2>/dev/null <<'PYTHON' || die "$1 is no virtual environment with NumPy: make it with ./run setup"
from importlib.metadata import version
from sysconfig import get_config_var

print(get_config_var("SOABI"), "numpy", version("numpy").split(".")[0])
PYTHON
}

# One line a part, so that a reader sees why two keys differ.
describe_build() {
  local recipe abi processor gpu
  recipe=$(hash_of_parts "$RECIPE" "${RECIPE_PARTS[@]}")
  abi=$(python_abi "$1")
  processor=$(processor)
  gpu=$(describe_gpu)
  cat <<PARTS
recipe: $recipe
source: $SOURCE_HASH
python: $abi
distribution: $(distribution) $(uname -m)
compiler: $(c++ -dumpfullversion)
flags: $(compiler_flags)
processor: $processor
gpu: $gpu
PARTS
}

key_of() { sha256sum <<<"$1" | cut -c1-16; }

print_key() {
  local parts
  parts=$(describe_build "$1")
  echo "$parts"
  echo "key: $(key_of "$parts")"
}

prefix_of() {
  local parts
  parts=$(describe_build "$1")
  echo "$CACHE/caffe-$(key_of "$parts")"
}

# ---- the build ----------------------------------------------------------------------------------------

find_or_build() {
  local venv=$1 prefix=$2
  if [[ -d $prefix ]]; then
    echo "Caffe is in the cache: $prefix"
    return
  fi
  mkdir -p "$CACHE"
  # One build of a key at a time. The lock goes when this process does, however that ends.
  exec 9>"$prefix.lock"
  flock --nonblock 9 || { echo "another set-up is building the same Caffe: waiting" && flock 9; }
  if [[ ! -d $prefix ]]; then
    build "$venv" "$prefix"
  fi
  exec 9>&-
}

# Builds beside the prefix and renames last, so that a prefix that exists is whole.
build() {
  local venv=$1 prefix=$2 work=$2.partial log=$2.log
  echo "building Caffe: about 4 minutes on 2 cores, with CUDA 15; log: $log"
  # shellcheck disable=SC2064  # the name now: it is local
  trap "rm -rf $(printf '%q' "$work")" EXIT
  rm -rf "$work" # of a build that was killed
  mkdir -p "$work"
  print_key "$venv" >"$work/key" # now: the recipe may be edited meanwhile
  unpack_source "$venv" "$work/source"
  "$venv/bin/python" "$RECIPE/replacements" "$work/source" | tee "$log"
  SECONDS=0
  compile "$venv" "$work" 2>&1 | show_progress "$log" || explain_failure "$log"
  check_whole "$venv" "$work/prefix" || die "the new build does not work: see above, and $log"
  record_build "$work" "$log" >"$work/prefix/build.txt"
  mv -T "$work/prefix" "$prefix"
  rm -rf "$work"
  echo "built Caffe in ${SECONDS} s: $prefix"
}

compile() {
  local venv=$1 work=$2 options
  options=$(cuda_options) || return
  mapfile -t options < <(printf '%s' "$options")
  cmake -S "$RECIPE" -B "$work/build" -G Ninja \
    -D CMAKE_BUILD_TYPE=None -D CMAKE_CXX_FLAGS="$(compiler_flags)" \
    -D CAFFE_SOURCE="$work/source" -D CMAKE_INSTALL_PREFIX="$work/prefix" \
    -D Python3_EXECUTABLE="$(realpath -s "$venv")/bin/python" "${options[@]}" &&
    cmake --build "$work/build" --parallel "$(nproc)" --target install
}

# Adds its input to the log, and says about every 20 seconds how far the build is and how long the
# rest will take, if its files take as long as those before.
show_progress() {
  local line step='^\[([0-9]+)/([0-9]+)\]' next=20 built all
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$1"
    if [[ $line =~ $step ]] && ((SECONDS >= next)); then
      built=${BASH_REMATCH[1]} all=${BASH_REMATCH[2]} next=$((SECONDS + 20))
      printf '  %3d s: %s of %s files, about %d s left\n' \
        "$SECONDS" "$built" "$all" $((SECONDS * (all - built) / built))
    fi
  done
}

explain_failure() {
  grep --max-count 5 --ignore-case -A 4 -E 'error:|error at|FAILED' "$1" >&2 || tail -5 "$1" >&2
  die "Caffe did not compile: the first errors are above, the whole log is $1"
}

check_whole() {
  "$2/bin/caffe" --version >/dev/null &&
    PYTHONPATH=$2/python "$1/bin/python" -c "import caffe; caffe.Net, caffe.SGDSolver"
}

# What was built from what, for people and for reports.
record_build() {
  local work=$1 log=$2 era="1.0" devices="CPU"
  # BVLC gave up this file in December 2016, on the way to 1.0.
  if [[ -f $work/source/src/caffe/data_reader.cpp ]]; then era="2016"; fi
  if [[ ${CAFFE_GPU:-} == 1 ]]; then devices="CPU, CUDA"; fi
  cat <<RECORD
from: $(describe_source)
era: $era
devices: $devices
edits: $(grep --count '^mended: ' "$log")
$(cat "$work/key")
seconds: $SECONDS
$(grep -E '^(mended|right already): ' "$log")
RECORD
}

# ---- into the virtual environment ---------------------------------------------------------------------

install_into() {
  local venv=$1 prefix=$2 site program
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  for program in "$prefix"/bin/*; do
    ln -sfn "$program" "$venv/bin/"
  done
  echo "$prefix/python" >"$site/netgen-caffe.pth"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  main "$@"
  exit # before bash reads on, in a file that may have been edited meanwhile
fi
