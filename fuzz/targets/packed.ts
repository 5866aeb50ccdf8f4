/**
 * A kernel of some hundred bytes (a tiny one that says hello) as xz and lzma pack it, which Node cannot do by itself:
 * `xz --check=crc32 --x86 --lzma2=dict=64KiB` and `xz --format=lzma -0`. In base64.
 */
export const PACKED_BYTES = 359
export const XZ =
  '/Td6WFoAAAFpIt42AgEEACEBCADSuXTL4AFmAJ5dAD+RRYRoPYmm2orMk+Y3da/L5mvRwn97QkGZSge075b5l7Zb/TByTjRk9BZgL0jFs0EoBO1q+/c/' +
  'SYqqO5/ne7HakSHiAH3xauDkblx5FhWjOPL8CzxtoITujOb2FI3fwBniea19aXgyEgsraIj4QfEDZVe2M0YTzCB1Wtnw2/GCKVcw4qyKWyQDU3VhU7ix' +
  'Iy7/98IcfKgOBf8APAAAAAAApXtKoQABtgHnAgAA6qCKej4wDYsCAAAAAAFZWg=='
export const LZMA =
  'XQAABAD//////////wA/kUWEaD2GJgC9L5HEdQxfKWbF/yCNh6e7YzVSwVGbxuQ9/ruIu5WS4858H+Dfr2sc/XanE/MzGTe1RDeLBgJc3zquzXrj175u' +
  'Q3FsCmrDqD/es6FOCuBR+OXRcciLF7bneaEgZncz4pAjSojd+llfWVCYbuOimJcsXLk4Rfh2onaEGhsY5Z9ZJnGct1uOUHhrLD8cWq2HPhX79N93EPrD' +
  'YbE//qXVgA=='
