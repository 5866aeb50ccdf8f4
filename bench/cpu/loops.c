/*
 * The loops that the bench of the CPU runs, on the core and under QEMU: the same bytes at the same address. Nothing here
 * knows where it runs. Each loop starts from the same state whatever ran before, and returns a
 * checksum, so that both machines can be seen to have done the same work.
 */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

#define NO_SSE __attribute__((noinline, target("general-regs-only"), optimize("no-tree-vectorize,no-tree-loop-distribute-patterns")))

static u8 text[4096];
static u32 numbers[512];
static u64 limbs[64], product[64];
static u64 p2m[2048];
static struct node { struct node *next; u64 key, value; } nodes[512], *buckets[128];
static u8 from[1 << 20] __attribute__((aligned(4096))), to[1 << 20] __attribute__((aligned(4096)));
static double vector[2048] __attribute__((aligned(16)));
static u32 words[4096] __attribute__((aligned(16)));

static NO_SSE u64 fnv(const u8 *bytes, u64 count) {
  u64 hash = 0xcbf29ce484222325;
  for (u64 i = 0; i < count; i++) hash = (hash ^ bytes[i]) * 0x100000001b3;
  return hash;
}

static NO_SSE u64 length(const u8 *bytes) {
  u64 n = 0;
  while (bytes[n] != 0) n++;
  return n;
}

static NO_SSE u64 sort(u64 seed) {
  for (u32 i = 0; i < 512; i++) {
    seed = seed * 6364136223846793005 + 1442695040888963407;
    numbers[i] = seed >> 32;
  }
  for (u32 gap = 256; gap > 0; gap /= 2) {
    for (u32 i = gap; i < 512; i++) {
      u32 value = numbers[i], j = i;
      for (; j >= gap && numbers[j - gap] > value; j -= gap) numbers[j] = numbers[j - gap];
      numbers[j] = value;
    }
  }
  return numbers[100] + ((u64)numbers[400] << 32);
}

static NO_SSE u64 hash_table(u64 seed) {
  for (u32 i = 0; i < 128; i++) buckets[i] = 0;
  for (u32 i = 0; i < 512; i++) {
    seed = seed * 6364136223846793005 + 1442695040888963407;
    struct node *node = &nodes[i];
    node->key = seed >> 40;
    node->value = i;
    node->next = buckets[node->key % 128];
    buckets[node->key % 128] = node;
  }
  u64 sum = 0;
  for (u32 i = 0; i < 4096; i++) {
    u64 key = nodes[(i * 7) % 512].key + (i & 1);
    for (struct node *node = buckets[key % 128]; node != 0; node = node->next) {
      if (node->key == key) {
        sum += node->value;
        break;
      }
    }
  }
  return sum;
}

/* Multi-precision multiplication, 64 limbs by one, as the kernel's RSA does it. */
static NO_SSE u64 multiply(u64 seed) {
  u64 carry = 0;
  for (u32 round = 0; round < 64; round++) {
    carry = 0;
    for (u32 i = 0; i < 64; i++) {
      unsigned __int128 sum = (unsigned __int128)limbs[i] * (seed + round) + product[i] + carry;
      product[i] = (u64)sum;
      carry = sum >> 64;
    }
  }
  return carry ^ product[17];
}

/* The scan of a list of frames that dominates a PV kernel's boot. */
static NO_SSE u64 scan(void) {
  u64 found = 0;
  for (u32 round = 0; round < 8; round++) {
    for (u32 i = 0; i < 2048; i++) {
      if (p2m[i] == ~0UL) continue;
      if ((p2m[i] & 0x3fffffffffffffff) != i) found++;
    }
  }
  return found;
}

static NO_SSE u64 mixed(u64 rounds) {
  u64 sum = 0;
  for (u32 i = 0; i < 64; i++) {
    limbs[i] = i * 0x9e3779b97f4a7c15;
    product[i] = 0;
  }
  for (u32 i = 0; i < 2048; i++) p2m[i] = i % 3 == 0 ? ~0UL : i;
  while (rounds-- > 0) {
    for (u32 i = 0; i < sizeof text - 1; i++) text[i] = 'a' + (i + rounds) % 23;
    sum = sum * 31 + fnv(text, length(text));
    sum = sum * 31 + sort(rounds);
    sum = sum * 31 + hash_table(rounds);
    sum = sum * 31 + multiply(rounds);
    sum = sum * 31 + scan();
  }
  return sum;
}

