/*
 * What a boot of the model has to do, done natively: the machine's memory in the same records and tables, the domain
 * builder's stores, and then what the kernel does, as a plan says it, each entry looked up, stored and checked by Xen's
 * rules. It measures, counts and sums up; who runs it sees that both came to the same machine.
 *
 *     native PLAN RUNS
 *
 * A plan is 32-bit words, little-endian: plan.ts writes it. The rules are those of src/xen/mm; what would refuse an
 * entry ends the program, as the boot that the plan is of is refused nothing.
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

/* ---- the domain builder ---- */

static void own_frames(void)
{
    for (const u32 *run = runs; run < runs + run_count * 4; run += 4) {
        u32 pfn = run[0], mfn = run[1], count = run[2], step = run[3];
        u32 lowest = step == 1 ? mfn : mfn - count + 1, its = step == 1 ? pfn : pfn + count - 1;
        for (u32 done = 0; done < count;) {
            u32 some = SLOTS - ((lowest + done) & (SLOTS - 1));
            if (some > count - done) some = count - done;
            fill_records(record(lowest + done), some, 0, ALLOCATED | 1, domain);
            u64 *names = m2p(lowest + done);
            for (u32 i = 0; i < some; i++) names[i] = its + (done + i) * step;
            done += some;
        }
    }
}

static void write_p2m(void)
{
    for (const u32 *run = runs; run < runs + run_count * 4; run += 4) {
        for (u32 done = 0; done < run[2];) {
            u32 slot = (run[0] + done) % SLOTS, some = SLOTS - slot;
            if (some > run[2] - done) some = run[2] - done;
            u64 *list = frame(frame_of(p2m_list + (run[0] + done) / SLOTS)) + slot;
            for (u32 i = 0; i < some; i++) list[i] = run[1] + (done + i) * run[3];
            done += some;
        }
    }
}

/* The initial mapping: each table's level, pfn, and place in the table above; L1s in the order of what they map. */
static void build_tables(void)
{
    u32 first = tables[1], end = first + table_count, pfn = 0;
    for (const u32 *table = tables; table < tables + table_count * 4; table += 4) {
        u32 mfn = frame_of(table[1]);
        if (table[0] == 4) roots = mfn;
        else frame(frame_of(table[2]))[table[3]] = (u64)mfn << 12 | 0x67;
        if (table[0] != 1) continue;
        u64 *entries = frame(mfn);
        for (u32 slot = 0; slot < SLOTS && pfn < initial_pages; slot++, pfn++) {
            u32 is_table = pfn >= first && pfn < end, its = frame_of(pfn), r = record(its);
            entries[slot] = (u64)its << 12 | GUEST_KERNEL | 0x25 | (is_table ? 0 : RW);
            if (is_table) continue;
            mem[r + TYPE] = WRITABLE << TYPE_SHIFT | VALIDATED | 1;
            mem[r + REFS] = ALLOCATED | 2;
        }
    }
    for (const u32 *table = tables; table < tables + table_count * 4; table += 4) {
        u32 r = record(frame_of(table[1])), is_root = table[0] == 4;
        mem[r + TYPE] = table[0] << TYPE_SHIFT | VALIDATED | (is_root ? PINNED | 2 : 1);
        mem[r + REFS] = ALLOCATED | (is_root ? 4 : 3);
    }
}

/* ---- the kernel ---- */

/* A table of the direct map: each pfn's frame by the p2m, the frame's pfn by the M2P, and whether that is a table. */
static void fill_region(u32 table, u32 from, u32 count, u32 first, u32 read_only, u32 read_only_end)
{
    u64 *entries = frame(table) + from, *list = frame(frame_of(p2m_list + first / SLOTS)) + from;
    u32 named = ~0u;
    u64 *names = NULL;
    for (u32 i = 0; i < count; i++) {
        u32 mfn = list[i];
        if (mfn / SLOTS != named) {
            named = mfn / SLOTS;
            names = m2p(named * SLOTS);
        }
        u32 pfn = names[mfn % SLOTS];
        entries[i] = (u64)mfn << 12 | NO_EXECUTE | (pfn >= read_only && pfn < read_only_end ? 0x61 : 0x63);
    }
    stored += count;
}

/* Frames of the p2m list that the kernel gives back. */
static void release(u32 pfn, u32 count)
{
    for (u32 i = 0; i < count; i++, pfn++) {
        u64 *at = frame(frame_of(p2m_list + pfn / SLOTS)) + pfn % SLOTS;
        u32 mfn = *at, r = record(mfn);
        *at = ~0ull;
        if (r == 0 || (mem[r + OWNER] & 0xff) != domain) die("not to be given back");
        if (mem[r + REFS] == (ALLOCATED | 1) && !(mem[r + TYPE] & PINNED)) free_frame(mfn, r);
        else if ((mem[r + REFS] & ALLOCATED) != 0) {
            mem[r + REFS] &= ~ALLOCATED;
            put_page(mfn, r);
        }
    }
}

