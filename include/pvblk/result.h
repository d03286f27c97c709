/* SPDX-License-Identifier: MIT */
/*
 * A value or an error. What a peer does wrong is a value with the clause it
 * broke, never an assert and never an exception.
 */
#pragma once

#include <cstdint>
#include <utility>

namespace pvblk
{

enum class ErrorKind : uint8_t {
    Missing,       /* a node, file or object that has to be there is not */
    Malformed,     /* not a number, too long, not in the format of the clause */
    OutOfRange,    /* well formed, but outside what the clause allows */
    Contradiction, /* two things the peer said exclude each other */
    PeerViolation, /* the peer broke the ring or XenBus protocol */
    Busy,          /* still in use by the peer; try again after it let go */
    NoSpace,       /* a table, pool or ring is full */
    NotConnected,
    TimedOut,
    Io, /* the provider below failed */
};

/*
 * `clause` is an ID of docs/protocol.rst, `what` a sentence for a person.
 * Both are string literals: an Error owns nothing and allocates nothing.
 */
struct Error {
    ErrorKind kind{ErrorKind::Io};
    const char *clause{""};
    const char *what{""};
    uint64_t value{0}; /* the offending number, where there is one */
};

struct Ok {
};

/*
 * Small on purpose: T has to be default constructible and cheap to move,
 * which everything in this library is. E is Error wherever a peer can be the
 * cause; what a user wrote wrongly may be answered with more than literals.
 */
template <class T, class E = Error>
class [[nodiscard]] Result
{
public:
    Result(T v) : value_(std::move(v)), ok_(true) {}
    Result(E e) : error_(std::move(e)), ok_(false) {}

    explicit operator bool() const { return ok_; }
    bool ok() const { return ok_; }
    const T &value() const { return value_; }
    T &value() { return value_; }
    const E &error() const { return error_; }

private:
    T value_{};
    E error_{};
    bool ok_;
};

using Status = Result<Ok>;

} // namespace pvblk
