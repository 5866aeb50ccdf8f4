/** PE, MP, ET, NE, WP, AM and PG: what cr0 has on a machine that runs, TS apart, which is a guest's own. */
export const CR0 = 0x8005_0033
export const TASK_SWITCHED = 8
/** PAE, MCE, OSFXSR and OSXMMEXCPT: cr4 as a guest reads it. None of it is its own. */
export const CR4 = 0x660
