# SPDX-License-Identifier: MIT
# For a debugger: reads once from each of its two disks, and waits.

await_log 'blkfront: xvda' 60 || fail "xen-blkfront did not connect to xvda"
[ -b /dev/vda ] || fail "there is no /dev/vda: $(tail -n +3 /proc/partitions)"
dd if=/dev/vda bs=4k skip=3 count=1 iflag=direct of=/tmp/page 2>/dev/null || fail "the hosted disk cannot be read"
dd if=/dev/xvda bs=4k skip=5 count=1 iflag=direct of=/tmp/page 2>/dev/null || fail "the own disk cannot be read"
case $(uname -m) in
x86_64) mark "ready 64" ;;
*) mark "ready 32" ;;
esac
read -r line <&3
end
