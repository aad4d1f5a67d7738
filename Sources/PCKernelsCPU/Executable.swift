import PCKernels
import PCKernelsC
import PCPrimitives

/// A lowered program, its memory, and the scripts that were run so far, ready to be run again.
final class CPUExecutable: Executable {
  let batchSize: Int
  fileprivate let program: Program
  private let pool: ThreadPool
  private let lanes: Int
  private let tiles: Int
  private let buffers: [Memory]
  private let calls: Calls
  private let scratch: Memory
  private let scratchStride: Int
  private let coefficients: Memory
  private let leastShared: Int
  private var plans: [[Passage]: Plan] = [:]

  let byteCount: Int

  init(_ lowering: Lowering, pool: ThreadPool, leastShared: Int) throws {
    self.leastShared = leastShared
    batchSize = lowering.batchSize
    program = lowering.program
    self.pool = pool
    lanes = lowering.lanes
    tiles = lowering.tiles
    buffers = lowering.buffers
    calls = Calls(lowering)
    scratchStride = lowering.scratchStride
    guard let scratch = Memory(count: scratchStride * pool.threads) else {
      throw CPUError.memory("scratch space", bytes: 4 * scratchStride * pool.threads)
    }
    self.scratch = scratch
    guard let coefficients = Memory(count: lowering.coefficients.count) else {
      throw CPUError.memory("coefficients", bytes: 4 * lowering.coefficients.count)
    }
    self.coefficients = coefficients
    for (i, value) in lowering.coefficients.enumerated() { coefficients.base[i] = value }
    byteCount = lowering.byteCount(threads: pool.threads)
  }

  func setSlot(_ slot: Int, to value: Double) {
    guard program.slots.indices.contains(slot) else { fatalError("coefficient \(slot) does not exist") }
    coefficients.base[slot] = Float(value)
  }

  // MARK: Numbers in and out

  func upload(_ values: UnsafeBufferPointer<Float>, to buffer: Int) {
    upload(values.baseAddress, count: values.count, to: buffer, pc_scatter_float)
  }

  func upload(_ values: UnsafeBufferPointer<Double>, to buffer: Int) {
    upload(values.baseAddress, count: values.count, to: buffer, pc_scatter_double)
  }

  func upload(_ values: UnsafeBufferPointer<Int32>, to buffer: Int) {
    upload(values.baseAddress, count: values.count, to: buffer, pc_scatter_int32)
  }

  private func upload<Number>(
    _ values: UnsafePointer<Number>?, count: Int, to buffer: Int,
    _ scatter: (UnsafePointer<Number>?, UnsafeMutablePointer<Float>?, Int64, Int64, Int64) -> Void
  ) {
    let declaration = program.buffers[buffer]
    let examples = declaration.isBatched ? batchSize : 1
    guard count == declaration.count * examples else {
      fatalError("upload of \(count) numbers into \(declaration.name), which holds \(declaration.count * examples)")
    }
    guard declaration.isBatched, tiles > 1, pool.threads > 1, count >= Self.leastSharedUpload, let values else {
      pool.exclusively {
        scatter(
          values, buffers[buffer].base, Int64(examples), Int64(declaration.count),
          declaration.isBatched ? Int64(lanes) : 1)
      }
      return
    }
    // Who will work on a tile brings it in.
    pool.perform(tiles: tiles) { tile in
      let first = tile * lanes * declaration.count
      scatter(
        values + first, buffers[buffer].base + first, Int64(min(lanes, batchSize - tile * lanes)),
        Int64(declaration.count), Int64(lanes))
    }
  }

  /// Numbers from which on threads share an upload.
  private static let leastSharedUpload = 1 << 15

  func download(_ buffer: Int) -> [Double] {
    let declaration = program.buffers[buffer]
    let examples = declaration.isBatched ? batchSize : 1
    return pool.exclusively {
      Array(unsafeUninitializedCapacity: declaration.count * examples) { values, initialized in
        pc_gather_double(
          buffers[buffer].base, values.baseAddress, Int64(examples), Int64(declaration.count),
          declaration.isBatched ? Int64(lanes) : 1)
        initialized = declaration.count * examples
      }
    }
  }

  // MARK: Running

