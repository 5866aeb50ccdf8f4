/*
 * The memory of a machine, records of frames, and the rules of src/xen/mm, for native.c. Nothing is refused here: what would
 * be ends the program.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

typedef uint32_t u32;
typedef uint64_t u64;

enum { STORE, CLEAR, REGION, UPDATE, PIN, UNPIN, ROOT, RELEASE };

#define PAGE_WORDS 1024u
#define SLOTS 512u
#define RECORD_WORDS 4u
#define GROUP_SHIFT 16
#define GROUP_FRAMES (1u << GROUP_SHIFT)
#define GROUP_PAGES (GROUP_FRAMES * RECORD_WORDS / PAGE_WORDS)
#define MAX_GROUPS 32768u
#define FIRST_PAGE 16u
#define POOL_BYTES (1ull << 32)

enum { TYPE, REFS, OWNER, BACKING };
#define TYPE_SHIFT 29
#define PINNED 0x10000000u
#define VALIDATED 0x08000000u
#define TYPE_COUNT 0x01ffffffu
#define ALLOCATED 0x80000000u
#define XEN_HEAP 0x40000000u
#define REF_COUNT 0x3fffffffu
#define OWNER_IO 1u
#define WRITABLE 7u

#define P 1ull
#define RW 2ull
#define US 4ull
#define GLOBAL 0x100ull
#define GUEST_KERNEL (1ull << 52)
#define NO_EXECUTE (1ull << 63)
/** A frame below 2^31: no other has a record. */
#define FRAME(entry) ((u32)((entry) >> 12 & 0xffffffffffull))
/** Flags that no L1 entry of a domain with devices may have, and those that are not plain: caching and the global bit. */
static u64 bad_l1, bad_upper;
#define NOT_PLAIN (0x198ull | 0x000ff80000000000ull)

static u32 *mem, next_page, groups[MAX_GROUPS];
static unsigned char covered[MAX_GROUPS];
static u32 nr_pages, domain, m2p_covered, m2p_first, p2m_list, roots;
static const u32 *ram, *runs, *tables;
static u32 ram_count, run_count, table_count, initial_pages;
static u32 *freed, *is_freed, freed_count;
static u64 stored, validated, given_back, updates;

static void die(const char *what)
{
    fprintf(stderr, "native: %s\n", what);
    exit(1);
}

/* Milliseconds of the processor's time. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static u32 take_pages(u32 count)
{
    u32 page = next_page;
    next_page += count;
    if ((u64)next_page * PAGE_WORDS * 4 > POOL_BYTES) die("out of memory");
    return page;
}

/* ---- frames ---- */

static u32 make_group(u32 group);

static inline u32 record(u32 mfn)
{
    u32 group = mfn >> GROUP_SHIFT;
    if (group >= MAX_GROUPS) return 0;
    u32 first = groups[group];
    if (first == 0 && (!covered[group] || !(first = make_group(group)))) return 0;
    return first + (mfn & (GROUP_FRAMES - 1)) * RECORD_WORDS;
}

static inline u32 backing(u32 r)
{
    if (mem[r + BACKING] == 0) mem[r + BACKING] = take_pages(1);
    return mem[r + BACKING] * PAGE_WORDS;
}

static inline u64 *frame(u32 mfn)
{
    return (u64 *)(mem + backing(record(mfn)));
}

static void fill_records(u32 r, u32 count, u32 type, u32 refs, u32 owner)
{
    for (; count > 0; count--, r += RECORD_WORDS) {
        mem[r + TYPE] = type;
        mem[r + REFS] = refs;
        mem[r + OWNER] = owner;
    }
}

static u32 make_group(u32 group)
{
    u32 first = group << GROUP_SHIFT, end = first + GROUP_FRAMES;
    u32 word = groups[group] = take_pages(GROUP_PAGES) * PAGE_WORDS;
    if (first >= m2p_covered) return word;
    u32 hole = first;
    for (u32 i = 0; i <= ram_count; i++) {
        u32 from = i < ram_count ? ram[i * 2] : end, to = i < ram_count ? ram[i * 2 + 1] : end;
        if (from < 0x100) from = 0x100;
        if (i < ram_count && (to <= hole || from >= end)) continue;
        if (from > hole)
            fill_records(word + (hole - first) * RECORD_WORDS, (from < end ? from : end) - hole,
                         WRITABLE << TYPE_SHIFT | VALIDATED | 1, ALLOCATED | XEN_HEAP | 1, OWNER_IO);
        if (to > hole) hole = to < end ? to : end;
    }
    for (u32 i = 0; i < GROUP_FRAMES / SLOTS; i++) memset(frame(m2p_first + first / SLOTS + i), 0xff, 4096);
    return word;
}

