/*
 * Loops of other kinds than those of loops.c, each of one kind of code: what a compiler of regions was not written for
 * shows here. The same rules: each starts from the same state whatever ran before, and returns a checksum.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef signed char s8;
typedef short s16;
typedef long s64;

#define NO_SSE __attribute__((noinline, target("general-regs-only"), optimize("no-tree-vectorize,no-tree-loop-distribute-patterns")))

static u64 next(u64 *seed) { return (*seed = *seed * 6364136223846793005 + 1442695040888963407) >> 33; }

static u32 heap[1024];

static NO_SSE void sift(u32 start, u32 count) {
  for (u32 i = start; 2 * i + 1 < count;) {
    u32 child = 2 * i + 1;
    if (child + 1 < count && heap[child] < heap[child + 1]) child++;
    if (heap[i] >= heap[child]) return;
    u32 kept = heap[i];
    heap[i] = heap[child];
    heap[child] = kept;
    i = child;
  }
}

/* Heapsort: conditions that nobody can foretell, and swaps. */
NO_SSE u64 swaps(u64 rounds) {
  u64 sum = 0, seed = 1;
  while (rounds-- > 0) {
    for (u32 i = 0; i < 1024; i++) heap[i] = next(&seed);
    for (u32 i = 512; i-- > 0;) sift(i, 1024);
    for (u32 count = 1024; count-- > 1;) {
      u32 kept = heap[0];
      heap[0] = heap[count];
      heap[count] = kept;
      sift(0, count);
    }
    sum = sum * 31 + heap[rounds % 1024];
  }
  return sum;
}

static u8 page[8192];

/* Bytes: lines, words, and a word that is looked for. */
NO_SSE u64 strings(u64 rounds) {
  static const u8 wanted[] = "needle";
  u64 sum = 0, seed = 2;
  for (u32 i = 0; i < sizeof page - 1; i++) page[i] = "abcdeln \n"[next(&seed) % 9];
  page[sizeof page - 1] = 0;
  while (rounds-- > 0) {
    u64 lines = 0, words = 0, found = 0;
    u8 before = ' ';
    page[rounds % 4096] ^= 1;
    for (const u8 *p = page; *p != 0; p++) {
      lines += *p == '\n';
      words += (before == ' ' || before == '\n') && *p != ' ' && *p != '\n';
      before = *p;
    }
    for (u32 i = 0; i < sizeof page - sizeof wanted; i++) {
      u32 n = 0;
      while (wanted[n] != 0 && page[i + n] == wanted[n]) n++;
      found += n * n;
    }
    sum = sum * 31 + lines * 1000003 + words * 101 + found;
  }
  return sum;
}

/* Quotients and remainders of 32 and of 64 bits, signed and unsigned. */
NO_SSE u64 divisions(u64 rounds) {
  u64 hash = 0, seed = 3;
  while (rounds-- > 0) {
    for (u32 i = 1; i <= 512; i++) {
      u64 value = next(&seed) << 20 | i;
      u32 low = value, part = i * 3 + 1;
      hash = (hash * 131 + low % part) % 1000000007;
      hash += value / (part + (hash & 0xff) + 1);
      hash ^= (u64)((s64)(hash - (value << 8)) / (s64)(part + 7));
    }
  }
  return hash;
}

static struct link { struct link *next; u64 value; } links[4096];

/* A list in no order, changed on the way. */
NO_SSE u64 lists(u64 rounds) {
  u64 sum = 0;
  for (u32 i = 0; i < 4096; i++) {
    links[i].next = &links[(i * 1237 + 1) % 4096];
    links[i].value = i;
  }
  while (rounds-- > 0) {
    struct link *link = links;
    for (u32 i = 0; i < 4096; i++) {
      sum += link->value;
      link->value ^= sum & 0xff;
      link = link->next;
    }
  }
  return sum;
}

static u8 bytes[2048];
static u16 halves[1024];

