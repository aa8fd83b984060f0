#!/bin/sh
# SPDX-License-Identifier: MIT
#
# machines.sh PROGRAM ARGUMENT...
# Runs remote_cache with its server and its clients on two machines, as far as the network goes: in two network
# namespaces joined by a veth pair. They go with their last process, and the pair with them. Where namespaces are
# refused, on loopback.

if [ "$1" != --inside ]; then
  for how in -n -rn; do
    # shellcheck disable=SC2086
    if command -v ip >/dev/null && unshare $how ip link set lo up 2>/dev/null; then
      exec unshare $how "$0" --inside "$@"
    fi
  done
  echo "network         loopback: there are no network namespaces here, or no iproute2"
  exec "$@"
fi
shift

ip link set lo up
unshare -n sleep 3600 &
clients=$!
trap 'kill $clients 2>/dev/null' EXIT
trap 'exit 2' INT TERM HUP
while [ "$(readlink /proc/$clients/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do sleep 0.01; done

on_clients() { nsenter -t $clients -n "$@"; }
ip link add to_clients type veth peer name to_server netns $clients &&
  ip addr add 10.77.0.1/30 dev to_clients && ip link set to_clients up &&
  on_clients ip link set lo up && on_clients ip addr add 10.77.0.2/30 dev to_server &&
  on_clients ip link set to_server up || {
  echo "network         loopback: no veth pair can be had here"
  "$@"
  exit
}
echo "network         two namespaces and a veth pair"
"$@" --server-address 10.77.0.1 --client-address 10.77.0.2 --client-namespace /proc/$clients/ns/net
