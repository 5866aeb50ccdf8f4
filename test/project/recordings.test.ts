import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pack, recorded, recordings, unpack } from '../tools/recordings.ts'

test('what real Xen did travels with the repository', () => {
  const count = (folder: string): number => recordings(folder).length
  assert.ok(count('oracle/fuzz') >= 95)
  assert.ok(count('oracle/fuzz-domu') >= 63)
  for (const version of ['oracle', 'oracle-4.14', 'oracle-4.20'])
    for (const folder of ['hand', 'hand-domu']) assert.ok(count(`${version}/${folder}`) >= 76)
  assert.equal(JSON.parse(recorded('real-boots/boots.json')).boots.length, 72)
  assert.equal(JSON.parse(recorded('real-boots/domu-2011.json')).boots.length, 43)
  assert.ok(count('real-boots/logs') >= 9)
})

test('a pack is the same for the same files, in whatever order, and gives them back byte for byte', () => {
  const files = [
    { path: 'b/2.log', text: 'no end of line, and bytes that are no text: \x00\xff\x80' },
    { path: 'a/1.jsonl', text: '{"a":1}\n{"b 7\\n":2}\n' },
    { path: 'b/1.log', text: '' },
  ]
  const packed = pack(files)
  assert.deepEqual(pack(files.toReversed()), packed)
  assert.deepEqual(unpack(packed), [files[1], files[2], files[0]])
})

test('a recording that is not there is named', () => {
  assert.throws(() => recorded('oracle/hand/none.jsonl'), /no recording is named oracle\/hand\/none\.jsonl/)
  assert.deepEqual(recordings('nothing'), [])
})
