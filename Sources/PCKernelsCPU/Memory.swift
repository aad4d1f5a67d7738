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

  /// Does something on every thread (which is told tile 0), or once for each of so many tiles, which the threads share out.
  func perform(tiles: Int? = nil, _ body: (_ tile: Int) -> Void) {
    withoutActuallyEscaping(body) { body in
      let work = Work(body: body)
      let zero = CArray([Float(0)])
      let foreign = CArray([
        pc_foreign(
          alpha: 0, beta: 0,
          function: { context, tile, _, _, _ in
            guard let context else { return }
            Unmanaged<Work>.fromOpaque(context).takeUnretainedValue().body(Int(tile))
          }, context: Unmanaged.passUnretained(work).toOpaque())
      ])
      let calls = CArray([
        pc_call(kernel: pc_call_foreign, parameters: foreign.base, alone: false, abreast: false)
      ])
      let spans = CArray([pc_span(first: 0, count: 1, repeat: 1, parts: 1, abreast: false)])
      let phases = CArray([pc_phase(together: tiles == nil, abreast: 1, pieces: 1, live: 0, first: 0, count: 1)])
      let blocks = CArray([pc_block(first: 0, count: 1, repeat: 1)])
      let count = Int64(tiles ?? 1)
      run(
        pc_script(
          alone: false, calls: calls.base, spans: spans.base, phases: phases.base, blocks: blocks.base,
          block_count: 1,
          tiles: count, lanes: 1, batch: count, coefficients: zero.base, scratch: nil, scratch_stride: 0, notes: nil,
          note_capacity: 0, note_counts: nil))
    }
  }

  private final class Work {
    let body: (Int) -> Void

    init(body: @escaping (Int) -> Void) { self.body = body }
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
