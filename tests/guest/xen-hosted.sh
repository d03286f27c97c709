# SPDX-License-Identifier: MIT
# A Xen HVM guest that loads no Xen block driver: the hosted disk must work, and must not show as a Xen device.

expect_xen
[ ! -e /sys/module/xen_blkfront ] || fail "xen-blkfront is loaded, it should not be"
[ -b /dev/vda ] || fail "there is no /dev/vda: $(tail -n +3 /proc/partitions)"
vbds=$(ls /sys/bus/xen/devices | grep '^vbd' || true)
[ -z "$vbds" ] || fail "the guest sees Xen disks it was not given: $vbds"
mark "step inner: a Xen HVM guest, its hosted disk is vda"

verify_disks vda
report_sum hosted vda
check_log
mark "finished"
end
