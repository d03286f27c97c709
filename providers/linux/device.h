/* SPDX-License-Identifier: MIT */
/* Linux's Xen devices and the facts that both ends need, with errors that say what to do. */
#pragma once

#include "pvblk/linux.h"

namespace pvblk
{

struct LinuxDevice {
    const char *path;
    const char *missing; /* sentences, for errors of the two kinds */
    const char *forbidden;
};

inline constexpr LinuxDevice kXenbus{
    "/dev/xen/xenbus",
    "there is no /dev/xen/xenbus: run this in a Xen guest or in dom0, with a devtmpfs on /dev",
    "you may not open /dev/xen/xenbus: run this program as root"};
inline constexpr LinuxDevice kEvtchn{"/dev/xen/evtchn",
                                     "there is no /dev/xen/evtchn: run 'modprobe xen-evtchn'",
                                     "you may not open /dev/xen/evtchn: run this program as root"};
inline constexpr LinuxDevice kGntdev{"/dev/xen/gntdev",
                                     "there is no /dev/xen/gntdev: run 'modprobe xen-gntdev'",
                                     "you may not open /dev/xen/gntdev: run this program as root"};
inline constexpr LinuxDevice kGntalloc{
    "/dev/xen/gntalloc", "there is no /dev/xen/gntalloc: run 'modprobe xen-gntalloc'",
    "you may not open /dev/xen/gntalloc: run this program as root"};

Result<LinuxFile> open_device(const LinuxDevice &device, int more_flags = 0);

/* The number of a domain, from a node. */
Result<DomId> read_domid(LinuxStore &store, const std::string &path);

/* The error of a call that set errno. */
Error system_error(ErrorKind kind, const char *clause, const char *what);

} // namespace pvblk
