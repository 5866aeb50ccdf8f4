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
#include "rules.h"

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
