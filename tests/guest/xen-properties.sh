# SPDX-License-Identifier: MIT
# A Xen HVM guest that sees what properties of xen-pvblk-backend say: xvda is removable and takes requests of 1024
# segments, xvdb is read-only. Linux has no use for xvdc, a CD-ROM, in an HVM guest: it says ENODEV.

is() { [ "$(cat /sys/block/$1)" = "$2" ] || fail "$1 is $(cat /sys/block/$1) and not $2"; }

expect_xen
for disk in xvda xvdb; do await_log "blkfront: $disk" 30 || fail "xen-blkfront did not connect to $disk"; done
for disk in xvda xvdb; do await "[ -b /dev/$disk ]" || fail "there is no /dev/$disk"; done
is xvda/removable 1
is xvda/ro 0
is xvdb/removable 0
is xvdb/ro 1
dd if=/dev/zero of=/dev/xvdb bs=4k count=1 oflag=direct 2>/dev/null && fail "the read-only disk was written to"
report_sum fixed xvdb
await_log 'vbd vbd-51744: 19 xenbus_dev_probe' 10 || fail "xen-blkfront does not leave the CD-ROM alone"
[ ! -e /dev/xvdc ] || fail "there is an xvdc"

# The block layer would cut them.
is xvda/queue/max_segments 1024
cat /sys/block/xvda/queue/max_hw_sectors_kb >/sys/block/xvda/queue/max_sectors_kb
head -c 16777216 /dev/urandom >/tmp/large
mark "before"
read -r answer <&3
dd if=/tmp/large of=/dev/xvda bs=4M oflag=direct 2>/dev/null || fail "dd to xvda"
dd if=/dev/xvda bs=4M count=4 iflag=direct 2>/dev/null | cmp - /tmp/large || fail "xvda does not read back what was written"
mark "after"
read -r answer <&3
dmesg | grep -v 51744 | grep -E "$trouble" && fail "the kernel's log speaks of trouble"
mark "finished"
end
