# shellcheck shell=bash disable=SC2034  # its lists are for those who source it
# The distribution's packages that netgen and Caffe need: the one list of them, for ./run and images.
# Debian 12 and 13 and Ubuntu 22.04 and 24.04 name all of them alike (on Ubuntu most are in "universe").

SUPPORTED_DISTRIBUTIONS="debian-12 debian-13 ubuntu-22.04 ubuntu-24.04"

# What netgen runs on. The dataset is the demo's: 70,000 real images under a free licence.
RUNTIME_PACKAGES=(
  ca-certificates git
  python3 python3-dev python3-venv
  dataset-fashion-mnist
)

# What Caffe is built with; a built Caffe also runs on the libraries that these bring along.
BUILD_PACKAGES=(
  g++ cmake ninja-build
  libboost-system-dev libboost-thread-dev libboost-filesystem-dev libboost-python-dev
  libgoogle-glog-dev libgflags-dev
  libprotobuf-dev protobuf-compiler
  liblmdb-dev libleveldb-dev libsnappy-dev libhdf5-dev
  libopenblas-dev
  libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev libopencv-highgui-dev
)

# What an image runs on, beside the libraries that Caffe was found to load; dumb-init is its first process.
RUN_PACKAGES=(
  ca-certificates dumb-init
  python3 python3-venv
  dataset-fashion-mnist
)

# What only the checks of ./run test need.
CHECK_PACKAGES=(shellcheck)

# What tests need that run torch: PyPI's brings gigabytes of CUDA. Where a distribution has no such
# packages, these tests are skipped.
TORCH_PACKAGES=(python3-torch python3-torchvision)
# Their modules, with what they import and .venv may lack, among all others of the distribution's.
TORCH_MODULES=(torch torchgen functorch torchvision sympy mpmath)
DISTRIBUTION_MODULES=/usr/lib/python3/dist-packages

# What tests need that look at pages. Where a distribution has no such package, they are skipped.
BROWSER_PACKAGES=(chromium)

# The distribution and its release, e.g. debian-12.
distribution() {
  # shellcheck source=/dev/null  # read in a subshell, to keep its variables out of ours
  (. /etc/os-release && echo "${ID:-unknown}-${VERSION_ID:-unknown}") 2>/dev/null || echo unknown
}

distribution_is_supported() {
  [[ " $SUPPORTED_DISTRIBUTIONS " == *" $(distribution) "* ]]
}

# Which of the packages given are not installed, one a line.
missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null |
      grep --quiet --line-regexp installed || echo "$package"
  done
}
