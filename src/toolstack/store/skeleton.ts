/** What libxl makes of every PV domain, relative to its home. Xen: libxl__domain_make(). */

/** Nodes that are dom0's, and that the guest may read, as it may everything that the toolstack writes there. */
export const DIRECTORIES = ['cpu', 'memory', 'device', 'control'] as const

/** Nodes that are the guest's own. */
export const SHARED_NODES = [
  'device/suspend/event-channel',
  'control/shutdown',
  'control/feature-poweroff',
  'control/feature-reboot',
  'control/feature-suspend',
  'control/sysrq',
  'data',
  'drivers',
  'feature',
  'attr',
  'error',
] as const
