/* SPDX-License-Identifier: MIT */
/*
 * Layer `linux`: LinuxStorage, a file as a disk. preadv() and pwritev() are the
 * test's, and do as little as it wants; fdatasync() is counted.
 */
#include "pvblk/linux_back.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace
{

using namespace pvblk;

uint32_t syncs = 0;
size_t most_bytes = SIZE_MAX; /* that Linux transfers by one call */

/* The part of the first vector that Linux does. */
iovec part(const iovec *first)
{
    return {first->iov_base, std::min(first->iov_len, most_bytes)};
}

} // namespace

extern "C" {

int fdatasync(int)
{
    syncs++;
    return 0;
}

ssize_t preadv(int fd, const iovec *vectors, int, off_t at)
{
    iovec v = part(vectors);
    return ::pread(fd, v.iov_base, v.iov_len, at);
}

ssize_t pwritev(int fd, const iovec *vectors, int, off_t at)
{
    iovec v = part(vectors);
    return ::pwrite(fd, v.iov_base, v.iov_len, at);
}

} // extern "C"

namespace
{

LinuxFile memory_file(size_t bytes)
{
    LinuxFile file(::memfd_create("test", MFD_CLOEXEC));
    EXPECT_EQ(::ftruncate(file.fd(), static_cast<off_t>(bytes)), 0);
    return file;
}

class LinuxStorageTest : public ::testing::Test, protected StorageClient
{
protected:
    void SetUp() override
    {
        ASSERT_TRUE(storage.measure());
        syncs = 0;
        most_bytes = SIZE_MAX;
    }
    void storage_done(uint64_t tag, bool ok) override
    {
        EXPECT_EQ(tag, 77u);
        answers++;
        good = ok;
    }
    bool done(StorageOp op, uint64_t at, uint64_t sectors, std::span<const iovec> data = {})
    {
        answers = 0;
        storage.submit({op, Sector(at), sectors, data, 77}, *this);
        EXPECT_EQ(answers, 1u);
        return good;
    }
    bool read(uint64_t at, std::string &text)
    {
        iovec v{text.data(), text.size()};
        return done(StorageOp::Read, at, text.size() / kSectorSize, {&v, 1});
    }
    bool write(uint64_t at, std::string text, StorageOp op = StorageOp::Write)
    {
        iovec v{text.data(), text.size()};
        return done(op, at, text.size() / kSectorSize, {&v, 1});
    }

