/* SPDX-License-Identifier: MIT */
/*
 * A frontend and a backend that publish, hold off, sleep and reconnect, for
 * Spin. Memory is sequentially consistent here (tests/proof/relacy has the
 * weaker one); what this model adds is time: with weak fairness every request
 * ends, whatever the order, and none is completed twice.
 *
 * Indices count modulo 8 and begin shortly before the wrap. A guest submits
 * REQUESTS requests, one by one or not; they are published singly or in pairs.
 * The storage answers in any order. Up to RECONNECTS times one of both sides
 * leaves with requests in flight: the backend stops when it notices, the
 * frontend waits for that, queues anew what was not answered, and connects
 * with a fresh ring.
 *
 * Each access to what is shared is a step of its own; what is private is put
 * together in d_step, or in atomic where a jump leads (d_step allows none).
 * Partners in C++: ring.h, Answers::consume_ring() and
 * Transfer::requeue_in_flight(), and BlockBack's pump.
 */
#define REQUESTS   4
#define SLOTS      2
#define RECONNECTS 2
#define START      6

#define minus(a, b) (((a) - (b)) & 7)
#define plus(a, n)  (((a) + (n)) & 7)
#define at(i)       slot[(i) % SLOTS]

/* The ring, and the event channels: an event that nobody waited for merges. */
byte req_prod, req_event, rsp_prod, rsp_event;
byte slot[SLOTS];
bool to_front, to_back;

/* XenBus: each side writes its own state. */
mtype = { Initialising, Initialised, Connected, Closing, Closed };
mtype front_state = Initialising;
mtype back_state = Initialising;

byte reconnects, completed;
bool done[REQUESTS];

ltl every_request_ends { <> (completed == REQUESTS) }

inline complete(id)
{
    assert(!done[id]);      /* completed twice */
    assert(in_flight[id]);  /* an answer to what was not asked */
    done[id] = true;
    in_flight[id] = false;
    completed++
}

active proctype Front()
{
    chan waiting = [2 * REQUESTS] of { byte };
    bool in_flight[REQUESTS];
    byte submitted, prod, published, cons, seen, event, old, id, batch;

connect:
    atomic {
        req_prod = START; rsp_prod = START;
        req_event = plus(START, 1); rsp_event = plus(START, 1);
        to_front = false; to_back = false;
        prod = START; published = START; cons = START
    }
    front_state = Initialised;
    /* It may have changed its mind already. */
    back_state == Connected || back_state == Closing;
    front_state = Connected;

pump:
    /* Responses, until none is left after the next one was asked for. */
    do
    :: seen = rsp_prod;
       if
       :: seen == cons ->
          rsp_event = plus(cons, 1);
          seen = rsp_prod;
          if
          :: seen == cons -> break
          :: else
          fi
       :: else
       fi;
       assert(minus(seen, cons) <= minus(published, cons));
       do
       :: cons != seen ->
          d_step {
              id = at(cons);
              complete(id);
              cons = plus(cons, 1)
          }
       :: else -> break
       od
    od;
    if
    :: completed == REQUESTS -> assert(empty(waiting)); goto end_front
    :: else
    fi;

send:
    /* What waits, one by one or in pairs. */
    atomic { batch = 0; old = published };
    do
    :: nempty(waiting) && minus(prod, cons) < SLOTS && batch < 2 ->
       d_step {
           waiting ? id;
           in_flight[id] = true;
           at(prod) = id;
           prod = plus(prod, 1);
           batch++
       }
    :: batch > 0 -> break
    :: (empty(waiting) || minus(prod, cons) == SLOTS) && batch == 0 -> goto sleep
    od;
    req_prod = prod;
    published = prod;
    event = req_event;
    if
    :: minus(prod, event) < minus(prod, old) -> to_back = true
    :: else
    fi;
    goto send;

sleep:
    atomic { seen = 0; event = 0; old = 0; id = 0; batch = 0 }; /* else they multiply states */
    if
    :: atomic { to_front -> to_front = false }; goto pump
    :: submitted < REQUESTS ->
       d_step { waiting ! submitted; submitted++ };
       if
       :: goto pump
       :: submitted < REQUESTS -> goto sleep
       fi
    :: back_state == Closing -> goto leave
    :: reconnects < RECONNECTS -> reconnects++; goto leave
    fi;

leave:
    front_state = Closing;
    back_state == Closed;
    /* The backend touches nothing any more. */
    d_step {
        id = 0;
        do
        :: id < REQUESTS ->
           if
           :: in_flight[id] -> in_flight[id] = false; waiting ! id
           :: else
           fi;
           id++
        :: else -> break
        od;
        id = 0
    };
    goto connect;

end_front:
    skip
}

active proctype Back()
{
    bool working[REQUESTS];
    byte busy, prod, published, cons, seen, event, old, id, i;

connect:
end_idle:
    front_state == Initialised;
    d_step {
        prod = START; published = START; cons = START; busy = 0;
        i = 0;
        do
        :: i < REQUESTS -> working[i] = false; i++
        :: else -> break
        od;
        i = 0
    }
    back_state = Connected;

pump:
    do
    :: seen = req_prod;
       if
       :: seen == cons ->
          req_event = plus(cons, 1);
          seen = req_prod;
          if
          :: seen == cons -> break
          :: else
          fi
       :: else
       fi;
       assert(minus(seen, published) <= SLOTS);
       do
       :: cons != seen ->
          d_step {
              id = at(cons);
              assert(!working[id]);
              working[id] = true;
              busy++;
              cons = plus(cons, 1)
          }
       :: else -> break
       od;
       /* Storage may be quick: answered before the next event was asked for. */
       if
       :: busy > 0 -> goto answer
       :: skip
       fi
    od;

    atomic { seen = 0; event = 0; old = 0; id = 0 };
end_sleep:
    if
    :: atomic { to_back -> to_back = false }; goto pump
    :: busy > 0 -> goto answer
    :: front_state == Closing -> goto leave
    :: reconnects < RECONNECTS ->
       reconnects++;
       back_state = Closing;
end_leaving:
       front_state == Closing;
       goto leave
    fi;

answer:
    /* One of those that it works on, or two. */
    old = published;
    do
    :: busy > 0 && minus(prod, published) < 2 ->
       if
       :: working[0] -> id = 0
       :: working[1] -> id = 1
       :: working[2] -> id = 2
       :: working[3] -> id = 3
       fi;
       d_step {
           working[id] = false;
           busy--;
           at(prod) = id;
           prod = plus(prod, 1)
       }
    :: prod != published -> break
    od;
    rsp_prod = prod;
    published = prod;
    event = rsp_event;
    if
    :: minus(prod, event) < minus(prod, old) -> to_front = true
    :: else
    fi;
    goto pump;

leave:
    back_state = Closed;
    goto connect
}
