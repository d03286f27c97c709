# SPDX-License-Identifier: MIT
# A Xen HVM guest that starts its own kernel again by kexec, twice, with I/O in flight: Linux asks Xen for a soft reset
# (SHUTDOWN_soft_reset) on the way. The kernel's command line says how many times are left, and how large kernel and
# initramfs are, which are on the hosted disk.

expect_xen
await_log 'blkfront: xvda' 60 || fail "xen-blkfront did not connect to xvda"
[ -b /dev/vda ] || fail "there is no /dev/vda"
verify_disks xvda
mark "step up, $left times left"
[ "$left" = 0 ] && { check_log; mark "finished"; end; }

# copy MEBIBYTE SIZE FILE
copy() { dd if=/dev/vda bs=1M skip=$1 count=$((($2 >> 20) + 1)) 2>/dev/null | head -c $2 >$3; }
copy 16 $kernel /tmp/kernel
copy 32 $initramfs /tmp/initramfs
append=$(sed "s/left=$left/left=$((left - 1))/" /proc/cmdline)
kexec -s -l /tmp/kernel --initrd=/tmp/initramfs --command-line="$append" || fail "kexec cannot load the kernel"
verify_until_enough xvda
exec 3>&-
kexec -e
fail "kexec did not start the kernel"
