/* SPDX-License-Identifier: MIT */
#include "messages.h"

#include "device.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <unistd.h>

namespace pvblk
{

Error XenbusMessages::broken(const char *what)
{
    broken_ = system_error(ErrorKind::Io, "linux:store", what);
    return *broken_;
}

Status XenbusMessages::send(XenbusOp op, uint32_t request,
                            std::initializer_list<std::string_view> parts)
{
    if (broken_)
        return *broken_;
    size_t length = 0;
    for (std::string_view part : parts) {
        if (part.size() > kMost - sizeof(XenbusHeader) - length)
            return Error{ErrorKind::OutOfRange, "linux:store",
                         "path and value are longer than a message of XenStore", part.size()};
        std::copy(part.begin(), part.end(), out_.data() + sizeof(XenbusHeader) + length);
        length += part.size();
    }
    const XenbusHeader header{op, request, 0, static_cast<uint32_t>(length)};
    std::memcpy(out_.data(), &header, sizeof(header));

    size_t all = sizeof(header) + length;
    for (size_t done = 0; done < all;) {
        ssize_t n = ::write(stream_.fd(), out_.data() + done, all - done);
        if (n >= 0)
            done += static_cast<size_t>(n);
        else if (errno != EINTR && done == 0) /* the kernel took none of it */
            return system_error(ErrorKind::Io, "linux:store", "Linux refused to ask XenStore");
        else if (errno != EINTR)
            return broken("the connection to XenStore ended inside a request");
    }
    return Ok{};
}

Result<bool> XenbusMessages::receive(bool wait)
{
    if (broken_)
        return *broken_;
    if (std::exchange(whole_, false))
        have_ = 0;
    auto head = fill(sizeof(header_), wait);
    if (!head || !head.value())
        return head;
    if (header_.length > kMost) {
        errno = 0;
        return broken("XenStore sent a message that is longer than its protocol allows");
    }
    auto rest = fill(sizeof(header_) + header_.length, wait);
    whole_ = rest && rest.value();
    return rest;
}

Result<bool> XenbusMessages::fill(size_t end, bool wait)
{
    while (have_ < end) {
        pollfd readable{stream_.fd(), POLLIN, 0};
        int n = ::poll(&readable, 1, wait ? -1 : 0);
        if (n == 0)
            return false;
        if (n < 0 && errno != EINTR)
            return broken("the connection to XenStore cannot be waited for");
        if (n < 0)
            continue;
        char *to = have_ < sizeof(header_) ? reinterpret_cast<char *>(&header_) + have_
                                           : body_.data() + (have_ - sizeof(header_));
        ssize_t got = ::read(stream_.fd(), to, end - have_);
        if (got > 0) {
            have_ += static_cast<size_t>(got);
        } else if (got == 0) {
            errno = 0;
            return broken("XenStore ended the connection");
        } else if (errno != EINTR && errno != EAGAIN) {
            return broken("XenStore cannot be read from");
        }
    }
    return true;
}

} // namespace pvblk
