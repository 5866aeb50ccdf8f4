// The one piece of WebAssembly that the machine uses; Node and browsers both have it, and no library of types that
// suits both is part of the compiler's target.
declare namespace WebAssembly {
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number })
    readonly buffer: ArrayBuffer
  }
}
