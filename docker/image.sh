#!/usr/bin/env bash
# The steps of all images, for their Dockerfiles (and for any bare Debian or Ubuntu, as root):
#
#   docker/image.sh packages   the distribution's packages, to build with
#   docker/image.sh toolkit    CUDA's compiler and libraries, where the base does not bring them
#   docker/image.sh caffe      Caffe, by docker/caffe/build.sh, into /opt/caffe and .venv
#   docker/image.sh netgen     netgen, into .venv; then, what all of it needs to run
#   docker/image.sh run        in another stage, with that one's /opt: the packages needed to run
#
# CAFFE_COMMIT takes a commit of BVLC's Caffe instead of the default source; TOOLKIT and CUDA say which
# CUDA (docker/README.md); the other variables are build.sh's. If /run/secrets has the files
# certificates or pip.conf, what is fetched is fetched with these, and they do not stay in the image.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=docker/caffe/packages.sh
. docker/caffe/packages.sh

BVLC=https://github.com/BVLC/caffe
CUDA_FOLDER=/opt/cuda # NVIDIA's packages from PyPI
NEEDED=/opt/netgen/packages.txt # the distribution's packages that the run stage needs
SECRETS=/run/secrets

die() {
  printf 'image.sh: %s\n' "$@" >&2
  exit 1
}

use_secrets() {
  if [[ -f $SECRETS/certificates ]]; then
    export PIP_CERT=$SECRETS/certificates GIT_SSL_CAINFO=$SECRETS/certificates
    export SSL_CERT_FILE=$SECRETS/certificates
  fi
  if [[ -f $SECRETS/pip.conf ]]; then export PIP_CONFIG_FILE=$SECRETS/pip.conf; fi
}

install_packages() {
  distribution_is_supported || die "this is $(distribution), not one of $SUPPORTED_DISTRIBUTIONS"
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
  apt-get clean
  rm -rf /var/lib/apt/lists/*
}

# ---- CUDA ---------------------------------------------------------------------------------------------

install_toolkit() {
  case ${TOOLKIT:-nvidia} in
    nvidia) ;; # in the base image
    pypi) install_toolkit_from_pypi ;;
    debian) install_toolkit_from_debian ;;
    *) die "TOOLKIT=$TOOLKIT is unknown. Next: choose nvidia, pypi or debian (docker/README.md)." ;;
  esac
}

# NVIDIA's package cuda-toolkit names the version of each of a release's parts that it is asked for. A part
# that only another one asks for would be the newest: nvcc needs the nvvm of its own release.
install_toolkit_from_pypi() {
  local parts=("cuda-toolkit[nvcc,nvvm,crt,cccl,cudart,cublas,curand]==$CUDA") major=${CUDA%%.*} library
  ((major >= 13)) || die "PyPI has no compiler of CUDA $CUDA, only those of 13.0 and later." \
    "Next: --build-arg CUDA=13.0.2, for cards of 7.5 and later; or TOOLKIT=nvidia or debian."
  # nvrtc: some of cuDNN's convolutions are compiled when they are first used.
  if [[ ${CUDNN:-0} == 1 ]]; then parts+=("nvidia-cudnn-cu$major" "cuda-toolkit[nvrtc]==$CUDA"); fi
  if [[ ${NCCL:-0} == 1 ]]; then parts+=("nvidia-nccl-cu$major"); fi
  python3 -m venv /tmp/pip
  /tmp/pip/bin/pip install --no-cache-dir --quiet --target "$CUDA_FOLDER" "${parts[@]}"
  rm -rf /tmp/pip
  # The packages have neither the names that a linker looks for nor the folder that CMake looks into.
  ln -s lib "$CUDA_FOLDER/nvidia/cu$major/lib64"
  for library in "$CUDA_FOLDER"/nvidia/*/lib/lib*.so.*; do
    ln -sf "$(basename "$library")" "${library%%.so.*}.so"
  done
}

# Debian keeps it in its parts for what is not free software.
install_toolkit_from_debian() {
  if [[ ${CUDNN:-0} == 1 || ${NCCL:-0} == 1 ]]; then
    die "Debian's CUDA comes without cuDNN and NCCL. Next: leave CUDNN and NCCL, or take another TOOLKIT."
  fi
  add_non_free
  install_packages nvidia-cuda-toolkit
}

