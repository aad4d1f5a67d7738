import PCKernels
import PCKernelsC
import PCPrimitives

/// The fast backend: Float, on the processor's cores, by kernels of our own that need nothing installed.
///
/// A batch is cut into tiles of 8, 16 or 32 examples (of 1 where there is but one and no image) whose numbers lie beside one another, and a thread carries one
/// tile through all consecutive instructions (the whole of a repeated section) before it takes the next, so that a
/// tile's values stay in the cache. Results do not depend on the number of threads, bit for bit: work is split by tiles and
/// by elements of the result, and sums over examples have an order that the batch size alone decides.
///
/// Denormal numbers count as 0. Index buffers hold Float: indices are exact up to 2²⁴.
///
/// Executables and storage of one `CPU` share its threads; of two that are used at once, one waits.
public struct CPU: Backend {
  public let name = "cpu"
  public var epsilon: Double { 0x1p-23 }

  /// Threads that share the work, the caller's own counted in.
  public let threads: Int
  /// What the kernels of this backend are compiled for.
  public let instructionSet: InstructionSet

  let pool: ThreadPool
  /// Whether a matrix unit gets whatever it can make, however little that is.
  let prefersMatrixUnit: Bool
  /// Multiply-adds or bytes between two meetings of the threads from which on the work is shared: some microseconds'
  /// worth. For less, waiting for one another costs more than it saves, and where another program has taken a core a
  /// hundred times more.
  let leastShared: Int

  /// The vector instructions that the kernels are compiled for.
  public enum InstructionSet: String, CaseIterable, Sendable {
    /// 512 bits and a matrix unit: x86-64 with AVX-512 and AMX for bfloat16. Large products are made of floats in three parts, as exact
    /// as float32; infinities in them become NaN.
    case amx
    /// 512 bits: x86-64 with AVX-512.
    case avx512
    /// 256 bits and fused multiply-add: x86-64 with AVX2.
    case avx2
    /// 128 bits, which every machine has: SSE2 or NEON.
    case portable = "128"

    /// Whether this machine can run it.
    public var isSupported: Bool { kernels != nil }

    /// The widest that this machine supports.
    public static var best: InstructionSet { allCases.first(where: \.isSupported) ?? .portable }
  }

  /// Starts the threads; throws a ``CPUError`` where they or the instruction set cannot be had.
  ///
  /// - Parameters:
  ///   - threads: as many as there are processors, unless stated. More gain nothing.
  ///   - instructionSet: the widest that the machine supports, unless stated.
  public init(threads: Int? = nil, instructionSet: InstructionSet? = nil) throws {
    try self.init(threads: threads, instructionSet: instructionSet, leastShared: 150_000, prefersMatrixUnit: false)
  }

  /// With `leastShared` 0, threads share the smallest work too: for tests of the sharing. With `prefersMatrixUnit` a matrix unit gets
  /// the smallest products: for tests of these.
  package init(
    threads: Int? = nil, instructionSet: InstructionSet? = nil, leastShared: Int, prefersMatrixUnit: Bool = false
  ) throws {
    let threads = threads ?? processorCount()
    let set = instructionSet ?? .best
    guard threads >= 1 else { throw CPUError.threads(threads) }
    guard set.isSupported else { throw CPUError.instructionSet(set) }
    guard let pool = ThreadPool(threads: threads) else { throw CPUError.noThreads(threads) }
    self.threads = threads
    self.instructionSet = set
    self.pool = pool
    self.leastShared = leastShared
    self.prefersMatrixUnit = prefersMatrixUnit
  }

  public func makeStorage(for buffer: Buffer) throws -> any Storage {
    guard !buffer.isBatched else { fatalError("persistent buffer \(buffer.name) must not be batched") }
    guard let memory = Memory(count: buffer.count) else {
      throw CPUError.memory(buffer.name, bytes: 4 * buffer.count)
    }
    return CPUStorage(memory: memory, pool: pool)
  }

  public func byteCount(of program: Program, batchSize: Int) throws -> Int {
    try lowering(program, batchSize: batchSize, bindings: nil).byteCount(threads: threads)
  }