/* Parts of registers: checksums of 8 and of 16 bits, saturation, signs. */
NO_SSE u64 narrow(u64 rounds) {
  u8 crc = 0;
  u16 sum = 1, high = 0;
  u64 seed = 4;
  for (u32 i = 0; i < sizeof bytes; i++) bytes[i] = next(&seed);
  for (u32 i = 0; i < 1024; i++) halves[i] = i;
  while (rounds-- > 0) {
    for (u32 i = 0; i < sizeof bytes; i++) {
      crc ^= bytes[i];
      for (u32 n = 0; n < 2; n++) crc = (crc & 0x80) != 0 ? (u8)(crc << 1) ^ 7 : (u8)(crc << 1);
      u8 less = bytes[i] > 200 ? 255 : bytes[i] + 55;
      bytes[i] = (u8)(less - (s8)crc);
    }
    for (u32 i = 0; i < 1024; i++) {
      sum = (u16)(sum + bytes[i]) % 65521;
      high += sum;
      halves[i] = (u16)(halves[i] * 5 + high);
      if ((s16)halves[i] < 0) halves[i] = (u16)(-(s16)halves[i] >> 1);
      high = (u16)(high << 3 | high >> 13);
    }
  }
  return crc + ((u64)sum << 8) + ((u64)high << 24) + ((u64)halves[77] << 40);
}

static NO_SSE u64 ackermann(u64 m, u64 n) {
  if (m == 0) return n + 1;
  if (n == 0) return ackermann(m - 1, 1);
  return ackermann(m - 1, ackermann(m, n - 1));
}

static NO_SSE u64 queens(u32 all, u32 columns, u32 left, u32 right) {
  u64 count = columns == all;
  for (u32 open = all & ~(columns | left | right); open != 0; open &= open - 1) {
    u32 one = open & -open;
    count += queens(all, columns | one, (left | one) << 1, (right | one) >> 1);
  }
  return count;
}

/* Functions that call themselves, deep and wide. */
NO_SSE u64 recursion(u64 rounds) {
  u64 sum = 0;
  while (rounds-- > 0) sum = sum * 31 + ackermann(2, 7 + (rounds & 3)) + queens(0x3f, 0, 0, 0);
  return sum;
}

static u8 program[256];

/* A small machine that is interpreted: a jump by a table for each of its instructions. */
NO_SSE u64 dispatch(u64 rounds) {
  u64 a = 1, b = 0, seed = 5;
  for (u32 i = 0; i < sizeof program; i++) program[i] = next(&seed) % 12;
  while (rounds-- > 0) {
    for (u32 at = 0, steps = 0; steps < 2000; steps++) {
      switch (program[at++ & 255]) {
        case 0: a += b; break;
        case 1: b ^= a; break;
        case 2: a = a << 3 | a >> 61; break;
        case 3: b -= at; break;
        case 4: a *= 5; break;
        case 5: if ((a & 4) != 0) at += 3; break;
        case 6: b = ~b; break;
        case 7: a ^= b >> 9; break;
        case 8: at += b & 7; break;
        case 9: b += program[a & 255]; break;
        case 10: a -= 77; break;
        default: b = b * 3 + 1;
      }
    }
  }
  return a ^ b;
}

static u64 bitmap[64];

/* Bits of a map: set, cleared, tested, the next one found. */
NO_SSE u64 bit_tests(u64 rounds) {
  u64 sum = 0, seed = 6;
  for (u32 i = 0; i < 64; i++) bitmap[i] = 0;
  while (rounds-- > 0) {
    for (u32 i = 0; i < 512; i++) {
      u64 n = next(&seed) % 4096, was;
      if ((i & 3) != 0) bitmap[n / 64] |= 1UL << (n % 64);
      else bitmap[n / 64] &= ~(1UL << (n % 64));
      __asm__ volatile("btq %2, %1\n\tsbbq %0, %0" : "=r"(was) : "r"(bitmap[(n + 9) % 4096 / 64]), "r"(n) : "cc");
      sum += was & 1;
    }
    for (u32 i = 0; i < 64; i++) {
      for (u64 left = bitmap[i]; left != 0; left &= left - 1) sum += __builtin_ctzl(left) * i;
      if (bitmap[i] != 0) sum ^= 63 - __builtin_clzl(bitmap[i]);
    }
  }
  return sum;
}

