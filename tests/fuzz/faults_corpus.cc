/* SPDX-License-Identifier: MIT */
/* Seeds of the target `faults`. */
#include "corpus.h"
#include "faults.h"
#include "pvblk/fault.h"

namespace pvblk::fuzz
{

namespace
{

FaultsOutcome play(const std::string &text)
{
    std::vector<uint8_t> bytes(text.begin(), text.end());
    plant("faults", bytes);
    return play_faults(bytes.data(), bytes.size());
}

/* Every fault of the catalogue where it can first happen, with a parameter. */
TEST(Faults, WholeCatalogue)
{
    for (const FaultInfo &f : kFaults) {
        uint32_t point = 0;
        while (!(f.points >> point & 1))
            point++;
        std::string rule =
            "at " + std::string(kFaultPointTable[point].name) + ": " + std::string(f.name);
        if (f.param.type == FaultParam::Number)
            rule += " " + std::to_string(f.param.max);
        if (f.param.type == FaultParam::Text)
            rule += R"( "a \"b\" \\ \x00\xff")";
        FaultsOutcome o = play(rule + "\n");
        EXPECT_EQ(o.rules, 1u) << rule << ": " << o.why;
    }
}

TEST(Faults, EveryWordOfTheLanguage)
{
    FaultsOutcome o = play("# a plan\r\n"
                           "seed 18446744073709551615\n"
                           "\n"
                           "at respond op=read|write|indirect queue=0|3 nth=0x2 every=1 times=7: "
                           "response/lost # all of them\n"
                           "at respond state=Connected probability=0.000000001 always: "
                           "response/lost\n"
                           "at publish-node name=sectors once: store/node-missing");
    EXPECT_TRUE(o.accepted) << o.why;
    EXPECT_EQ(o.rules, 3u);
}

TEST(Faults, TextThatIsNoPlan)
{
    for (const char *text :
         {"at", "at nowhere: x", "at respond", "at respond: ", "at respond: lost",
          "at respond op=: response/lost", "at respond nth=-1: response/lost", "seed", "seed 1 2",
          "\xff\xfe", "at respond: response/lost \"",
          ":::", "at respond probability=1.0000000001: response/lost",
          "at respond times=1 always: response/lost"})
        EXPECT_FALSE(play(text).accepted) << text;
}

} // namespace

} // namespace pvblk::fuzz
