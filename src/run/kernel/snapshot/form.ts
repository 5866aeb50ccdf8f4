import * as v from 'valibot'
import { IMAGE_BYTES } from '../../../cpu/assist/fxsave.ts'
import { SAVED_REGISTERS, type SavedCpu } from '../../../cpu/saved-cpu.ts'
import { listOf, text, whole } from '../../../files/checked.ts'
import { MAX_FRAMES } from '../../../machine/memory.ts'
import type { SavedXen } from '../../../xen/hypervisor.ts'
import { isGuestAddress } from '../../../xen/mm/guest-copy.ts'
import { REASONS } from '../../../xen/refusal.ts'
import { MapForm } from '../../maps/map-form.ts'
import type { Dom0Board } from '../dom0-host.ts'
import { StoreForm } from './store-form.ts'

/**
 * What a snapshot says beside the bytes of frames: numbers that the guest has given Xen, its registers, and what the
 * toolstack keeps. All are bounded by what a guest could have made of them; that frames are what they are said to be is for
 * `machineFault`.
 */

const Word = whole(0, 2 ** 32 - 1)
const Halves = v.pipe(v.tuple([Word, Word]), v.readonly())
/** A 48-bit address, or -1 for one that is not canonical. */
const Address = whole(-1, 2 ** 48 - 1)
const Frame = whole(0, MAX_FRAMES - 1)
/** Nanoseconds; a guest gives its deadlines and periods as signed numbers of 64 bits. */
const Time = v.pipe(v.number(), v.minValue(-(2 ** 63)), v.maxValue(2 ** 63))
/** A tick is due one period from now. */
const NextTick = v.pipe(v.number(), v.minValue(0), v.maxValue(2 ** 64))
/** So many seconds from now as 32 bits say. */
const Due = v.pipe(v.number(), v.minValue(0), v.maxValue(2 ** 63))
const Clock = v.pipe(v.number(), v.minValue(0), v.maxValue(2 ** 53))
/** A moment that may never come. */
const Deadline = v.pipe(
  v.nullable(Time),
  v.transform((time) => time ?? Infinity),
)

function words(count: number) {
  return v.pipe(v.array(Word), v.length(count), v.readonly())
}

/** Bytes in base64. */
function bytes(least: number, most: number) {
  return v.pipe(
    v.string(),
    v.maxLength(Math.ceil(most / 3) * 4),
    v.base64('bytes in base64 are needed'),
    v.transform((coded): Uint8Array => Buffer.from(coded, 'base64')),
    v.check(({ length }) => length >= least && length <= most, 'another number of bytes is needed'),
  )
}

/** Where a record of so many bytes lies that Xen shares with the guest; null where it does not. */
function placeOf(bytes: number) {
  return v.nullable(
    v.strictObject({
      mfn: Frame,
      offset: v.pipe(whole(0, 4096 - bytes), v.multipleOf(8)),
    }),
  )
}

function mapOf<const Key extends v.GenericSchema, const Value extends v.GenericSchema>(
  key: Key,
  value: Value,
  most: number,
) {
  return v.pipe(
    listOf(v.tuple([key, value]), most),
    v.transform((entries) => new Map(entries)),
  )
}

const MAX_PORTS = 4096
/** Bits of a page, in which each has one. */
const MAX_PIRQS = 0x8000
/** There is one core so far. */
const VCPUS = 1
/** Number of the vCPU that an event is told. */
const NotifiedVcpu = whole(0, VCPUS - 1)
const PortForm = v.nullable(
  v.variant('kind', [
    v.strictObject({ kind: v.literal('unbound'), remote: whole(0, 0xffff), vcpu: NotifiedVcpu }),
    v.strictObject({ kind: v.literal('virq'), virq: whole(0, 23), vcpu: NotifiedVcpu }),
    v.strictObject({ kind: v.literal('pirq'), pirq: whole(0, MAX_PIRQS - 1), vcpu: NotifiedVcpu }),
    v.strictObject({ kind: v.literal('ipi'), vcpu: NotifiedVcpu }),
    v.strictObject({ kind: v.literal('interdomain'), port: whole(1, MAX_PORTS - 1), vcpu: NotifiedVcpu }),
    v.strictObject({ kind: v.literal('backend') }),
  ]),
)
/** A port of the domain; the other end of one that is bound is the domain's own, or the toolstack's. */
export type SavedPort = v.InferOutput<typeof PortForm>

