/* What Xen's domain builder has to know of the image: ELF notes of the name "Xen". */
#include "layout.h"

    .macro TEXT_NOTE type, text
    .align 4
    .long 4, 2f - 1f, \type
    .asciz "Xen"
1:  .asciz "\text"
2:  .align 4
    .endm

    .macro NUMBER_NOTE type, number
    .align 4
    .long 4, 8, \type
    .asciz "Xen"
    .quad \number
    .endm

    .section .note.Xen, "a", @note
    NUMBER_NOTE 1, start            /* ENTRY */
    NUMBER_NOTE 3, BASE             /* VIRT_BASE */
    NUMBER_NOTE 4, BASE             /* PADDR_OFFSET: the physical addresses of the image are its virtual ones */
    TEXT_NOTE 5, "xen-3.0"          /* XEN_VERSION */
    TEXT_NOTE 6, "probe"            /* GUEST_OS */
    TEXT_NOTE 8, "generic"          /* LOADER */
    TEXT_NOTE 9, "yes"              /* PAE_MODE */

    .section .note.GNU-stack, "", @progbits
