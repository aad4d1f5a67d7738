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
    var value: Float = 0
    let operations = set.pointee.exercise(1, &value) * Double(rounds) * Double(threads)
    return best(seconds: seconds) {
      pool.perform { _ in
        var value: Float = 0
        _ = set.pointee.exercise(rounds, &value)
      }
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