static u32 rotated(u32 x, u32 n) { return x >> n | x << (32 - n); }

/* As SHA-256 does it: rotations and sums of more words than there are registers. */
NO_SSE u64 digest(u64 rounds) {
  u32 state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  u32 w[64];
  while (rounds-- > 0) {
    for (u32 i = 0; i < 16; i++) w[i] = state[i & 7] * (i + 3) + (u32)rounds;
    for (u32 i = 16; i < 64; i++) {
      u32 a = rotated(w[i - 15], 7) ^ rotated(w[i - 15], 18) ^ w[i - 15] >> 3;
      u32 b = rotated(w[i - 2], 17) ^ rotated(w[i - 2], 19) ^ w[i - 2] >> 10;
      w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    u32 a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (u32 i = 0; i < 64; i++) {
      u32 one = h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + ((e & f) ^ (~e & g)) + w[i];
      u32 two = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + one, d = c, c = b, b = a, a = one + two;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
  }
  return (u64)state[0] << 32 ^ (u64)state[3] << 16 ^ state[7];
}

static double left[32][32], right[32][32], result[32][32];

/* One double at a time: sums of products, conversions, comparisons. */
__attribute__((noinline, target("sse2"), optimize("no-tree-vectorize"))) u64 matrix(u64 rounds) {
  u64 sum = 0;
  for (u32 i = 0; i < 32; i++)
    for (u32 j = 0; j < 32; j++) left[i][j] = i + j, right[i][j] = (double)i - j;
  while (rounds-- > 0) {
    for (u32 i = 0; i < 32; i++) {
      for (u32 j = 0; j < 32; j++) {
        double total = 0;
        for (u32 k = 0; k < 32; k++) total += left[i][k] * right[k][j];
        result[i][j] = total > 1000.0 ? total / 3.0 : total + 0.5;
      }
    }
    left[rounds % 32][5] += 1;
    sum = sum * 31 + (u64)(s64)result[rounds % 32][7];
  }
  return sum;
}

static u32 table[256];

/* A checksum by a table, and words that lie anywhere. */
NO_SSE u64 tables(u64 rounds) {
  u32 crc = ~0u;
  u64 seed = 7, sum = 0;
  for (u32 i = 0; i < 256; i++) {
    u32 value = i;
    for (u32 n = 0; n < 8; n++) value = (value & 1) != 0 ? value >> 1 ^ 0xedb88320 : value >> 1;
    table[i] = value;
  }
  for (u32 i = 0; i < sizeof page; i++) page[i] = next(&seed);
  while (rounds-- > 0) {
    for (u32 i = 0; i < 4096; i++) crc = table[(crc ^ page[i]) & 0xff] ^ crc >> 8;
    for (u32 i = 1; i < sizeof page - 8; i += 7) {
      u64 word;
      __builtin_memcpy(&word, page + i, 8);
      word = __builtin_bswap64(word + sum);
      __builtin_memcpy(page + i, &word, 8);
      sum += word >> 5;
    }
  }
  return sum ^ crc;
}

/* String instructions on few bytes, as kernels copy names. */
NO_SSE u64 short_strings(u64 rounds) {
  u64 sum = 0;
  for (u32 i = 0; i < 512; i++) page[i] = i % 23 == 0 ? 0 : 'a' + i % 13;
  while (rounds-- > 0) {
    for (u32 i = 0; i < 256; i++) {
      const u8 *source = page + i, *end = source;
      u64 count = 64, value = 0;
      __asm__ volatile("repne scasb" : "+D"(end), "+c"(count) : "a"(value) : "memory", "cc");
      u64 length = end - source;
      u8 *to = page + 1024;
      count = length;
      __asm__ volatile("rep movsb" : "+S"(source), "+D"(to), "+c"(count) : : "memory");
      count = 3;
      __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(rounds) : "memory");
      __asm__ volatile("lodsb" : "+S"(source), "=a"(value) : : "memory");
      sum = sum * 7 + length + (u8)value;
    }
  }
  return sum;
}