  func run(_ script: [Passage]) { pool.run(cScript(plan(script))) }

  func profile(_ script: [Passage]) -> Profile? {
    let plan = plan(script)
    let capacity = max(1, Self.mostNotes / pool.threads)
    let notes = UnsafeMutablePointer<pc_note>.allocate(capacity: capacity * pool.threads)
    defer { notes.deallocate() }
    let counts = CArray(Array(repeating: Int64(0), count: pool.threads))
    var script = cScript(plan)
    script.notes = notes
    script.note_capacity = Int64(capacity)
    script.note_counts = counts.base
    let start = pc_seconds()
    pool.run(script)
    var profile = Profile(threads: plan.isAlone ? 1 : pool.threads, seconds: pc_seconds() - start)
    profile.calls = zip(plan.origins, plan.repetitions).map { origin, repetitions in
      var description = origin
      description.repetitions = repetitions
      return description
    }
    for thread in 0..<pool.threads {
      let count = min(Int(counts.base[thread]), capacity)
      profile.omitted += Int(counts.base[thread]) - count
      for note in UnsafeBufferPointer(start: notes + thread * capacity, count: count) {
        profile.events.append(
          Profile.Event(
            call: Int(note.call), thread: thread, tile: note.tile < 0 ? nil : Int(note.tile),
            start: note.start - start,
            seconds: note.end - note.start))
      }
    }
    return profile
  }

  /// Notes that a profiled run keeps: 32 bytes each.
  private static let mostNotes = 2_000_000

  private func plan(_ script: [Passage]) -> Plan {
    let plan: Plan
    if let known = plans[script] {
      plan = known
    } else {
      plan = Plan(
        script, calls: calls, leastShared: leastShared, sharesTile: pool.threads > 1 && batchSize <= lanes,
        threads: pool.threads)
      plans[script] = plan
    }
    return plan
  }

  private func cScript(_ plan: Plan) -> pc_script {
    pc_script(
      alone: plan.isAlone, calls: plan.calls.base, spans: plan.spans.base, phases: plan.phases.base,
      blocks: plan.blocks.base,
      block_count: Int64(plan.blocks.count), tiles: Int64(tiles), lanes: Int64(lanes),
      batch: Int64(batchSize), coefficients: coefficients.base, scratch: scratch.base,
      scratch_stride: Int64(scratchStride), notes: nil, note_capacity: 0, note_counts: nil)
  }
}

/// The calls of a program with everything that they point to.
final class Calls {
  let sections: [Range<Int>]
  let packing: Range<Int>
  let rounds: [Int: Rounds]
  let calls: [Call]
  let recurrence: pc_kernel
  /// Floats in a vector.
  let width: Int
  private let parameters: [AnyObject]
  private let workspaces: [Memory]

  init(_ lowering: Lowering) {
    sections = lowering.sections
    packing = lowering.calls.count..<(lowering.calls.count + lowering.packs.count)
    let own = lowering.calls.count + lowering.packs.count
    calls =
      lowering.calls.map { call in
        var call = call
        call.once = call.once.map { ($0.lowerBound + own)..<($0.upperBound + own) }
        return call
      } + lowering.packs + lowering.alternatives
    rounds = lowering.rounds
    recurrence = pc_kernel_of(lowering.set, PC_KERNEL_RECURRENCE)
    width = Int(lowering.set.pointee.width)
    parameters = lowering.parameters
    workspaces = lowering.workspaces
  }

  /// A call as C sees it.
  func pointer(_ index: Int, isAlone: Bool) -> pc_call {
    let call = calls[index]
    return pc_call(
      kernel: call.kernel, parameters: call.parameters, alone: isAlone, abreast: call.abreast != .never)
  }
}

/// A fixed array with an address.
final class CArray<Element> {
  let base: UnsafeMutablePointer<Element>
  let count: Int

  var elements: UnsafeBufferPointer<Element> { UnsafeBufferPointer(start: base, count: count) }

  init(_ elements: [Element]) {
    count = elements.count
    base = .allocate(capacity: max(count, 1))
    for (i, element) in elements.enumerated() { (base + i).initialize(to: element) }
  }

  deinit {
    base.deinitialize(count: count)
    base.deallocate()
  }
}