add_non_free() {
  sed -i -E 's/^(deb .* main)$/\1 contrib non-free/' /etc/apt/sources.list /etc/apt/sources.list.d/*.list || true
  sed -i -E 's/^(Components: main)$/\1 contrib non-free/' /etc/apt/sources.list.d/*.sources || true
} 2>/dev/null

# For build.sh: the cards, the compiler on the PATH, and where libraries are. CUDA 13 knows no card
# before 7.5.
use_toolkit() {
  local folders=("$CUDA_FOLDER"/nvidia/*/lib) oldest="52;75-real"
  if [[ ${TOOLKIT:-} != debian && ${CUDA%%.*} -ge 13 ]]; then oldest=75; fi
  export CAFFE_CUDA_ARCHITECTURES=${CAFFE_CUDA_ARCHITECTURES:-$oldest;86-real;89}
  if [[ ! -d $CUDA_FOLDER ]]; then return; fi
  CAFFE_CUDA_ROOTS=$(printf '%s\n' "${folders[@]%/lib}" | paste --serial --delimiters=';')
  export CAFFE_CUDA_ROOTS PATH=$CUDA_FOLDER/nvidia/cu${CUDA%%.*}/bin:$PATH
}

# ---- Caffe and netgen ---------------------------------------------------------------------------------

fetch_commit() {
  git init --quiet "$2"
  git -C "$2" fetch --quiet --depth 1 "$BVLC" "$1"
  git -C "$2" checkout --quiet FETCH_HEAD
}

build_caffe() {
  export NETGEN_CACHE=/opt/caffe
  /usr/bin/python3 -m venv .venv
  # NumPy's headers are compiled into pycaffe; a build's last check imports it, and so the rest.
  .venv/bin/pip install --no-cache-dir --quiet numpy protobuf scikit-image six
  if [[ -n ${CAFFE_COMMIT:-} ]]; then
    fetch_commit "$CAFFE_COMMIT" /opt/caffe/sources/bvlc
    export CAFFE_SOURCE=/opt/caffe/sources/bvlc
  fi
  if [[ ${CAFFE_GPU:-} == 1 ]]; then use_toolkit; fi
  docker/caffe/build.sh .venv
  rm -rf /opt/caffe/sources
}

install_netgen() {
  .venv/bin/pip install --no-cache-dir --quiet '.[caffe]'
  rm -rf build
  list_needed >"$NEEDED"
  leave_only_libraries
}

# What is started or loaded here, each with the libraries that it loads in turn, one a line.
libraries() {
  find -L /opt/caffe .venv/bin/caffe .venv/lib -type f \( -name '*.so*' -o -path '*/bin/*' \) -print0 |
    xargs --null ldd 2>/dev/null | sed -n -E 's/^.* => (\/[^ ]+) .*$/\1/p' | sort --unique
}

# dpkg knows a library by the path that its package gave, which may be the one before /usr was merged.
list_needed() {
  local library
  for library in $(libraries | grep -v "^/opt/"); do
    library=$(realpath "$library")
    dpkg-query --search "$library" "${library#/usr}" 2>/dev/null || true
  done | sed -E 's/:.*//' | sort --unique
}

# Of CUDA's packages, those that Caffe loads, and cuDNN's, which load each other by name.
leave_only_libraries() {
  local keep
  if [[ ! -d $CUDA_FOLDER ]]; then return; fi
  keep=$(libraries | grep "^$CUDA_FOLDER/" | xargs realpath)
  find "$CUDA_FOLDER" \( -type f -o -name '*.so' \) ! -path '*.dist-info/*' \
    ! -name 'libcudnn*.so.*' ! -name 'libnvrtc.so.*' ! -name 'libnvrtc-builtins.so.*' -print |
    grep --invert-match --line-regexp --fixed-strings "$keep" | tr '\n' '\0' | xargs --null rm
  find "$CUDA_FOLDER" -type d -empty -delete
}

# NVIDIA's images hold the versions of what they have: only what is missing is installed.
install_run_packages() {
  local packages
  if [[ ${TOOLKIT:-} == debian ]]; then add_non_free; fi
  mapfile -t packages <"$NEEDED"
  mapfile -t packages < <(missing_packages "${RUN_PACKAGES[@]}" "${packages[@]}")
  install_packages "${packages[@]}"
}

use_secrets
case "$#:${1:-}" in
  1:packages) install_packages "${RUNTIME_PACKAGES[@]}" "${BUILD_PACKAGES[@]}" ;;
  1:toolkit) install_toolkit ;;
  1:caffe) build_caffe ;;
  1:netgen) install_netgen ;;
  1:run) install_run_packages ;;
  *)
    echo "usage: image.sh packages|toolkit|caffe|netgen|run" >&2
    exit 2
    ;;
esac
