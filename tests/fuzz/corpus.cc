/* SPDX-License-Identifier: MIT */
/* Plays all seeds, and with a folder as argument writes them there. */
#include "corpus.h"

#include <filesystem>
#include <fstream>

namespace pvblk::fuzz
{

static std::filesystem::path folder;

void plant(const char *target, const std::vector<uint8_t> &bytes)
{
    if (folder.empty())
        return;
    std::filesystem::create_directories(folder / target);
    std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    /* A test may have several, in the order in which it plays them. */
    int n = 0;
    while (std::filesystem::exists(folder / target / (name + "-" + std::to_string(n))))
        n++;
    std::ofstream out(folder / target / (name + "-" + std::to_string(n)), std::ios::binary);
    out.write(reinterpret_cast<const char *>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
    EXPECT_TRUE(out.flush()) << "cannot write to " << folder;
}

} // namespace pvblk::fuzz

int main(int argc, char **argv)
{
    testing::InitGoogleTest(&argc, argv);
    if (argc > 1)
        pvblk::fuzz::folder = argv[1];
    return RUN_ALL_TESTS();
}