static inline u64 *m2p(u32 mfn)
{
    return frame(m2p_first + mfn / SLOTS) + mfn % SLOTS;
}

/* A frame that was never touched is zero. */
static void clear(u32 mfn)
{
    u32 page = mem[record(mfn) + BACKING];
    if (page != 0) memset(mem + page * PAGE_WORDS, 0, 4096);
}

static u32 frame_of(u32 pfn)
{
    u32 low = 0, high = run_count;
    while (high - low > 1) {
        u32 middle = (low + high) / 2;
        if (runs[middle * 4] <= pfn) low = middle;
        else high = middle;
    }
    const u32 *run = runs + low * 4;
    return run[1] + (pfn - run[0]) * run[3];
}

/* ---- references and types ---- */

static inline int get_page(u32 r)
{
    u32 count = mem[r + REFS] & REF_COUNT;
    if (count == 0 || count >= REF_COUNT - 1 || (mem[r + OWNER] & 0xff) != domain) return 0;
    mem[r + REFS]++;
    return 1;
}

static void free_frame(u32 mfn, u32 r)
{
    u32 type = mem[r + TYPE];
    mem[r + TYPE] = type >> TYPE_SHIFT == WRITABLE ? type & VALIDATED : type;
    mem[r + REFS] = 0;
    mem[r + OWNER] = 0;
    *m2p(mfn) = ~0ull;
    is_freed[mfn / 32] |= 1u << mfn % 32;
    if (freed_count > 0 && freed[freed_count * 2 - 1] == mfn) freed[freed_count * 2 - 1]++;
    else {
        freed[freed_count * 2] = mfn;
        freed[freed_count++ * 2 + 1] = mfn + 1;
    }
    given_back++;
}

static inline void put_page(u32 mfn, u32 r)
{
    if ((--mem[r + REFS] & REF_COUNT) == 0) free_frame(mfn, r);
}

static void promote(u32 mfn, u32 r, u32 level);
static void demote(u32 mfn, u32 r, u32 level);

static inline int get_type(u32 mfn, u32 r, u32 code)
{
    u32 old = mem[r + TYPE], count = old & TYPE_COUNT;
    if (count == TYPE_COUNT) return 0;
    if (count != 0 && old >> TYPE_SHIFT != code) return 0;
    if (count != 0 || old >> TYPE_SHIFT == code) mem[r + TYPE] = old + 1;
    else mem[r + TYPE] = code << TYPE_SHIFT | (code == WRITABLE ? VALIDATED : 0) | 1;
    if ((mem[r + TYPE] & VALIDATED) == 0) {
        promote(mfn, r, code);
        mem[r + TYPE] |= VALIDATED;
    }
    return 1;
}

static inline void put_type(u32 mfn, u32 r)
{
    u32 old = mem[r + TYPE], code = old >> TYPE_SHIFT;
    if ((old & TYPE_COUNT) == 1 && code >= 1 && code <= 4 && (old & VALIDATED)) {
        mem[r + TYPE] = old & ~VALIDATED;
        demote(mfn, r, code);
    }
    mem[r + TYPE]--;
}

/* ---- entries ---- */

static inline u64 adjusted(u32 level, u64 entry)
{
    if ((entry & P) == 0) return entry;
    if (level != 1) return entry | US;
    if ((entry & US) == 0) entry |= GUEST_KERNEL;
    return entry | US | (entry & GUEST_KERNEL ? 0 : GLOBAL);
}

/* The entry as Xen stores it, its references taken. */
static u64 get_entry(u32 level, u64 entry, u32 table)
{
    if (entry & (level == 1 ? bad_l1 : bad_upper)) die("bad flags");
    u32 mfn = FRAME(entry), r = record(mfn);
    if (level == 1 && (r == 0 || (mem[r + OWNER] & 0xff) == OWNER_IO))
        return adjusted(1, (entry & 0x98) == 0 ? entry ^ 0x18 : entry);
    if (r == 0 || !get_page(r)) die("another's frame");
    if (level == 1) {
        if ((entry & RW) && !get_type(mfn, r, WRITABLE)) die("not writable");
    } else if (!get_type(mfn, r, level - 1)) {
        put_page(mfn, r);
        if (mfn != table) die("not a table");
    }
    return adjusted(level, entry);
}

