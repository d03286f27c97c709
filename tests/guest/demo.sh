# SPDX-License-Identifier: MIT
# The demo's guest: ext4 on the first disk, verified mixed I/O on the second, both resized while in use.
# The kernel's command line names them: first=vda second=vdb, or first=xvda second=xvdb.

for disk in "$first" "$second"; do
    [ -b /dev/$disk ] || await_log "[ ;]$disk[: ]" 60 || fail "there is no /dev/$disk"
done
if [ -e /sys/block/$first/serial ]; then
    # The serial number comes through virtio's GET_ID: it tells that the disks are the ones we mean.
    [ "$(cat /sys/block/$first/serial)" = pvblk-raw ] || fail "$first is not the raw disk"
    [ "$(cat /sys/block/$second/serial)" = pvblk-qcow2 ] || fail "$second is not the qcow2 disk"
else
    expect_xen
fi
mark "step booted: Linux $(uname -r), $(sectors $first) and $(sectors $second) sectors"

# write_files FOLDER COUNT: sizes that end inside a block, a page and a sector.
write_files() {
    mkdir -p "$1"
    for number in $(seq "$2"); do
        head -c $((number * 9973)) /dev/urandom >"$1/file$number" || return 1
    done
    sync
    find "$1" -type f -exec md5sum {} + >>/tmp/sums
}

# queue DISK: what Linux made of it, and what it asked of it, for the host's table.
queue() {
    set -- "$1" $(cat /sys/block/$1/stat)
    values=" requests=$(($2 + $6 + ${13} + ${17})) discards=${13} flushes=${17}"
    for name in logical_block_size physical_block_size max_segments max_sectors_kb discard_granularity write_cache; do
        values="$values $name=$(tr ' ' - </sys/block/$1/queue/$name)"
    done
    mark "queue $1 sectors=$(sectors $1)$values"
}

verify_until_enough $second
mark "step fio: mixed reads, writes, flushes and discards begin on $second"

# By its path: busybox has an applet of that name.
/sbin/mke2fs -q -F -t ext4 /dev/$first || fail "mke2fs"
mount -t ext4 /dev/$first /mnt || fail "mount"
mark "step ext4: made and mounted on $first"

resize $second $verifier

write_files /mnt/first 40 &
writer=$!
resize $first $writer
wait $writer || fail "files cannot be written while $first grows"
/sbin/resize2fs /dev/$first >/dev/null 2>&1 || fail "resize2fs of the mounted file system"
write_files /mnt/second 20 || fail "files cannot be written after $first grew"
umount /mnt || fail "umount"
echo 3 >/proc/sys/vm/drop_caches
mount -t ext4 /dev/$first /mnt || fail "mount again"
[ "$(wc -l </tmp/sums)" = 60 ] || fail "not every file was summed"
md5sum -c /tmp/sums >/tmp/md5.log 2>&1 || fail "checksums differ: $(grep -v OK /tmp/md5.log | head -n 3)"
umount /mnt || fail "umount again"
mark "step ext4: 60 files written, unmounted, mounted again, all checksums right"

stop_verifying
fio --eta=never --output=/tmp/grown.log --name=grown --filename=/dev/$second --direct=1 --offset=64m --size=4m \
    --rw=randwrite --bs=64k --ioengine=$engine --iodepth=4 --verify=crc32c --verify_fatal=1 --end_fsync=1 ||
    { cat /tmp/grown.log; fail "fio on the part of $second that is new"; }
mark "step fio: all blocks read back and verified in $(cat /tmp/passes) passes, the new part of $second too"

check_log
queue $first
queue $second
mark "finished"
# The host reads the devices' counters, then says that we may go.
read -r answer <&3
end
