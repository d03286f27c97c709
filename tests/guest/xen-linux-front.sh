# SPDX-License-Identifier: MIT
# A Xen HVM guest without xen-blkfront: programs of ours are its frontend. The host says what to run, a line each.

expect_xen
[ ! -e /sys/bus/xen/drivers/vbd ] || fail "xen-blkfront is loaded, and takes the disk"

# Without a module, the error says which.
for module in xen_gntalloc xen_evtchn; do
    rmmod $module || fail "$module cannot be unloaded"
    vbd 2>&1 | grep -q "modprobe $(echo $module | tr _ -)'" || fail "vbd without $module says: $(vbd 2>&1)"
    load "$(echo $module | tr _ -)"
done
rm /dev/xen/xenbus
vbd 2>&1 | grep -q "there is no /dev/xen/xenbus" || fail "vbd without XenStore says: $(vbd 2>&1)"
mknod /dev/xen/xenbus c 10 "$(sed -n 's/ xen.xenbus$//p' /proc/misc)" || fail "mknod"
mark "ready"

while read -r words <&3 && [ "$words" != end ]; do
    timeout 90 $words >/tmp/out 2>/tmp/errors || fail "$words: $(tail -n 3 /tmp/out) $(tail -n 3 /tmp/errors)"
    tr -d '\0' </tmp/out | while read -r line || [ -n "$line" ]; do mark "said $line"; done
    mark "did"
done
check_log
mark "finished"
end
