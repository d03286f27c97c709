/* SPDX-License-Identifier: MIT */
/* Shared by all C seams: errno to our errors, our errors to sentences, strings for C, XenStore. */
#pragma once

#include "pvblk/ports.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace pvblk
{

/* A negative errno of the host. */
inline Error host_error(int err, const char *clause, const char *what)
{
    ErrorKind kind = ErrorKind::Io;
    if (err == -ENOENT)
        kind = ErrorKind::Missing;
    else if (err == -EBUSY)
        kind = ErrorKind::Busy;
    else if (err == -ENOSPC)
        kind = ErrorKind::NoSpace;
    else if (err == -ENOTCONN)
        kind = ErrorKind::NotConnected;
    return {kind, clause, what, static_cast<uint64_t>(-err)};
}

inline Status host_status(int err, const char *clause, const char *what)
{
    if (err < 0)
        return host_error(err, clause, what);
    return Ok{};
}

/* The way back, for our own host: the loopback. */
inline int host_errno(const Error &e)
{
    if (e.kind == ErrorKind::Missing)
        return -ENOENT;
    return e.kind == ErrorKind::Busy ? -EBUSY : -EIO;
}

inline int host_errno(const Status &s)
{
    return s ? 0 : host_errno(s.error());
}

/* One sentence: why the object at `path` failed. */
inline void host_sentence(char *out, size_t size, const char *path, const Error &e)
{
    std::snprintf(out, size, "%s: %s", path, sentence(e).c_str());
}

/* A path or value with a terminator. Longer ones are cut; ours are shorter. */
template <size_t N>
struct CString {
    char text[N];
    explicit CString(std::string_view s)
    {
        size_t n = s.size() < N - 1 ? s.size() : N - 1;
        std::memcpy(text, s.data(), n);
        text[n] = 0;
    }
};
using CPath = CString<512>;

/* The host's operations, such as pvblk_back_ops, and their first argument. */
template <class Ops>
struct Host {
    const Ops *ops;
    void *opaque;
};

/* The store_… operations, which all hosts have. */
template <class Ops>
class HostStore final : public Store
{
public:
    /* `watch_failed`: a sentence. */
    HostStore(Host<Ops> h, const char *watch_failed) : h_(h), watch_failed_(watch_failed) {}
    Result<size_t> read(std::string_view path, std::span<char> out) override
    {
        int n = h_.ops->store_read(h_.opaque, CPath(path).text, out.data(), out.size());
        if (n < 0)
            return host_error(n, "xenbus:store", "could not read a XenStore node");
        return static_cast<size_t>(n);
    }
    Status write(std::string_view path, std::string_view value) override
    {
        return host_status(
            h_.ops->store_write(h_.opaque, CPath(path).text, value.data(), value.size()),
            "xenbus:store", "could not write a XenStore node");
    }
    void remove(std::string_view path) override
    {
        h_.ops->store_remove(h_.opaque, CPath(path).text);
    }
    /* A backend's operations alone have some for its state. */
    Status write_state(std::string_view path, std::string_view value) override
    {
        if constexpr (requires { &Ops::state_write; })
            return host_status(
                h_.ops->state_write(h_.opaque, CPath(path).text, value.data(), value.size()),
                "xenbus:store", "could not write the backend's state");
        else
            return write(path, value);
    }
    void remove_state(std::string_view path) override
    {
        if constexpr (requires { &Ops::state_remove; })
            h_.ops->state_remove(h_.opaque, CPath(path).text);
        else
            remove(path);
    }
    Status watch(std::string_view path) override
    {
        return host_status(h_.ops->store_watch(h_.opaque, CPath(path).text), "xenbus:store",
                           watch_failed_);
    }
    void unwatch() override { h_.ops->store_unwatch(h_.opaque); }

private:
    Host<Ops> h_;
    const char *watch_failed_;
};

} // namespace pvblk
