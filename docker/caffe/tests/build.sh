#!/usr/bin/env bash
# Builds Caffe's own C++ tests against the Caffe in the cache, and keeps them beside it. They come with
# its source; nothing of them is copied here. Compiles only what is missing, so it is quick to repeat.
#
#   build.sh VENV [TEST...]    builds these (test_net, check_gradients, ...), or all
#   build.sh --folder VENV     prints the folder that holds them, or would
#
# In that folder: bin/ with the tests; tree/ with the source, in which they run, and which holds the
# tests of pycaffe; prefix, a link to the Caffe that is tested. The environment chooses the Caffe as it
# does for ../build.sh, which is asked to build it if it is not in the cache.
set -euo pipefail
shopt -s inherit_errexit

TESTS_RECIPE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TESTS_RECIPE_FILES=(build.sh tests.cmake pictures.py)

# shellcheck source=docker/caffe/build.sh
. "$TESTS_RECIPE/../build.sh"

tests_main() {
  case "$#:${1:-}" in
    2:--folder)
      choose_source
      folder_of_tests "$2"
      ;;
    *:-* | 0: | *:) tests_usage ;;
    *)
      choose_source
      build_tests "$@"
      ;;
  esac
}

tests_usage() {
  sed -n '5,6s/^# */usage: /p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

# The library's key, and what only the tests depend on: changing a test never builds Caffe again.
folder_of_tests() {
  local prefix recipe
  prefix=$(prefix_of "$1")
  recipe=$(cd "$TESTS_RECIPE" && sha256sum "${TESTS_RECIPE_FILES[@]}" | sha256sum | cut -c1-8)
  echo "$CACHE/tests-${prefix##*/caffe-}-$recipe"
}

build_tests() {
  local venv=$1 prefix folder missing
  prefix=$(prefix_of "$venv")
  folder=$(folder_of_tests "$venv")
  find_or_build "$venv" "$prefix"
  exec 8>"$folder.lock" # one build at a time
  flock --nonblock 8 || { echo "the same tests are being built elsewhere: waiting" && flock 8; }
  if [[ ! -e $folder/ready ]]; then prepare_tests "$venv" "$prefix" "$folder"; fi
  # One's own program, and quick to compile: a new version of it is no reason to build the others again.
  if ! cmp --silent "$TESTS_RECIPE/check_gradients.cpp" "$folder/recipe/tests/check_gradients.cpp"; then
    cp "$TESTS_RECIPE/check_gradients.cpp" "$folder/recipe/tests"
    rm -f "$folder/bin/check_gradients"
  fi
  mapfile -t missing < <(missing_tests "$folder" "${@:2}")
  if [[ ${#missing[@]} -gt 0 ]]; then compile_tests "$venv" "$folder" "${missing[@]}"; fi
  exec 8>&-
  echo "Caffe's own tests are in the cache: $folder"
}

# Unpacks and mends, in a folder that depends on no other checkout.
prepare_tests() {
  local venv=$1 prefix=$2 folder=$3
  rm -rf "$folder"
  mkdir -p "$folder/bin"
  ln -s "$prefix" "$folder/prefix"
  cp -r "$RECIPE" "$folder/recipe"
  unpack_source "$venv" "$folder/tree"
  "$venv/bin/python" "$RECIPE/replacements" "$folder/tree" >"$folder.log"
  # One test of the source on PyPI has a stray word on a line of its own.
  sed -i '/^cmake$/d' "$folder"/tree/src/caffe/test/*.cpp
  "$venv/bin/python" "$TESTS_RECIPE/pictures.py" "$folder/tree/examples/images"
  touch "$folder/ready"
}

# All tests in the folder $1 of a source; those that launch kernels themselves need CUDA's compiler.
all_tests() {
  local kinds=(cpp)
  if [[ ${CAFFE_GPU:-} == 1 ]]; then kinds+=(cu); fi
  (cd "$1" && for kind in "${kinds[@]}"; do compgen -G "test_*.$kind" || true; done) |
    sed 's/\.[a-z]*$//; s/^test_caffe_main$/check_gradients/'
}

# Which of the tests named, or of all, are not built in a folder; one a line.
missing_tests() {
  local folder=$1 name names=("${@:2}")
  if [[ ${#names[@]} -eq 0 ]]; then
    mapfile -t names < <(all_tests "$folder/tree/src/caffe/test")
  fi
  for name in "${names[@]}"; do
    [[ -x $folder/bin/$name ]] || echo "$name"
  done
}

# What compiling leaves is large (its precompiled header alone has 300 MB), so it goes when all is built.
compile_tests() {
  local venv=$1 folder=$2 log=$2.log build=$2/build
  echo "building $(($# - 2)) of Caffe's own tests: log: $log"
  SECONDS=0
  configure_tests "$venv" "$folder" >>"$log" 2>&1 || explain_failure "$log"
  # A test that does not compile has failed, and is no reason not to run the others.
  cmake --build "$build" --parallel "$(nproc)" --target "${@:3}" -- -k 0 2>&1 |
    show_progress "$log" || tell_what_failed "$log"
  find "$build" -path "$build/bin/*" -exec mv -t "$folder/bin" {} +
  rm -rf "$build"
  echo "built in ${SECONDS} s"
}

configure_tests() {
  local venv=$1 folder=$2 options
  options=$(cuda_options) || return
  mapfile -t options < <(printf '%s' "$options")
  cmake -S "$folder/recipe" -B "$folder/build" -G Ninja \
    -D CMAKE_BUILD_TYPE=None -D CMAKE_CXX_FLAGS="$(tests_flags)" \
    -D CAFFE_SOURCE="$folder/tree" -D CAFFE_PREFIX="$(realpath "$folder/prefix")" \
    -D CMAKE_PROJECT_netgen_caffe_INCLUDE="$folder/recipe/tests/tests.cmake" \
    -D CMAKE_RUNTIME_OUTPUT_DIRECTORY="$folder/build/bin" \
    -D Python3_EXECUTABLE="$(realpath -s "$venv")/bin/python" "${options[@]}"
}

tell_what_failed() {
  grep --quiet '^FAILED: .*\.o $' "$1" || explain_failure "$1"
  sed -nE 's|^FAILED: .*/([^/ ]*)\.o $|did not compile: \1|p' "$1" | sort --unique
  echo "(why: $1)"
}

# As the library, but not optimised: that takes longest, and what is tested is compiled already.
tests_flags() { echo "$(compiler_flags) -O0"; }

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  tests_main "$@"
  exit # before bash reads on, in a file that may have been edited meanwhile
fi
