# SPDX-License-Identifier: MIT
# What guests do with a disk.

# fio's engine; a kernel or a processor without io_uring takes another one.
engine=${engine:-io_uring}

# verify_disks DISK...: verified random I/O on all of them at the same time.
verify_disks() {
    disks=$*
    set -- $(for disk; do echo "--name=$disk --filename=/dev/$disk"; done)
    fio --eta=never --output=/tmp/fio.log --direct=1 --ioengine=$engine --iodepth=8 --rw=randrw --size=12m \
        --bssplit=512/10:4k/60:64k/30 --fsync=64 --verify=crc32c --verify_fatal=1 --verify_backlog=64 \
        --thread "$@" || { cat /tmp/fio.log; fail "fio: $(grep -m1 -E 'fio:|verify' /tmp/fio.log)"; }
    grep -E 'read:|write:|err=' /tmp/fio.log
    mark "step verified I/O on $disks"
}

# verify_until_enough DISK: mixed.fio again and again with other patterns, until stop_verifying, so that whatever
# happens meanwhile meets I/O in flight. Returns once the first pass has begun.
verify_until_enough() {
    rm -f /tmp/enough
    [ -e /tmp/started ] || mkfifo /tmp/started
    _verify_passes "$1" &
    verifier=$!
    timeout 60 head -n 1 /tmp/started >/dev/null || fail "fio did not start"
}

_verify_passes() {
    pass=0
    while [ ! -e /tmp/enough ]; do
        pass=$((pass + 1))
        PASS=$pass DISK=$1 ENGINE=$engine fio --eta=never --output=/tmp/mixed.log /lib/pvblk/mixed.fio || return 1
        echo $pass >/tmp/passes
    done
}

stop_verifying() {
    touch /tmp/enough
    wait $verifier || { cat /tmp/mixed.log; fail "fio: $(grep -m1 -E 'fio:|verify' /tmp/mixed.log)"; }
    grep -E 'read:|write:|trim:|err=' /tmp/mixed.log
}

# resize DISK PID: the host makes it larger while the process uses it.
resize() {
    before=$(sectors "$1")
    kill -0 "$2" 2>/dev/null || fail "$1 was idle before it was resized"
    mark "resize $1"
    await_log "[ ;]$1: detected capacity change" 60 || fail "$1 did not report its new size"
    [ "$(sectors "$1")" -gt "$before" ] || fail "$1 did not grow"
    mark "step resized $1 while in use: $before to $(sectors "$1") sectors"
}

# report_sum NAME DISK: the host compares it with the image's.
report_sum() { mark "sum inner-$1 $(dd if="/dev/$2" bs=256k iflag=direct 2>/dev/null | md5sum | cut -d' ' -f1)"; }

