import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cpuid } from '../../src/cpu/assist/cpuid.ts'
import { guestCpuid } from '../../src/xen/pv/cpuid.ts'

const bit = (word: number, n: number): number => (word >>> n) & 1

/** Family, model and stepping as cpu_detect() of Linux puts them together. */
function signature(eax: number): readonly [family: number, model: number, stepping: number] {
  const family = (eax >>> 8) & 15
  return [
    family + (family === 15 ? (eax >>> 20) & 0xff : 0),
    ((eax >>> 4) & 15) | ((eax >>> 12) & 0xf0),
    eax & 15,
  ]
}

test("a guest sees QEMU's qemu64, without SSE3 and as a virtual machine", () => {
  const ask = guestCpuid(cpuid)
  const [last, ...vendor] = ask(0, 0)
  assert.equal(last, 13)
  // ebx, edx, ecx.
  const name = Buffer.from(Uint32Array.of(vendor[0], vendor[2], vendor[1]).buffer).toString('latin1')
  assert.equal(name, 'AuthenticAMD')
  const [eax, , ecx, edx] = ask(1, 0)
  assert.deepEqual(signature(eax), [15, 107, 1])
  assert.equal(ask(0x8000_0001, 0)[0], eax)
  const inEcx = { pni: 0, ssse3: 9, cx16: 13, sse41: 19, xsave: 26, hypervisor: 31 }
  const seen = Object.entries(inEcx).filter(([, n]) => bit(ecx, n) === 1)
  assert.deepEqual(
    seen.map(([feature]) => feature),
    ['cx16', 'hypervisor'],
  )
  // fpu de tsc msr pae cx8 apic cmov pat clflush mmx fxsr sse sse2; not vme, pse and pge.
  for (const n of [0, 2, 4, 5, 6, 8, 9, 15, 16, 19, 23, 24, 25, 26]) assert.equal(bit(edx, n), 1, `bit ${n}`)
  for (const n of [1, 3, 13]) assert.equal(bit(edx, n), 0, `bit ${n}`)
  const [, , extended, extendedEdx] = ask(0x8000_0001, 0)
  assert.deepEqual(
    [bit(extended, 0), bit(extendedEdx, 11), bit(extendedEdx, 20), bit(extendedEdx, 29)],
    [1, 1, 1, 1],
  )
  // Leaves between say nothing, which is what a processor without what they are about says.
  for (let leaf = 2; leaf <= 13; leaf++) assert.deepEqual([...ask(leaf, 0)], [0, 0, 0, 0])
})
