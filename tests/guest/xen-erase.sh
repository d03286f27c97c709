# SPDX-License-Identifier: MIT
# A Xen HVM guest that writes a secret to its own disk and has a part of it discarded securely; the host reads the image.

expect_xen
await '[ -b /dev/xvda ]' || fail "there is no /dev/xvda"
dmesg | grep -q 'blkfront: xvda' || fail "xen-blkfront did not connect to xvda"

# A sector each: which one it is, up to its end.
awk 'BEGIN { for (i = 0; i < 16384; i++) printf "%-511s\n", sprintf("secret of sector %06d", i) }' >/tmp/secret
dd if=/tmp/secret of=/dev/xvda bs=64k iflag=fullblock oflag=direct 2>/dev/null || fail "dd to xvda"
mark "written"
read -r answer <&3
blkdiscard -s -o $((2056 * 512)) -l $((6160 * 512)) /dev/xvda || fail "blkdiscard -s"
mark "erased"
read -r answer <&3
dd if=/dev/xvda bs=512 count=16384 iflag=direct 2>/dev/null | tr -d '\0' | md5sum >/tmp/left
(head -c $((2056 * 512)) /tmp/secret; tail -c +$((8216 * 512 + 1)) /tmp/secret) | md5sum | cmp - /tmp/left ||
    fail "xvda does not read as it should"
check_log
mark "finished"
end