    LinuxFile file{memory_file(64 * kSectorSize + 100)};
    LinuxStorage storage{LinuxFile(::dup(file.fd()))};
    uint32_t answers{0};
    bool good{false};
};

TEST_F(LinuxStorageTest, VectorsAreOneRequest)
{
    std::string first(600, 'a'), second(936, 'b'), all(1536, '.');
    iovec out[] = {{first.data(), 600}, {second.data(), 936}};
    EXPECT_TRUE(done(StorageOp::Write, 3, 3, out));
    EXPECT_TRUE(read(3, all));
    EXPECT_EQ(all, first + second);
    EXPECT_EQ(syncs, 0u);
}

/* Linux may do a part of a request: a signal came, or a file system is full. */
TEST_F(LinuxStorageTest, PartsAreContinued)
{
    std::string first(512, 'a'), second(1024, 'b'), all(1536, '.');
    for (size_t most : {1, 100, 512, 700}) {
        most_bytes = most;
        iovec out[] = {{first.data(), 512}, {second.data(), 1024}};
        EXPECT_TRUE(done(StorageOp::Write, 60, 3, out));
        std::fill(all.begin(), all.end(), '.');
        EXPECT_TRUE(read(60, all));
        EXPECT_EQ(all, first + second) << most;
    }
}

TEST_F(LinuxStorageTest, NothingBeyondTheEndIsDone)
{
    EXPECT_EQ(storage.sectors(), 64u); /* half a sector is none */
    std::string data(1024, 'x');
    EXPECT_TRUE(write(62, data));
    EXPECT_TRUE(done(StorageOp::Write, 64, 0));
    EXPECT_FALSE(write(63, data));
    EXPECT_FALSE(read(64, data));
    EXPECT_FALSE(write(UINT64_MAX, data));
    EXPECT_FALSE(done(StorageOp::Discard, 60, UINT64_MAX));
    EXPECT_FALSE(done(StorageOp::SecureDiscard, 60, 5));
    EXPECT_EQ(::lseek(file.fd(), 0, SEEK_END), 64 * kSectorSize + 100);
}

/* Of a file that somebody made shorter, the storage does not know. */
TEST_F(LinuxStorageTest, LostEndOfTheFileIsAnError)
{
    ASSERT_EQ(::ftruncate(file.fd(), 10 * kSectorSize), 0);
    std::string data(1024, 'x');
    EXPECT_FALSE(read(9, data));
    EXPECT_TRUE(read(8, data));
}

TEST_F(LinuxStorageTest, VectorsThatDoNotFitAreRefused)
{
    std::string data(4096, 'x');
    iovec longer{data.data(), 1024};
    EXPECT_FALSE(done(StorageOp::Write, 0, 1, {&longer, 1}));
    EXPECT_FALSE(done(StorageOp::Write, 0, 3, {&longer, 1}));
    std::vector<iovec> many(Storage::kMaxVectors + 2, {data.data(), 16});
    EXPECT_FALSE(done(StorageOp::Write, 0, many.size() / 32, many));
    many.resize(992);
    EXPECT_TRUE(done(StorageOp::Write, 0, 31, many));
}

TEST_F(LinuxStorageTest, StableWriteAndFlushSync)
{
    EXPECT_TRUE(write(0, std::string(512, 'x'), StorageOp::WriteStable));
    EXPECT_EQ(syncs, 1u);
    EXPECT_TRUE(done(StorageOp::Flush, 0, 0));
    EXPECT_EQ(syncs, 2u);
}

TEST_F(LinuxStorageTest, DiscardedSectorsAreAHole)
{
    std::string data(32 * kSectorSize, 'x'), after = data;
    EXPECT_TRUE(write(0, data));
    const off_t hole = ::lseek(file.fd(), 0, SEEK_HOLE);
    EXPECT_TRUE(done(StorageOp::Discard, 8, 8));
    EXPECT_TRUE(done(StorageOp::Discard, 8, 0));
    EXPECT_LT(::lseek(file.fd(), 0, SEEK_HOLE), hole);
    EXPECT_TRUE(read(0, after));
    std::fill_n(data.begin() + 8 * kSectorSize, 8 * kSectorSize, '\0');
    EXPECT_EQ(after, data);
}

TEST_F(LinuxStorageTest, SecureDiscardOverwritesAndSyncs)
{
    ASSERT_TRUE(storage.resize(400));
    std::string data(400 * kSectorSize, 'x'), after = data;
    EXPECT_TRUE(write(0, data));
    EXPECT_TRUE(done(StorageOp::SecureDiscard, 1, 300));
    EXPECT_EQ(syncs, 1u);
    EXPECT_TRUE(read(0, after));
    std::fill_n(data.begin() + kSectorSize, 300 * kSectorSize, '\0');
    EXPECT_EQ(after, data);
}

TEST_F(LinuxStorageTest, SizeIsTheFilesWhenMeasured)
{
    ASSERT_TRUE(storage.resize(100));
    EXPECT_EQ(storage.sectors(), 100u);
    EXPECT_EQ(::lseek(file.fd(), 0, SEEK_END), 100 * kSectorSize);
    ASSERT_EQ(::ftruncate(file.fd(), 20 * kSectorSize), 0);
    EXPECT_EQ(storage.sectors(), 100u);
    ASSERT_TRUE(storage.measure());
    EXPECT_EQ(storage.sectors(), 20u);
    EXPECT_EQ(storage.resize(UINT64_MAX).error().kind, ErrorKind::OutOfRange);
    EXPECT_EQ(storage.sectors(), 20u);
}

TEST(LinuxStorage, WhatCannotBeADiskIsRefused)
{
    EXPECT_STREQ(LinuxStorage::open("/nowhere/disk", false).error().what,
                 "there is no such file: 'truncate -s 64M FILE' makes one");
    EXPECT_STREQ(LinuxStorage::open("/tmp", false).error().what,
                 "this is a folder: name a file or a block device");
    for (const char *none : {"/tmp", "/dev/null"})
        EXPECT_STREQ(LinuxStorage::open(none, true).error().what,
                     "this is neither a file nor a block device, and cannot be a disk");
}

TEST(LinuxStorage, FileHasOneWriter)
{
    char name[] = "/tmp/pvblk-storage-XXXXXX";
    LinuxFile file(::mkstemp(name));
    ASSERT_GE(file.fd(), 0);
    {
        auto first = LinuxStorage::open(name, true), second = LinuxStorage::open(name, true);
        EXPECT_TRUE(first && second);
        EXPECT_EQ(LinuxStorage::open(name, false).error().kind, ErrorKind::Busy);
    }
    {
        auto writer = LinuxStorage::open(name, false);
        EXPECT_TRUE(writer);
        EXPECT_EQ(LinuxStorage::open(name, true).error().kind, ErrorKind::Busy);
    }
    EXPECT_TRUE(LinuxStorage::open(name, false));
    ::unlink(name);
}

} // namespace
