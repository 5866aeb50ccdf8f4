#include "calls.h"

/*
 * Hypercalls about the machine, which are dom0's: what a board without devices answers, and a board with some answers alike.
 */

/* Physical interrupts: the numbers that a domain has for them, and ports for those. */
static void interrupts(void)
{
  static const u32 irqs[] = {0, 1, 5, 23, 24, 215, 216, 5000, 0xffffffff};
  for (u64 i = 0; i < sizeof irqs / sizeof *irqs; i++) {
    op("irq_status_query", PHYSDEV_OP, 5, irqs[i], 0, 0, 0, 2);
    op("eoi", PHYSDEV_OP, 12, irqs[i], 0, 0, 0, 1);
    op("alloc_irq_vector", PHYSDEV_OP, 10, irqs[i], 0, 0, 0, 2);
    op("unmap nothing", PHYSDEV_OP, 14, DOMID_SELF, irqs[i], 0, 0, 2);
  }
  op("apic_read of none", PHYSDEV_OP, 8, 0x12345000, 0, 1, 7, 4);
  op("apic_write to none", PHYSDEV_OP, 9, 0x12345000, 0, 1, 7, 4);

  /* {domain, type, index, number}: of a line, type 1. */
  op("map", PHYSDEV_OP, 13, DOMID_SELF, 1, 5, 5, 4);
  op("map again", PHYSDEV_OP, 13, DOMID_SELF, 1, 5, 5, 4);
  op("map to another", PHYSDEV_OP, 13, DOMID_SELF, 1, 5, 6, 4);
  op("map to any, again", PHYSDEV_OP, 13, DOMID_SELF, 1, 5, -1, 4);
  op("map to any", PHYSDEV_OP, 13, DOMID_SELF, 1, 6, -1, 4);
  op("map to any", PHYSDEV_OP, 13, DOMID_SELF, 1, 19, -1, 4);
  op("map to a number in use", PHYSDEV_OP, 13, DOMID_SELF, 1, 7, 5, 4);
  op("map elsewhere", PHYSDEV_OP, 13, DOMID_SELF, 1, 7, 30, 4);
  op("map beyond", PHYSDEV_OP, 13, DOMID_SELF, 1, 10, 5000, 4);
  op("map below", PHYSDEV_OP, 13, DOMID_SELF, 1, 11, -5, 4);
  op("map 0", PHYSDEV_OP, 13, DOMID_SELF, 1, 0, 3, 4);
  op("map 0 to 0", PHYSDEV_OP, 13, DOMID_SELF, 1, 0, 0, 4);
  op("map of no line", PHYSDEV_OP, 13, DOMID_SELF, 1, 500, 12, 4);
  op("map of no line", PHYSDEV_OP, 13, DOMID_SELF, 1, -2, 12, 4);
  op("map of a message", PHYSDEV_OP, 13, DOMID_SELF, 0, -1, -1, 4);
  op("map of a message", PHYSDEV_OP, 13, DOMID_SELF, 0, -1, 40, 4);
  op("map of the line between", PHYSDEV_OP, 13, DOMID_SELF, 1, 2, 2, 4);
  op("bind_pirq between", EVENT_CHANNEL_OP, 2, 2, 0, 0, 0, 3);
  op("map of type 2", PHYSDEV_OP, 13, DOMID_SELF, 2, 12, 12, 4);
  op("map of type 9", PHYSDEV_OP, 13, DOMID_SELF, 9, 12, 12, 4);
  op("map for another", PHYSDEV_OP, 13, 77, 1, 12, 12, 4);
  op("irq_status_query", PHYSDEV_OP, 5, 5, 0, 0, 0, 2);
  op("eoi", PHYSDEV_OP, 12, 5, 0, 0, 0, 1);

  op("bind_pirq", EVENT_CHANNEL_OP, 2, 5, 0, 0, 0, 3);
  u32 port = DATA[2];
  op("bind_pirq again", EVENT_CHANNEL_OP, 2, 5, 1, 0, 0, 3);
  op("bind_pirq of none", EVENT_CHANNEL_OP, 2, 13, 0, 0, 0, 3);
  op("bind_pirq of 0", EVENT_CHANNEL_OP, 2, 0, 0, 0, 0, 3);
  op("bind_pirq beyond", EVENT_CHANNEL_OP, 2, 5000, 0, 0, 0, 3);
  op("bind_pirq below", EVENT_CHANNEL_OP, 2, -1, 0, 0, 0, 3);
  op("bind_pirq to share", EVENT_CHANNEL_OP, 2, 30, 1, 0, 0, 3);
  u32 shared = DATA[2];
  op("status pirq", EVENT_CHANNEL_OP, 5, DOMID_SELF, port, 0, 0, 6);
  op("send pirq", EVENT_CHANNEL_OP, 4, port, 0, 0, 0, 1);
  op("bind_vcpu pirq", EVENT_CHANNEL_OP, 8, port, 0, 0, 0, 1);
  op("unmask pirq", EVENT_CHANNEL_OP, 9, port, 0, 0, 0, 1);
  op("irq_status_query bound", PHYSDEV_OP, 5, 5, 0, 0, 0, 2);
  op("irq_status_query shared", PHYSDEV_OP, 5, 30, 0, 0, 0, 2);
  op("eoi bound", PHYSDEV_OP, 12, 5, 0, 0, 0, 1);
  op("close pirq", EVENT_CHANNEL_OP, 3, port, 0, 0, 0, 1);
  op("bind_pirq anew", EVENT_CHANNEL_OP, 2, 5, 0, 0, 0, 3);
  port = DATA[2];
  op("unmap bound", PHYSDEV_OP, 14, DOMID_SELF, 5, 0, 0, 2);
  op("status of what was bound", EVENT_CHANNEL_OP, 5, DOMID_SELF, port, 0, 0, 6);
  op("unmap again", PHYSDEV_OP, 14, DOMID_SELF, 5, 0, 0, 2);
  op("map what was bound", PHYSDEV_OP, 13, DOMID_SELF, 1, 5, 5, 4);
  op("bind what was bound", EVENT_CHANNEL_OP, 2, 5, 0, 0, 0, 3);
  op("close what was bound", EVENT_CHANNEL_OP, 3, port, 0, 0, 0, 1);
  op("map what was unmapped", PHYSDEV_OP, 13, DOMID_SELF, 1, 5, 5, 4);
  op("close shared", EVENT_CHANNEL_OP, 3, shared, 0, 0, 0, 1);
  op("unmap", PHYSDEV_OP, 14, DOMID_SELF, 30, 0, 0, 2);
  op("map after unmap", PHYSDEV_OP, 13, DOMID_SELF, 1, 7, 30, 4);
  op("unmap for another", PHYSDEV_OP, 14, 77, 30, 0, 0, 2);

  op("get_free_pirq of a line", PHYSDEV_OP, 23, 1, 0, 0, 0, 2);
  op("get_free_pirq of a line", PHYSDEV_OP, 23, 1, 0, 0, 0, 2);
  op("get_free_pirq of a message", PHYSDEV_OP, 23, 0, 0, 0, 0, 2);
  op("get_free_pirq of a message", PHYSDEV_OP, 23, 0, 0, 0, 0, 2);
  op("get_free_pirq of what is none", PHYSDEV_OP, 23, 9, 0, 0, 0, 2);
  op("map to what was given", PHYSDEV_OP, 13, DOMID_SELF, 1, 18, 16, 4);
  op("bind_pirq given", EVENT_CHANNEL_OP, 2, 17, 0, 0, 0, 3);
  op("unmap given", PHYSDEV_OP, 14, DOMID_SELF, 17, 0, 0, 2);

  op("setup_gsi", PHYSDEV_OP, 21, 9, 0, 0, 0, 1);
  op("setup_gsi", PHYSDEV_OP, 21, 10, 1, 1, 0, 1);
  op("setup_gsi again", PHYSDEV_OP, 21, 10, 1, 1, 0, 1);
  op("setup_gsi", PHYSDEV_OP, 21, 20, 1, 1, 0, 1);
  op("setup_gsi 0", PHYSDEV_OP, 21, 0, 0, 0, 0, 1);
  op("setup_gsi beyond", PHYSDEV_OP, 21, 500, 0, 0, 0, 1);
  op("setup_gsi below", PHYSDEV_OP, 21, -1, 0, 0, 0, 1);
}

