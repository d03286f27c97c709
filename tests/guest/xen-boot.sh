# SPDX-License-Identifier: MIT
# A Xen HVM guest that comes up, uses both its disks for a moment, and goes.

expect_xen
await_log 'blkfront: xvda' 30 || fail "xen-blkfront did not connect to xvda"
seed=0
for disk in xvda vda; do
    seed=$((seed + 1))
    for step in write read; do
        said=$(pattern /dev/$disk $step 0 4096 $seed)
        [ "${said%% *}" = ok ] || fail "$step of $disk: $said"
    done
done
# The kernel's command line may tell by which interrupt events have to come.
[ -z "$expect" ] || grep "$expect" /proc/interrupts | grep -q ' [1-9][0-9][0-9]* ' ||
    fail "events did not come by $expect: $(grep -E 'HYP|xen-platform' /proc/interrupts)"
check_log
mark "finished"
end
