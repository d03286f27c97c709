# SPDX-License-Identifier: MIT
# What the scripts of the nested Xen guests share.

# verify_disks DISK...: verified random I/O on all of them at the same time.
verify_disks() {
    disks=$*
    set -- $(for disk; do echo "--name=$disk --filename=/dev/$disk"; done)
    fio --eta=never --output=/tmp/fio.log --direct=1 --ioengine=io_uring --iodepth=8 --rw=randrw --size=12m \
        --bssplit=512/10:4k/60:64k/30 --fsync=64 --verify=crc32c --verify_fatal=1 --verify_backlog=64 \
        --thread "$@" || { cat /tmp/fio.log; fail "fio: $(grep -m1 -E 'fio:|verify' /tmp/fio.log)"; }
    grep -E 'read:|write:|err=' /tmp/fio.log
    mark "step inner: verified I/O on $disks"
}

# report_sum NAME DISK: the host compares it with the image's.
report_sum() { mark "sum inner-$1 $(dd if="/dev/$2" bs=256k iflag=direct 2>/dev/null | md5sum | cut -d' ' -f1)"; }