/* A device of the PCI bus that is not there, and the frame of flags. */
static void devices(void)
{
  op("pci_add", PHYSDEV_OP, 15, 0xf100, 0, 0, 0, 1);
  op("pci_remove", PHYSDEV_OP, 16, 0xf100, 0, 0, 0, 1);
  op("pci_remove again", PHYSDEV_OP, 16, 0xf100, 0, 0, 0, 1);
  op("pci_add_ext", PHYSDEV_OP, 20, 0xf100, 0, 0, 0, 1);
  op("pci_remove", PHYSDEV_OP, 16, 0xf100, 0, 0, 0, 1);
  op("pci_device_add", PHYSDEV_OP, 25, 0xf1000000, 0, 0, 0, 1);
  op("pci_device_remove", PHYSDEV_OP, 26, 0xf1000000, 0, 0, 0, 1);
  op("pci_device_remove again", PHYSDEV_OP, 26, 0xf1000000, 0, 0, 0, 1);
  op("restore_msi", PHYSDEV_OP, 19, 0xf100, 0, 0, 0, 1);
  op("restore_msi_ext", PHYSDEV_OP, 27, 0xf1000000, 0, 0, 0, 1);
  op("mmcfg_reserved", PHYSDEV_OP, 24, 0xe0000000, 0, 0xff000000, 1, 4);
  op("dbgp", PHYSDEV_OP, 29, 1, 0, 0, 0, 1);
  op("prepare_msix", PHYSDEV_OP, 30, 0xf1000000, 0, 0, 0, 1);
  op("release_msix", PHYSDEV_OP, 31, 0xf1000000, 0, 0, 0, 1);
  op("pci_device_reset", PHYSDEV_OP, 32, 0xf1000000, 1, 0, 0, 1);
  static const u64 unknown[] = {0, 1, 2, 3, 4, 11, 18, 22, 33, 99};
  for (u64 i = 0; i < sizeof unknown / sizeof *unknown; i++)
    op("unknown physdev_op", PHYSDEV_OP, unknown[i], 0, 0, 0, 0, 1);
  say("no structure", hypercall(PHYSDEV_OP, 5, 0xffff800000000000, 0, 0, 0));
  end();

  u64 frame = p2m[(POOL - BASE) / PAGE + 9];
  op("eoi frame of none", PHYSDEV_OP, 28, 0x7fffffff, 0, 0, 0, 2);
  DATA64[0] = frame;
  say("eoi frame", hypercall(PHYSDEV_OP, 28, POOL, 0, 0, 0));
  end();
  say("eoi frame again", hypercall(PHYSDEV_OP, 28, POOL, 0, 0, 0));
  end();
  say("eoi frame of old", hypercall(PHYSDEV_OP, 17, POOL, 0, 0, 0));
  end();
  put("@call flags");
  for (u64 i = 0; i < 4; i++) {
    put(" ");
    put_hex(((volatile u64 *)(POOL + 9 * PAGE))[i]);
  }
  end();
}

