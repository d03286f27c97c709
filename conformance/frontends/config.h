/* SPDX-License-Identifier: MIT */
/* The properties of xen-pvblk-backend as words, for a backend outside QEMU. */
#pragma once

#include "pvblk/back.h"

namespace pvblk::conformance
{

/* "flush=off,max-queues=1". Gives the word that is no such property; "": all are. */
std::string read_config(const std::string &text, BackConfig &c);

} // namespace pvblk::conformance
