/* SPDX-License-Identifier: MIT */
/* Layer `front`: requests on the ring, and the end of what they granted. */
#include "front/slots.h"

#include <algorithm>
#include <cstring>

namespace pvblk
{

Slots::Slots(GrantPool &pool, uint32_t slots, uint32_t grants)
    : pool_(pool), slots_(slots), pieces_(grants)
{
    spare_.reserve(slots);
    for (uint32_t i = slots; i-- > 0;)
        spare_.push_back(&slots_[i]);
}

Slot *Slots::spare(Job &job)
{
    if (spare_.empty())
        return nullptr;
    Slot &slot = *spare_.back();
    uint32_t generation = slot.generation;
    slot = Slot{};
    slot.generation = generation;
    slot.job = &job;
    return &slot;
}

void Slots::launch(Slot &slot, uint32_t ring, int64_t now_ns)
{
    spare_.pop_back();
    slot.ring = ring;
    slot.generation++;
    slot.in_flight = true;
    slot.issued_ns = now_ns;
    in_flight_++;
}

void Slots::land(Slot &slot)
{
    in_flight_--;
    orphans_ -= slot.orphan;
    slot.in_flight = slot.orphan = false;
    spare_.push_back(&slot);
}

RequestId Slots::id(const Slot &slot) const
{
    return make_id(static_cast<uint32_t>(&slot - slots_.data()), slot.generation);
}

Slot *Slots::find(RequestId id, uint32_t ring)
{
    uint64_t index = id.value & ((1u << kSlotBits) - 1);
    if (index >= slots_.size())
        return nullptr;
    Slot &slot = slots_[index];
    return slot.in_flight && slot.ring == ring && this->id(slot) == id ? &slot : nullptr;
}

int64_t Slots::oldest_ns(int64_t now_ns) const
{
    int64_t oldest = now_ns;
    for (const Slot &slot : slots_)
        if (slot.in_flight)
            oldest = std::min(oldest, slot.issued_ns);
    return oldest;
}

void Slots::add(Slot &slot, uint32_t grant, const Piece &piece)
{
    pieces_[grant] = piece;
    pieces_[grant].next = Piece::kNone;
    if (slot.last == Piece::kNone)
        slot.first = grant;
    else
        pieces_[slot.last].next = grant;
    slot.last = grant;
    slot.pieces++;
}

/* A page for segments to be listed in. What they do not fill is 0. */
bool Slots::add_list(Slot &slot, Memory &memory)
{
    auto page = pool_.lend(true, [&](PageIndex p) { std::memset(memory.page(p), 0, kPageSize); });
    if (page)
        slot.list[slot.lists++] = *page;
    return page.has_value();
}

bool Slots::release(const Slot &slot)
{
    bool released = true;
    for (uint32_t i = slot.lists; i-- > 0;)
        released &= pool_.take_back(slot.list[i]);
    each_piece(slot, [&](uint32_t grant, const Piece &p) {
        released &=
            p.bounced ? pool_.take_back({grant, p.page}) : pool_.release(grant, std::nullopt);
    });
    return released;
}

bool Slots::release_lists(Slot &slot)
{
    bool released = true;
    while (slot.lists)
        released &= pool_.take_back(slot.list[--slot.lists]);
    return released;
}

bool Slots::shows_guest_memory(const Slot &slot) const
{
    bool shows = false;
    each_piece(slot, [&](uint32_t, const Piece &p) { shows |= !p.bounced; });
    return shows;
}

void Slots::orphan(Slot &slot)
{
    slot.orphan = true;
    slot.job = nullptr;
    orphans_++;
    uint32_t i = slot.first;
    slot.first = slot.last = Piece::kNone;
    slot.pieces = 0;
    while (i != Piece::kNone) {
        Piece piece = pieces_[i];
        if (piece.bounced)
            add(slot, i, piece);
        else
            pool_.release(i, std::nullopt);
        i = piece.next;
    }
}

} // namespace pvblk
