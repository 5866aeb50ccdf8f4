import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadInput } from '../../src/bits/bad-input.ts'
import { parseXlConfig } from '../../src/toolstack/xl-config.ts'

test('a configuration as xl has it', () => {
  const config = parseXlConfig(
    `# Debian 12, as it stands
name = "deb12" ; type = 'pv'
kernel='/boot/vmlinuz'   # ours
ramdisk = "/boot/initrd.img"
memory = 0x200
maxmem = 1024
vcpus = 1
root = "/dev/xvda1 ro"
extra = "quiet init=\\"/bin/sh\\""
disk = [ 'phy:/dev/vg/a,xvda,w',
         'file:/b.img,xvdb,r', ]
vif = [ ]
on_crash = destroy
`,
    'guest.cfg',
  )
  assert.deepEqual(config, {
    name: 'deb12',
    kernel: '/boot/vmlinuz',
    ramdisk: '/boot/initrd.img',
    memory: 512,
    maxmem: 1024,
    append: 'root=/dev/xvda1 ro quiet init="/bin/sh"',
    ignored: ['disk', 'vif', 'on_crash'],
  })
})

test('cmdline stands for root and extra; += adds; several vcpus are told', () => {
  const config = parseXlConfig('extra="a"\nextra+=" b"\nvcpus=4\nkernel="k"', 'c')
  assert.deepEqual(config, { kernel: 'k', append: 'a b', ignored: ['vcpus'] })
  assert.equal(parseXlConfig('cmdline="x"\nextra="y"\nroot="z"', 'c').append, 'x')
  assert.deepEqual(parseXlConfig('', 'c'), { ignored: [] })
})

const WRONG: readonly (readonly [string, RegExp])[] = [
  ['type = "hvm"', /^c: a guest of type hvm; only PV guests/],
  ['builder = "hvm"', /type hvm/],
  ['type = "pvh"', /type pvh/],
  ['memory = "lots"', /^c: memory = lots is not a whole number/],
  ['memory = [ 1 ]', /^c: memory is a list/],
  ['bootloader = "pygrub"', /name the kernel by kernel = "FILE"/],
  ['kernel = "a\nname = "b"', /^c: line 1: a string has no closing "/],
  ['\n\nkernel', /^c: line 3: kernel has no =/],
  ['disk = [ "a" "b" ]', /^c: line 1: a list has no end/],
  ['name = "a" "b"', /^c: line 1: the value of name goes on/],
  ['<domain type="xen">', /^c: line 1: a name is expected/],
  ['kernel = ', /^c: line 1: a value is expected/],
]

for (const [text, message] of WRONG) {
  test(`wrong: ${JSON.stringify(text)}`, () => {
    assert.throws(
      () => parseXlConfig(text, 'c'),
      (error) => error instanceof BadInput && message.test(error.message) && !error.message.includes('\n'),
    )
  })
}