/* An operation of the platform with six words behind its version, and `out` words of it. */
static s64 platform_op(const char *name, u32 command, u32 a, u32 b, u32 c, u32 d, u64 out)
{
  for (u64 i = 0; i < 34; i++)
    DATA[i] = 0;
  DATA[0] = command;
  DATA[1] = 0x03000001;
  DATA[2] = a;
  DATA[3] = b;
  DATA[4] = c;
  DATA[5] = d;
  s64 rc = hypercall(PLATFORM_OP, POOL, 0, 0, 0, 0);
  say(name, rc);
  for (u64 i = 0; i < out; i++) {
    put(" ");
    put_hex(DATA[2 + i]);
  }
  end();
  return rc;
}

static void wall_clock(const char *name)
{
  volatile u32 *shared = (volatile u32 *)SHARED_INFO;
  say(name, shared[0xc00 / 4] & 1);
  put(" ");
  put_hex(shared[0xc04 / 4]);
  put(" ");
  put_hex(shared[0xc08 / 4]);
  put(" ");
  put_hex(shared[0xc0c / 4]);
  end();
}

static void platform_ops(void)
{
  platform_op("settime", 17, 0x10000000, 0, 5, 0, 0);
  wall_clock("wall clock");
  platform_op("settime of a moment", 17, 0x10000000, 0, 5, 1000000000, 0);
  wall_clock("wall clock");
  platform_op("settime64", 62, 0x50000000, 1, 999999999, 0, 0);
  wall_clock("wall clock");
  platform_op("settime64 with more", 62, 0x50000000, 1, 999999999, 1, 0);
  wall_clock("wall clock");
  for (u32 type = 0; type < 8; type++)
    platform_op("firmware_info beyond", 50, type, 200, 0, 0, 0);
  platform_op("firmware_info efi", 50, 4, 0, 0, 0, 0);
  platform_op("firmware_info keyboard", 50, 5, 0, 0, 0, 0);
  platform_op("firmware_info keyboard", 50, 5, 1, 0, 0, 0);
  platform_op("enter_acpi_sleep", 51, 0, 0, 0, 0, 0);
  platform_op("change_freq", 52, 0, 0, 0, 0, 0);
  platform_op("getidletime", 53, 0, 0, 0, 0, 0);
  for (u32 type = 0; type < 5; type++)
    platform_op("set_processor_pminfo", 54, 0, type, 0, 0, 0);
  DATA[0x100] = 1;
  DATA[0x101] = 1;
  DATA[0x102] = 0x15;
  platform_op("set_processor_pminfo caps", 54, 0, 3, (u32)(POOL + 0x400), 0xffffffff, 0);
  platform_op("get_cpuinfo", 55, 0, 0, 0, 0, 5);
  platform_op("get_cpuinfo of none", 55, 1, 0, 0, 0, 5);
  platform_op("get_cpuinfo beyond", 55, 9999, 0, 0, 0, 5);
  platform_op("get_cpu_version of none", 48, 9999, 0, 0, 0, 8);
  platform_op("get_cpu_version", 48, 0, 0, 0, 0, 8);
  platform_op("cpu_online", 56, 0, 0, 0, 0, 0);
  platform_op("cpu_online of none", 56, 9, 0, 0, 0, 0);
  platform_op("cpu_offline", 57, 0, 0, 0, 0, 0);
  platform_op("cpu_offline of none", 57, 9, 0, 0, 0, 0);
  platform_op("core_parking", 60, 9, 0, 0, 0, 0);
  for (u32 number = 0; number < 9; number++)
    platform_op("read_memtype", 33, number, 0, 0, 0, 7);
  platform_op("unknown platform_op", 0, 0, 0, 0, 0, 0);
  platform_op("unknown platform_op", 99, 0, 0, 0, 0, 0);
  DATA[1] = 0x03000000;
  say("platform_op of another version", hypercall(PLATFORM_OP, POOL, 0, 0, 0, 0));
  end();
  say("no structure", hypercall(PLATFORM_OP, 0xffff800000000000, 0, 0, 0, 0));
  end();
}