const DomainForm = v.strictObject({
  totPages: Word,
  maxPages: Word,
  assist: Word,
  shutdownCode: v.nullable(whole(0, 0xff)),
  watchdogs: v.pipe(v.array(v.nullable(Due)), v.length(2)),
  cmosIndex: whole(0, 0xff),
  pciAddress: Word,
  consoleLine: text(2 ** 16),
  ports: listOf(PortForm, MAX_PORTS),
  pirqs: listOf(
    v.strictObject({ pirq: whole(0, MAX_PIRQS - 1), line: whole(0, 23), isLeaving: v.boolean() }),
    MAX_PIRQS,
  ),
  deniedLines: listOf(whole(0, 23), 24),
  eoiFrame: Frame,
  /** How many frames its grant table has. */
  grants: whole(0, 64),
  /** Where the map ends that it was given; null where it was given none. */
  mapPages: v.nullable(whole(1, MAX_FRAMES)),
})

const RangesForm = listOf(v.strictObject({ start: Frame, end: whole(0, MAX_FRAMES) }), 2 ** 21)

const FactName = v.pipe(v.string(), v.regex(/^\w{1,24}$/))
/** A guest names frames by any 64 bits. */
const NumberFact = v.pipe(v.number(), v.minValue(-(2 ** 64)), v.maxValue(2 ** 64))
const DomainFact = v.strictObject({ domain: v.nullable(whole(0, 0xffff)) })

const FrameNumber = whole(0, 2 ** 40)
const TypeWord = v.pipe(v.string(), v.regex(/^[0-9a-f?]{1,40}$/))
/** What is told of a frame whose type stood in the way. */
const TypeInTheWayForm = v.object({ mfn: FrameNumber, pfn: NumberFact, saw: TypeWord, exp: TypeWord })

const RefusalForm = v.pipe(
  v.strictObject({
    reason: v.picklist(REASONS),
    facts: v.record(FactName, v.union([NumberFact, text(64), DomainFact])),
    errno: whole(-0xfff, -1),
  }),
  v.check(
    ({ reason, facts }) => reason !== 'badType' || v.is(TypeInTheWayForm, facts),
    'the frame and both types are needed',
  ),
)

/** What the devices of a dom0's board remember. */
const BoardForm = v.strictObject({
  wallClock: whole(0, 2 ** 40),
  hasAcpi: v.boolean(),
  hasIoApic: v.boolean(),
  pit: v.strictObject({
    mode: whole(0, 5),
    reload: whole(0, 0xffff),
    counted: Clock,
    since: v.nullable(Clock),
    half: whole(-1, 0xff),
    latched: whole(-1, 0xffff),
    isHigh: v.boolean(),
  }),
  speaker: whole(0, 3),
  cmosIndex: whole(0, 0x7f),
  pm1Enable: whole(0, 0xffff),
  pm1Control: whole(0, 0xffff),
  pciFunctions: listOf(Word, 4096),
  programmedLines: listOf(whole(0, 23), 24),
})

const XenForm = v.strictObject({
  now: Clock,
  heap: v.strictObject({
    ranges: RangesForm,
    freed: RangesForm,
    lastResort: RangesForm,
    unscrubbed: listOf(Frame, 2 ** 21),
  }),
  log: v.pipe(v.tuple([whole(0, 10), Time, whole(0, Number.MAX_SAFE_INTEGER)]), v.readonly()),
  work: v.pipe(v.tuple([v.pipe(v.number(), v.minValue(0), v.maxValue(1e9)), Clock]), v.readonly()),
  refusal: v.nullable(RefusalForm),
  board: v.nullable(BoardForm),
  m2pAccessed: listOf(whole(0, 2 ** 18 - 1), 2 ** 18),
}) satisfies v.GenericSchema<unknown, SavedXen>

