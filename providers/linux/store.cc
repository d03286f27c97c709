/* SPDX-License-Identifier: MIT */
/* XenStore's requests, each with its answer; watch events may come between the two. */
#include "device.h"
#include "messages.h"

#include <algorithm>
#include <cstring>

namespace pvblk
{

namespace
{

constexpr std::string_view kNul{"", 1};

/* XenStore's errors are names, with a terminator. */
Error refusal(std::string_view name)
{
    name = name.substr(0, name.find('\0'));
    if (name == "ENOENT")
        return {ErrorKind::Missing, "linux:store", "XenStore has no such node", 0};
    if (name == "EACCES" || name == "EPERM")
        return {ErrorKind::Io, "linux:store", "XenStore forbids this domain to do that", 0};
    if (name == "EQUOTA" || name == "ENOSPC")
        return {ErrorKind::NoSpace, "linux:store", "XenStore's quota of this domain is used up", 0};
    return {ErrorKind::Io, "linux:store", "XenStore refused a request", 0};
}

} // namespace

Result<std::unique_ptr<LinuxStore>> LinuxStore::create()
{
    auto device = open_device(kXenbus);
    if (!device)
        return device.error();
    return std::make_unique<LinuxStore>(std::move(device.value()));
}

LinuxStore::LinuxStore(LinuxFile connection)
    : messages_(std::make_unique<XenbusMessages>(std::move(connection)))
{
}

LinuxStore::~LinuxStore() = default;

int LinuxStore::fd() const
{
    return messages_->fd();
}

/* The answer's body is in messages_ afterwards. */
Status LinuxStore::call(XenbusOp op, std::initializer_list<std::string_view> parts)
{
    if (Status sent = messages_->send(op, ++last_request_, parts); !sent)
        return sent;
    for (;;) {
        if (auto got = messages_->receive(true); !got)
            return got.error();
        const XenbusHeader &answer = messages_->header();
        if (answer.op == XenbusOp::WatchEvent)
            note_event();
        else if (answer.request != last_request_)
            continue;
        else if (answer.op == XenbusOp::Error)
            return refusal(messages_->body());
        else if (answer.op == op)
            return Ok{};
        else
            return Error{ErrorKind::Io, "linux:store", "XenStore answered another request",
                         static_cast<uint64_t>(answer.op)};
    }
}

Result<size_t> LinuxStore::read(std::string_view path, std::span<char> out)
{
    if (Status done = call(XenbusOp::Read, {path, kNul}); !done)
        return done.error();
    std::string_view value = messages_->body();
    std::memcpy(out.data(), value.data(), std::min(value.size(), out.size()));
    return value.size();
}

Result<std::string> LinuxStore::read(std::string_view path)
{
    if (Status done = call(XenbusOp::Read, {path, kNul}); !done)
        return done.error();
    return std::string(messages_->body());
}

Status LinuxStore::write(std::string_view path, std::string_view value)
{
    return call(XenbusOp::Write, {path, kNul, value});
}

void LinuxStore::remove(std::string_view path)
{
    (void)call(XenbusOp::Remove, {path, kNul});
}

Result<std::vector<std::string>> LinuxStore::list(std::string_view path)
{
    if (Status done = call(XenbusOp::Directory, {path, kNul}); !done)
        return done.error();
    std::vector<std::string> names;
    for (std::string_view rest = messages_->body(); !rest.empty();) {
        names.emplace_back(rest.substr(0, rest.find('\0')));
        rest.remove_prefix(std::min(names.back().size() + 1, rest.size()));
    }
    return names;
}

Status LinuxStore::watch(std::string_view path)
{
    unwatch();
    watched_ = path; /* before its first event, which may come before the answer */
    Status set = call(XenbusOp::Watch, {path, kNul, std::to_string(++token_), kNul});
    if (!set)
        watched_.clear();
    return set;
}

void LinuxStore::unwatch()
{
    if (!watched_.empty())
        (void)call(XenbusOp::Unwatch, {watched_, kNul, std::to_string(token_), kNul});
    watched_.clear();
    fired_ = false;
}

Result<bool> LinuxStore::take()
{
    if (!fired_) {
        auto got = messages_->receive(false);
        if (!got)
            return got;
        if (got.value() && messages_->header().op == XenbusOp::WatchEvent)
            note_event();
    }
    return std::exchange(fired_, false);
}

/* The body has two strings, path and token, each with a terminator. */
void LinuxStore::note_event()
{
    std::string_view body = messages_->body();
    size_t path_end = body.find('\0');
    if (path_end == body.npos)
        return;
    std::string_view token = body.substr(path_end + 1);
    if (!watched_.empty() && token.substr(0, token.find('\0')) == std::to_string(token_))
        fired_ = true;
}

} // namespace pvblk
