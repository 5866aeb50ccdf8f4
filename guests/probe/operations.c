#include "probe.h"

/* The operations of the script language, docs/script.md; batches are in batches.c. */

u64 foreign_domain = DOMID_SELF;
int has_foreign_domain;
u64 *p2m;
static int autoinfo;
static u64 next_page;

static void ask(u64 mfn)
{
  if (is_domu)
    mailbox_ask(mfn);
  else
    ask_about(mfn);
}

static void show_words(void)
{
  put("@words\n");
  flush();
  for (u64 i = 0; i < symbol_count; i++)
    if (symbols[i].pool)
      ask(symbols[i].mfn);
  put("@words end\n");
}

static void info(void)
{
  if (!more()) {
    show_words();
    return;
  }
  put("@words\n");
  flush();
  while (more())
    ask(frame_of(next()));
  put("@words end\n");
}

static void take_page(const char *name)
{
  if (next_page == POOL_PAGES)
    die("no more pages");
  u64 va = POOL + PAGE * next_page++;
  u64 pfn = (va - BASE) / PAGE;
  name_frame(name, p2m[pfn], (s64)pfn, va, 1);
}

static void take_pages(void)
{
  char name[NAME_BYTES];
  const char *base = next();
  u64 count = number_of(next());
  for (u64 i = 0; i < count; i++) {
    u64 at = 0, tens = 1;
    while (base[at] != 0 && at < NAME_BYTES - 4)
      name[at] = base[at], at++;
    while (i / tens >= 10)
      tens *= 10;
    for (; tens != 0; tens /= 10)
      name[at++] = '0' + i / tens % 10;
    name[at] = 0;
    take_page(name);
  }
}

static void name_by_script(void)
{
  const char *name = next();
  accept("=");
  char *word = next();
  if (starts(word, "m:")) {
    name_frame(name, frame_of(word), -1, 0, 0);
    return;
  }
  u64 entry = access_load8(place_address(place_of(word, 0)));
  if (caught_vector >= 0)
    put("@error cannot read\n");
  else
    name_frame(name, entry << 12 >> 24, -1, 0, 0);
}

static void dump(void)
{
  while (more()) {
    struct symbol *page = page_of(next());
    for (u64 slot = 0; slot < SLOTS; slot++) {
      u64 entry = access_load8(page->va + slot * 8);
      if (caught_vector < 0 && entry == 0)
        continue;
      put("@dump ");
      put(page->name);
      if (caught_vector >= 0) {
        put(" fault\n");
        break;
      }
      put("[");
      put_number((s64)slot);
      put("] ");
      put_hex(entry);
      put("\n");
    }
  }
}

static void remap(u64 flags, struct result *result)
{
  struct symbol *page = page_of(next());
  if (page->va == 0) {
    put("@error page has no direct mapping address\n");
    return;
  }
  u64 entry = flags == 0 ? 0 : page->mfn << 12 | flags | 1ul << 63;
  result->rc = update_va(page->va, entry, UVMF_INVLPG, DOMID_SELF);
  result->has_rc = 1;
}

static void accessed(struct result *result, u64 value, int has_value)
{
  result->rc = caught_vector >= 0 ? -14 : 0;
  result->has_rc = 1;
  result->value = value;
  result->has_value = has_value && caught_vector < 0;
}

static int store(const char *verb, struct result *result)
{
  static const char *const verbs[] = { "set", "set4", "set2", "set1", "set16", "cas", "cas4", "xchg", "or", "btr" };
  int which = 0;
  while (!same(verb, verbs[which]))
    if (++which == sizeof verbs / sizeof *verbs)
      return 0;
  u64 va = place_address(place_of(next(), 0));
  accept("=");
  u64 value = entry_of(next());
  u64 second = which == 4 || which == 5 || which == 6 ? entry_of(next()) : 0;
  u64 read = 0;
  switch (which) {
  case 0: access_store8(va, value); break;
  case 1: access_store4(va, value); break;
  case 2: access_store2(va, value); break;
  case 3: access_store1(va, value); break;
  case 4: access_store16(va, value, second); break;
  case 5: read = access_compare8(va, value, second); break;
  case 6: read = access_compare4(va, value, second) & 0xffffffff; break;
  case 7: read = access_exchange(va, value); break;
  case 8: access_or(va, value); break;
  case 9: read = access_bit_reset(va, value & 63); break;
  }
  accessed(result, read, which >= 5 && which != 8);
  return 1;
}

static void load(u64 va, struct result *result)
{
  u64 value = access_load8(va);
  accessed(result, value, 1);
}

static void gdt(struct result *result)
{
  u64 frames[16], count = 0, entries = number_of(next()) & 0xffffffff;
  while (more() && count < 16)
    frames[count++] = frame_of(next());
  result->rc = set_gdt(entries, frames, count);
}

static void any_hypercall(struct result *result)
{
  u64 arguments[5] = { 0 }, nr = number_of(next()) & 0xffffffff;
  for (int i = 0; i < 5 && more(); i++) {
    char *word = next();
    arguments[i] = *word == '@' ? address_of(word) : entry_of(word);
  }
  result->rc = hypercall(nr, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]);
}

