/* SPDX-License-Identifier: MIT */
/*
 * A scenario: a backend of a certain kind, perhaps one that lies, and what a good
 * frontend makes of it. Each is a case of the registry, with an ID, a clause and
 * a level. Whoever plays it (player.h in this process, scripts/pvblk elsewhere)
 * gathers Facts; verdict() judges them.
 */
#pragma once

#include "case.h"

#include <string>
#include <vector>

namespace pvblk::conformance
{

/* What may come of it. A set. */
enum Then : uint8_t {
    kGoesOn = 1,        /* all I/O succeeds */
    kIoError = 2,       /* some I/O fails, and the frontend says so */
    kGivesUp = 4,       /* the disk goes, or never comes */
    kWaits = 8,         /* I/O waits while the backend misbehaves, and goes on after that */
    kWaitsForEver = 16, /* I/O waits for what never comes: nothing tells the frontend */
};

/* What else the backend does. A set. */
enum Trait : uint8_t {
    kLies = 1,       /* about data: no frontend can notice */
    kKeepsPages = 2, /* the frontend cannot end its grants */
    kSpoilsRing = 4, /* it writes where the frontend does: what is on the ring may be nobody's */
    kShows = 8,      /* a frontend that checks each response notices */
};

/* Between the two halves of the I/O. */
enum class Act : uint8_t {
    None,
    Grow,   /* the disk becomes larger */
    Shrink, /* the disk becomes smaller */
    Close,  /* the backend asks to close */
};

/* How fast the disk is. */
enum class Pace : uint8_t {
    AtOnce,
    Late,    /* each request takes a while */
    Reversed /* likewise; the latest one ends first */
};

struct Scenario {
    Case about;         /* without a body */
    std::string config; /* as properties of xen-pvblk-backend: "flush=off,max-queues=1" */
    std::string plan;   /* docs/faults.rst; "": it is honest */
    uint8_t then{kGoesOn};
    uint8_t traits{0};
    Act act{Act::None};
    Pace pace{Pace::AtOnce};
};

/* In the order in which they run: lies come last. */
const std::vector<Scenario> &all_scenarios();
/* A case for each clause that the judge sees: the frontend kept it in all scenarios. */
const std::vector<Case> &clause_cases();
/* By the ID; nullptr: it is none of a scenario. */
const Scenario *find_scenario(std::string_view id);

/* The parts of the list: variations.cc, lies.cc. */
std::vector<Scenario> variations();
std::vector<Scenario> lies();

std::string then_text(uint8_t then); /* "goes on, or reports an I/O error" */
const char *act_name(Act a);         /* "grow" */
const char *pace_name(Pace p);       /* "late" */

} // namespace pvblk::conformance
