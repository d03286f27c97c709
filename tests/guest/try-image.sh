# SPDX-License-Identifier: MIT
# A Linux that GRUB started from the disk that it finds as xvda. It overwrites a megabyte beyond the file system's files.

expect_xen
await '[ -b /dev/xvda1 ]' || fail "there is no /dev/xvda1"
yes PVBLK | dd of=/dev/xvda bs=64k seek=700 count=16 iflag=fullblock oflag=direct conv=fsync 2>/dev/null ||
    fail "dd to xvda"
mark "step wrote to xvda"
end
