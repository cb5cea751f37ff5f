#!/usr/bin/env bash
# ./run demo and ./run test from nothing: in a bare root of a release of Debian, which this makes and
# removes again. What it runs is the last commit of the clone that it lies in.
#
#   docker/bare.sh bookworm|trixie     (as root, on any Linux with debootstrap)
#
# All of it happens in a mount and a process namespace of its own. Whatever ends this, SIGKILL too, ends
# every process in there, and with the last of them the kernel takes the mounts away.
set -euo pipefail
shopt -s inherit_errexit

SUITES="bookworm trixie" # debian-12 and debian-13 of caffe/packages.sh
MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
GIB_NEEDED=9 # the root with all packages, those that only tests need too, the demo, and what the tests write

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CLONE=$(dirname "$HERE")

main() {
  if [[ ${1:-} == --in-namespace ]]; then
    ROOT=$3
    make_root "$2"
    run_both
    return
  fi
  local suite=${1:-}
  if [[ $# -ne 1 || " $SUITES " != *" $suite "* ]]; then
    die "'$*' is not one of ${SUITES// /, }." "Next: ./run bare ${SUITES##* }"
  fi
  ROOT=$CLONE/build/bare-$suite
  check_machine "$suite"
  mkdir -p "$CLONE/build"
  # Freed by the kernel when the last process that inherits it is gone.
  exec 9>"$ROOT.lock"
  flock --nonblock 9 || die "another ./run bare $suite of this clone is running." \
    "Next: wait for it, or end it."
  check_folder
  remove # of a run that was killed
  check_disk
  tell_what_is_left_out
  in_namespace "$suite"
}

die() {
  printf 'bare: %s\n' "$@" >&2
  exit 1
}

# ---- before anything is made ---------------------------------------------------------------------------

check_machine() {
  local program
  [[ $(id -u) -eq 0 ]] || die "making a root, and mounting /proc in it, takes root." \
    "Next: sudo ./run bare $1"
  for program in debootstrap git unshare setpriv; do
    command -v "$program" >/dev/null ||
      die "there is no $program here." "Next: apt-get install debootstrap git util-linux"
  done
  unshare --mount --pid --fork true 2>/dev/null ||
    die "this machine allows no mount and process namespaces, as in a container without privileges." \
      "Next: run this on the machine itself, in a virtual machine, or in a privileged container."
}

# Nothing here mounts into the root outside the namespace, so somebody else did, and files of theirs
# may lie in there.
check_folder() {
  local mounted
  mounted=$(findmnt --noheadings --list --output TARGET | awk -v root="$ROOT" 'index($0 "/", root "/") == 1')
  [[ -z $mounted ]] || die "something is mounted in $ROOT, which would be removed: ${mounted//$'\n'/, }" \
    "Next: umount --recursive $ROOT"
}

check_disk() {
  local free
  free=$(df --output=avail --block-size=1G "$CLONE/build" | tail -n 1)
  ((free >= GIB_NEEDED)) ||
    die "a bare root takes $GIB_NEEDED GiB, and $CLONE/build has ${free// /} GiB left." \
      "Next: make room there, or clone netgen to a larger disk."
}

tell_what_is_left_out() {
  local changed
  changed=$(git -C "$CLONE" status --porcelain | wc -l)
  if ((changed > 0)); then
    echo "bare: the last commit is run, without what is not committed ($changed files)" >&2
  fi
}

remove() { rm -rf --one-file-system "$ROOT"; }

# ---- outside the namespace -----------------------------------------------------------------------------

CHILD= # unshare, while it runs

# The namespace ends with this: by clean_up, or, if this is killed, by pdeathsig and --kill-child.
in_namespace() {
  local suite=$1 log=$ROOT.log status=0 tee
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  exec 8> >(tee "$log")
  tee=$!
  setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc \
    "$HERE/bare.sh" --in-namespace "$suite" "$ROOT" >&8 2>&1 8>&- &
  CHILD=$!
  exec 8>&-
  wait "$CHILD" || status=$?
  wait "$tee" # so that what is said next is the last line
  if ((status > 0)); then
    die "failed in Debian's $suite: see above; all of it is in $log"
  fi
}

# unshare waits for the first process in its namespace, and the kernel ends all others with that one. So
# nothing writes into the root any more when it is removed.
clean_up() {
  local first=
  if [[ -n $CHILD ]]; then
    read -r first 2>/dev/null <"/proc/$CHILD/task/$CHILD/children" || true
    kill -KILL "${first:-$CHILD}" 2>/dev/null || true
    wait "$CHILD" 2>/dev/null || true
  fi
  remove
}

# ---- inside it -----------------------------------------------------------------------------------------

make_root() {
  local suite=$1
  heading "a bare root of Debian's $suite, by debootstrap from $MIRROR"
  # Its log has hundreds of lines, of which the last ones matter when it fails.
  debootstrap --variant=minbase --include=git,ca-certificates "$suite" "$ROOT" "$MIRROR" \
    >"$ROOT.debootstrap" 2>&1 || {
    tail -n 5 "$ROOT.debootstrap" >&2
    die "debootstrap could not make the root (its reason is above, and in $ROOT.debootstrap)." \
      "Next: mend the network or its proxy, or name a mirror: DEBIAN_MIRROR=http://..."
  }
  rm "$ROOT.debootstrap"
  mount --rbind "$ROOT" "$ROOT" # "/" is a mount point on a real machine, and namespaces want that
  mount -t proc proc "$ROOT/proc"
  mount -t sysfs -o ro sysfs "$ROOT/sys"
  mkdir -p "$ROOT/dev/shm" "$ROOT/dev/pts"
  mount -t tmpfs tmpfs "$ROOT/dev/shm"
  mount -t devpts devpts "$ROOT/dev/pts"
  take_network_settings
  git clone --quiet "$CLONE" "$ROOT/netgen"
}

CERTIFICATES=/etc/ssl/certs/ca-certificates.crt
PASSED_ON="https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY"
PASSED_ON+="|PIP_(INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|DEFAULT_TIMEOUT)"

# How this machine reaches the network, and nothing else of it: its certificates (a company's proxy may
# have its own), pip's and apt's settings for all users. What the environment
# says of proxies and of pip's index is in environment().
take_network_settings() {
  local certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
  cp -L /etc/resolv.conf "$ROOT/etc/resolv.conf"
  if [[ -f $certificates ]]; then cp -L "$certificates" "$ROOT$CERTIFICATES"; fi
  if [[ -f /etc/pip.conf ]]; then cp -L /etc/pip.conf "$ROOT/etc/pip.conf"; fi
  if command -v apt-config >/dev/null; then
    apt-config dump | grep -E '^Acquire::[a-z]+::Proxy' >"$ROOT/etc/apt/apt.conf.d/90proxy" || true
  fi
}

# The whole environment of what runs in the root, one a line.
environment() {
  echo "HOME=/root"
  echo "LANG=C.UTF-8"
  echo "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
  echo "PIP_CERT=$CERTIFICATES"
  env | grep -E "^($PASSED_ON)=" || true
}

# The tests run also after a demo that failed, so that all can be mended at once. A shell has its
# background jobs ignore INT, which programs inherit: they get it back.
run_both() {
  local variables failed=() word begin report=()
  mapfile -t variables < <(environment)
  for word in demo test; do
    heading "./run $word"
    begin=$SECONDS
    if env -i --default-signal=INT,QUIT "${variables[@]}" chroot "$ROOT" /netgen/run "$word"; then
      report+=("./run $word: passed, in $((SECONDS - begin)) s")
    else
      report+=("./run $word: FAILED, after $((SECONDS - begin)) s")
      failed+=("$word")
    fi
  done
  heading "from nothing in a bare Debian $(<"$ROOT/etc/debian_version"), $(nproc) processors"
  printf '%s\n' "${report[@]}"
  ((${#failed[@]} == 0))
}

heading() { printf '\n==> [%d s] %s\n' "$SECONDS" "$*"; }

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  main "$@"
  exit # before bash reads on, in a file that may have been edited meanwhile
fi
