/* SPDX-License-Identifier: MIT */
/* See trace.h. */
#include "c/trace.h"

namespace pvblk
{

pvblk_trace c_trace(const Trace &t)
{
    pvblk_trace out{};
    switch (t.kind) {
    case TraceKind::State:
        out.kind = PVBLK_TRACE_STATE;
        out.state = {front_state_name(t.state.from), front_state_name(t.state.to),
                     front_event_name(t.state.event)};
        break;
    case TraceKind::Backend:
        out.kind = PVBLK_TRACE_BACKEND;
        out.backend = {xenbus_state_name(t.backend.seen)};
        break;
    case TraceKind::Request:
        out.kind = PVBLK_TRACE_REQUEST;
        out.request = {t.request.id.value, static_cast<uint32_t>(t.request.op), t.request.segments,
                       t.request.sector};
        break;
    case TraceKind::Response:
        out.kind = PVBLK_TRACE_RESPONSE;
        out.response = {t.response.id.value, static_cast<uint32_t>(t.response.op),
                        t.response.status};
        break;
    case TraceKind::Publish:
        out.kind = PVBLK_TRACE_PUBLISH;
        out.publish = {t.publish.requests, t.publish.event};
        break;
    case TraceKind::Event:
        out.kind = PVBLK_TRACE_EVENT;
        out.event = {t.event.in_flight};
        break;
    case TraceKind::Verdict:
        out.kind = PVBLK_TRACE_VERDICT;
        out.verdict = {verdict_name(t.verdict.verdict), io_status_name(t.verdict.why),
                       t.verdict.sector.value};
        break;
    case TraceKind::Plan:
        out.kind = PVBLK_TRACE_PLAN;
        out.plan = {t.plan.sectors, t.plan.sector_size};
        break;
    case TraceKind::Violation:
        out.kind = PVBLK_TRACE_VIOLATION;
        out.violation = {t.violation.what, t.violation.value};
        break;
    }
    return out;
}

} // namespace pvblk
