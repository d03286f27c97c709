/* SPDX-License-Identifier: MIT */
/*
 * Seeds of the corpora. A test says in words what its seed means, plays it,
 * asserts that meaning, and leaves the bytes in the corpus of its target: a
 * seed whose meaning is lost fails here, and does not turn into noise.
 */
#pragma once

#include "input.h"

#include <gtest/gtest.h>

namespace pvblk::fuzz
{

/* Writes a seed to <folder>/<target>/<test's name>-<number>, if main() was
 * given a folder. */
void plant(const char *target, const std::vector<uint8_t> &bytes);

} // namespace pvblk::fuzz
