#!/usr/bin/env bash
# An Open vSwitch with DPDK between tsnd and a VXLAN overlay, as KuberneTSN deploys it, in network namespaces.
#
#   near-pod   near (a node)                                far (a node)                      far-pod
#  ┌──────┐   ┌──────────────────────────────────────┐     ┌─────────────────────────────┐   ┌──────┐
#  │ eth0 ├───┤ pod1 ═ tsnd ══ uplink.sock ══ tsn0   │     │                             │   │      │
#  └──────┘   │  └──────────────────────────┐  │     │     │                             │   │      │
#             │                  vxlan0 ─── br-int   │     │                             │   │      │
#             │                     ┆                │     │                             │   │      │
#             │                br-underlay ─── wire0 ├─────┤ wire0 ┄ vxlan0 ─ br0 ─ pod1 ├───┤ eth0 │
#             └──────────────────────────────────────┘     └─────────────────────────────┘   └──────┘
#
# What is time-sensitive goes through tsnd, all else straight from pod1 into br-int; so does everything when there is no
# tsnd. tsn0, br-int, vxlan0 and br-underlay of near are one ovs-vswitchd with the userspace (netdev) datapath; far is the
# kernel's. tsnd is not started here: it makes the socket (`net_virtio_user0,path=…/uplink.sock,server=1`), and Open
# vSwitch connects to it, again whenever tsnd has been restarted.
#
#   tests/ovs-dpdk.sh up [DIRECTORY]       set it up, and say how to use it
#   tests/ovs-dpdk.sh status [DIRECTORY]   what Open vSwitch sees
#   tests/ovs-dpdk.sh down [DIRECTORY]     take it down
#   tests/ovs-dpdk.sh run [DIRECTORY]      set it up, write the file `ready` into the directory, take it down on SIGTERM
#   tests/ovs-dpdk.sh get DIRECTORY INTERFACE COLUMN   what the switch's database says of an interface
#
# DIRECTORY (default /run/ovs-dpdk) holds sockets, database and logs; its last component, with -near, -near-pod, -far and
# -far-pod behind it, names the namespaces. Needs root. Hugepages (of 2 MB) are used if 80 are free. In the environment:
#
#   CPU        where the switch's polling thread runs (default 0)
#   SLEEP_US   how long that may sleep when nothing arrives, in microseconds (default 50; 0: it polls all the time)
set -euo pipefail

command=${1:-}
directory=${2:-/run/ovs-dpdk}
name=$(basename "$directory")
near=$name-near near_pod=$name-near-pod far=$name-far far_pod=$name-far-pod

readonly VNI=42
readonly NEAR_IP=192.0.2.1 FAR_IP=192.0.2.2
readonly FAR_MAC=02:00:00:00:02:00
readonly NEAR_POD_MAC=02:00:00:00:01:01 NEAR_POD_IP=10.71.0.11
readonly FAR_POD_MAC=02:00:00:00:02:01 FAR_POD_IP=10.71.0.21
readonly PAGES=80       # of 2 MB, for a pool of frames and the queues
readonly VXLAN_BYTES=50 # what VXLAN over IPv4 puts in front of a frame's payload

# Unpacked by `cargo xtask setup`, or installed.
root=$(cd "$(dirname "$0")/.." && pwd)/target/tools/openvswitch
[ -x "$root/usr/sbin/ovsdb-server" ] || root=
PATH=$root/usr/bin:$root/usr/sbin:$root/usr/lib/openvswitch-switch-dpdk:$PATH
export OVS_RUNDIR=$directory OVS_LOGDIR=$directory OVS_DBDIR=$directory OVS_SYSCONFDIR=$directory
export RUNTIME_DIRECTORY=$directory # where DPDK leaves a directory

fail() {
    echo "ovs-dpdk.sh: $*" >&2
    exit 1
}

in_namespace() { nsenter --net="/run/netns/$1" "${@:2}"; }

# The database's client; it waits until the switch has done what it is told.
vsctl() { ovs-vsctl --db="unix:$directory/db.sock" --timeout=30 "$@"; }

# A program of the switch in the background: it dies with this script, whatever ends that.
start() {
    nsenter --net="/run/netns/$near" setpriv --pdeathsig KILL "$@" >>"$directory/output" 2>&1 &
    children+=($!)
}

