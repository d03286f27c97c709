# SPDX-License-Identifier: MIT
# Linux as GRUB has started it, from a disk that GRUB has read: its own blkfront takes the disk over.

expect_xen
await_log 'blkfront: xvda' 30 || fail "xen-blkfront did not connect to xvda"
mount /dev/xvda /mnt || fail "the ext4 on xvda cannot be mounted"
# The kernel's command line tells the sum.
[ "$(md5sum </mnt/data | cut -d' ' -f1)" = "$sum" ] || fail "/data on xvda is not what it was"
[ -e /sys/firmware/acpi/tables/DSDT ] || fail "Linux has lost its ACPI tables"
echo "Linux was here" >/mnt/note || fail "xvda cannot be written to"
umount /mnt || fail "xvda cannot be unmounted"
check_log
mark "fact clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
mark "fact seconds $(date +%s)"
mark "finished"
end
