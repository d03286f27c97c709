# SPDX-License-Identifier: MIT
# A Xen HVM guest with its own xen-blkfront on an ordinary Xen disk, and the hosted disk beside it.

dmesg | grep -q 'Hypervisor detected: Xen HVM' || fail "Linux does not take this for a Xen HVM guest"
await_log 'blkfront: xvda' 60 || fail "xen-blkfront did not connect to xvda"
[ -b /dev/vda ] || fail "there is no /dev/vda: $(tail -n +3 /proc/partitions)"
vbds=$(echo $(ls /sys/bus/xen/devices | grep '^vbd'))
[ "$vbds" = vbd-51712 ] || fail "the guest should see its own vbd-51712 and no other Xen disk, it sees: $vbds"
mark "step inner: a Xen HVM guest, its own disk is xvda, the hosted one vda"

verify_disks vda xvda
report_sum hosted vda
report_sum own xvda
vbds=$(echo $(ls /sys/bus/xen/devices | grep '^vbd'))
[ "$vbds" = vbd-51712 ] || fail "after the I/O the guest sees these Xen disks: $vbds"
check_log
mark "inner-finished"
end