/* Machine checks: {command, version, ...}. */
static void mca(const char *name, u32 command, u32 version, u32 a, u64 out)
{
  for (u64 i = 0; i < 64; i++)
    DATA[i] = 0;
  DATA[0] = command;
  DATA[1] = version;
  DATA[2] = a;
  say(name, hypercall(MCA, POOL, 0, 0, 0, 0));
  for (u64 i = 0; i < out; i++) {
    put(" ");
    put_hex(DATA[2 + i]);
  }
  end();
}

static void machine_checks(void)
{
  enum { VERSION = 0x01ecc003 };
  mca("mca of another version", 3, 1, 0, 1);
  mca("mca count of cpus", 3, VERSION, 0, 1);
  mca("mca fetch", 1, VERSION, 1, 1);
  mca("mca fetch urgent", 1, VERSION, 2, 1);
  mca("mca fetch nothing", 1, VERSION, 0, 1);
  mca("mca notify", 2, VERSION, 0, 1);
  mca("mca unknown", 99, VERSION, 0, 1);
}

CODE(in_byte) CODE(in_word) CODE(in_long) CODE(out_byte) CODE(out_long)

/* Ports: Xen's own latches, those of devices that it keeps for itself, and where nothing is. */
static void ports(void)
{
  static const u64 plain[] = {0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x43, 0x70, 0x279, 0x3f8, 0x1234};
  try("out clock", code_out_byte, 0x8d, 0x70, 0);
  for (u64 i = 0; i < sizeof plain / sizeof *plain; i++)
    try("in", code_in_byte, 0, plain[i], RAX | RCX);
  try("in clock", code_in_byte, 0, 0x71, RAX);
  try("in clock", code_in_word, 0, 0x70, RAX);
  try("out pci address", code_out_long, 0x8000f100, 0xcf8, 0);
  try("in pci address", code_in_long, 0, 0xcf8, RAX);
  try("in pci data", code_in_long, 0, 0xcfc, RAX);
  try("out speaker", code_out_byte, 0x00, 0x61, 0);
  try("in PICs", code_in_word, 0, 0x20, RAX);
}