set_up_namespaces() {
    local namespace
    for namespace in "$near" "$near_pod" "$far" "$far_pod"; do
        ip netns add "$namespace"
        in_namespace "$namespace" tee /proc/sys/net/ipv6/conf/{all,default}/disable_ipv6 <<<1 >/dev/null
        ip -n "$namespace" link set lo up
    done
    ip link add wire0 netns "$near" type veth peer name wire0 netns "$far" address $FAR_MAC
    ip link add pod1 netns "$near" type veth peer name eth0 netns "$near_pod" address $NEAR_POD_MAC
    ip link add pod1 netns "$far" type veth peer name eth0 netns "$far_pod" address $FAR_POD_MAC
    # The switch has wire0; the kernel must not answer on it for the address of br-underlay.
    ip -n "$near" -batch - <<-END
		link set wire0 arp off up
		link set pod1 up
	END
    ip -n "$far" -batch - <<-END
		link set wire0 up
		addr add $FAR_IP/24 dev wire0
		link add vxlan0 type vxlan id $VNI local $FAR_IP remote $NEAR_IP dstport 4789 dev wire0
		link add br0 type bridge stp_state 0 mcast_snooping 0
		link set vxlan0 master br0 up
		link set pod1 master br0 up
		link set br0 up
	END
    # The switch's packet sockets on the other ends get frames as they are, without sums that a device would complete.
    in_namespace "$far" ethtool --offload wire0 tx off >/dev/null
    in_namespace "$near_pod" ethtool --offload eth0 tx off >/dev/null
    set_up_pod "$near_pod" $NEAR_POD_IP $FAR_POD_IP $FAR_POD_MAC
    set_up_pod "$far_pod" $FAR_POD_IP $NEAR_POD_IP $NEAR_POD_MAC
}

# Neighbours are static, so that nothing is on the wire but what is sent.
set_up_pod() {
    ip -n "$1" -batch - <<-END
		link set eth0 mtu $((1500 - VXLAN_BYTES)) up
		addr add $2/24 dev eth0
		neigh add $3 lladdr $4 dev eth0 nud permanent
	END
}

start_switch() {
    local memory
    if (($(</sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages) >= PAGES)); then
        memory="--single-file-segments --socket-mem 128"
    else
        echo "fewer than $PAGES free hugepages of 2 MB: the switch runs without hugepages"
        # Open vSwitch would add --in-memory, which cannot be had without hugepages.
        memory="--no-huge --legacy-mem -m 256"
    fi
    ovsdb-tool create "$directory/conf.db" "$root/usr/share/openvswitch/vswitch.ovsschema"
    start ovsdb-server "$directory/conf.db" --remote="punix:$directory/db.sock" --no-chdir \
        --log-file="$directory/ovsdb-server.log" --unixctl="$directory/ovsdb-server.ctl" -vconsole:off
    until_true "ovsdb-server's socket" test -S "$directory/db.sock"
    vsctl --no-wait -- init -- set Open_vSwitch . \
        other_config:dpdk-init=true \
        other_config:dpdk-extra="--no-pci --file-prefix=$name $memory" \
        other_config:pmd-cpu-mask="$(printf %x $((1 << ${CPU:-0})))" \
        other_config:pmd-maxsleep="${SLEEP_US:-50}" \
        other_config:per-port-memory=true
    start ovs-vswitchd-dpdk "unix:$directory/db.sock" --no-chdir \
        --log-file="$directory/ovs-vswitchd.log" --unixctl="$directory/ovs-vswitchd.ctl" -vconsole:off
    until_true "ovs-vswitchd with DPDK; see $directory/ovs-vswitchd.log" dpdk_is_up
    vsctl add-br br-underlay -- set bridge br-underlay datapath_type=netdev \
        -- add-port br-underlay wire0
    vsctl add-br br-int -- set bridge br-int datapath_type=netdev \
        -- add-port br-int vxlan0 \
        -- set interface vxlan0 type=vxlan options:remote_ip=$FAR_IP options:key=$VNI \
        -- add-port br-int pod1 \
        -- add-port br-int tsn0 \
        -- set interface tsn0 type=dpdkvhostuserclient "options:vhost-server-path=$directory/uplink.sock"
    # The pod's frames come from pod1 and, in their time, from tsn0; those for it go to pod1, in one copy.
    ovs-appctl -t "$directory/ovs-vswitchd.ctl" fdb/add br-int pod1 0 $NEAR_POD_MAC >/dev/null
    ovs-ofctl mod-port "unix:$directory/br-int.mgmt" tsn0 no-flood
    # The datapath takes its tunnel's source, route and neighbour from the address of this bridge's own port.
    ip -n "$near" -batch - <<-END
		addr add $NEAR_IP/24 dev br-underlay
		link set br-underlay up
	END
    until_true "the route to $FAR_IP" has_route
    # Frames that come while the switch asks for this neighbour would be lost.
    ovs-appctl -t "$directory/ovs-vswitchd.ctl" tnl/neigh/set br-underlay $FAR_IP $FAR_MAC >/dev/null
}

