# SPDX-License-Identifier: MIT
# A Xen HVM guest whose own disk has a backend that goes wrong by a fault plan. Whatever becomes of xvda, the guest
# lives: it tells what it saw, uses its other disk, and powers off.

expect_xen
await '[ -b /dev/xvda ]' && mark "attached yes" || mark "attached no"

# One megabyte there and back, flushed, at a place of the round's own: what was stuck may go on beside others. It is ok,
# error, corrupt; short, if the disk ends too early, as a disk does that Linux is taking down (it has no sectors any more,
# and to read it is no error); or stuck, if nothing comes of it in ten seconds.
round() {
    (
        yes "$1 $2" | head -c 1048576 >/tmp/out.$2
        if ! dd if=/tmp/out.$2 of=/dev/$1 bs=16k seek=$(($2 * 64)) oflag=direct conv=fsync 2>/dev/null ||
            ! dd if=/dev/$1 of=/tmp/in.$2 bs=16k skip=$(($2 * 64)) count=64 iflag=direct 2>/dev/null; then
            echo error
        elif [ "$(stat -c %s /tmp/in.$2)" -lt 1048576 ]; then
            echo short
        elif cmp -s /tmp/in.$2 /tmp/out.$2; then
            echo ok
        else
            echo corrupt
        fi
    ) >/tmp/outcome.$2 &
    await '[ -s /tmp/outcome.'$2' ]' && cat /tmp/outcome.$2 || echo stuck
}

mark "bent $(round xvda 1) $(round xvda 2) $(round xvda 3)"
read -r answer <&3
mark "honest $(round xvda 4)"
[ "$(round vda 5)" = ok ] || fail "the hosted disk beside it does not work any more"
# What was stuck, and may have come back.
mark "later $(for number in 1 2 3; do cat /tmp/outcome.$number; [ -s /tmp/outcome.$number ] || echo stuck; done | xargs)"
mark "size $(cat /sys/block/xvda/size 2>/dev/null || echo none)"
dmesg | grep -E 'kernel BUG|BUG:|Oops:|general protection|Kernel panic' | while read -r line; do mark "trouble $line"; done
dmesg | grep -E 'xvda|blkfront|vbd' | tail -n 40 | while read -r line; do mark "log $line"; done
mark "finished"
exec 3>&-
# Without a sync, which would wait for what is stuck.
poweroff -n -f
