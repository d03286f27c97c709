/* SPDX-License-Identifier: MIT */
/*
 * Ports that pass each call on to the one below. A test's own port is one of
 * these with what it watches, counts or bends in between; the rest it need not
 * write. The lower port outlives the upper one.
 */
#pragma once

#include "pvblk/ports.h"

namespace pvblk
{

class PassStore : public Store
{
public:
    explicit PassStore(Store &under) : under_(under) {}
    Result<size_t> read(std::string_view path, std::span<char> out) override
    {
        return under_.read(path, out);
    }
    Status write(std::string_view path, std::string_view value) override
    {
        return under_.write(path, value);
    }
    void remove(std::string_view path) override { under_.remove(path); }
    Status watch(std::string_view path) override { return under_.watch(path); }
    void unwatch() override { under_.unwatch(); }

protected:
    ~PassStore() = default;

private:
    Store &under_;
};

class PassEvents : public Events
{
public:
    explicit PassEvents(Events &under) : under_(under) {}
    Result<Port> open(uint32_t queue) override { return under_.open(queue); }
    Status notify(uint32_t queue) override { return under_.notify(queue); }
    void close(uint32_t queue) override { under_.close(queue); }

protected:
    ~PassEvents() = default;

private:
    Events &under_;
};

class PassBackGrants : public BackGrants
{
public:
    explicit PassBackGrants(BackGrants &under) : under_(under) {}
    Result<std::byte *> map(GrantRef ref, bool readonly) override
    {
        return under_.map(ref, readonly);
    }
    void unmap(GrantRef ref, std::byte *page) override { under_.unmap(ref, page); }

protected:
    ~PassBackGrants() = default;

private:
    BackGrants &under_;
};

class PassBackEvents : public BackEvents
{
public:
    explicit PassBackEvents(BackEvents &under) : under_(under) {}
    Status bind(uint32_t queue, Port remote) override { return under_.bind(queue, remote); }
    Status notify(uint32_t queue) override { return under_.notify(queue); }
    void again(uint32_t queue) override { under_.again(queue); }
    void pause(uint32_t queue) override { under_.pause(queue); }
    void unbind(uint32_t queue) override { under_.unbind(queue); }
    void later() override { under_.later(); }

protected:
    ~PassBackEvents() = default;

private:
    BackEvents &under_;
};

class PassStorage : public Storage
{
public:
    explicit PassStorage(Storage &under) : under_(under) {}
    uint64_t sectors() const override { return under_.sectors(); }
    void submit(const StorageRequest &req, StorageClient &client) override
    {
        under_.submit(req, client);
    }
    void drain() override { under_.drain(); }

protected:
    ~PassStorage() = default;

private:
    Storage &under_;
};

} // namespace pvblk