static NO_SSE u64 fibonacci(u64 n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

static NO_SSE u64 add_one(u64 x) { return x + 1; }
static NO_SSE u64 twice(u64 x) { return x * 2 + 1; }
static NO_SSE u64 mix(u64 x) { return x ^ (x >> 7); }
static u64 (*const operations[4])(u64) = {add_one, twice, mix, add_one};

static NO_SSE u64 calls(u64 rounds) {
  u64 sum = 0;
  while (rounds-- > 0) {
    sum += fibonacci(12);
    for (u32 i = 0; i < 256; i++) sum = operations[(sum + i) & 3](sum);
  }
  return sum;
}

static NO_SSE u64 copy_repeat(u64 rounds) {
  for (u32 i = 0; i < 4096; i++) from[i] = i * 7;
  while (rounds-- > 0) {
    void *source = from, *destination = to;
    u64 count = sizeof from / 8;
    __asm__ volatile("rep movsq" : "+S"(source), "+D"(destination), "+c"(count) : : "memory");
    from[rounds % sizeof from]++;
  }
  return fnv(to, 4096);
}

static NO_SSE u64 copy_loop(u64 rounds) {
  for (u32 i = 0; i < 4096; i++) from[i] = i * 7;
  while (rounds-- > 0) {
    const u64 *source = (const u64 *)from;
    u64 *destination = (u64 *)to;
    for (u32 i = 0; i < sizeof from / 8; i += 4) {
      u64 a = source[i], b = source[i + 1], c = source[i + 2], d = source[i + 3];
      destination[i] = a;
      destination[i + 1] = b;
      destination[i + 2] = c;
      destination[i + 3] = d;
    }
    from[rounds % sizeof from]++;
    __asm__ volatile("" ::: "memory");
  }
  return fnv(to, 4096);
}

typedef double v2d __attribute__((vector_size(16)));
typedef u32 v4u __attribute__((vector_size(16)));
typedef u8 v16b __attribute__((vector_size(16)));

/* Doubles, integers and bytes, four registers wide. */
static __attribute__((noinline, target("sse2"))) u64 sse(u64 rounds) {
  for (u32 i = 0; i < 2048; i++) vector[i] = 1.0 + i;
  for (u32 i = 0; i < 4096; i++) words[i] = i * 2654435761u;
  v2d total = {0, 0};
  v4u mixed_words = {1, 2, 3, 4};
  v16b matches = {0};
  while (rounds-- > 0) {
    const v2d scale = {1.0000001, 0.9999999};
    for (u32 i = 0; i < 1024; i++) {
      v2d value = ((v2d *)vector)[i];
      total += value * scale;
      ((v2d *)vector)[i] = value + (v2d){0.5, 0.25};
    }
    for (u32 i = 0; i < 1024; i++) {
      v4u value = ((v4u *)words)[i];
      mixed_words = (mixed_words << 5) ^ (mixed_words >> 7) ^ value;
      matches += (v16b)(((v16b)value) == ((v16b)mixed_words));
      ((v4u *)words)[i] = value + mixed_words;
    }
  }
  union { v2d d; v4u u; v16b b; u64 q[2]; } a = {.d = total}, b = {.u = mixed_words}, c = {.b = matches};
  return a.q[0] ^ a.q[1] * 3 ^ b.q[0] * 5 ^ b.q[1] * 7 ^ c.q[0] * 11 ^ c.q[1];
}

/* Those of more-loops.c. */
u64 swaps(u64), strings(u64), divisions(u64), lists(u64), narrow(u64), recursion(u64), dispatch(u64), bit_tests(u64);
u64 digest(u64), matrix(u64), tables(u64), short_strings(u64);

/* The loops by number: loops.ts has their names in the same order. */
u64 run_loop(u64 number, u64 rounds) {
  switch (number) {
    case 0: return mixed(rounds);
    case 1: return calls(rounds);
    case 2: return copy_repeat(rounds);
    case 3: return copy_loop(rounds);
    case 4: return sse(rounds);
    case 5: return swaps(rounds);
    case 6: return strings(rounds);
    case 7: return divisions(rounds);
    case 8: return lists(rounds);
    case 9: return narrow(rounds);
    case 10: return recursion(rounds);
    case 11: return dispatch(rounds);
    case 12: return bit_tests(rounds);
    case 13: return digest(rounds);
    case 14: return matrix(rounds);
    case 15: return tables(rounds);
    case 16: return short_strings(rounds);
  }
  return 0;
}
