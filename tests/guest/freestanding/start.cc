/* SPDX-License-Identifier: MIT */
/* Where boot.S arrives: struct hvm_start_info has the command line. */
#include "start.h"

#include <stdint.h>
#include <xen/arch-x86/hvm/start_info.h>

extern "C" void start(const hvm_start_info *info)
{
    const char *line = "";
    if (info->magic == XEN_HVM_START_MAGIC_VALUE && info->cmdline_paddr)
        line = reinterpret_cast<const char *>(info->cmdline_paddr);
    guest_main(CommandLine(line));
}