  public func compile(
    _ program: Program, batchSize: Int, bindings: [Int: any Storage]
  ) throws -> any Executable {
    try CPUExecutable(
      lowering(program, batchSize: batchSize, bindings: bindings), pool: pool, leastShared: leastShared)
  }

  /// Without bindings, memory is only counted.
  private func lowering(_ program: Program, batchSize: Int, bindings: [Int: any Storage]?) throws -> Lowering {
    let violations = program.violations()
    guard violations.isEmpty else { fatalError("a program that is not well formed: \(violations[0])") }
    guard batchSize >= 1 else { fatalError("a batch of \(batchSize) examples; there must be at least one") }
    // One example fills no vector. Where there are no images, its numbers are better taken for shared ones, whose products
    // go through neighbouring results instead.
    let isSingle = batchSize == 1 && !program.hasImages
    // Up to 32 examples go in two tiles, so that two threads need not meet after every layer.
    let lanes = isSingle ? 1 : batchSize > 32 ? 32 : batchSize > 8 ? 16 : 8
    guard let set = instructionSet.kernels(lanes: lanes), let widest = instructionSet.kernels else {
      fatalError("instruction set \(instructionSet.rawValue) is gone from this machine")
    }
    var lowering = try Lowering(
      isSingle ? program.unbatched : program, batchSize: batchSize, lanes: lanes, set: set, widest: widest,
      threads: threads, prefersMatrixUnit: prefersMatrixUnit, bindings: bindings)
    try lowering.lowerAll()
    // Few examples leave room for rounds. A single one has so many beside it that fewer are left over at the end.
    let wide = batchSize == 1 ? 16 : 32
    // All threads share their one tile: each would put all of it into thirds for a matrix unit.
    let wideSet = instructionSet == .amx ? InstructionSet.avx512 : instructionSet
    if batchSize <= 8, let set = wideSet.kernels(lanes: wide) {
      try lowering.lowerRounds(of: program, lanes: wide, set: set)
    }
    return lowering
  }
}

extension CPU.InstructionSet {
  var kernels: UnsafePointer<pc_set>? {
    switch self {
    case .amx: pc_find_set(PC_AMX)
    case .avx512: pc_find_set(PC_AVX512)
    case .avx2: pc_find_set(PC_AVX2)
    case .portable: pc_find_set(PC_PORTABLE)
    }
  }

  /// A tile must fill a vector at least: tiles of 8 examples go to AVX2 on machines with AVX-512 too.
  func kernels(lanes: Int) -> UnsafePointer<pc_set>? {
    guard let set = kernels else { return nil }
    return lanes > 1 && lanes < Int(set.pointee.width) ? CPU.InstructionSet.avx2.kernels : set
  }
}

extension Program {
  /// Whether convolutions or pooling occur.
  fileprivate var hasImages: Bool {
    sections.contains { section in
      section.instructions.contains { instruction in
        switch instruction.primitive {
        case .convolve, .convolveInputGradient, .convolveFilterGradient, .maxPool, .maxPoolGradient: true
        default: false
        }
      }
    }
  }

  /// The program for a single example, which needs no batch: sums over examples are then sums of one.
  fileprivate var unbatched: Program {
    var program = self
    for index in program.buffers.indices { program.buffers[index].isBatched = false }
    return program
  }
}

/// Why a CPU backend or its memory can't be had.
public enum CPUError: Error, CustomStringConvertible {
  /// Fewer than one thread was asked for.
  case threads(Int)
  /// The system did not start this many threads.
  case noThreads(Int)
  /// The machine cannot run this set.
  case instructionSet(CPU.InstructionSet)
  /// The system did not give so much memory for the buffer of this name.
  case memory(String, bytes: Int)

  public var description: String {
    switch self {
    case .threads(let count): "The CPU backend was asked for \(count) threads; give it at least one."
    case .noThreads(let count): "The system refused to start \(count) threads; ask for fewer."
    case .instructionSet(let set):
      "This machine does not have the instruction set \(set.rawValue); it has "
        + CPU.InstructionSet.allCases.filter(\.isSupported).map(\.rawValue).joined(separator: ", ") + "."
    case .memory(let name, let bytes):
      "There is no memory for \(name), which takes \(bytes) bytes; use a smaller batch or model."
    }
  }
}
