# SPDX-License-Identifier: MIT
# A guest whose hosted disk takes requests of 16 MiB, which are 4096 segments on the ring.

[ -b /dev/vda ] || fail "there is no /dev/vda"
# 16 MiB in one request: the block layer would cut it, and so would a buffer of small pages.
cat /sys/block/vda/queue/max_hw_sectors_kb >/tmp/max
[ "$(cat /tmp/max)" -gt 16384 ] || fail "vda takes requests of $(cat /tmp/max) KiB"
echo 16384 >/sys/block/vda/queue/max_sectors_kb || fail "max_sectors_kb"
echo 12 >/proc/sys/vm/nr_hugepages
[ "$(cat /proc/sys/vm/nr_hugepages)" = 12 ] || fail "there are $(cat /proc/sys/vm/nr_hugepages) huge pages"
fio --eta=never --output=/tmp/large.log --name=large --filename=/dev/vda --direct=1 --ioengine=psync --mem=shmhuge \
    --rw=write --bs=16m --size=48m --verify=crc32c --verify_fatal=1 ||
    { cat /tmp/large.log; fail "fio: $(grep -m1 -E 'fio:|verify' /tmp/large.log)"; }
check_log
mark "finished"
read -r answer <&3
end
