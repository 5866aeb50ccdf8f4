/* Made from test/cpu/record.ts and case.ts by test/cpu/native/header.ts: do not edit. */
#define RECORD_AT_record_bytes 0 /* length of the record with its data, a multiple of 16 */
#define RECORD_AT_number 4 /* number of the case */
#define RECORD_AT_uses_fpu 8 /* whether x87 and SSE state is loaded and stored */
#define RECORD_AT_code_at 12 /* offset of the code in its pages */
#define RECORD_AT_code_bytes 16 /* length of the code */
#define RECORD_AT_target 20 /* offset of a second place to stop at */
#define RECORD_AT_data_at 24 /* offset of the data in its pages */
#define RECORD_AT_data_bytes 28 /* length of the data */
#define RECORD_AT_code 32 /* the code */
#define RECORD_AT_vector 64 /* the exception, or all ones; from here on the harness writes */
#define RECORD_AT_error_code 68 /* error code of the exception */
#define RECORD_AT_address 72 /* CR2 of a page fault */
#define RECORD_AT_rip 80 /* rip afterwards */
#define RECORD_AT_rflags 88 /* RFLAGS */
#define RECORD_AT_gpr 96 /* general registers by number */
#define RECORD_AT_fcw 224 /* x87 control word; from here on as FXSAVE has it */
#define RECORD_AT_fsw 226 /* x87 status word */
#define RECORD_AT_ftw 228 /* x87 abridged tags */
#define RECORD_AT_fop 230 /* x87 last opcode, not compared */
#define RECORD_AT_fip 232 /* x87 last instruction, not compared */
#define RECORD_AT_fdp 240 /* x87 last operand, not compared */
#define RECORD_AT_mxcsr 248 /* MXCSR */
#define RECORD_AT_mxcsr_mask 252 /* bits of MXCSR that exist, not compared */
#define RECORD_AT_st 256 /* x87 registers from ST(0) on, 16 bytes each */
#define RECORD_AT_xmm 384 /* xmm0 to xmm15 */
#define RECORD_HEAD 640
#define MAX_CODE 32
#define SPACE_code 0x10000000UL
#define SPACE_codeBytes 0x2000UL
#define SPACE_data 0x20000000UL
#define SPACE_dataBytes 0x2000UL
#define SPACE_readOnly 0x20002000UL
#define SPACE_readOnlyBytes 0x1000UL
#define SPACE_fsBase 0x1e000000UL
#define SPACE_gsBase 0x1f000000UL