dpdk_is_up() {
    local child
    for child in "${children[@]}"; do
        kill -0 "$child" 2>>"$directory/output" || fail "Open vSwitch has ended:"$'\n'"$(tail "$directory"/*.log)"
    done
    [ "$(vsctl --no-wait get Open_vSwitch . dpdk_initialized)" = true ]
}

has_route() { ovs-appctl -t "$directory/ovs-vswitchd.ctl" ovs/route/show | grep -q "192.0.2.0/24.*br-underlay"; }

# Waits up to 30 s for a command to succeed.
until_true() {
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        if "${@:2}"; then return; fi
        sleep 0.05
    done
    fail "waited 30 s in vain for $1"
}

is_up() { [ -e "$directory/run.pid" ] && grep -qs ovs-dpdk.sh "/proc/$(<"$directory/run.pid")/cmdline"; }

take_down() {
    trap '' TERM INT
    local namespace
    [ ${#children[@]} -eq 0 ] || kill "${children[@]}" 2>/dev/null || true
    wait
    for namespace in "$near" "$near_pod" "$far" "$far_pod"; do
        ip netns delete "$namespace" 2>/dev/null || true
    done
    rm -f "$directory"/{conf.db,.conf.db.~lock~,db.sock,ovs-vswitchd.ctl,ovsdb-server.ctl,ready,run.pid}
    rm -rf "$directory/dpdk"
}

run() {
    mkdir -p "$directory"
    children=()
    take_down # what a killed run has left
    echo $$ >"$directory/run.pid"
    trap take_down EXIT
    trap 'exit 0' TERM INT
    set_up_namespaces
    start_switch
    : >"$directory/ready"
    wait -n
    fail "Open vSwitch has ended; see $directory/ovs-vswitchd.log"
}

up() {
    mkdir -p "$directory"
    rm -f "$directory/ready" # of a killed run
    setsid "$0" run "$directory" >"$directory/run.output" 2>&1 </dev/null &
    until_true "the switch" ready_or_failed
    [ -e "$directory/ready" ] || fail "$(cat "$directory/run.output")"
    cat "$directory/run.output" - <<-END
		Namespaces: $near $near_pod $far $far_pod
		Run in $near, with tsnd's uplinks[0].device:
		    net_virtio_user0,path=$directory/uplink.sock,server=1
		The near pod is $NEAR_POD_IP ($NEAR_POD_MAC), the far pod $FAR_POD_IP ($FAR_POD_MAC), VNI $VNI.
	END
}

ready_or_failed() { [ -e "$directory/ready" ] || ! kill -0 $! 2>/dev/null; }

status() {
    vsctl --columns=name,type,link_state,status,error,statistics list interface
    ovs-appctl -t "$directory/ovs-vswitchd.ctl" dpctl/dump-flows
}

get() { vsctl --no-wait get interface "$1" "$2"; }

down() {
    ! is_up || kill "$(<"$directory/run.pid")"
    until_true "the switch to end" is_down
    children=()
    take_down # what a killed run has left
}

is_down() { ! is_up; }

case $command in
    up | run)
        ! is_up || fail "$directory is in use; take it down first"
        "$command"
        ;;
    down) down ;;
    status | get)
        is_up || fail "nothing is up in $directory"
        "$command" "${@:3}"
        ;;
    *) fail "usage: $0 up|down|status|run [DIRECTORY], or get DIRECTORY INTERFACE COLUMN" ;;
esac
