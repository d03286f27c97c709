# SPDX-License-Identifier: MIT
# The demo's guest: ext4 on the first disk, verified mixed I/O on the second, both resized while in use.

# The serial number comes through virtio's GET_ID: it tells that the disks are the ones we mean.
[ "$(cat /sys/block/vda/serial)" = pvblk-raw ] || fail "vda is not the raw disk: $(cat /sys/block/vda/serial)"
[ "$(cat /sys/block/vdb/serial)" = pvblk-qcow2 ] || fail "vdb is not the qcow2 disk: $(cat /sys/block/vdb/serial)"
mark "step booted: Linux $(uname -r), $(sectors vda) and $(sectors vdb) sectors"

# resize DISK PID: the host makes it larger while the process uses it.
resize() {
    before=$(sectors "$1")
    kill -0 "$2" 2>/dev/null || fail "$1 was idle before it was resized"
    mark "resize $1"
    await_log "\[$1\] new size" 60 || fail "$1 did not report its new size"
    [ "$(sectors "$1")" -gt "$before" ] || fail "$1 did not grow"
    mark "step resized $1 while in use: $before to $(sectors "$1") sectors"
}

# write_files FOLDER COUNT: sizes that end inside a block, a page and a sector.
write_files() {
    mkdir -p "$1"
    for number in $(seq "$2"); do
        head -c $((number * 9973)) /dev/urandom >"$1/file$number" || return 1
    done
    sync
    find "$1" -type f -exec md5sum {} + >>/tmp/sums
}

# Passes with different patterns until the other disk's part is done, so that the resizes meet I/O in flight.
verified_io() {
    pass=0
    while [ ! -e /tmp/enough ]; do
        pass=$((pass + 1))
        PASS=$pass fio --eta=never --output=/tmp/fio.log /lib/pvblk/demo.fio || return 1
        echo $pass >/tmp/passes
    done
}

mkfifo /tmp/started
verified_io &
fio=$!
# The first job tells when its I/O begins.
timeout 60 head -n 1 /tmp/started >/dev/null || fail "fio did not start"
mark "step fio: mixed reads, writes, flushes and discards begin on vdb"

# By its path: busybox has an applet of that name.
/sbin/mke2fs -q -F -t ext4 /dev/vda || fail "mke2fs"
mount -t ext4 /dev/vda /mnt || fail "mount"
mark "step ext4: made and mounted on vda"

resize vdb $fio

write_files /mnt/first 40 &
writer=$!
resize vda $writer
wait $writer || fail "files cannot be written while vda grows"
/sbin/resize2fs /dev/vda >/dev/null 2>&1 || fail "resize2fs of the mounted file system"
write_files /mnt/second 20 || fail "files cannot be written after vda grew"
umount /mnt || fail "umount"
echo 3 >/proc/sys/vm/drop_caches
mount -t ext4 /dev/vda /mnt || fail "mount again"
[ "$(wc -l </tmp/sums)" = 60 ] || fail "not every file was summed"
md5sum -c /tmp/sums >/tmp/md5.log 2>&1 || fail "checksums differ: $(grep -v OK /tmp/md5.log | head -n 3)"
umount /mnt || fail "umount again"
mark "step ext4: 60 files written, unmounted, mounted again, all checksums right"

touch /tmp/enough
wait $fio || { cat /tmp/fio.log; fail "fio: $(grep -m1 -E 'fio:|verify' /tmp/fio.log)"; }
grep -E 'read:|write:|trim:|err=' /tmp/fio.log
fio --eta=never --output=/tmp/grown.log --name=grown --filename=/dev/vdb --direct=1 --offset=64m --size=4m --rw=randwrite \
    --bs=64k --ioengine=io_uring --iodepth=4 --verify=crc32c --verify_fatal=1 --end_fsync=1 ||
    { cat /tmp/grown.log; fail "fio on the part of vdb that is new"; }
mark "step fio: all blocks read back and verified in $(cat /tmp/passes) passes, the new part of vdb too"

check_log
mark "finished"
# The host reads the devices' counters, then says that we may go.
read -r answer <&3
end
