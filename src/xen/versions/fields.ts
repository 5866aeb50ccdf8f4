import type { Abi } from './abi.ts'
import type { Errnos } from './errnos.ts'
import type { Messages } from './messages.ts'
import type { Rules } from './rules.ts'
import type { Words } from './words.ts'

/** What a field of a version says, in a few words for somebody who compares two versions: every field has its line here. */
export type FieldTexts = {
  readonly rules: Readonly<Record<keyof Rules, string>>
  readonly errnos: Readonly<Record<keyof Errnos, string>>
  readonly abi: Readonly<Record<keyof Abi, string>>
  readonly words: Readonly<Record<keyof Words, string>>
  readonly messages: Readonly<Record<keyof Messages, string>>
}

export const FIELD_TEXTS: FieldTexts = {
  rules: {
    badFlags: 'flags that an entry may not have',
    fastPath: 'flags that an update may not change without a new check',
    adjustsFirst: "an entry is made a guest's before it takes references",
    l4Accessed: 'entries of an L4 get the accessed bit',
    foreignOnlyInL1: "another domain's frame only in an L1 by mmu_update",
    countsLinear: 'tables of one level may not be chained',
    mmioUncached: 'devices are mapped uncached only',
    tracksCacheAttributes: 'a frame keeps the cache attributes of its last mapping',
    marksNonCoherent: 'write combining marks a frame',
    deniedLapicPages: 'pages at the local APIC that nobody may map',
    deniesUnaddressable: "dom0 maps nothing beyond the CPU's addresses",
    failedPromotionKeepsType: 'a table that fails beyond slot 0 keeps its type',
    m2pOnPromotion: 'an L4 maps the M2P before it is a root',
    xenSlotsNx: "Xen's slots of an L4 are not executable",
    flushesLinearMap: "a change of L2 to L4 flushes Xen's linear map",
    freeUnpins: 'giving memory back unpins it',
    ioFramesAreHeap: "frames of devices are of Xen's heap",
    m2pTableIsHeap: "the L3 of the M2P is of Xen's heap",
    dom0FramesBackwards: "dom0's later frames descend",
    stealClearsType: 'a frame that is exchanged forgets its type',
    eagerLdt: "the LDT's first page is taken at once",
    unmapDropsLdt: 'unmapping a page of descriptors drops the LDT',
    checksLdtLimit: 'no selector beyond the end of the LDT',
    policyForForeign: 'anybody may name another domain, the policy decides',
    ownOperations: 'what is about the caller names no other domain',
    findsFramesQuietly: 'a frame that is not there prints no line of its own',
    sameRootIsKept: 'the root in use, set again, takes no references',
    flushesAfterFailure: 'update_va_mapping flushes though it failed',
    superpagesByOption: 'superpages wait for a boot option',
    multicallEndsInUserMode: 'a multicall ends when it has left for user mode',
    limitsPeriod: 'periods of timers have a limit',
    consoleForAll: "a domU writes to Xen's console",
    unregisteredSyscallTraps: 'SYSCALL without a callback is a trap, not the end',
    checksSegmentBases: 'bases of segments have to be canonical',
    unknownMsrsPass: "MSRs that Xen does not know are the CPU's",
    hidesNewMsrs: 'MSRs of newer features are known and not offered',
  },
  errnos: {
    refusedEntry: 'a refused L1 entry; - is what refused it',
    unknownTableOwner: 'mmu_update for a domain that there is not',
    badRoot: 'a frame that cannot be a root; - is what refused it',
    flushCache: 'FLUSH_CACHE without devices',
    flushCacheGlobal: 'FLUSH_CACHE_GLOBAL without devices',
    debugRegister: 'a debug register that there is not',
    vcpuInfoPlace: 'register_vcpu_info at a bad offset',
    vcpuInfoType: 'register_vcpu_info in a frame of another type',
    vcpuInfoTwice: 'register_vcpu_info a second time',
    lateTimer: 'a single shot that may not be late and is',
  },
  abi: {
    version: 'XENVER_version',
    extraversion: 'XENVER_extraversion',
    capabilities: 'XENVER_capabilities',
    changeset: 'XENVER_changeset',
    features: 'bits of XENVER_get_features',
    dom0Features: 'bits of it for dom0 alone',
    paeByNote: "dom0's start_info tells of PAE when its notes do",
    deniesCommandLine: 'a domU may not read the command line',
    hasBuildId: 'XENVER_build_id exists',
    hasLongTexts: 'XENVER 11 to 14 exist',
    assists: 'types of vm_assist',
    noTranslate: 'mmu_update has command 3, no translation',
    hidesRamSize: "how much RAM there is is dom0's to know",
    countsMap: "the machine's map without a buffer is a count",
    hasPhysicalId: 'VCPUOP_get_physid exists',
    hasPhysicalAreas: 'VCPUOP 14 and 15 exist',
    calls: 'hypercalls not carried out, to dom0 and a domU',
    memoryOps: 'operations of memory_op not carried out, the same',
    grantFrames: 'most frames of a grant table',
    lastCpuidLeaf: "the last of Xen's CPUID leaves",
    clobber: 'what a hypercall leaves in its arguments, low and high',
  },
  words: {
    type: 'layout of the type word, as of release',
    freeCount: 'count word of a free frame',
    freeType: 'type word of a free frame, its lower bits',
    unscrubbed: 'words of a frame that is to be scrubbed',
  },
  messages: {
    release: 'whose wording and source lines',
    build: "which build's messages",
    line: 'which line of a statement is named',
    files: 'how source files are named',
    headers: 'how headers are named',
    namesVcpu: 'a line names the vCPU',
    guestLog: 'levels printed always, and limited',
    ownLineForPageFault: 'an unhandled page fault has a line of its own',
    trapNames: 'how exceptions are named',
    dumpsSegmentBases: 'a dump has the bases of fs and gs',
    blankAfterL2: "the walk's line of an L2 ends in a blank",
    iretFailure: 'where a crash by iret is called from',
    entryFault: 'where the entry of an exception ends',
    dom0Crashed: "last line of dom0's crash",
  },
}
