# SPDX-License-Identifier: MIT
# A Xen HVM guest that comes up, uses both its disks for a moment, and goes.

expect_xen
await_log 'blkfront: xvda' 30 || fail "xen-blkfront did not connect to xvda"
for disk in xvda vda; do
    [ -b /dev/$disk ] || fail "there is no /dev/$disk"
    yes $disk | dd of=/dev/$disk bs=64k count=32 iflag=fullblock oflag=direct 2>/dev/null || fail "dd to $disk"
    written=$(yes $disk | head -c 2097152 | md5sum)
    [ "$(dd if=/dev/$disk bs=64k count=32 iflag=direct 2>/dev/null | md5sum)" = "$written" ] ||
        fail "$disk does not read back what was written"
done
# The kernel's command line may tell by which interrupt events have to come.
[ -z "$expect" ] || grep "$expect" /proc/interrupts | grep -q '[1-9][0-9][0-9]' ||
    fail "events did not come by $expect: $(grep -E 'HYP|xen-platform' /proc/interrupts)"
check_log
mark "finished"
end
