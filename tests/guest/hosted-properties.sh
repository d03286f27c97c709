# SPDX-License-Identifier: MIT
# A guest with two hosted disks: persistent grants on vda, the x86_32 ABI on vdb.

for disk in vda vdb; do [ -b /dev/$disk ] || fail "there is no /dev/$disk"; done
verify_disks vda vdb
check_log
mark "finished"
read -r answer <&3
end