/* Reservations; a name follows its page to the new frame. */
static int reserve(const char *verb, struct result *result)
{
  u64 after = 0;
  if (same(verb, "decr")) {
    result->rc = reservation(DECREASE_RESERVATION, frame_of(next()), &after, DOMID_SELF);
  } else if (same(verb, "incr")) {
    const char *name = next();
    result->rc = reservation(INCREASE_RESERVATION, 0, &after, DOMID_SELF);
    if (result->rc == 1)
      name_frame(name, after, -1, 0, 1);
  } else if (same(verb, "popp")) {
    struct symbol *page = page_of(next());
    result->rc = reservation(POPULATE_PHYSMAP, (u64)page->pfn, &after, DOMID_SELF);
    if (result->rc == 1)
      move_to(page, after);
  } else if (same(verb, "exch")) {
    struct symbol *page = page_of(next());
    result->rc = exchange_page(page->mfn, (u64)page->pfn, &result->done, &after);
    result->has_done = 1;
    if (result->rc == 0 && result->done != 0)
      move_to(page, after);
  } else
    return 0;
  return 1;
}

/* Verbs that are a hypercall of their own. */
static int call(const char *verb, struct result *result)
{
  result->has_rc = 1;
  if (same(verb, "uvm")) {
    u64 va = address_of(next());
    accept("=");
    u64 entry = entry_of(next());
    u64 flags = flush_flags();
    result->rc = update_va(va, entry, flags, has_foreign_domain ? foreign_domain : DOMID_SELF);
  } else if (same(verb, "gdt"))
    gdt(result);
  else if (same(verb, "desc")) {
    struct place slot = place_of(next(), 0);
    accept("=");
    u64 descriptor = entry_of(next());
    result->rc = hypercall(UPDATE_DESCRIPTOR, place_machine_address(slot), descriptor, 0, 0, 0);
  } else if (same(verb, "assist")) {
    u64 command = number_of(next()) & 0xffffffff, type = number_of(next()) & 0xffffffff;
    result->rc = hypercall(VM_ASSIST, command, type, 0, 0, 0);
  } else if (same(verb, "hc"))
    any_hypercall(result);
  else if (!reserve(verb, result)) {
    result->has_rc = 0;
    return 0;
  }
  return 1;
}

static void foreign(void)
{
  foreign_domain = DOMID_SELF;
  has_foreign_domain = word_count >= 4 && same(words[word_count - 3], "dom");
  if (!has_foreign_domain)
    return;
  const char *word = words[word_count - 1];
  word_count -= 3;
  foreign_domain = same(word, "SELF") ? DOMID_SELF : same(word, "IO") ? DOMID_IO : same(word, "XEN") ? DOMID_XEN
                                                                                 : number_of(word) & 0xffffffff;
}

static void carry_out(const char *verb, struct result *result)
{
  if (same(verb, "page"))
    while (more())
      take_page(next());
  else if (same(verb, "pages"))
    take_pages();
  else if (same(verb, "sym"))
    name_by_script();
  else if (same(verb, "info"))
    info();
  else if (same(verb, "autoinfo"))
    autoinfo = same(next(), "on");
  else if (same(verb, "dump"))
    dump();
  else if (same(verb, "ro"))
    remap(0x61, result);
  else if (same(verb, "rw"))
    remap(0x63, result);
  else if (same(verb, "unmap"))
    remap(0, result);
  else if (same(verb, "get"))
    load(place_address(place_of(next(), 0)), result);
  else if (same(verb, "m2p"))
    load((u64)M2P + frame_of(next()) * 8, result);
  else if (same(verb, "ldsel")) {
    access_selector(number_of(next()) & 0xffff);
    accessed(result, 0, 0);
  } else if (same(verb, "mmu"))
    mmu_update(result);
  else if (is_mmuext(verb))
    mmuext_op(verb, result);
  else if (same(verb, "multi"))
    multi(result);
  else if (!same(verb, "echo") && !store(verb, result) && !call(verb, result))
    die("no such operation");
}

static void put_done(u64 done)
{
  if (done == NOT_WRITTEN)
    put("-");
  else
    put_number((s64)done);
}

static void put_calls(u64 count)
{
  put(" calls=");
  for (u64 i = 0; i < count; i++) {
    volatile struct multicall_entry *entry = &ARGS->calls[i];
    if (i > 0)
      put(",");
    if (entry->result == NOT_WRITTEN)
      put("-");
    else
      put_number(entry->result);
    if (entry->number != MMU_UPDATE && entry->number != MMUEXT_OP)
      continue;
    put("/");
    put_done(ARGS->call_done[i]);
  }
}

static void put_result(const struct result *result)
{
  put("@rc ");
  put_number(result->rc);
  if (result->has_done) {
    put(" done=");
    put_done(result->done);
  }
  if (result->calls > 0)
    put_calls(result->calls);
  if (result->by_syscall)
    put(" by=syscall");
  if (caught_vector >= 0) {
    put(" fault=");
    put(caught_vector == 14 ? "PF" : caught_vector == 13 ? "GP" : "V");
    if (caught_vector != 14 && caught_vector != 13)
      put_number(caught_vector);
    put(":");
    put_hex(caught_error);
    if (caught_vector == 14) {
      put(" cr2=");
      put_hex(fault_address());
    }
  }
  if (result->has_value) {
    put(" val=");
    put_hex(result->value);
  }
  put("\n");
}

/* One line of the script, split into words. */
void operate(struct result *result)
{
  memset(result, 0, sizeof *result);
  caught_vector = -1;
  foreign();
  const char *verb = next();
  carry_out(verb, result);
  if (!result->has_rc)
    return;
  if (result->calls > 0 && caught_vector >= 0)
    result->rc = -14;
  put_result(result);
  if (autoinfo)
    show_words();
}
