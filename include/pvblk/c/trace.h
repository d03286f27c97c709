/* SPDX-License-Identifier: MIT */
/*
 * The trace of a frontend, for a person who watches: the structs Trace… of
 * pvblk/front.h, for C. Each is valid only during the call of trace().
 */
#ifndef PVBLK_C_TRACE_H
#define PVBLK_C_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pvblk_trace_state {
    const char *from, *to; /* "idle", "wait-init" …: FrontState */
    const char *event;     /* "start", "back-init-wait" …: FrontEvent */
};
struct pvblk_trace_backend {
    const char *state; /* a name of xenbus.h's */
};
struct pvblk_trace_request {
    uint64_t id;
    uint32_t op, segments;
    uint64_t sector; /* as on the wire */
};
struct pvblk_trace_response {
    uint64_t id;
    uint32_t op;
    int32_t status;
};
struct pvblk_trace_publish {
    uint32_t requests;
    bool event; /* sent for them */
};
struct pvblk_trace_event {
    uint32_t in_flight;
};
struct pvblk_trace_verdict {
    const char *verdict; /* "rejected" or "retry" */
    const char *why;     /* "ok", "error" or "unsupported" */
    uint64_t sector;     /* of 512 bytes */
};
struct pvblk_trace_plan {
    uint64_t sectors;     /* of 512 bytes */
    uint32_t sector_size; /* bytes */
};
struct pvblk_trace_violation {
    const char *what;
    uint64_t value;
};

/* Says which member of the union is set. */
enum pvblk_trace_kind {
    PVBLK_TRACE_STATE,
    PVBLK_TRACE_BACKEND,
    PVBLK_TRACE_REQUEST,
    PVBLK_TRACE_RESPONSE,
    PVBLK_TRACE_PUBLISH,
    PVBLK_TRACE_EVENT,
    PVBLK_TRACE_VERDICT,
    PVBLK_TRACE_PLAN,
    PVBLK_TRACE_VIOLATION,
};
struct pvblk_trace {
    enum pvblk_trace_kind kind;
    union {
        struct pvblk_trace_state state;
        struct pvblk_trace_backend backend;
        struct pvblk_trace_request request;
        struct pvblk_trace_response response;
        struct pvblk_trace_publish publish;
        struct pvblk_trace_event event;
        struct pvblk_trace_verdict verdict;
        struct pvblk_trace_plan plan;
        struct pvblk_trace_violation violation;
    };
};

#ifdef __cplusplus
}
#endif

#endif /* PVBLK_C_TRACE_H */
