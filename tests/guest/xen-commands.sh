# SPDX-License-Identifier: MIT
# A Xen HVM guest without a frontend of its own: it runs commands of the host, one a line.

expect_xen
[ -c /dev/xen/gntalloc ] || fail "there is no /dev/xen/gntalloc"
mark "ready Linux $(uname -r)"

while read -r command <&3; do
    [ "$command" = end ] && end
    eval "$command" </dev/null >&3 2>&1 3>&-
    status=$?
    # Its output may end without a line end.
    echo >&3
    mark "ended $status"
done
end
