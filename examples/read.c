/* SPDX-License-Identifier: MIT */
/* The READ of read.cc, in C. */
#include <pvblk/c/loopback.h>

#include <stdio.h>

static void completed(void *opaque, void *cookie, uint32_t queue, int error)
{
    (void)cookie;
    (void)queue;
    *(int *)opaque = error;
}

int main(void)
{
    pvblk_loopback *loopback = pvblk_loopback_new(2048);
    *(char *)pvblk_loopback_disk(loopback) = '!';

    int result = -1;
    char error[256];
    struct pvblk_front_config config;
    struct pvblk_front_ports ports;
    struct pvblk_front_owner owner = {.opaque = &result, .completed = completed};
    pvblk_front_defaults(&config);
    config.frontend_path = pvblk_loopback_frontend_path(loopback);
    config.backend_path = pvblk_loopback_backend_path(loopback);
    pvblk_loopback_ports(loopback, &ports);
    pvblk_front *front = pvblk_front_new(&config, &ports, &owner, error, sizeof error);
    if (!front)
        return puts(error), 1;
    pvblk_loopback_attach(loopback, front);
    pvblk_front_start(front);
    pvblk_loopback_run(loopback); /* until both are Connected */

    const char *data = pvblk_loopback_ram(loopback, 0);
    const uint64_t gpa = pvblk_loopback_gpa(loopback, 0);
    const struct iovec iov = {(void *)data, 512};
    struct pvblk_front_io io = {.kind = PVBLK_FRONT_READ,
                                .sectors = 1,
                                .gpa = &gpa,
                                .iov = &iov,
                                .count = 1,
                                .direct = true};
    pvblk_front_submit(front, &io);
    pvblk_front_pump(front);
    pvblk_loopback_run(loopback);
    int ok = result == 0 && *data == '!';
    printf("%s: %c\n", ok ? "read" : "failed", *data);

    pvblk_front_stop(front);
    pvblk_loopback_run(loopback);
    pvblk_front_free(front);
    pvblk_loopback_free(loopback);
    return ok ? 0 : 1;
}
