/* SPDX-License-Identifier: MIT */
/* Cases: the operations, and what a response says. */
#include "cases/cases.h"

namespace pvblk::conformance
{

namespace
{

void read_after_write(Bench &b)
{
    b.write(0);
    b.read(0);
}

void largest_direct(Bench &b)
{
    b.write(64, kMaxDirectSegments);
    b.read(64, kMaxDirectSegments);
}

/* Sends an operation that does not exist, of one whole page. */
void unknown_operation(Bench &b, uint8_t op)
{
    b.expect(b.ask(b.request(Op(op), 8)), {{Outcome::NotSupported, "blkif:eopnotsupp"}});
}
void operation_4(Bench &b)
{
    unknown_operation(b, 4);
}
void operation_7(Bench &b)
{
    unknown_operation(b, 7);
}
void operation_255(Bench &b)
{
    unknown_operation(b, 255);
}

constexpr Case kCases[] = {
    {"request/read/after-write", "blkif:op", Level::Must, Kind::Valid,
     "A READ of a page returns the WRITE before it.", read_after_write, kNothing, kAllAxes},
    {"request/read/largest-direct", "blkif:segments", Level::Must, Kind::Boundary,
     "A WRITE and a READ of 11 segments move 11 pages.", largest_direct, kNothing, kAllAxes},
    {"request/op/4-reserved", "blkif:eopnotsupp", Level::Must, Kind::Hostile,
     "Operation 4 is reserved: its answer is EOPNOTSUPP.", operation_4},
    {"request/op/7-unknown", "blkif:eopnotsupp", Level::Must, Kind::Boundary,
     "Operation 7 does not exist: its answer is EOPNOTSUPP.", operation_7},
    {"request/op/255-unknown", "blkif:eopnotsupp", Level::Must, Kind::Hostile,
     "Operation 255 does not exist: its answer is EOPNOTSUPP.", operation_255},
};

} // namespace

std::span<const Case> request_cases()
{
    return kCases;
}

} // namespace pvblk::conformance
