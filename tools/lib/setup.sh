# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034,SC2086
# Sourced by the tools: reads their options, and brings in what a bare Debian 12 lacks. Installs only; upgrades and
# removes nothing.

pinref_packages="g++ clang meson ninja-build doctest-dev libbenchmark-dev liburing-dev pkg-config
  libjemalloc-dev libmimalloc-dev libfabric-dev
  cmake python3 python3-yaml libclang-rt-14-dev git binutils ca-certificates"
pinref_elsewhere_packages="g++-aarch64-linux-gnu g++-riscv64-linux-gnu g++-s390x-linux-gnu g++-arm-linux-gnueabihf
  g++-12-multilib qemu-user"
pinref_guest_packages="qemu-system-x86 busybox-static cpio kmod iproute2 e2fsprogs libibverbs-dev ibverbs-providers"
pinref_platforms_packages="libc++-14-dev libc++abi-14-dev clang-19 musl-tools g++-mingw-w64-x86-64-posix wine wine64"
pinref_docs_packages="mkdocs mkdocs-material python3-pymdownx doxygen doxygen-awesome-css plantuml graphviz fonts-dejavu-core
  chromium chromium-driver"
pinref_mebibytes=200
pinref_programs="python3 meson ninja pkg-config cmake git objdump"

# Without colours Meson and ninja need to be told so in another way.
[ -z "${NO_COLOR-}" ] || export TERM=dumb

# The comment at the head of the tool.
usage() {
  sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0"
}

wrong_usage() {
  echo "$(basename "$0"): $1" >&2
  usage >&2
  exit 2
}

# options KNOWN "$@", before anything is installed: prints the usage and ends if asked to, and ends with 2 at what is not
# KNOWN, a list as "--quick --json=", of which the latter takes a value. Sets option_<name> to the value.
options() {
  known=" $1 "
  shift
  while [ $# -ne 0 ]; do
    case $1 in
      -h | --help)
        usage
        exit 0
        ;;
      --*=*) option=${1%%=*} value=${1#*=} ;;
      *) option=$1 value= ;;
    esac
    case $known in
      *" $option= "*)
        if [ "$option" = "$1" ]; then
          [ $# -gt 1 ] || wrong_usage "$1 wants a value"
          value=$2
          shift
        fi
        eval "option_${option#--}=\$value"
        ;;
      *" $1 "*) ;;
      *) wrong_usage "unknown: $1" ;;
    esac
    shift
  done
}

# setup ROOT [PACKAGE...]: returns nonzero when a needed program is missing in the end. What the packages bring is not
# needed.
setup() {
  setup_log=$1/build/setup.log
  setup_refused=
  mkdir -p "$1/build" 2>/dev/null || setup_refused=$1/build
  for folder in "$1/build" "$1"/build/*/; do
    if [ -d "$folder" ] && [ ! -w "$folder" ]; then setup_refused=${folder%/}; fi
  done
  if [ -n "$setup_refused" ]; then
    echo "setup: cannot write to $setup_refused, where everything is built: remove it if another user made it, or copy" \
      "the source tree to where you may write" >&2
    return 1
  fi
  # What a full disk does to a build later on is hard to read.
  setup_free=$(df -Pk "$1/build" | awk 'NR == 2 { print int($4 / 1024) }')
  if [ "${setup_free:-$pinref_mebibytes}" -lt $pinref_mebibytes ]; then
    echo "setup: $1/build has $setup_free MiB of space left, which is less than $pinref_mebibytes MiB" >&2
    return 1
  fi
  shift

  if grep -qs '^VERSION_ID="12"' /etc/os-release && grep -qs '^ID=debian' /etc/os-release; then
    setup_debian $pinref_packages
    setup_debian "$@"
  fi

  setup_lacking=
  for program in $pinref_programs; do
    command -v "$program" >/dev/null 2>&1 || setup_lacking="$setup_lacking $program"
  done
  if ! command -v g++ >/dev/null 2>&1 && ! command -v clang++ >/dev/null 2>&1; then
    setup_lacking="$setup_lacking g++ or clang++"
  fi
  if [ -n "$setup_lacking" ]; then
    echo "setup: not found:$setup_lacking" >&2
    echo "setup: on Debian 12 these packages have all it takes:" $pinref_packages >&2
    return 1
  fi
}

setup_debian() {
  missing=
  for package in "$@"; do
    case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) in
      *' ok installed') ;;
      *) missing="$missing $package" ;;
    esac
  done
  [ -n "$missing" ] || return 0

  if [ "$(id -u)" -eq 0 ]; then
    as_root=
  elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
  else
    echo "setup: neither root nor sudo, so not installed:$missing" >&2
    return 0
  fi

  echo "setup: installing$missing (log: $setup_log)"
  apt="apt-get -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o DPkg::Lock::Timeout=300"
  {
    $as_root $apt update &&
      $as_root env DEBIAN_FRONTEND=noninteractive $apt install -y -q \
        --no-install-recommends --no-remove --no-upgrade $missing
  } >"$setup_log" 2>&1 </dev/null || {
    echo "setup: apt-get failed; the end of its log:" >&2
    tail -n 15 "$setup_log" >&2
    echo "setup: not installed:$missing" >&2
  }
}
