# SPDX-License-Identifier: MIT
# A Xen HVM guest whose disk has a discard granularity above the file system's block: fstrim asks to discard what is free,
# of which the granularity's units are a part.

expect_xen
await_log 'blkfront: xvda' 30 || fail "xen-blkfront did not connect to xvda"
await '[ -b /dev/xvda ]' || fail "there is no /dev/xvda"
[ "$(cat /sys/block/xvda/queue/discard_granularity)" = 1048576 ] ||
    fail "the granularity is $(cat /sys/block/xvda/queue/discard_granularity)"
# Something is everywhere.
yes pvblk | dd of=/dev/xvda bs=1M count=64 iflag=fullblock oflag=direct 2>/dev/null || fail "dd to xvda"
/sbin/mke2fs -q -F -t ext4 -b 4096 -E nodiscard /dev/xvda || fail "mke2fs"
mount -t ext4 /dev/xvda /mnt || fail "mount"
# Files of three blocks in a row: every second one goes, and leaves a hole that begins anywhere. A large one goes, too.
head -c 20000000 /dev/urandom >/mnt/large
for number in $(seq 200); do yes "file $number" | head -c 12288 >/mnt/file$number; done
sync
rm /mnt/large
for number in $(seq 2 2 200); do rm /mnt/file$number; done
(cd /mnt && md5sum file* >/tmp/sums) || fail "md5sum"
sync
fstrim -v /mnt >/tmp/trimmed 2>&1 || fail "fstrim: $(cat /tmp/trimmed); $(dmesg | grep -E "$trouble" | tail -n 2)"
# It is no error of fstrim's where the disk refuses.
grep -q ' 0 bytes' /tmp/trimmed && fail "fstrim: $(cat /tmp/trimmed); $(dmesg | grep -E "$trouble" | tail -n 2)"
mark "trimmed $(cat /tmp/trimmed)"
umount /mnt || fail "umount"
echo 3 >/proc/sys/vm/drop_caches
mount -t ext4 /dev/xvda /mnt || fail "mount again"
(cd /mnt && md5sum -c /tmp/sums) >/tmp/md5.log 2>&1 || fail "checksums differ: $(grep -v OK /tmp/md5.log | head -n 3)"
umount /mnt || fail "umount again"
check_log
mark "finished"
end
