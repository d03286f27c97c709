/* SPDX-License-Identifier: MIT */
/*
 * A page that a peer changes right after each load from it: whoever looks at a
 * word twice sees something else. It is not readable: a load faults, is let
 * through alone, and then its word is overwritten. x86_64 Linux, one at a time.
 */
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <sys/mman.h>
#include <ucontext.h>

namespace pvblk
{

class ChangingPage
{
public:
    ChangingPage()
        : page_(static_cast<std::byte *>(
              mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)))
    {
        current_ = this;
        handle(SIGSEGV, &ChangingPage::before_load, old_fault_);
        handle(SIGTRAP, &ChangingPage::after_load, old_trap_);
    }
    ~ChangingPage()
    {
        sigaction(SIGSEGV, &old_fault_, nullptr);
        sigaction(SIGTRAP, &old_trap_, nullptr);
        munmap(page_, kSize);
        current_ = nullptr;
    }
    ChangingPage(const ChangingPage &) = delete;
    ChangingPage &operator=(const ChangingPage &) = delete;

    /* To be filled before it is armed. */
    std::byte *data() const { return page_; }
    void arm() { mprotect(page_, kSize, PROT_NONE); }
    uint32_t loads() const { return loads_; }

private:
    static constexpr size_t kSize = 4096;
    static constexpr greg_t kTrapFlag = 0x100; /* a SIGTRAP after one instruction */
    using Handler = void(int, siginfo_t *, void *);

    static void handle(int signal, Handler *handler, struct sigaction &old)
    {
        struct sigaction action{};
        action.sa_sigaction = handler;
        action.sa_flags = SA_SIGINFO;
        sigaction(signal, &action, &old);
    }
    static greg_t &flags(void *context)
    {
        return static_cast<ucontext_t *>(context)->uc_mcontext.gregs[REG_EFL];
    }
    static void before_load(int, siginfo_t *info, void *context)
    {
        size_t at = static_cast<size_t>(static_cast<std::byte *>(info->si_addr) - current_->page_);
        if (at >= kSize) { /* a fault like any other: it comes again, and ends the program */
            sigaction(SIGSEGV, &current_->old_fault_, nullptr);
            return;
        }
        current_->word_ = at & ~size_t{3};
        mprotect(current_->page_, kSize, PROT_READ | PROT_WRITE);
        flags(context) |= kTrapFlag;
    }
    static void after_load(int, siginfo_t *, void *context)
    {
        std::memset(current_->page_ + current_->word_, 0xff, 4);
        current_->loads_++;
        current_->arm();
        flags(context) &= ~kTrapFlag;
    }

    static inline ChangingPage *current_{nullptr};
    std::byte *page_;
    size_t word_{0};
    uint32_t loads_{0};
    struct sigaction old_fault_{}, old_trap_{};
};

} // namespace pvblk
