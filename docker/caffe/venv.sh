# shellcheck shell=bash
# A virtual environment for a second Caffe beside that of .venv: netgen and the packages are .venv's.

# Makes the folder $1 of the environment $2, if it is not there: programs caffe and netgen will be its own.
make_second_venv() {
  local folder base stamp site
  folder=$(realpath --canonicalize-missing "$1")
  base=$(realpath -s "$2")
  stamp="$folder of $base $("$base/bin/python" --version)"
  if [[ $(cat "$folder/made-for" 2>/dev/null) == "$stamp" ]]; then return; fi
  mkdir -p "$(dirname "$folder")"
  "$base/bin/python" -m venv --clear --without-pip "$folder"
  site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  "$base/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$site/zz-venv.pth"
  (cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) >"$site/netgen.pth"
  printf '#!%s\nfrom netgen.commands.cli import main\n\nmain()\n' "$folder/bin/python" >"$folder/bin/netgen"
  chmod +x "$folder/bin/netgen"
  echo "$stamp" >"$folder/made-for"
}
