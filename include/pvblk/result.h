/* SPDX-License-Identifier: MIT */
/*
 * A value or an error. A peer's mistake becomes an Error with the clause that
 * the peer broke, never an assert or an exception.
 */
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <type_traits>
#include <utility>

namespace pvblk
{

enum class ErrorKind : uint8_t {
    Missing,       /* a required node, file or object is not there */
    Malformed,     /* not a number, too long, not in the format of the clause */
    OutOfRange,    /* well formed, but outside what the clause allows */
    Contradiction, /* two statements of the peer exclude each other */
    PeerViolation, /* the peer broke the ring or XenBus protocol */
    Busy,          /* the peer still uses the object; try again later */
    NoSpace,       /* a table, pool or ring is full */
    NotConnected,
    TimedOut,
    Io, /* a port failed, such as XenStore or the disk */
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

/* An error as text for a person; "" if `what` is empty: no error. */
inline std::string sentence(const Error &e)
{
    if (!*e.what)
        return "";
    return std::string(e.what) + " (" + e.clause + ", value " + std::to_string(e.value) + ")";
}

struct Ok {
};

/*
 * A caller that takes the value of an error has a bug. The program aborts here,
 * in every build, before the bug becomes a null pointer elsewhere. The function
 * is out of line and cold: a caller pays for one comparison, and for none if it
 * has asked ok() before.
 */
[[noreturn, gnu::cold, gnu::noinline]] inline void value_of_error(const char *what,
                                                                  const char *clause)
{
    std::fprintf(stderr, "pvblk: the value of an error was taken: %s (%s)\n", what, clause);
    std::abort();
}

/*
 * Result is small on purpose: T has to be default constructible and cheap to
 * move, as all types of this library are. E is Error wherever a peer can be the
 * cause. A mistake in a user's text (a fault plan) may have an E of its own,
 * whose `what` is a std::string.
 */
template <class T, class E = Error>
class [[nodiscard]] Result
{
public:
    Result(T v) : value_(std::move(v)), ok_(true) {}
    Result(E e) : error_(std::move(e)), ok_(false) {}

    explicit operator bool() const { return ok_; }
    bool ok() const { return ok_; }
    /* Only if ok(): otherwise the program aborts. */
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
    /* Empty if ok(). */
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
