#include "probe.h"

/* Output. dom0 writes to Xen's console, which a domU may not: it hands its lines to dom0. */

int is_domu;

static char buffer[2048];
static u64 used;

void flush(void)
{
  if (used == 0)
    return;
  if (is_domu)
    mailbox_text(buffer, used);
  else
    hypercall(CONSOLE_IO, 0, used, (u64)buffer, 0, 0);
  used = 0;
}

void put(const char *text)
{
  for (; *text != 0; text++) {
    if (used == sizeof buffer)
      flush();
    buffer[used++] = *text;
  }
}

static void put_digits(u64 number, u64 base)
{
  char digits[24];
  char *at = digits + sizeof digits;
  *--at = 0;
  do {
    *--at = "0123456789abcdef"[number % base];
    number /= base;
  } while (number != 0);
  put(at);
}

void put_hex(u64 number)
{
  put("0x");
  put_digits(number, 16);
}

void put_number(s64 number)
{
  if (number < 0)
    put("-");
  put_digits(number < 0 ? -(u64)number : (u64)number, 10);
}
