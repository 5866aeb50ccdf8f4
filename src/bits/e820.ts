/** Types of an e820 entry as the memory-map hypercalls and firmware number them. */
export const E820 = { usable: 1, reserved: 2, 'ACPI data': 3, 'ACPI NVS': 4, unusable: 5 } as const
export type E820Type = keyof typeof E820

/** One entry of a memory map: bytes, `end` exclusive. */
export type E820Entry = { readonly start: number; readonly end: number; readonly type: E820Type }