static void put_entry(u32 level, u64 entry, u32 table)
{
    if ((entry & P) == 0) return;
    u32 mfn = FRAME(entry), r = record(mfn);
    if (level == 1) {
        if (r == 0 || (mem[r + OWNER] & 0xff) == OWNER_IO) return;
        if (entry & RW) put_type(mfn, r);
        put_page(mfn, r);
    } else if (mfn != table) {
        put_type(mfn, r);
        put_page(mfn, r);
    }
}

static inline int is_xens(u32 level, u32 slot)
{
    return level == 4 && slot >= 256 && slot <= 271;
}

static void promote(u32 mfn, u32 r, u32 level)
{
    u64 *entries = (u64 *)(mem + backing(r));
    if (level != 1) {
        mem[r + OWNER] &= 0xffff;
        for (u32 slot = 0; slot < SLOTS; slot++)
            if (!is_xens(level, slot) && (entries[slot] & P)) entries[slot] = get_entry(level, entries[slot], mfn);
        return;
    }
    /* The plain entry in line: a frame of the domain's RAM, its neighbour's record next to the last one. */
    u32 last_frame = ~1u, last_record = 0;
    for (u32 slot = 0; slot < SLOTS; slot++) {
        u64 entry = entries[slot];
        if ((entry & P) == 0) continue;
        validated++;
        if ((entry & (bad_l1 | NOT_PLAIN)) == 0) {
            u32 to = FRAME(entry);
            u32 t = to == last_frame + 1 && (to & (GROUP_FRAMES - 1)) ? last_record + RECORD_WORDS : record(to);
            last_frame = t == 0 ? ~1u : to;
            last_record = t;
            if (t != 0 && (mem[t + OWNER] & 0x7ff) == domain) {
                u32 refs = mem[t + REFS], count = refs & REF_COUNT, type = mem[t + TYPE];
                u32 is_writable = type >> (TYPE_SHIFT - 2) == (WRITABLE << 2 | 1) && (type & TYPE_COUNT) != TYPE_COUNT;
                if (count != 0 && count < REF_COUNT - 1 && (!(entry & RW) || is_writable || type == 0)) {
                    if (entry & RW) mem[t + TYPE] = type == 0 ? WRITABLE << TYPE_SHIFT | VALIDATED | 1 : type + 1;
                    mem[t + REFS] = refs + 1;
                    entries[slot] = adjusted(1, entry);
                    continue;
                }
            }
        }
        entries[slot] = get_entry(1, entry, mfn);
    }
}

static void demote(u32 mfn, u32 r, u32 level)
{
    u64 *entries = (u64 *)(mem + backing(r));
    for (u32 slot = SLOTS; slot-- > 0;)
        if (!is_xens(level, slot)) put_entry(level, entries[slot], mfn);
}

/* One entry of a table in use, or of a frame that is none yet. */
static void update(u32 table, u32 slot, u64 entry)
{
    u32 r = record(table), level = mem[r + TYPE] >> TYPE_SHIFT;
    if (r == 0 || !get_page(r)) die("another's table");
    u64 *at = frame(table) + slot;
    updates++;
    if ((mem[r + TYPE] & VALIDATED) == 0 || (mem[r + TYPE] & TYPE_COUNT) == 0) {
        if (!get_type(table, r, WRITABLE)) die("a table that is none");
        *at = entry;
        put_type(table, r);
    } else if (level == WRITABLE) *at = entry;
    else {
        u64 old = *at;
        *at = entry & P ? get_entry(level, entry, table) : entry;
        put_entry(level, old, table);
    }
    put_page(table, r);
}

static void get_table(u32 mfn, u32 level)
{
    u32 r = record(mfn);
    if (!get_page(r) || !get_type(mfn, r, level)) die("no table");
}

static void put_table(u32 mfn)
{
    u32 r = record(mfn);
    put_type(mfn, r);
    put_page(mfn, r);
}