static void boot(const u32 *plan, const u32 *end)
{
    memset(mem, 0, (u64)next_page * PAGE_WORDS * 4);
    next_page = FIRST_PAGE;
    memset(groups, 0, sizeof groups);
    memset(is_freed, 0, m2p_covered / 8);
    freed_count = 0;
    stored = validated = given_back = updates = 0;
    own_frames();
    write_p2m();
    build_tables();
    while (plan < end) {
        const u32 *a = plan + 1;
        switch (*plan) {
        case STORE:
            memcpy(frame(a[0]) + a[1], a + 3, a[2] * 8);
            plan = a + 3 + a[2] * 2;
            break;
        case CLEAR:
            clear(a[0]);
            plan = a + 1;
            break;
        case REGION:
            fill_region(a[0], a[1], a[2], a[3], a[4], a[5]);
            plan = a + 6;
            break;
        case UPDATE:
            update(a[0], a[1], (u64)a[3] << 32 | a[2]);
            plan = a + 4;
            break;
        case PIN:
            get_table(a[0], a[1]);
            mem[record(a[0])] |= PINNED;
            plan = a + 2;
            break;
        case UNPIN:
            mem[record(a[0])] &= ~PINNED;
            put_table(a[0]);
            plan = a + 1;
            break;
        case ROOT:
            get_table(a[0], 4);
            put_table(roots);
            roots = a[0];
            plan = a + 1;
            break;
        case RELEASE:
            release(a[0], a[1]);
            plan = a + 2;
            break;
        default:
            die("a plan that is none");
        }
    }
}

/* ---- what came out ---- */

static inline u32 mix(u32 sum, u32 word)
{
    return (sum ^ word) * 16777619u;
}

/* Every frame that the domain had: its record, its pfn, and of an L1 its entries, but for caching, access and dirt. */
static void sum_up(u32 *sum, u64 *present)
{
    *sum = 2166136261u;
    *present = 0;
    for (const u32 *run = runs; run < runs + run_count * 4; run += 4) {
        for (u32 i = 0; i < run[2]; i++) {
            u32 mfn = run[1] + i * run[3], r = record(mfn);
            *sum = mix(mix(mix(*sum, mem[r + TYPE]), mem[r + REFS]), mem[r + OWNER]);
            *sum = mix(*sum, (u32)*m2p(mfn));
            if (mem[r + TYPE] >> TYPE_SHIFT != 1 || (mem[r + TYPE] & VALIDATED) == 0) continue;
            u64 *entries = frame(mfn);
            for (u32 slot = 0; slot < SLOTS; slot++) {
                if ((entries[slot] & P) == 0) continue;
                ++*present;
                *sum = mix(mix(*sum, (u32)entries[slot] & 0xfffff003u), entries[slot] >> 32);
            }
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) die("PLAN and RUNS are wanted");
    FILE *file = fopen(argv[1], "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) die("no plan");
    long bytes = ftell(file);
    rewind(file);
    u32 *plan = malloc(bytes);
    if (plan == NULL || fread(plan, 1, bytes, file) != (size_t)bytes) die("no plan");
    u32 *at = plan;
    nr_pages = *at++;
    domain = *at++;
    m2p_covered = *at++;
    m2p_first = *at++;
    p2m_list = *at++;
    initial_pages = *at++;
    bad_l1 = (u64)(at[0] >> 12) << 52 | (at[0] & 0xfff);
    bad_upper = (u64)(at[1] >> 12) << 52 | (at[1] & 0xfff);
    at += 2;
    ram_count = *at++;
    ram = at;
    run_count = (at += ram_count * 2)[0];
    runs = ++at;
    table_count = (at += run_count * 4)[0];
    tables = ++at;
    at += table_count * 4;

    mem = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    freed = malloc((u64)nr_pages * 8);
    is_freed = calloc(1, m2p_covered / 8);
    if (mem == MAP_FAILED || freed == NULL || is_freed == NULL) die("out of memory");
    for (u32 i = 0; i < ram_count; i++)
        for (u32 g = ram[i * 2] >> GROUP_SHIFT; g << GROUP_SHIFT < ram[i * 2 + 1]; g++) covered[g] = 1;
    covered[0] = 1;
    for (u32 g = m2p_first >> GROUP_SHIFT; g < MAX_GROUPS; g++) covered[g] = 1;

    printf("{\"milliseconds\":[");
    for (int run = 0, end = atoi(argv[2]); run < end; run++) {
        double start = now();
        boot(at, plan + bytes / 4);
        printf("%s%.3f", run == 0 ? "" : ",", now() - start);
    }
    u32 sum;
    u64 present;
    sum_up(&sum, &present);
    printf("],\"stored\":%llu,\"validated\":%llu,\"givenBack\":%llu,\"updates\":%llu,\"present\":%llu,\"sum\":%u}\n",
           (unsigned long long)stored, (unsigned long long)validated, (unsigned long long)given_back,
           (unsigned long long)updates, (unsigned long long)present, sum);
    return 0;
}
