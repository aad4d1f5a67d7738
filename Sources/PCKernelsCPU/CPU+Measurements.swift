import PCKernelsC

// What this machine can do at best, so that a time can be stated as a multiple of the time that it could take.

extension CPU {
  /// Float multiply-adds per second of all threads at once, in 10⁹ floating-point operations (a multiply-add is two): the best of
  /// several short runs of independent chains in registers.
  ///
  /// Takes about `seconds`. Cores that are busy together may each be slower than alone, and other processes on the machine lower
  /// it too: measure beside what it is compared with.
  public func peakGigaflops(seconds: Double = 0.05) -> Double {
    guard let set = instructionSet.kernels else { return 0 }
    let rounds: Int64 = 100_000
    let zero = CArray([Float(0)])
    let exercise = CArray([
      pc_foreign(
        alpha: 0, beta: 0,
        function: { set, _, _, _, _ in
          var value: Float = 0
          _ = set?.assumingMemoryBound(to: pc_set.self).pointee.exercise(100_000, &value)
        }, context: UnsafeMutableRawPointer(mutating: set))
    ])
    let calls = CArray([
      pc_call(kernel: pc_kernel_of(set, PC_KERNEL_FOREIGN), parameters: exercise.base, alone: false, abreast: false)
    ])
    let spans = CArray([pc_span(first: 0, count: 1, repeat: 1, parts: 1, abreast: false)])
    let phases = CArray([pc_phase(together: true, abreast: 1, pieces: 1, live: 0, first: 0, count: 1)])
    let blocks = CArray([pc_block(first: 0, count: 1, repeat: 1)])
    let script = pc_script(
      alone: false, calls: calls.base, spans: spans.base, phases: phases.base, blocks: blocks.base, block_count: 1,
      tiles: 1, lanes: 1, batch: 1, coefficients: zero.base, scratch: nil, scratch_stride: 0, notes: nil,
      note_capacity: 0, note_counts: nil)
    var value: Float = 0
    let operations = set.pointee.exercise(1, &value) * Double(rounds) * Double(threads)
    return best(seconds: seconds) {
      pool.run(script)
      return operations
    } * 1e-9
  }

  /// Bytes that one core reads from memory per second, in 10⁹: the best of several passes over a block of
  /// `megabytes`, which should exceed the caches.
  public func readGigabytesPerSecond(megabytes: Int = 256, seconds: Double = 0.2) -> Double {
    let count = megabytes << 18
    guard let memory = Memory(count: count) else { return 0 }
    var sink: Float = 0
    let rate = best(seconds: seconds) {
      sink += pc_read_through(memory.base, Int64(count))
      return Double(4 * count)
    }
    return rate * 1e-9
  }

  /// Highest rate, in units per second, of work that says how many units it did.
  private func best(seconds: Double, _ work: () -> Double) -> Double {
    let end = pc_seconds() + seconds
    var best = 0.0
    repeat {
      let start = pc_seconds()
      let units = work()
      best = max(best, units / (pc_seconds() - start))
    } while pc_seconds() < end
    return best
  }
}
