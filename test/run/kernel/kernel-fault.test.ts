import assert from 'node:assert/strict'
import { test } from 'node:test'
import { junitReport } from '../../../src/cli/junit.ts'
import { bootKernel, type KernelResult } from '../../../src/run/kernel/kernel-boot.ts'
import { explanationLines } from '../../../src/run/kernel/kernel-explain.ts'
import { faultText } from '../../../src/run/kernel/kernel-fault.ts'
import { kernelOf } from '../../tools/tiny-kernel.ts'

/** The guest ends for a reason: 0 power off, 3 crash. */
const shutdown = (reason: number): string => `
        push ${reason}
        mov edi, 2
        mov rsi, rsp
        mov eax, sched_op
        syscall
`

/** Handles its page faults at `handler`, and has the page at text + 0x1000, pfn 101, mapped read-only. */
const kernel = (code: string, handler: string): Buffer =>
  kernelOf(
    `
        mov r15, rsi
        push 0
        push 0
        lea rax, [rip + handler]
        push rax
        mov rax, 0xe033000e           ; cs, no flags, vector 14
        push rax
        mov rdi, rsp
        mov eax, set_trap_table
        syscall
        mov rbx, [r15 + 104]
        mov rsi, [rbx + 2056]
        shl rsi, 12
        or rsi, 0x65
        mov rdi, text
        add rdi, 0x1000
        mov edx, 2
        mov eax, update_va_mapping
        syscall
        mov rdi, text
        add rdi, 0x1000
        xor r14d, r14d
        ${code}
stay:   jmp stay
handler: ${handler}
over:   jmp over`,
    { room: 0x4000 },
  )

function run(bytes: Uint8Array): KernelResult {
  return bootKernel({ kernel: { name: 'k', bytes }, memory: 4096, timeLimit: 0.1, explain: true })
}

const STORE = '        mov [rdi + 8], r14'

test('a kernel that dies in its handler: the page, the entry and the instruction, whatever it says itself', () => {
  const result = run(kernel(STORE, shutdown(3)))
  assert.equal(result.outcome, 'crash')
  const { fault } = result
  assert.ok(fault !== null)
  assert.equal(fault.address, '0xffffffff80101008')
  assert.deepEqual([fault.access, fault.mapped, fault.error, fault.pfn], ['store', true, 3, '0x101'])
  assert.deepEqual(
    fault.path.map(({ level, slot }) => [level, slot]),
    [
      [4, 511],
      [3, 510],
      [2, 0],
      [1, 0x101],
    ],
  )
  assert.doesNotMatch(fault.path[3].flags, /RW/)
  assert.match(
    faultText(fault),
    /^a store to ffffffff80101008 \(pfn 101, mapped read-only\) at ffffffff801000/,
  )
  const [explanation] = result.explanations
  assert.equal(explanation.kind, 'crash')
  assert.equal(explanation.frame?.pfn, '0x101')
  assert.equal(explanation.frame.mfn, fault.mfn)
  assert.equal(explanation.frame.saw, null)
  assert.ok(explanation.frame.holders.some((holder) => holder.includes('at ffffffff80101000')))
  const lines = explanationLines(explanation, fault).join('\n')
  assert.match(lines, /^WHERE THE GUEST DIED\n {2}on a store to ffffffff80101008 /)
  assert.match(lines, /^ {4}L1 at mfn [0-9a-f]+, slot 257: [0-9a-f]{16} P\|US/m)
  assert.doesNotMatch(lines, /null/)
  assert.match(
    junitReport(result),
    /ended by: crash: a store to ffffffff80101008 \(pfn 101, mapped read-only\)/,
  )
})

test('a death for which Xen finds no handler, of an address that is not mapped', () => {
  const { fault, explanations } = run(kernelOf('mov rax, [0x1000]'))
  assert.ok(fault !== null)
  assert.deepEqual([fault.address, fault.access, fault.mapped], ['0x0000000000001000', 'load', false])
  assert.deepEqual([fault.mfn, fault.pfn, fault.instruction], [null, null, 0])
  assert.deepEqual(
    fault.path.map(({ level }) => level),
    [4],
  )
  assert.equal(explanations[0].frame, null)
  assert.equal(
    faultText(fault),
    'a load from 0000000000001000 (not mapped: no entry in L4) at ffffffff80100000',
  )
})

test('of faults in one another the outermost is the cause', () => {
  const again = `
        inc r14d
        cmp r14d, 2
        jz last
        mov rax, [0x2000]
last:   ${shutdown(3)}`
  assert.equal(run(kernel(STORE, again)).fault?.address, '0xffffffff80101008')
})

/** Goes on behind the store, whose frame stays on the stack as it is. */
const GO_ON = `
        mov rsp, [rsp + 48]
        jmp behind`
const VERSION = `
        mov eax, xen_version
        xor edi, edi
        xor esi, esi
        syscall`

test('a fault that a kernel has come back from is none that it died of, though its frame still lies there', () => {
  const after = `${STORE}
behind: ${VERSION}
        sub rsp, 0x400
        ${shutdown(3)}`
  const result = run(kernel(after, GO_ON))
  assert.equal(result.outcome, 'crash')
  assert.equal(result.fault, null)
  assert.equal(result.explanations[0].frame, null)
  // The next one counts, with its own address.
  const next = `${STORE}
behind: ${VERSION}
        mov rax, [0x3000]`
  const second = `
        inc r14d
        cmp r14d, 2
        jz dead
        ${GO_ON}
dead:   ${shutdown(3)}`
  assert.equal(run(kernel(next, second)).fault?.address, '0x0000000000003000')
})

test('a kernel that ends otherwise has no such fault', () => {
  assert.equal(run(kernel(STORE, shutdown(0))).fault, null)
  assert.equal(run(kernelOf(shutdown(3))).fault, null)
  assert.doesNotMatch(junitReport(run(kernelOf(shutdown(3)))), /crash:/)
})
