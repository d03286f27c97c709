# SPDX-License-Identifier: MIT
# A Xen HVM guest: Linux's own xen-blkfront on xvda, and a hosted disk vda under I/O beside it. It reboots once; the
# host tells which boot this is. What must be the same on every accelerator is reported as a fact.

fact() { mark "fact $*"; }

expect_xen
await_log 'blkfront: xvda' 60 || fail "xen-blkfront did not connect to xvda"
[ -b /dev/vda ] || fail "there is no /dev/vda: $(tail -n +3 /proc/partitions)"
vbds=$(echo $(ls /sys/bus/xen/devices | grep '^vbd'))
[ "$vbds" = vbd-51712 ] || fail "the guest should see its own vbd-51712 and no other Xen disk, it sees: $vbds"
mark "ready $(nproc)"
read -r boot <&3

report_features() {
    dmesg | sed 's/^\[[^]]*\] *//' | grep -E 'Hypervisor detected|Xen version|xen:events:|Grant tables|blkfront: xvda' |
        while read -r line; do fact "log $line"; done
    for name in logical_block_size physical_block_size max_segments max_sectors_kb discard_granularity write_cache; do
        fact "queue $name $(cat /sys/block/xvda/queue/$name)"
    done
    fact "sectors $(sectors xvda)"
}

hosted_io() {
    while [ ! -e /tmp/hosted-enough ]; do
        fio --eta=never --output=/tmp/hosted.log --name=hosted --filename=/dev/vda --direct=1 --ioengine=$engine \
            --iodepth=4 --rw=randrw --size=8m --bssplit=512/10:4k/60:64k/30 --fsync=64 --verify=crc32c \
            --verify_fatal=1 || return 1
        echo passed >>/tmp/hosted-passes
    done
}

raw_sum() { dd if=/dev/xvda bs=64k count=128 iflag=direct 2>/dev/null | md5sum | cut -d' ' -f1; }

# A frontend that was closed stays closed until its device is made anew, which is the host's part.
reload_driver() {
    before=$(raw_sum)
    # The bus holds a reference on the driver of each device; without one it can be unloaded.
    echo vbd-51712 >/sys/bus/xen/drivers/vbd/unbind || fail "vbd-51712 cannot be unbound"
    rmmod xen_blkfront || fail "xen-blkfront cannot be unloaded"
    [ ! -e /dev/xvda ] || fail "xvda is still there without its driver"
    mark "replug"
    read -r answer <&3
    await '[ -e /sys/bus/xen/devices/vbd-51712 ]' || fail "the guest does not see the disk that was plugged in again"
    load xen-blkfront
    await '[ -b /dev/xvda ]' || fail "xvda did not come back with its driver"
    [ "$(raw_sum)" = "$before" ] || fail "xvda reads otherwise after its driver was loaded again"
    mark "step xen-blkfront unloaded, its disk unplugged and plugged in, xen-blkfront loaded again"
}

# Everything in them is known, so their sums are the same everywhere.
make_files() {
    /sbin/mke2fs -q -F -t ext4 /dev/xvda || fail "mke2fs"
    mount -t ext4 /dev/xvda /mnt || fail "mount"
    for number in $(seq 40); do
        yes "file $number" | head -c $((number * 9973)) >/mnt/file$number
    done
    (cd /mnt && md5sum file* >sums) || fail "md5sum"
    fact "sum files $(md5sum </mnt/sums)"
    umount /mnt || fail "umount"
    mark "step ext4 made on xvda, 40 files written"
}

first_boot() {
    report_features
    hosted_io &
    hosted=$!
    verify_until_enough xvda
    resize xvda $verifier
    fact "sectors $(sectors xvda)"
    stop_verifying
    mark "step verified I/O with flushes and discards on xvda, resized meanwhile"
    yes pvblk | dd of=/dev/xvda bs=64k count=128 iflag=fullblock oflag=direct 2>/dev/null || fail "dd to xvda"
    fact "sum raw $(raw_sum)"
    reload_driver
    make_files
    touch /tmp/hosted-enough
    wait $hosted || { cat /tmp/hosted.log; fail "the hosted disk: $(grep -m1 -E 'fio:|verify' /tmp/hosted.log)"; }
    mark "step hosted disk: $(wc -l </tmp/hosted-passes) verified passes meanwhile"
    check_log
    mark "rebooting"
    exec 3>&-
    reboot -f
}

second_boot() {
    mount -t ext4 /dev/xvda /mnt || fail "mount after the reboot"
    (cd /mnt && md5sum -c sums) >/tmp/md5.log 2>&1 || fail "checksums differ: $(grep -v OK /tmp/md5.log | head -n 3)"
    fact "sum rebooted $(md5sum </mnt/sums)"
    umount /mnt || fail "umount after the reboot"
    mark "step rebooted: all files are as they were"
    check_log
    mark "finished"
    end
}

case $boot in
first) first_boot ;;
again) second_boot ;;
*) fail "the host says '$boot' instead of which boot this is" ;;
esac
