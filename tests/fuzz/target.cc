/* SPDX-License-Identifier: MIT */
/* libFuzzer's entry; meson.build says which scene an executable plays. */
#include PVBLK_SCENE_HEADER

/* An input uses half a megabyte, and what it freed matters to itself only: a
 * small quarantine gives the next input memory that is there already. */
extern "C" const char *__asan_default_options()
{
    return "quarantine_size_mb=4";
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pvblk::fuzz::PVBLK_SCENE(data, size);
    return 0;
}
