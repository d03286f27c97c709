/* SPDX-License-Identifier: MIT */
/*
 * An input is a list of steps: an operation, three numbers, and a knob that
 * bends it. Input reads it for a target; Seed writes it for a seed of the
 * corpus, so that nobody has to know bytes.
 *
 * A step has a fixed size, so that libFuzzer's copying and cutting moves whole
 * steps. Everything is 0 where the input ends, and 0 is always the valid
 * choice: a target that is given nothing does what an honest peer does.
 */
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fuzzer/FuzzedDataProvider.h>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace pvblk::fuzz
{

/* What a step makes wrong. Most values of the byte make nothing wrong. */
inline constexpr uint8_t kFirstBend = 208;

struct Step {
    uint8_t op{0};
    uint8_t bend{0};
    uint16_t a{0}, b{0}, c{0};

    /* 0: nothing is wrong; 1 … kinds: what is. */
    uint32_t wrong(uint32_t kinds) const
    {
        return bend < kFirstBend ? 0 : 1 + (bend - kFirstBend) % kinds;
    }
};

class Input
{
public:
    Input(const uint8_t *data, size_t size) : data_(data, size) {}

    /* The first number: what the two ends are made of. */
    uint32_t setup() { return data_.ConsumeIntegral<uint32_t>(); }
    bool more() { return data_.remaining_bytes() > 0; }
    Step step()
    {
        Step s;
        s.op = data_.ConsumeIntegral<uint8_t>();
        s.bend = data_.ConsumeIntegral<uint8_t>();
        s.a = data_.ConsumeIntegral<uint16_t>();
        s.b = data_.ConsumeIntegral<uint16_t>();
        s.c = data_.ConsumeIntegral<uint16_t>();
        return s;
    }
    /* Text has its place at the front of an input, steps at its end. */
    std::string text(size_t bytes) { return data_.ConsumeBytesAsString(bytes); }

private:
    FuzzedDataProvider data_;
};

class Seed
{
public:
    explicit Seed(uint32_t setup = 0) { number(setup, 4); }

    template <class Op>
    Seed &step(Op op, uint16_t a = 0, uint16_t b = 0, uint16_t c = 0, uint32_t wrong = 0)
    {
        number(static_cast<uint8_t>(op), 1);
        number(wrong ? kFirstBend + wrong - 1 : 0, 1);
        number(a, 2);
        number(b, 2);
        number(c, 2);
        return *this;
    }
    Seed &text(std::string_view bytes)
    {
        text_ += bytes;
        return *this;
    }
    std::vector<uint8_t> bytes() const
    {
        std::vector<uint8_t> all(text_.begin(), text_.end());
        all.insert(all.end(), numbers_.rbegin(), numbers_.rend());
        return all;
    }

private:
    /* FuzzedDataProvider takes numbers from the end, their high bytes first. */
    void number(uint32_t value, uint32_t size)
    {
        while (size-- > 0)
            numbers_.push_back(static_cast<uint8_t>(value >> (8 * size)));
    }

    std::string text_{};
    std::vector<uint8_t> numbers_{};
};

/* With PVBLK_FUZZ_SHOW in the environment, an input tells what it does. */
template <size_t N>
inline void show(const Step &s, const char *const (&names)[N])
{
    static const bool wanted = std::getenv("PVBLK_FUZZ_SHOW") != nullptr;
    if (wanted)
        std::fprintf(stderr, "%-10s a=%-5u b=%-5u c=%-5u%s\n", names[s.op % N], s.a, s.b, s.c,
                     s.bend < kFirstBend
                         ? ""
                         : (" wrong=" + std::to_string(s.bend - kFirstBend + 1)).c_str());
}

/* Plays an input to its end: its setup makes the scene, and after each step
 * what always holds is checked. The steps are bounded: a slow input has a slow
 * step. */
inline constexpr size_t kMaxSteps = 512;

template <class Scene, size_t N>
auto play_scene(const uint8_t *data, size_t size, const char *const (&names)[N])
{
    Input in(data, size);
    Scene scene(in.setup());
    for (size_t i = 0; i < kMaxSteps && in.more(); i++) {
        Step s = in.step();
        show(s, names);
        scene.play(s, in);
        scene.check_all();
    }
    return scene.finish();
}

/* Numbers that sit on an edge somewhere. */
inline constexpr uint64_t kEdges[] = {0,          1,           7,
                                      8,          31,          32,
                                      33,         255,         511,
                                      4095,       0x7fffffff,  0x80000000,
                                      0xffffffff, 0x100000000, (1ull << 55) - 1,
                                      1ull << 55, 1ull << 63,  UINT64_MAX - 7,
                                      UINT64_MAX};

inline uint64_t edge(uint32_t i)
{
    return kEdges[i % std::size(kEdges)];
}

/* Node values: what a careless parser takes, and what a careful one must
 * not. Index 0 is for the caller's own number. */
inline constexpr std::string_view kTexts[] = {"",
                                              "0",
                                              "1",
                                              "-1",
                                              "+1",
                                              " 1",
                                              "1 ",
                                              "01",
                                              "0x200",
                                              "512",
                                              "4096",
                                              "1536",
                                              "8192",
                                              "256",
                                              "r",
                                              "w",
                                              "rw",
                                              "W",
                                              "9",
                                              "18446744073709551615",
                                              "18446744073709551616",
                                              "9223372036854775807",
                                              "36028797018963968",
                                              "000000000000000000000000000000001",
                                              "x86_64-abi",
                                              "x86_32-abi",
                                              "arm-abi",
                                              "4294967295",
                                              "4294967296",
                                              "1\n",
                                              "%s%n",
                                              "2",
                                              "3",
                                              "4",
                                              "16",
                                              "65535"};

inline std::string node_text(uint32_t which, uint32_t number)
{
    which %= std::size(kTexts);
    return which == 0 ? std::to_string(number) : std::string(kTexts[which]);
}

} // namespace pvblk::fuzz
