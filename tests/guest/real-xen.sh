# SPDX-License-Identifier: MIT
# Domain 0 of a real Xen: xenstored, and disks that Linux's xen-blkback serves to domain 0 itself. Then it runs commands
# of the host. Each process that it starts costs the emulated processor a tenth of a second.

mount -t xenfs xenfs /proc/xen || fail "xenfs cannot be mounted; does this Linux run on Xen?"
mkdir -p /run/xenstored /var/lib/xenstored /var/log/xen
ln -s /run /var/run
xenstored --pid-file /run/xenstored.pid || fail "xenstored does not start"

# make_disk NUMBER SECTOR MIB: a block device; its major and minor number.
make_disk() {
    if [ "$2" = 512 ]; then
        truncate -s "$3M" "/disk-$1" && loop=$(losetup -f) && losetup "$loop" "/disk-$1" &&
            read -r device <"/sys/block/${loop#/dev/}/dev"
    else
        null=/sys/kernel/config/nullb/disk$1
        [ -d /sys/kernel/config/nullb ] || mount -t configfs configfs /sys/kernel/config
        mkdir "$null" && echo "$3" >"$null/size" && echo "$2" >"$null/blocksize" && echo 1 >"$null/memory_backed" &&
            echo 1 >"$null/discard" && echo 1 >"$null/power" && read -r device <"/sys/block/disk$1/dev"
    fi
}

# A toolstack and a hotplug script would write this.
nodes="/local/domain/0/domid 0 /local/domain/0/name Domain-0"
states=
while read -r number mode sector mib; do
    make_disk "$number" "$sector" "$mib" || fail "the block device of vbd $number cannot be made"
    # XenStore has it in hexadecimal.
    device=$(printf '%x:%x' "${device%:*}" "${device#*:}")
    back=/local/domain/0/backend/vbd/0/$number
    front=/local/domain/0/device/vbd/$number
    nodes="$nodes $front/backend $back $front/backend-id 0 $front/virtual-device $number $front/device-type disk
        $front/state 1 $back/frontend $front $back/frontend-id 0 $back/online 1 $back/type phy $back/mode $mode
        $back/physical-device $device $back/dev vbd$number $back/removable 0 $back/bootable 0
        $back/hotplug-status connected $back/state 1"
    states="$states $back/state"
done </disks
# xenstored may need a moment before it listens.
await 'xenstore write $nodes 2>/tmp/xenstore.log' || fail "XenStore cannot be written: $(tail -n 1 /tmp/xenstore.log)"
[ -z "$states" ] || await '[ "$(xenstore read $states | sort -u)" = 2 ]' ||
    fail "xen-blkback does not wait for frontends of all vbds. Their states: $(echo $(xenstore read $states))"
read -r major </sys/hypervisor/version/major
read -r minor </sys/hypervisor/version/minor
mark "ready Xen $major.$minor Linux $(uname -r)"

serve_commands
