/* SPDX-License-Identifier: MIT */
/* Calls into a driver that may not come back: driver_…() of driver_seam.h. */
#include "frontends/driver_seam.h"

#include <csetjmp>
#include <cstdio>

namespace
{

jmp_buf left;
DriverOutcome reason;
char last_line[160];

} // namespace

extern "C" {

DriverOutcome driver_run(void (*job)(void *args, char *text), void *args)
{
    last_line[0] = 0;
    if (setjmp(left) == 0)
        job(args, reason.text);
    return reason;
}

void driver_hung(const char *why)
{
    std::snprintf(reason.text, sizeof reason.text, "hung: %s%s%s", why,
                  last_line[0] ? "; last line: " : "", last_line);
    longjmp(left, 1);
}

void driver_died(const char *why)
{
    std::snprintf(reason.text, sizeof reason.text, "assert: %s", why);
    longjmp(left, 1);
}

void driver_said(const char *line)
{
    std::snprintf(last_line, sizeof last_line, "%s", line);
    world_log(line);
}

} // extern "C"
