# SPDX-License-Identifier: MIT
# A Linux that crashes, or floods its console, once its disk is there: `does=` of the kernel's command line says which.

expect_xen
await '[ -b /dev/xvda ]' || fail "there is no /dev/xvda"
case $does in
crash) echo c >/proc/sysrq-trigger ;;
flood) yes "a line of a flood of lines" >/dev/console ;;
esac
