# shellcheck shell=bash
# Where Caffe's source comes from: one of two trees with a name, or the user's own.
#
#   debian   BVLC's Caffe 1.0, unchanged: the source package of Debian 11. The default.
#   pypi     BVLC's of early 2016 with SSD's layers, which others edited: taken where the first
#            cannot be had, because a whole release of Debian may leave the mirrors one day

DEBIAN_FILE=caffe_1.0.0+git20180821.99bd997.orig.tar.gz
DEBIAN_SHA256=e0eb3f06794f7402c77b7dec8e8480273ee1a1bb192e9122b621a69d4147ad0c
PYPI_PACKAGE=brocolli-caffe==9.0.2
PYPI_SHA256=c6410cc60bdd6db685d441b66be7df05410f8850ac88d6b75d48ef9b2315c08a

SOURCE_PARTS=(CMakeLists.txt include python src tools) # of a tree, what a build reads

# Sets SOURCE (debian, pypi or the user's path) and SOURCE_HASH. Only the choice between the two needs
# a network, and only where neither the first nor a Caffe built from it is in the cache.
choose_source() {
  SOURCE=${CAFFE_SOURCE:-}
  if [[ -z $SOURCE ]]; then
    SOURCE=debian
    if ! is_known "$DEBIAN_SHA256" && ! fetch_from_debian; then
      SOURCE=pypi
      printf 'build.sh: %s\n' "no mirror that apt knows here has $DEBIAN_FILE (apt's reason is above)," \
        "so this takes the second source, $PYPI_PACKAGE, with its defects mended." \
        "To build BVLC's own: CAFFE_SOURCE=<folder or tar file>" >&2
    fi
  fi
  case $SOURCE in
    debian) SOURCE_HASH=$DEBIAN_SHA256 ;;
    pypi) SOURCE_HASH=$PYPI_SHA256 ;;
    *) SOURCE_HASH=$(hash_of_own "$SOURCE") ;;
  esac
}

is_known() { has_source "$1" || grep --quiet --no-messages "^source: $1" "$CACHE"/caffe-*/build.txt; }

# What the source is, for people.
describe_source() {
  case $SOURCE in
    debian) echo "BVLC's Caffe 1.0, commit 99bd997, from Debian's source package" ;;
    pypi) echo "BVLC's Caffe of 2016 with SSD's layers, as edited in PyPI's $PYPI_PACKAGE" ;;
    *) echo "$SOURCE" ;;
  esac
}

# ---- the two with a name ---------------------------------------------------------------------------

folder_of() { echo "$CACHE/sources/$1"; }

has_source() { [[ -d $(folder_of "$1") ]]; }

# Makes the folder of the source with hash $1 whole or not at all: the other words are a command
# that fills a folder.
keep_source() {
  local hash=$1 new
  mkdir -p "$CACHE/sources"
  new=$(mktemp -d "$CACHE/sources/.new-XXXXXX")
  if ! "${@:2}" "$new" >&2; then
    rm -rf "$new"
    return 1
  fi
  mv -T "$new" "$(folder_of "$hash")" 2>/dev/null || rm -rf "$new" # another set-up was faster
}

# Gives the tar file of a source with a name, after fetching it if need be, with the pip of $1 if it
# is pypi.
tar_of_source() {
  if ! has_source "$SOURCE_HASH"; then
    case $SOURCE in
      debian) fetch_from_debian || die "could not fetch $DEBIAN_FILE with apt (its reason is above)." \
        "Next: mend the network or apt's sources, or take another: CAFFE_SOURCE=pypi" ;;
      pypi) fetch_from_pypi "$1" ;;
    esac
  fi
  find "$(folder_of "$SOURCE_HASH")" -name '*.tar.gz'
}

fetch_from_debian() {
  echo "fetching Caffe's source: $DEBIAN_FILE" >&2
  keep_source "$DEBIAN_SHA256" download_from_debian
}

# apt's own client checks the hash. It need not have downloaded any list of packages. Every mirror
# that apt is set up with is asked, because all releases of a distribution share one pool; Ubuntu has
# its copy of the package in universe.
download_from_debian() {
  local repositories repository part said=""
  # shellcheck disable=SC2016  # apt's own name
  repositories=$(apt-get indextargets --no-release-info --format '$(REPO_URI)' 'Created-By: Packages' |
    sort --unique)
  for repository in $repositories; do
    for part in main universe; do
      said=$(/usr/lib/apt/apt-helper -o APT::Sandbox::User=root -o Acquire::Retries=2 \
        -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 \
        download-file "${repository}pool/$part/c/caffe/$DEBIAN_FILE" "$1/$DEBIAN_FILE" \
        "SHA256:$DEBIAN_SHA256" 2>&1) && return
    done
  done
  echo "${said:-apt knows of no mirror}" | grep -v '^Err:' >&2
  return 1
}

# pip checks the hash.
fetch_from_pypi() {
  echo "fetching Caffe's source: $PYPI_PACKAGE" >&2
  keep_source "$PYPI_SHA256" download_from_pypi "$1" ||
    die "could not fetch Caffe's source from pip's package index (pip's reason is above)." \
      "Next: mend the network or pip's settings and run this again, or build from a tree" \
      "that is here already: CAFFE_SOURCE=<folder or tar file>"
}

download_from_pypi() {
  # --no-binary: it is a source distribution, and pip need not look for another kind
  "$1/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps \
    --no-binary "${PYPI_PACKAGE%%=*}" --require-hashes -d "$2" \
    -r <(echo "$PYPI_PACKAGE --hash=sha256:$PYPI_SHA256")
}

# ---- the user's own --------------------------------------------------------------------------------

hash_of_own() {
  if [[ -d $1 ]]; then
    require_tree "$1"
    hash_of_parts "$1" "${SOURCE_PARTS[@]}" # whatever else lies around them
  elif [[ -f $1 ]]; then
    sha256sum <"$1" | cut -d' ' -f1
  else
    die "CAFFE_SOURCE=$1 does not exist: give a folder or a tar file of BVLC's Caffe, or debian or pypi"
  fi
}

require_tree() {
  local part
  for part in "${SOURCE_PARTS[@]}" src/caffe/proto/caffe.proto; do
    [[ -e $1/$part ]] || die "$1 is no source tree of Caffe: it has no $part"
  done
}

# ---- unpacking -------------------------------------------------------------------------------------

# Puts a copy of what a build reads into the new folder $2, fetching it with the pip of $1 if need be.
unpack_source() {
  local source=$SOURCE target unpacked tree
  target=$(realpath -m "$2")
  case $SOURCE in debian | pypi) source=$(tar_of_source "$1") ;; esac
  if [[ -d $source ]]; then
    copy_tree "$source" "$target"
    return
  fi
  unpacked=$target.unpacked
  mkdir -p "$unpacked"
  tar --extract --force-local --file "$source" --directory "$unpacked" || die "$source is no tar file"
  tree=$(tree_in "$unpacked" "$source")
  copy_tree "$tree" "$target"
  rm -rf "$unpacked"
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
  (cd "$1" && cp -rL "${SOURCE_PARTS[@]}" "$2") # what links lead to: it is edited
}