/* The machine's map, {u32 room, u64 list}: how many entries, with room for too few, and with room for all of them. */
static void machine_map(const char *name, u32 room, u64 list, u64 shown)
{
  for (u64 i = 0; i < 0x200; i++)
    DATA[i] = 0;
  DATA[0] = room;
  DATA64[1] = list;
  say(name, hypercall(MEMORY_OP, 10, POOL, 0, 0, 0));
  put(" ");
  put_hex(DATA[0]);
  for (u64 i = 0; i < shown * 5; i++) {
    put(" ");
    put_hex(DATA[0x40 + i]);
  }
  end();
}

static void machine_memory(void)
{
  machine_map("machine map counted", 128, 0, 0);
  machine_map("machine map", 2, POOL + 0x100, 2);
  machine_map("machine map", 128, POOL + 0x100, 12);
  machine_map("machine map nowhere", 128, 0xffff800000000000, 0);
  op("current_reservation", MEMORY_OP, 3, DOMID_SELF, 0, 0, 0, 1);
  op("maximum_reservation", MEMORY_OP, 4, DOMID_SELF, 0, 0, 0, 1);
  op("maximum_reservation of none", MEMORY_OP, 4, 77, 0, 0, 0, 1);
  op("memory_map", MEMORY_OP, 9, 128, 0, (u32)(POOL + 0x100), 0xffffffff, 1);
}

/* Frames of devices: the APIC's, and the range that messages of interrupts are written to. */
static void device_frames(void)
{
  static const u64 frames[] = {0xfee00, 0xfee01, 0xfeeff, 0xfef00, 0xfec00, 0xfec01, 0xfd00000, 0xfcfffff, 0x10000000};
  u64 page = POOL + 10 * PAGE;
  for (u64 i = 0; i < sizeof frames / sizeof *frames; i++) {
    say("map device", update_va(page, frames[i] << 12 | 0x17, UVMF_INVLPG, DOMID_SELF));
    put(" ");
    put_hex(frames[i]);
    end();
  }
  update_va(page, p2m[(page - BASE) / PAGE] << 12 | 0x67, UVMF_INVLPG, DOMID_SELF);
}

void platform(void)
{
  device_frames();
  machine_memory();
  interrupts();
  devices();
  platform_ops();
  machine_checks();
  op("xenpmu", 40, 0, 0, 0, 0, 0, 0);
  op("kexec range", 37, 3, 0, 0, 0, 0, 6);
  op("kexec range of none", 37, 3, 99, 0, 0, 0, 6);
  op("kexec unknown", 37, 99, 0, 0, 0, 0, 0);
  op("xsm", 27, 0, 0, 0, 0, 0, 0);
  say("nmi_op", hypercall(28, 9, POOL, 0, 0, 0));
  end();
  for (u32 virq = 2; virq < 24; virq++)
    op("bind_virq", EVENT_CHANNEL_OP, 1, virq, 0, 0, 0, 0);
  DATA[0] = 1;
  hypercall(PHYSDEV_OP, 6, POOL, 0, 0, 0);
  ports();
}
