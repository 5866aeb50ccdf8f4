import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explainText } from '../../src/explain/explain.ts'
import { accountOf } from '../../src/explain/report/boot-account.ts'
import { type BootOptions, boot } from '../../src/run/boot/boot.ts'

const C: BootOptions = { linux: 'C', xen: '4.17', domain: 'domU', vEnd: 28 << 20 }
const OWN: BootOptions = { ...C, memory: 2049 * 256, hasMap: false }
const account = (options: BootOptions): string =>
  accountOf(boot(options), options).join(' ').replace(/\s+/g, ' ')

test("the workaround's own refusal is told from a table that was freed: the page lies in the range that is given back", () => {
  const { console: lines, outcome, pfn } = boot(OWN)
  assert.equal(outcome, 'refused')
  const [cause] = explainText(lines.join('\n')).causes
  assert.equal(cause?.class, 'rw-mapping-refused')
  assert.match(cause?.title ?? '', new RegExp(`pfn ${pfn?.slice(2)} .* gave back what it had not used`))
  assert.ok(cause?.evidence.some(({ text }) => text.startsWith('xen: setting RW the range')))
  // Of another range, or of one that is given back behind the refusal, that cannot be said.
  const other = lines.map((line) => line.replace(/RW the range 7.*/, 'RW the range 1000000 - 1200000'))
  assert.equal(explainText(other.join('\n')).causes[0]?.class, 'pinned-table-freed')
  const at = lines.findLastIndex((line) => line.includes('setting RW the range'))
  const late = [...lines.slice(0, at), ...lines.slice(at + 1), lines[at]]
  assert.equal(explainText(late.join('\n')).causes[0]?.class, 'pinned-table-freed')
})

test('the account of a boot tells the three ways apart', () => {
  const only = account({ ...C, memory: 512 * 256 })
  assert.match(only, /tail \[1ff[0-9a-f]+, 20000\) of the first buffer/)
  assert.match(only, /this guest's map leads to one call alone/)
  const second = account({ ...C, memory: 5000 * 256, vEnd: 60 << 20 })
  assert.match(second, /of the second buffer for page tables/)
  assert.match(second, /so came the first tail back, in the second call/)
  const own = account(OWN)
  assert.match(own, /allocator took tables of the vmemmap from this one/)
  assert.match(
    own,
    /WHAT CURES IT The same machine booted once more with commits b9269dc7bfdf and 279b706bf800 \(generation D\): it boots/,
  )
  // Without the workaround there is nothing to say of it until it is tried, and fails alike.
  const [why, cure] = account({ ...C, linux: 'C0', memory: 512 * 256 }).split('WHAT CURES IT')
  assert.doesNotMatch(why, /mark_rw_past_pgt/)
  assert.match(cure, /\(generation C\): it dies of the same page\. mark_rw_past_pgt\(\) gives a tail back/)
})
