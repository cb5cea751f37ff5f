# shellcheck shell=bash
# ./run images: the images, built with buildah from a base of Debian's packages, without a registry, and
# started with runc. What this calls and does not define is in ../run, which reads this.
#
# All of it happens in process and mount namespaces of its own. So nothing goes on running, and nothing
# stays mounted, whatever ends the command, SIGKILL included.

IMAGES=$PWD/build/images
IMAGES_PACKAGES=(buildah mmdebstrap runc)
IMAGES_SUITE=bookworm
IMAGES_BASE=${NETGEN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/netgen}/images/$IMAGES_SUITE-$(uname -m).tar

# Each image: its Dockerfile, the free GiB that building and trying it takes, its arguments. CUDNN=0 is the
# default, and is said all the same: Debian 12's buildah finds a stage by the arguments given, not by defaults.
declare -gA IMAGES_KINDS=(
  [cpu]="cpu 8"
  [cuda]="cuda 16 TOOLKIT=pypi CUDA=13.0.2 GPU_ARCHITECTURES=90 CUDNN=0"
  [cudnn]="cuda 20 TOOLKIT=pypi CUDA=13.0.2 GPU_ARCHITECTURES=90 CUDNN=1"
  [cuda-debian]="cuda 24 TOOLKIT=debian GPU_ARCHITECTURES=52 CUDNN=0"
)

images() {
  local kinds=("${@:-cpu}") kind
  for kind in "${kinds[@]}"; do
    [[ -n ${IMAGES_KINDS[$kind]:-} ]] ||
      die "there is no image '$kind'. Next: choose from cpu, cuda, cudnn, cuda-debian."
  done
  mkdir -p "$(dirname "$LOG")" "$IMAGES"
  check_images_can_be_made "${kinds[@]}"
  prepare
  remove_images # of a run that was killed
  run_in_namespaces "${kinds[@]}"
}

# ---- what it takes --------------------------------------------------------------------------------------

check_images_can_be_made() {
  local file
  for file in "${IMAGES_CERTIFICATES:-}" "${IMAGES_PIP_CONF:-}"; do
    [[ -z $file || -f $file ]] ||
      die "there is no file $file. Next: name one with IMAGES_CERTIFICATES or IMAGES_PIP_CONF, or unset that."
  done
  [[ $(id -u) -eq 0 ]] ||
    die "only root may make an image here: its files belong to several users, and it is mounted to be tried." \
      "Next: sudo ./run images"
  exec 8>"$IMAGES/lock"
  flock --nonblock 8 || die "another ./run images uses $IMAGES. Next: wait until it ends."
  check_room "$@"
  if ! images_programs >/dev/null; then install_missing "${IMAGES_PACKAGES[@]}"; fi
  images_programs >/dev/null ||
    die "there is no $(images_programs || true) here. Next: install Debian's packages ${IMAGES_PACKAGES[*]}."
  unshare --mount --pid --fork --mount-proc true 2>>"$LOG" ||
    die "this machine gives no namespaces, not even to root: is it a container itself?" \
      "Next: run this outside of it, or give the container those rights (docker run --privileged)."
}

# Fails, with its name, at the first program that is missing.
images_programs() {
  local program
  for program in "${IMAGES_PACKAGES[@]}" unshare setpriv; do
    command -v "$program" >/dev/null || { echo "$program" && return 1; }
  done
}

# The layers of several images are shared, but for the largest part of each.
check_room() {
  local kind needed=0 free facts
  for kind in "$@"; do
    read -ra facts <<<"${IMAGES_KINDS[$kind]}"
    needed=$((needed + facts[1]))
  done
  free=$(df --output=avail --block-size=1G "$IMAGES" | tail -n 1)
  ((free >= needed)) ||
    die "$IMAGES has ${free// /} GiB free, and the images $* take up to $needed while they are built." \
      "Next: free some space, or ask for one image at a time."
}

# ---- start and end --------------------------------------------------------------------------------------

# The first process of the namespaces ends with this one, and with it all others. It is not waited for in
# the foreground, because bash handles a signal only after that.
run_in_namespaces() {
  local namespaces status=0
  trap 'end_images' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
  setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc \
    /bin/bash -euo pipefail -c '. ./run; . docker/images.sh; make_and_try "$@"' images "$@" &
  namespaces=$!
  wait "$namespaces" || status=$?
  namespaces=
  return "$status"
}

end_images() {
  local first=
  if [[ -n ${namespaces:-} ]]; then
    # unshare waits for the first process in there, and the kernel for all others: then nothing writes any more
    read -r first 2>/dev/null <"/proc/$namespaces/task/$namespaces/children" || true
    kill -KILL "${first:-$namespaces}" 2>/dev/null || true
    wait "$namespaces" 2>/dev/null || true
  fi
  if [[ ${IMAGES_KEEP:-} == 1 ]]; then
    echo "kept: $IMAGES, $(du --summarize --human-readable "$IMAGES" | cut -f1)"
  else
    remove_images
  fi
}

