/* Run through the C preprocessor for the addresses of layout.h. */
#include "layout.h"

OUTPUT_FORMAT(elf64-x86-64)
ENTRY(start)

PHDRS
{
  image PT_LOAD FLAGS(7);
  pages PT_LOAD FLAGS(6);
  notes PT_NOTE FLAGS(4);
}

SECTIONS
{
  . = TEXT;
  .text : { *(.text.first) . = USER_TEXT - TEXT; *(.text.user) *(.text .text.*) } :image
  .rodata : { *(.rodata .rodata.*) } :image
  .notes : { KEEP(*(.note.Xen)) } :image :notes
  .data : { *(.data .data.*) } :image
  ASSERT(. <= ARGUMENTS, "the image reaches into the page of arguments")

  /* Pages of a fixed place; the rest of the data lies behind them. */
  . = MAILBOX + 0x1000;
  .bss : { *(.bss .bss.* COMMON) . = DATA_END - MAILBOX - 0x1000; } :image

  . = POOL;
  .pages (NOLOAD) : { . = KERNEL_END - POOL; } :pages

  /DISCARD/ : { *(.comment) *(.note.GNU-stack) *(.eh_frame) *(.note.gnu.*) }
}
