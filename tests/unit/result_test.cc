/* SPDX-License-Identifier: MIT */
/* Result<T> (result.h): a value or an error, and the value of an error ends the program. */
#include "pvblk/fault.h"
#include "pvblk/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace pvblk
{
namespace
{

constexpr Error kError{ErrorKind::OutOfRange, "blkif:sector-size", "not a power of two", 513};

TEST(Result, GivesItsValue)
{
    Result<int> r = 42;
    ASSERT_TRUE(r);
    EXPECT_TRUE(r.ok());
    EXPECT_EQ(r.value(), 42);
    r.value()++;
    EXPECT_EQ(std::as_const(r).value(), 43);
    EXPECT_STREQ(r.error().what, "");
}

TEST(Result, GivesItsError)
{
    Result<int> r = kError;
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().kind, ErrorKind::OutOfRange);
    EXPECT_STREQ(r.error().clause, "blkif:sector-size");
    EXPECT_EQ(r.error().value, 513u);
}

TEST(Result, MovesWhatCannotBeCopied)
{
    Result<std::unique_ptr<int>> r = std::make_unique<int>(7);
    std::unique_ptr<int> taken = std::move(r.value());
    EXPECT_EQ(*taken, 7);
    EXPECT_TRUE(r) << "an empty value is a value";
}

/* In every build, and with the clause, so that the log is enough to start from. */
TEST(ResultDeathTest, ValueOfAnErrorEndsTheProgram)
{
    Result<int> r = kError;
    EXPECT_DEATH((void)r.value(), "not a power of two .blkif:sector-size.");
    EXPECT_DEATH((void)std::as_const(r).value(), "blkif:sector-size");
    Result<std::unique_ptr<int>> p = kError;
    EXPECT_DEATH((void)p.value().get(), "blkif:sector-size");
    EXPECT_DEATH((void)Status(kError).value(), "blkif:sector-size");
}

TEST(ResultDeathTest, ValueOfAnErrorWithoutAClauseEndsTheProgram)
{
    auto plan = FaultPlan::parse("at nowhere: nothing");
    ASSERT_FALSE(plan);
    EXPECT_DEATH((void)plan.value(), "the value of an error was taken.*line 1");
}

} // namespace
} // namespace pvblk