# All but logs. The folder of a control group is what a container leaves that was killed.
remove_images() {
  if [[ ${IMAGES_KEEP:-} == 1 ]]; then
    rm -rf "$IMAGES/run" "$IMAGES/tmp"
  else
    rm -rf "$IMAGES/storage" "$IMAGES/run" "$IMAGES/tmp"
  fi
  find /sys/fs/cgroup -mindepth 1 -type d -path '*/netgen-images/*' -delete 2>/dev/null || true
  find /sys/fs/cgroup -type d -name netgen-images -delete 2>/dev/null || true
}

# ---- inside ---------------------------------------------------------------------------------------------

make_and_try() {
  local kind
  mkdir -p "$IMAGES/tmp" "$IMAGES/run"
  chmod 755 "$IMAGES"
  export TMPDIR=$IMAGES/tmp BUILDAH_ISOLATION=chroot
  IMAGES_DRIVER=$(storage_driver)
  own_buildah rm --all >>"$LOG" 2>&1 || true # containers of a run whose images were kept
  make_base
  for kind in "$@"; do
    build_image "$kind"
  done
  heading "in the images"
  IMAGES=$IMAGES IMAGES_DRIVER=$IMAGES_DRIVER IMAGES_BUILT=$* \
    run_shown .venv/bin/python -m pytest tests/images_built.py
}

# buildah, in folders of ours only.
own_buildah() {
  buildah --root "$IMAGES/storage" --runroot "$IMAGES/run/storage" --storage-driver "$IMAGES_DRIVER" "$@"
}

# vfs copies every layer whole; it is for file systems on which an overlay cannot be.
storage_driver() {
  local folder=$IMAGES/run/overlay
  mkdir -p "$folder"/{lower,upper,work,merged}
  if mount -t overlay -o "lowerdir=$folder/lower,upperdir=$folder/upper,workdir=$folder/work" \
    overlay "$folder/merged" 2>>"$LOG"; then
    umount "$folder/merged"
    echo overlay
  else
    echo vfs
  fi
}

make_base() {
  local container
  if [[ ! -f $IMAGES_BASE ]]; then
    heading "a base: $IMAGES_SUITE, by mmdebstrap (log: $IMAGES/base.log)"
    mkdir -p "$(dirname "$IMAGES_BASE")"
    mmdebstrap --variant=minbase "$IMAGES_SUITE" "$IMAGES/tmp/base.tar" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} \
      >"$IMAGES/base.log" 2>&1 || explain_image "$IMAGES/base.log" "mmdebstrap made no base"
    mv "$IMAGES/tmp/base.tar" "$IMAGES_BASE"
  fi
  if own_buildah inspect --type image netgen-base >/dev/null 2>&1; then return; fi
  {
    container=$(own_buildah from scratch) &&
      own_buildah add --quiet "$container" "$IMAGES_BASE" &&
      own_buildah commit --quiet --rm "$container" netgen-base
  } >"$IMAGES/base.log" 2>&1 || explain_image "$IMAGES/base.log" "buildah took no base from $IMAGES_BASE"
}

build_image() {
  local kind=$1 facts fact options=() log=$IMAGES/$1.log started=$SECONDS
  read -ra facts <<<"${IMAGES_KINDS[$kind]}"
  for fact in "${facts[@]:2}"; do
    options+=(--build-arg "$fact")
  done
  mapfile -t -O "${#options[@]}" options < <(secret_options)
  heading "netgen:$kind (log: $log)"
  own_buildah build --layers --pull-never --build-arg BASE=localhost/netgen-base "${options[@]}" \
    --ignorefile "docker/${facts[0]}/Dockerfile.dockerignore" --file "docker/${facts[0]}/Dockerfile" \
    --tag "netgen:$kind" . 2>&1 | tee "$log" | grep --line-buffered STEP ||
    explain_image "$log" "netgen:$kind could not be built"
  echo "netgen:$kind: built in $((SECONDS - started)) s," \
    "$(own_buildah images --format '{{.Size}}' "localhost/netgen:$kind")"
}

# How what is fetched is fetched: with this machine's certificates and index of packages, where they
# are not the usual ones. What proxies there are, buildah passes on itself.
secret_options() {
  local certificates=${IMAGES_CERTIFICATES:-${PIP_CERT:-${SSL_CERT_FILE:-}}}
  if [[ -n $certificates ]]; then printf '%s\n' --secret "id=certificates,src=$certificates"; fi
  if [[ -n ${IMAGES_PIP_CONF:-} ]]; then printf '%s\n' --secret "id=pip.conf,src=$IMAGES_PIP_CONF"; fi
}

explain_image() {
  local log=$1
  tail -n 12 "$log" >&2
  if grep --quiet --ignore-case "no space left on device" "$log"; then
    die "$2: the disk is full ($IMAGES or $(dirname "$IMAGES_BASE"))." \
      "Next: free some space; what this run had made is removed."
  fi
  die "$2 (its reason is above, and in $log)." \
    "Next: mend what it names; for the network, see IMAGES_ in \`./run help\`."
}
