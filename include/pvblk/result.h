/* SPDX-License-Identifier: MIT */
/*
 * A value or an error. What a peer does wrong is a value with the clause it
 * broke, never an assert and never an exception.
 */
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <type_traits>
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
 * Taking the value of an error is a bug of the caller. It aborts in every build,
 * and is not a null pointer somewhere else. Out of line and cold: a caller pays
 * for one comparison, and for none where it has asked already.
 */
[[noreturn, gnu::cold, gnu::noinline]] inline void value_of_error(const char *what,
                                                                  const char *clause)
{
    std::fprintf(stderr, "pvblk: the value of an error was taken: %s (%s)\n", what, clause);
    std::abort();
}

/*
 * Small on purpose: T has to be default constructible and cheap to move,
 * which everything in this library is. E is Error wherever a peer can be the
 * cause; what a user wrote wrongly may be answered with more than literals, by
 * an E whose `what` is a std::string.
 */
template <class T, class E = Error>
class [[nodiscard]] Result
{
public:
    Result(T v) : value_(std::move(v)), ok_(true) {}
    Result(E e) : error_(std::move(e)), ok_(false) {}

    explicit operator bool() const { return ok_; }
    bool ok() const { return ok_; }
    /* Of an ok() one: the value of an error is the end of the program. */
    const T &value() const
    {
        expect();
        return value_;
    }
    T &value()
    {
        expect();
        return value_;
    }
    /* Empty where there is none. */
    const E &error() const { return error_; }

private:
    void expect() const
    {
        if (ok_) [[likely]]
            return;
        if constexpr (std::is_same_v<E, Error>)
            value_of_error(error_.what, error_.clause);
        else
            value_of_error(error_.what.c_str(), "no clause");
    }

    T value_{};
    E error_{};
    bool ok_;
};

using Status = Result<Ok>;

} // namespace pvblk
