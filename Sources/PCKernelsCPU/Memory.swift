import PCKernels
import PCKernelsC
import PCPrimitives

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

func processorCount() -> Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

/// Zeroed floats at a multiple of 64 bytes, freed with the last reference.
final class Memory: @unchecked Sendable {
  let base: UnsafeMutablePointer<Float>
  let count: Int
  private let isPlanned: Bool

  /// Stands for so many floats that nobody will touch, to find out how many there would be.
  init?(planned count: Int) {
    guard let nowhere = UnsafeMutablePointer<Float>(bitPattern: 64) else { return nil }
    base = nowhere
    self.count = count
    isPlanned = true
  }

  init?(count: Int) {
    guard let base = pc_allocate(Int64(count)) else { return nil }
    self.base = base
    self.count = count
    isPlanned = false
  }

  deinit { if !isPlanned { pc_free(base) } }
}

/// Our own threads, which sleep between runs and end with the last reference.
final class ThreadPool: @unchecked Sendable {
  let threads: Int
  private let pool: OpaquePointer

  init?(threads: Int) {
    guard let pool = pc_pool_create(Int64(threads)) else { return nil }
    self.threads = threads
    self.pool = pool
  }

  deinit { pc_pool_destroy(pool) }

  func run(_ script: pc_script) {
    withUnsafePointer(to: script) { pc_pool_run(pool, $0) }
  }

  /// Does something while no run is under way.
  func exclusively<Result>(_ body: () throws -> Result) rethrows -> Result {
    pc_pool_lock(pool)
    defer { pc_pool_unlock(pool) }
    return try body()
  }
}

/// A parameter or an optimiser's state: a plain array of Float.
final class CPUStorage: Storage {
  let memory: Memory
  private let pool: ThreadPool

  init(memory: Memory, pool: ThreadPool) {
    self.memory = memory
    self.pool = pool
  }

  var count: Int { memory.count }

  func upload(_ values: [Double]) {
    guard values.count == count else { fatalError("upload of \(values.count) numbers into storage of \(count)") }
    pool.exclusively {
      values.withUnsafeBufferPointer { pc_scatter_double($0.baseAddress, memory.base, 1, Int64(count), 1) }
    }
  }

  func download() -> [Double] {
    pool.exclusively {
      Array(unsafeUninitializedCapacity: count) { values, initialized in
        pc_gather_double(memory.base, values.baseAddress, 1, Int64(count), 1)
        initialized = count
      }
    }
  }
}
