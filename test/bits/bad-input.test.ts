import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from '../../src/bits/bad-input.ts'

test('the nearest name is offered, and none when all are far', () => {
  assert.equal(nearest('bot', ['boot', 'maps']), 'boot')
  assert.equal(nearest('BOOTED', ['booted', 'fault']), 'booted')
  assert.equal(nearest('completions', ['completion', 'boot']), 'completion')
  assert.equal(nearest('zzz', ['boot', 'maps']), undefined)
  assert.equal(nearest('', ['boot']), undefined)
})
