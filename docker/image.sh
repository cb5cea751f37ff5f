#!/usr/bin/env bash
# The steps of both images, for their Dockerfiles (and for any bare Debian or Ubuntu, as root):
#
#   docker/image.sh packages   the distribution's packages
#   docker/image.sh caffe      Caffe, by docker/caffe/build.sh, into /opt/caffe and .venv
#   docker/image.sh netgen     netgen, into .venv
#
# CAFFE_COMMIT takes a commit of BVLC's Caffe instead of the default source; the other variables are
# build.sh's.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=docker/caffe/packages.sh
. docker/caffe/packages.sh

BVLC=https://github.com/BVLC/caffe

install_packages() {
  distribution_is_supported || {
    echo "image.sh: this is $(distribution), not one of $SUPPORTED_DISTRIBUTIONS" >&2
    exit 1
  }
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    "${RUNTIME_PACKAGES[@]}" "${BUILD_PACKAGES[@]}"
  rm -rf /var/lib/apt/lists/*
}

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
  docker/caffe/build.sh .venv
  rm -rf /opt/caffe/sources
}

case "$#:${1:-}" in
  1:packages) install_packages ;;
  1:caffe) build_caffe ;;
  1:netgen) .venv/bin/pip install --no-cache-dir --quiet '.[caffe]' ;;
  *)
    echo "usage: image.sh packages|caffe|netgen" >&2
    exit 2
    ;;
esac
