/* SPDX-License-Identifier: MIT */
/*
 * XenStore: the tree of names and values in which frontend and backend find each other. We talk to
 * it over two rings of bytes in one shared page (xs_wire.h); docs/misc/xenstore.txt of Xen says
 * what each message means. One request at a time; watch events may come before its reply.
 */
#pragma once

#include "hypercall.h"

#include <xen/io/xs_wire.h>

/* A value, or a list of names, NUL-terminated in any case. */
struct StoreText {
    static constexpr uint32_t kMax = 512;
    char text[kMax + 1];
    uint32_t length;
};

/* `folder/name`. */
struct StorePath {
    StorePath(const char *folder, const char *name);
    char text[256];
};

class Store
{
public:
    void init();

    /* False: there is no such node, or it is not ours to read. */
    bool read(const char *path, StoreText &value);
    bool directory(const char *path, StoreText &names);
    void write(const char *path, const char *value);
    /* From now on, changed() hears of changes of this node. */
    void watch(const char *path);
    void unwatch(const char *path);

    /* What is written in between becomes visible at once. */
    void begin();
    void commit();

    /* Whether a watch event came since it was last asked; takes those that wait in the ring. */
    bool changed();

    unsigned long number(const char *path, unsigned long otherwise);

private:
    bool call(uint32_t type, const char *first, const void *rest, uint32_t rest_length,
              StoreText &reply);
    void must(uint32_t type, const char *first, const char *rest, uint32_t rest_length);
    bool receive(StoreText &payload, xsd_sockmsg &header);
    void put(const void *data, uint32_t length);
    void get(void *data, uint32_t length);

    xenstore_domain_interface *ring_{nullptr};
    evtchn_port_t port_{0};
    uint32_t next_id_{1};
    uint32_t transaction_{0};
    bool changed_{false};
};

extern Store xenstore;