const CpuForm = v.strictObject({
  instructions: whole(0, Number.MAX_SAFE_INTEGER),
  registers: words(SAVED_REGISTERS),
  flags: Word,
  selectors: v.pipe(v.array(whole(0, 0xffff)), v.length(6), v.readonly()),
  fpu: bytes(IMAGE_BYTES, IMAGE_BYTES),
  fpuTraps: v.boolean(),
  debug: words(16),
}) satisfies v.GenericSchema<unknown, SavedCpu>

/** What Xen knows of a vCPU, what its port does, and its core. */
const VcpuForm = v.strictObject({
  port: v.strictObject({ root: Frame, kernelMode: v.boolean(), faultAddress: Address }),
  cpu: CpuForm,
  traps: mapOf(
    whole(0, 255),
    v.strictObject({ flags: whole(0, 0xff), cs: whole(0, 0xffff), address: Address }),
    256,
  ),
  callbacks: mapOf(whole(0, 0xffff), v.strictObject({ flags: whole(0, 0xffff), address: Address }), 64),
  kernelSs: whole(0, 0xffff),
  kernelSp: Address,
  userRoot: Frame,
  kernelRoot: Frame,
  vcpuInfo: placeOf(64),
  runstateArea: placeOf(48),
  timeArea: placeOf(32),
  timers: v.strictObject({ period: Time, nextTick: NextTick, singleshot: Deadline, poll: Deadline }),
  blocked: v.boolean(),
  down: v.boolean(),
  polled: v.nullable(listOf(whole(0, MAX_PORTS - 1), 128)),
  runstateAt: Address,
  timeAt: Address,
  nmiPending: v.boolean(),
  nmiMasked: v.boolean(),
  blockedNs: Clock,
  iopl: Word,
  ioBitmap: v.nullable(v.strictObject({ at: whole(0, 2 ** 48 - 1), ports: whole(0, 0x1_0000) })),
  otherGsBase: Halves,
  gdtFrames: v.pipe(v.array(Frame), v.maxLength(14)),
  gdtEntries: whole(0, 14 * 512),
  ldtBase: v.pipe(
    Address,
    v.multipleOf(4096),
    v.check(isGuestAddress, "an address of the guest's is needed"),
  ),
  ldtEntries: whole(0, 8192),
  ldtFrames: mapOf(whole(0, 15), Frame, 16),
})

const Dom0Form = v.strictObject({
  mapName: text(4096),
  mapPages: v.nullable(whole(1, MAX_FRAMES)),
  entries: MapForm.entries.entries,
  firmwareMap: v.boolean(),
  acpi: v.boolean(),
}) satisfies v.GenericSchema<unknown, Dom0Board>

/** The head of a snapshot. */
export const HeadForm = v.strictObject({
  xen: text(64),
  /** What the domain is called. */
  name: text(64),
  nrPages: whole(1, MAX_FRAMES),
  /** Groups of records, and how many frames there are. */
  groups: listOf(whole(0, MAX_FRAMES / 2 ** 16), 2 ** 15),
  frames: whole(0, 2 ** 20),
  /** Bytes of the kernel's symbols, as a System.map. */
  symbols: whole(0, 2 ** 28),
  /** The machine of a dom0; null for a domU, which has the pages of xenstore and console. */
  dom0: v.nullable(Dom0Form),
  storeMfn: v.nullable(Frame),
  consoleMfn: v.nullable(Frame),
  console: bytes(0, 2 ** 24),
  vcpus: v.pipe(v.array(VcpuForm), v.length(VCPUS)),
  xenstore: v.nullable(StoreForm),
  hypervisor: XenForm,
  domain: DomainForm,
})
export type Head = v.InferOutput<typeof HeadForm>
