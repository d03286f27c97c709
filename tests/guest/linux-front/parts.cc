/* SPDX-License-Identifier: MIT */
#include "parts.h"

#include "disk.h"

#include <csignal>
#include <cstdio>
#include <cstring>
#include <poll.h>
#include <set>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

using namespace pvblk;

namespace
{

void expect(bool good, const char *property)
{
    if (!good)
        fail("%s", property);
    std::printf("ok: %s\n", property);
}

template <class T>
T must(Result<T> result)
{
    if (!result)
        fail("%s", sentence(result.error()).c_str());
    return std::move(result.value());
}

/* Waits a second at most, and takes what came. */
bool fires(LinuxStore &store)
{
    for (;;) {
        if (must(store.take()))
            return true;
        pollfd news{store.fd(), POLLIN, 0};
        if (::poll(&news, 1, 1000) <= 0)
            return false;
    }
}

void test_store()
{
    auto store = must(LinuxStore::create());
    const std::string home = "/local/domain/" + must(store->read("domid"));
    const std::string dir = home + "/data/linux-front";
    expect(!store->read(dir) && store->read(dir).error().kind == ErrorKind::Missing,
           "a node that nobody wrote is missing");
    must(store->write(dir + "/a", "1"));
    must(store->write(dir + "/b", ""));
    expect(must(store->read(dir + "/a")) == "1" && must(store->read(dir + "/b")).empty(),
           "a node reads back");
    expect(must(store->list(dir)) == std::vector<std::string>{"a", "b"}, "children are listed");
    must(store->watch(dir));
    expect(fires(*store), "a new watch fires");
    expect(!fires(*store), "a watch is quiet while nothing changes");
    must(store->write(dir + "/a", "2"));
    expect(fires(*store), "a watch fires for a node below");
    store->unwatch();
    must(store->write(dir + "/a", "3"));
    expect(!fires(*store), "a watch that was removed is quiet");
    store->remove(dir);
    expect(!store->read(dir + "/a"), "what is below a removed node is gone");
    expect(!store->write("/local/domain/0/linux-front", "1"), "another domain's node is refused");
}

/* Whether a read of this address is a fault. In a child: the fault ends it. */
bool faults(const std::byte *at)
{
    pid_t child = ::fork();
    if (child == 0) {
        volatile const std::byte *address = at;
        (void)*address;
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

void test_pages()
{
    LinuxPages pages = must(LinuxPages::create(DomId(0), 4, false));
    LinuxPages readonly = must(LinuxPages::create(DomId(0), 2, true));
    std::set<uint32_t> refs;
    for (uint32_t i = 0; i < 4; i++)
        refs.insert(pages.ref(i).value);
    refs.insert({readonly.ref(0).value, readonly.ref(1).value});
    expect(refs.size() == 6 && !refs.count(0), "each page has a grant of its own");
    for (uint32_t i = 0; i < 4; i++)
        std::memset(pages.page(i), static_cast<int>(i + 1), kPageSize);
    std::memset(readonly.page(0), 9, 2 * kPageSize);
    expect(pages.page(3)[kPageSize - 1] == std::byte{4}, "pages are memory, one after the other");
    pages.end(1);
    expect(pages.ref(1) == GrantRef() && pages.page(2)[0] == std::byte{3}, "a page ends alone");
    LinuxPages moved = std::move(pages);
    expect(moved.page(0)[0] == std::byte{1} && moved.ref(2) != GrantRef(), "pages can be moved");
    moved.end(1);
    moved.end();
    expect(moved.count() == 0, "pages end together");

    auto many = LinuxPages::create(DomId(0), 100'000, false);
    expect(!many && many.error().kind == ErrorKind::NoSpace &&
               std::strstr(many.error().what, "/sys/module/xen_gntalloc/parameters/limit"),
           "an error tells where gntalloc's limit is");
    for (int i = 0; i < 40; i++) /* more in all than the limit */
        must(LinuxPages::create(DomId(0), 100, i & 1));
    expect(true, "pages that ended together count no more");
    LinuxPages half = must(LinuxPages::create(DomId(0), 600, false));
    for (uint32_t i = 0; i < 600; i++)
        half.end(i);
    must(LinuxPages::create(DomId(0), 600, false));
    expect(true, "pages that ended one by one count no more");
}

void test_ended_address()
{
    LinuxPages pages = must(LinuxPages::create(DomId(0), 2, false));
    pages.end(0);
    expect(faults(pages.page(0)), "the address of a page that ended is a fault");
}

void test_grants()
{
    auto grants = must(LinuxGrants::create(DomId(0), {2, 1, 1, 1}));
    const Gfn reads(grants->for_reads().gpa(0) >> kPageShift);
    const Gfn writes(grants->for_writes().gpa(0) >> kPageShift);
    const Gfn behind(grants->for_writes().gpa(kPageSize) >> kPageShift);
    must(grants->grant_frame(0, reads, false));
    must(grants->grant_frame(1, writes, true));
    expect(grants->ref(0) == *grants->for_reads().ref(reads) &&
               grants->ref(1) == *grants->for_writes().ref(writes) &&
               grants->ref(0) != grants->ref(1),
           "a frame's grant is its page's");
    expect(!grants->grant_frame(0, writes, false), "for_writes() is not granted for writing");
    expect(!grants->grant_frame(0, behind, true), "what is behind the memory is not granted");
    must(grants->revoke(0));
    expect(grants->ref(0) == GrantRef(), "a revoked reference is forgotten");
    must(grants->grant_page(0, PageIndex(0), true));
    expect(grants->ref(0) != GrantRef() && grants->page(PageIndex(0))[0] == std::byte{0},
           "a private page is granted, and zeroed");
}

/* A frontend that breaks a rule: its ring goes while the backend has it mapped. */
class RawFront
{
public:
    void connect()
    {
        set_state("1");
        for (const char *left : {"/ring-page-order", "/num-ring-pages"})
            store_->remove(front_ + left); /* by the frontend before us */
        must(store_->watch(back_ + "/state"));
        await_state("2");
        const uint32_t no_events[] = {0, 1, 0, 1}; /* ring.h: SHARED_RING_INIT */
        std::memcpy(ring_.page(0), no_events, sizeof(no_events));
        must(store_->write(front_ + "/ring-ref", std::to_string(ring_.ref(0).value)));
        must(
            store_->write(front_ + "/event-channel", std::to_string(must(events_->open(0)).value)));
        must(store_->write(front_ + "/protocol", "x86_64-abi"));
        set_state("3");
        await_state("4");
        set_state("4");
    }
    void close()
    {
        set_state("5");
        await_state("5");
        set_state("6");
        await_state("6");
    }
    LinuxPages &ring() { return ring_; }

private:
    void set_state(const char *state) { must(store_->write(front_ + "/state", state)); }
    void await_state(const std::string &state)
    {
        for (int changes = 0; must(store_->read(back_ + "/state")) != state; changes++)
            if (changes == 10 || !fires(*store_))
                fail("the backend does not get to state %s", state.c_str());
    }

    std::unique_ptr<LinuxStore> store_{must(LinuxStore::create())};
    std::unique_ptr<LinuxEvents> events_{must(LinuxEvents::create(DomId(0)))};
    LinuxPages ring_{must(LinuxPages::create(DomId(0), 1, false))};
    std::string front_{"/local/domain/" + must(store_->read("domid")) + "/device/vbd/51712"};
    std::string back_{must(store_->read(front_ + "/backend"))};
};

void test_ended_while_mapped()
{
    RawFront front;
    front.connect();
    front.ring().end(0);
    expect(front.ring().ref(0) == GrantRef() && faults(front.ring().page(0)),
           "a page ends while the backend maps it");
    front.close();
    front.ring() = must(LinuxPages::create(DomId(0), 1, false));
    front.connect();
    front.close();
    expect(true, "the next connection works");
}

void test_events()
{
    auto events = must(LinuxEvents::create(DomId(0)));
    Port first = must(events->open(0)), second = must(events->open(1));
    expect(first != second && first.value && second.value, "each queue has a port of its own");
    expect(!events->take(), "a port that nobody bound has no event");
    expect(must(events->open(0)) != second, "a queue can be opened again");
    events->close(0);
    events->close(0);
    expect(!events->notify(0), "a closed queue cannot notify");
}

} // namespace

int test_parts()
{
    test_store();
    test_pages();
    test_ended_address();
    test_grants();
    test_ended_while_mapped();
    test_events();
    return 0;
}
