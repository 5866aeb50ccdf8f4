import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runScript } from '../../src/run/script/script.ts'
import { GuestLogLimit, LOG_LEVEL } from '../../src/xen/console/guest-log.ts'
import { xenVersion } from '../../src/xen/versions/index.ts'

const RELEASE = xenVersion('4.17-release').messages.guestLog
const DEBUG = xenVersion('4.17').messages.guestLog
const SECOND = 1e9

test('a release build prints ten warnings at once and one more every five seconds, and says what it left out', () => {
  const limit = new GuestLogLimit()
  const told: number[] = []
  const at = (now: number): boolean =>
    limit.admits(LOG_LEVEL.warning, RELEASE, now, (missed) => told.push(missed))
  assert.equal(Array.from({ length: 13 }, () => at(0)).filter(Boolean).length, 10)
  assert.equal(at(4.9 * SECOND), false)
  assert.equal(at(5 * SECOND), true)
  assert.deepEqual(told, [4])
  assert.equal(at(6 * SECOND), false)
  assert.equal(at(10 * SECOND), true)
  assert.deepEqual(told, [4, 1])
})

test('information is not printed by a release build, and everything is by a debug build', () => {
  const limit = new GuestLogLimit()
  assert.equal(
    limit.admits(LOG_LEVEL.info, RELEASE, 0, () => {}),
    false,
  )
  for (let i = 0; i < 100; i++) {
    assert.equal(
      limit.admits(LOG_LEVEL.info, DEBUG, 0, () => {}),
      true,
    )
  }
})

test('scripts run with guest_loglvl=all, so that a release build says whose a frame is', () => {
  const { lines } = runScript('page A\npin1 XPERD', { xen: '4.17-release' })
  assert.match(lines[1].log?.join('\n') ?? '', /^d0v0 Error mfn /)
})
