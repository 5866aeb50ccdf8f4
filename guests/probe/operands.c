#include "probe.h"

/* What the words of an operation stand for. The script was read by the host already: what is wrong here ends the probe. */

#define MOST_SYMBOLS 512
struct symbol symbols[MOST_SYMBOLS];
u64 symbol_count;

static struct symbol *find_symbol(const char *name)
{
  for (u64 i = 0; i < symbol_count; i++)
    if (same(symbols[i].name, name))
      return &symbols[i];
  return 0;
}

static void say(const struct symbol *symbol)
{
  put("@sym ");
  put(symbol->name);
  put(" ");
  put_hex(symbol->mfn);
  put(" ");
  if (symbol->pfn < 0)
    put("-");
  else
    put_hex((u64)symbol->pfn);
  put("\n");
}

struct symbol *name_frame(const char *name, u64 mfn, s64 pfn, u64 va, int pool)
{
  struct symbol *symbol = find_symbol(name);
  if (symbol == 0) {
    if (symbol_count == MOST_SYMBOLS)
      die("too many names");
    symbol = &symbols[symbol_count++];
    for (u64 i = 0; i < NAME_BYTES - 1 && name[i] != 0; i++)
      symbol->name[i] = name[i];
  }
  symbol->mfn = mfn;
  symbol->pfn = pfn;
  symbol->va = va;
  symbol->pool = pool;
  say(symbol);
  return symbol;
}

/* The name follows the page to another frame. */
void move_to(struct symbol *symbol, u64 mfn)
{
  symbol->mfn = mfn;
  say(symbol);
}

struct symbol *page_of(const char *word)
{
  struct symbol *symbol = find_symbol(*word == '$' ? word + 1 : word);
  if (symbol == 0)
    die("no such page");
  return symbol;
}

/* m:0x123, a number, or a page. */
u64 frame_of(const char *word)
{
  if (starts(word, "m:"))
    return number_of(word + 2);
  return is_number(word) ? number_of(word) : page_of(word)->mfn;
}

static const struct { const char *name; u64 bits; } flags[] = {
  { "P", 1 }, { "RW", 2 }, { "US", 4 }, { "PWT", 8 }, { "PCD", 0x10 }, { "A", 0x20 }, { "D", 0x40 }, { "PSE", 0x80 },
  { "PAT", 0x80 }, { "G", 0x100 }, { "AV0", 0x200 }, { "AV1", 0x400 }, { "AV2", 0x800 }, { "GK", 1ul << 52 },
  { "NX", 1ul << 63 },
};

/* One part of an entry: in the first one a page's name wins over a flag's. */
static u64 part_bits(const char *part, int is_first)
{
  if (starts(part, "m:"))
    return number_of(part + 2) << 12;
  if (part[0] == 'b' && is_number(part + 1))
    return 1ul << (number_of(part + 1) & 63);
  if (is_number(part))
    return number_of(part);
  if (*part == '$' || (is_first && find_symbol(part) != 0))
    return page_of(part)->mfn << 12;
  for (u64 i = 0; i < sizeof flags / sizeof *flags; i++)
    if (same(part, flags[i].name))
      return flags[i].bits;
  return page_of(part)->mfn << 12;
}

u64 entry_of(char *word)
{
  u64 bits = 0;
  int is_first = 1;
  for (char *part = word; part != 0; is_first = 0) {
    char *end = find(part, '|');
    if (end != 0)
      *end++ = 0;
    bits |= part_bits(part, is_first);
    part = end;
  }
  return bits;
}

/* A[5], A+0x28 or A. */
static struct place slot_of(char *word)
{
  struct place place = { 0, 0 };
  char *bracket = find(word, '['), *plus = find(word, '+');
  if (bracket != 0) {
    *bracket++ = 0;
    char *end = find(bracket, ']');
    if (end != 0)
      *end = 0;
    place.offset = (number_of(bracket) * 8) & 0xffffffff;
  } else if (plus != 0) {
    *plus++ = 0;
    place.offset = number_of(plus);
  }
  place.page = page_of(word);
  return place;
}

/* V:l4.l3.l2.l1 */
static u64 table_address(char *word)
{
  u64 va = 0;
  for (int level = 0; level < 4; level++) {
    char *end = find(word, '.');
    if (end != 0)
      *end++ = 0;
    va = va << 9 | (number_of(word) & 511);
    if (end == 0 && level < 3)
      die("no address");
    word = end;
  }
  va <<= 12;
  return va >> 47 != 0 ? va | 0xffff000000000000 : va;
}

static struct place va_of(char *word)
{
  if (*word == '@')
    return slot_of(word + 1);
  struct place place = { 0, 0 };
  char *plus = find(word, '+');
  if (plus != 0) {
    *plus++ = 0;
    place.offset = number_of(plus);
  }
  if (*word == 'W')
    place.offset += WINDOW + number_of(word + 1) * PAGE;
  else
    place.offset += starts(word, "V:") ? table_address(word + 2) : number_of(word);
  return place;
}

u64 address_of(char *word)
{
  return place_address(va_of(word));
}

struct place place_of(char *word, int takes_machine)
{
  if (takes_machine && starts(word, "ma:")) {
    struct place place = { 0, number_of(word + 3) };
    return place;
  }
  int is_va = *word == '@' || starts(word, "V:") || is_number(word) || (*word == 'W' && is_number(word + 1));
  return is_va && !takes_machine ? va_of(word) : slot_of(word);
}

/* The byte's address in the kernel's mapping; a frame without one counts from zero. */
u64 place_address(struct place place)
{
  return place.offset + (place.page == 0 ? 0 : place.page->va);
}

u64 place_machine_address(struct place place)
{
  return place.offset + (place.page == 0 ? 0 : place.page->mfn << 12);
}
