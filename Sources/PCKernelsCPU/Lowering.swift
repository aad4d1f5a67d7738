import PCKernels
import PCKernelsC
import PCPrimitives

/// One call of a kernel, and what the plan has to know of it.
struct Call {
  enum Kind {
    /// Works on one tile at a time and touches nothing that another tile touches.
    case tile
    /// Needs all tiles to be done; threads share it out.
    case together
    /// As `together`, but one thread does it all.
    case alone
  }

  /// Whether several tiles at once are possible.
  enum Abreast {
    case never, possible, better
  }

  var kernel: pc_kernel
  var parameters: UnsafeRawPointer
  var kind: Kind
  /// Whether threads can share one tile of it.
  var sharesTiles = false
  /// Program buffers.
  var reads: Set<Int> = []
  var writes: Set<Int> = []
  /// Of an elementwise function that works through neighbouring numbers: how many, and where those of the result and the
  /// operands begin.
  var run: ElementRun?
  /// Of a product whose rows follow one another.
  var product: ProductRun?
  /// What it does to zeros, in order; nothing where that is not known.
  var effects: [Effect] = []
  /// Packed weights that must be up to date, by their index in `Lowering.packs`.
  var packs: [Int] = []
  /// Whether it can take several tiles at once, and whether that is better.
  var abreast = Abreast.never
  /// Calls that do the same with weights as they lie, by their index in `Lowering.alternatives`: for what is done once.
  var once: Range<Int>?
  /// What profiles say of it.
  var origin = Profile.Call()

  /// Multiply-adds, or bytes where they are more: on a core of two vector units, to read a byte of the cache takes about as long as
  /// a multiply-add. Of calls that help others it is 0.
  var work: Int { max(origin.multiplyAdds, origin.byteCount) }
  func touchesNumbers(of other: Call) -> Bool {
    !reads.union(writes).isDisjoint(with: other.reads.union(other.writes))
  }

  /// Whether to share it out would cost more than to do it.
  var isSmall: Bool { work > 0 && work < 60_000 }
}

/// The numbers `start ..< start + count` of a tile, for the result and for each operand. Of an operand with fewer than the
/// result each serves equally many neighbours: all of them, or the lanes of an element.
struct ElementRun {
  struct Numbers: Hashable {
    var buffer: Int
    var start: Int
    var count: Int
  }

  var result: Numbers
  var operands: [Numbers]

  /// Whether the kernel works through one row, and so any part of it.
  var isOneRow: Bool { operands.allSatisfy { $0.count == 1 || $0.count == result.count } }
}

/// What elementwise functions must match to follow a product row by row.
struct ProductRun {
  var result: ElementRun.Numbers
  var rows: Int
  /// The kernel that makes the product together with what follows it.
  var byRows: pc_kernel_name
}

/// Turns the instructions of a program into calls of C kernels: chooses the kernel, works out strides in floats, and
/// allocates the memory.
///
/// An instruction with a batched result becomes one `tile` call. One that sums over the examples becomes a `tile` call
/// that leaves something per tile in a workspace, and a `together` call that adds that up in an order fixed by the
/// number of tiles. One that has nothing to do with examples is `together` or `alone`.
struct Lowering {
  private(set) var program: Program
  private(set) var batchSize: Int
  private(set) var lanes: Int
  private(set) var set: UnsafePointer<pc_set>
  /// For what fills vectors with other numbers than a tile's lanes: the widest, of which a tile need not fill a vector.
  let widest: UnsafePointer<pc_set>
  /// Threads that share the tiles out. What they compute does not depend on it, bit for bit.
  let threads: Int
  /// Whether a matrix unit gets whatever it can make, however little that is.
  let prefersMatrixUnit: Bool
  private(set) var buffers: [Memory]
  /// Whether memory is only counted; such a lowering must not run.
  let isPlanned: Bool

  private(set) var calls: [Call] = []
  private(set) var sections: [Range<Int>] = []
  private(set) var packs: [Call] = []
  private(set) var alternatives: [Call] = []
  /// How repeated sections run many rounds at once, by section, where they can and a batch has few examples.
  var rounds: [Int: Rounds] = [:]
  private(set) var parameters: [AnyObject] = []
  private(set) var workspaces: [Memory] = []
  /// Slots first, then constants.
  private(set) var coefficients: [Float]
  private(set) var scratchCount = 0
  private(set) var constants: [Float: Int] = [:]
  private var sharedWorkspaces: [Purpose: Memory] = [:]
  private var packed: [PackKey: PackedWeights] = [:]
  /// What is being lowered.
  private var origin = Profile.Call()
  private var effects: [Effect] = []
  /// Buffers that the section that is being lowered writes.
  private(set) var written: Set<Int> = []

  var tiles: Int { (batchSize + lanes - 1) / lanes }
  /// Vectors of a tile's lanes.
  var vectors: Int { lanes / Int(set.pointee.width) }

  init(
    _ program: Program, batchSize: Int, lanes: Int, set: UnsafePointer<pc_set>,
    widest: UnsafePointer<pc_set>, threads: Int, prefersMatrixUnit: Bool,
    bindings: [Int: any Storage]?
  ) throws {
    let isPlanned = bindings == nil
    self.isPlanned = isPlanned
    self.program = program
    self.batchSize = batchSize
    self.lanes = lanes
    self.set = set
    self.widest = widest
    self.threads = threads
    self.prefersMatrixUnit = prefersMatrixUnit
    coefficients = Array(repeating: 0, count: program.slots.count)
    let tiles = (batchSize + lanes - 1) / lanes
    buffers = try program.buffers.enumerated().map { index, buffer in
      if buffer.isPersistent, let bindings {
        guard let storage = bindings[index] as? CPUStorage, storage.count == buffer.count, !buffer.isBatched else {
          fatalError("persistent buffer \(buffer.name) is not bound to storage of the CPU backend of its size")
        }
        return storage.memory
      }
      let count = buffer.isBatched ? tiles * buffer.count * lanes : buffer.count
      guard let memory = isPlanned ? Memory(planned: count) : Memory(count: count) else {
        throw CPUError.memory(buffer.name, bytes: 4 * count)
      }
      return memory
    }
  }

  /// Floats of scratch memory that each thread has: a multiple of a cache line, so that no two share one.
  var scratchStride: Int { (scratchCount + 31) / 16 * 16 }

  /// Bytes of everything but persistent buffers.
  func byteCount(threads: Int) -> Int {
    let own = zip(program.buffers, buffers).filter { !$0.0.isPersistent }.map { $0.1.count }
    return 4 * ((own + workspaces.map(\.count)).reduce(0, +) + scratchStride * threads + coefficients.count)
  }

  mutating func lowerAll() throws {
    for section in program.sections {
      let start = calls.count
      written = Set(section.instructions.flatMap { $0.results.map(\.buffer) })
      let sums = summedProducts(section)
      for (position, instruction) in section.instructions.enumerated() {
        if let run = sums[position] {
          let instructions = run.map { section.instructions[$0] }
          describe(instructions, in: section)
          try lowerSummedProducts(instructions)
        } else if !isSummedProduct(instruction) {
          describe([instruction], in: section)
          try lower(instruction)
        }
      }
      calls.replaceSubrange(start..., with: byRows(calls[start...]))
      sections.append(start..<calls.count)
    }
  }

  /// Lowers an instruction of another program, whose buffers lie in `memory` and which has so many lanes, all in use; packed
  /// weights, coefficients and workspaces are shared with this one's.
  mutating func lower(
    _ instruction: Instruction, in section: Section, of other: Program, memory: [Memory], lanes: Int,
    set: UnsafePointer<pc_set>
  ) throws {
    let own = (program: program, batchSize: batchSize, lanes: self.lanes, set: self.set, buffers: buffers)
    (program, batchSize, self.lanes, self.set, buffers) = (other, lanes, lanes, set, memory)
    defer { (program, batchSize, self.lanes, self.set, buffers) = own }
    describe([instruction], in: section)
    try lower(instruction)
  }

  /// A call that is no instruction's, on buffers that it reads and writes.
  mutating func call<T>(
    _ kernel: pc_kernel_name, _ parameters: T, _ operation: String, vertex: String, in section: Section,
    reads: Set<Int>, writes: Set<Int>
  ) {
    origin = Profile.Call(section: section.name, vertex: vertex, operation: operation)
    effects = []
    call(kernel, parameters, .tile, reads: [], writes: [])
    calls[calls.count - 1].reads = reads
    calls[calls.count - 1].writes = writes
  }

  private mutating func describe(_ instructions: [Instruction], in section: Section) {
    func examples(_ view: View) -> Int { program.buffers[view.buffer].isBatched ? batchSize : 1 }
    origin = Profile.Call(
      section: section.name, vertex: instructions[0].label, operation: instructions[0].primitive.name)
    effects = instructions.compactMap { Effect($0, in: program) }
    for instruction in instructions {
      origin.multiplyAdds += instruction.primitive.multiplyAdds * (program.isBatched(instruction) ? batchSize : 1)
      let views = instruction.operands + instruction.results
      let extents = instruction.primitive.operandExtents + instruction.primitive.resultExtents
      for (view, extents) in zip(views, extents) {
        // What is broadcast is one number.
        let numbers = zip(extents, view.strides).reduce(1) { $1.1 == 0 ? $0 : $0 * $1.0 }
        origin.byteCount += 4 * examples(view) * numbers
      }
    }
  }

  /// What profiles say of a call of the instruction that is being lowered: its work is that of its one main kernel.
  private func origin(_ kernel: pc_kernel_name) -> Profile.Call {
    let helper: String? =
      switch kernel {
      case PC_KERNEL_PACK, PC_KERNEL_PACK_THIRDS, PC_KERNEL_EXAMPLES_THIRDS: "pack"
      case PC_KERNEL_TRANSPOSE: "transpose"
      case PC_KERNEL_COMBINE: "combine tiles"
      case PC_KERNEL_ELEMENTWISE where origin.operation.hasPrefix("convolve"): "gather"
      default: nil
      }
    guard let helper else { return origin }
    return Profile.Call(section: origin.section, vertex: origin.vertex, operation: "\(origin.operation), \(helper)")
  }

  private mutating func lower(_ instruction: Instruction) throws {
    let isElementwise = if case .elementwise = instruction.primitive { true } else { false }
    for operand in instruction.operands where !isElementwise {
      if instruction.results.contains(where: { $0.buffer == operand.buffer }) {
        fatalError("\(instruction.primitive.name) can't write over its own operand; only elementwise functions can")
      }
    }
    switch instruction.primitive {
    case .elementwise(let function, let extents): lower(function, extents, instruction)
    case .reduce(let reduction, let extents, let reduced): try lower(reduction, extents, reduced, instruction)
    case .contract(let extents): try lowerContract(extents, instruction)
    case .convolve(let geometry): try lowerConvolve(geometry, instruction)
    case .convolveInputGradient(let geometry): try lowerConvolveInputGradient(geometry, instruction)
    case .convolveFilterGradient(let geometry): try lowerConvolveFilterGradient(geometry, instruction)
    case .maxPool(let pooling): lower(pooling, instruction, isGradient: false)
    case .maxPoolGradient(let pooling): lower(pooling, instruction, isGradient: true)
    case .oneHot(let extents, let classes): lowerOneHot(extents, classes, instruction)
    case .gather(let extents, let rows, let width):
      lowerGather(extents, rows, width, values: instruction.results[0], table: instruction.operands[1], instruction)
    case .gatherGradient(let extents, let rows, let width):
      lowerGather(extents, rows, width, values: instruction.operands[1], table: instruction.results[0], instruction)
    case .foreign(let foreign): lower(foreign, instruction)
    }
  }
}

extension Program {
  /// Whether an instruction has work for every example.
  func isBatched(_ instruction: Instruction) -> Bool {
    (instruction.operands + instruction.results).contains { buffers[$0.buffer].isBatched }
  }
}

// MARK: Places, strides, coefficients

/// An operand or result as C sees it.
struct Operand {
  var place: pc_place
  var strides: [Int]
  var isBatched: Bool
  var buffer: Int
}

extension Lowering {
  func operand(_ view: View) -> Operand {
    let buffer = program.buffers[view.buffer]
    let width = buffer.isBatched ? lanes : 1
    return Operand(
      place: pc_place(
        base: buffers[view.buffer].base + view.offset * width,
        tile: buffer.isBatched ? Int64(buffer.count * lanes) : 0,
        lane: buffer.isBatched ? 1 : 0),
      strides: view.strides.map { $0 * width }, isBatched: buffer.isBatched, buffer: view.buffer)
  }

  /// Lanes of a call: those of a tile if anything in it is batched, one otherwise.
  func lanes(_ operands: [Operand]) -> Int64 { operands.contains(where: \.isBatched) ? Int64(lanes) : 1 }

  mutating func coefficient(_ scalar: Scalar) -> Int64 {
    switch scalar {
    case .slot(let slot): return Int64(slot)
    case .constant(let value): return coefficient(Float(value))
    }
  }

  mutating func coefficient(_ value: Float) -> Int64 {
    if let known = constants[value] { return Int64(known) }
    constants[value] = coefficients.count
    coefficients.append(value)
    return Int64(coefficients.count - 1)
  }

  /// A number for each element and tile, to be added up over the tiles.
  mutating func workspace(_ count: Int) throws -> Memory {
    guard let memory = isPlanned ? Memory(planned: count) : Memory(count: count) else {
      throw CPUError.memory("a workspace", bytes: 4 * count)
    }
    workspaces.append(memory)
    return memory
  }

  /// Memory for what one phase leaves and the next reads, so that calls of one purpose may share it one after the other.
  enum Purpose { case panels, blocks }

  mutating func sharedWorkspace(_ purpose: Purpose, _ count: Int) throws -> Memory {
    if let memory = sharedWorkspaces[purpose], memory.count >= count { return memory }
    let memory = try workspace(count)
    sharedWorkspaces[purpose] = memory
    return memory
  }

  mutating func array<T>(_ elements: [T]) -> UnsafePointer<T> {
    let array = CArray(elements)
    parameters.append(array)
    return UnsafePointer(array.base)
  }

  mutating func reserveScratch(_ count: Int) { scratchCount = max(scratchCount, count) }

  mutating func keepAlive(_ object: AnyObject) { parameters.append(object) }

  mutating func call<T>(
    _ kernel: pc_kernel_name, _ parameters: T, _ kind: Call.Kind, set: UnsafePointer<pc_set>? = nil,
    reads: [Operand], writes: [Operand],
    packs: [Int] = [], abreast: Call.Abreast = .never, run: ElementRun? = nil, product: ProductRun? = nil
  ) {
    calls.append(
      Call(
        kernel: pc_kernel_of(set ?? self.set, kernel), parameters: UnsafeRawPointer(array([parameters])), kind: kind,
        sharesTiles: [
          PC_KERNEL_ELEMENTWISE, PC_KERNEL_REDUCE, PC_KERNEL_PRODUCTS, PC_KERNEL_PACK, PC_KERNEL_MATRIX,
          PC_KERNEL_CONVOLUTION, PC_KERNEL_MATRIX_ONCE, PC_KERNEL_PACK_THIRDS, PC_KERNEL_MATRIX_THIRDS,
          PC_KERNEL_CONVOLUTION_THIRDS,
          PC_KERNEL_SPREAD, PC_KERNEL_COURSE, PC_KERNEL_LAST_ROUND,
        ].contains(kernel),
        reads: Set(reads.map(\.buffer)), writes: Set(writes.map(\.buffer)), run: run, product: product,
        effects: effects, packs: packs, abreast: abreast, origin: origin(kernel)))
  }

  /// Takes the last call's alternative from the calls that `lower` makes; none where it makes none.
  mutating func addAlternative(_ lower: (inout Lowering) throws -> Void) rethrows {
    let last = calls.count - 1
    try lower(&self)
    let made = Array(calls[(last + 1)...])
    calls.removeSubrange((last + 1)...)
    if !made.isEmpty { calls[last].once = addAlternatives(made) }
  }

  mutating func addAlternatives(_ calls: [Call]) -> Range<Int> {
    alternatives += calls
    return (alternatives.count - calls.count)..<alternatives.count
  }

  /// `tile` where the result is batched, else `whole`, which must not touch batched numbers.
  func kind(_ result: Operand, _ whole: Call.Kind) -> Call.Kind { result.isBatched ? .tile : whole }

  /// The result of an instruction that is a sum over the examples, or over other parts: for each tile, or part, in a workspace,
  /// dense and in row-major order over `extents`, with a later call that adds them up; and the operand to hand to the
  /// first call.
  mutating func summed(
    _ result: Operand, extents: [Int], _ instruction: Instruction, parts: Int? = nil
  ) throws -> (partial: Operand, combine: pc_combine) {
    let count = extents.reduce(1, *)
    let parts = parts ?? tiles
    let memory = try workspace(parts * count)
    var dense: [Int] = []
    var step = count
    for extent in extents {
      step /= max(extent, 1)
      dense.append(extent == 1 ? 0 : step)
    }
    let place = pc_place(base: memory.base, tile: Int64(count), lane: 0)
    let axes = Lowering.axes(extents, result: result.strides, x: dense)
    let combine = pc_combine(
      alpha: coefficient(instruction.alpha), beta: coefficient(instruction.beta), tiles: Int64(parts),
      result: result.place, x: place, rank: Int64(axes.count), axes: array(axes))
    return (Operand(place: place, strides: dense, isBatched: false, buffer: -1), combine)
  }

  /// Axes of extent 1 left out and neighbours merged where every stride allows it; at least one axis.
  static func axes(_ extents: [Int], result: [Int], x: [Int]? = nil, y: [Int]? = nil, z: [Int]? = nil) -> [pc_axis] {
    var axes: [pc_axis] = []
    for i in extents.indices where extents[i] != 1 {
      let axis = pc_axis(
        count: Int64(extents[i]), result: Int64(result[i]), x: Int64(x?[i] ?? 0), y: Int64(y?[i] ?? 0),
        z: Int64(z?[i] ?? 0))
      if let outer = axes.last, outer.result == axis.result * axis.count, outer.x == axis.x * axis.count,
        outer.y == axis.y * axis.count, outer.z == axis.z * axis.count
      {
        axes[axes.count - 1] = axis
        axes[axes.count - 1].count *= outer.count
      } else {
        axes.append(axis)
      }
    }
    return axes.isEmpty ? [pc_axis(count: 1, result: 0, x: 0, y: 0, z: 0)] : axes
  }
}

// MARK: Packed weights

/// The weights of all groups, one after the other, and the calls that bring them up to date.
struct PackedWeights {
  var memory: Memory
  var packs: [Int]
}

struct PackKey: Hashable {
  var height: Int64
  var buffer: Int
  var offsets: [Int]
  var rows: Int
  var row: Int
  var counts: [Int]
  var strides: [Int]
}

extension Lowering {
  /// Rows of a panel of shared weights, at most, where so many columns of lanes go beside one another.
  func panelHeight(columns: Int) -> Int64 {
    let set = set.pointee
    return set.wide_rows > 0 && columns * lanes >= set.wide_block ? set.wide_rows : set.rows
  }

  /// Rows of a shared operand in panels, for each of the offsets, the depth being three nested counts. Instructions that
  /// want the same weights share them.
  mutating func pack(
    _ view: View, height: Int64, offsets: [Int], rows: Int, row: Int, counts: [Int], strides: [Int]
  ) throws -> PackedWeights {
    let key = PackKey(
      height: height, buffer: view.buffer, offsets: offsets.map { view.offset + $0 }, rows: rows, row: row,
      counts: counts, strides: strides)
    if let known = packed[key] { return known }
    let size = rows * counts.reduce(1, *)
    return try pack(PC_KERNEL_PACK, key, size: size) { source, target in
      pc_pack(
        source: pc_place(base: source, tile: 0, lane: 0), target: pc_place(base: target, tile: 0, lane: 0),
        rows: Int64(rows), height: height, row: Int64(row), depth: Int64(counts.reduce(1, *)), start: 0,
        count0: Int64(counts[0]), count1: Int64(counts[1]), count2: Int64(counts[2]),
        stride0: Int64(strides[0]), stride1: Int64(strides[1]), stride2: Int64(strides[2]))
    }
  }

  /// The same for a matrix unit, the depth being four nested counts of which the inner two are a run.
  mutating func packThirds(
    _ view: View, offsets: [Int], rows: Int, row: Int, counts: [Int], strides: [Int]
  ) throws -> PackedWeights {
    let key = PackKey(
      height: Int64(PC_THIRDS_ROWS), buffer: view.buffer, offsets: offsets.map { view.offset + $0 }, rows: rows,
      row: row, counts: counts, strides: strides)
    if let known = packed[key] { return known }
    return try pack(PC_KERNEL_PACK_THIRDS, key, size: Lowering.thirdsCount(rows: rows, counts)) { source, target in
      pc_pack_thirds(
        source: source, target: target, rows: Int64(rows), row: Int64(row), count0: Int64(counts[0]),
        count1: Int64(counts[1]), count2: Int64(counts[2]), count3: Int64(counts[3]), stride0: Int64(strides[0]),
        stride1: Int64(strides[1]), stride2: Int64(strides[2]), stride3: Int64(strides[3]))
    }
  }

  /// Floats that `packThirds` fills for one group.
  static func thirdsCount(rows: Int, _ counts: [Int]) -> Int {
    let panels = (rows - 1) / Int(PC_THIRDS_ROWS) + 1
    let blocks = (counts[2] * counts[3] - 1) / Int(PC_THIRDS_DEPTH) + 1
    return panels * counts[0] * counts[1] * blocks * Int(PC_THIRDS_BLOCK)
  }

  /// Weights of which each group takes `size` floats; `parameters` says how to make one from its source and target.
  private mutating func pack<T>(
    _ kernel: pc_kernel_name, _ key: PackKey, size: Int,
    _ parameters: (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>) -> T
  ) throws -> PackedWeights {
    var weights = PackedWeights(memory: try workspace(size * key.offsets.count), packs: [])
    for (g, offset) in key.offsets.enumerated() {
      let made = parameters(buffers[key.buffer].base + offset, weights.memory.base + g * size)
      weights.packs.append(packs.count)
      packs.append(
        Call(
          kernel: pc_kernel_of(set, kernel), parameters: UnsafeRawPointer(array([made])), kind: .together,
          reads: [key.buffer], origin: origin(kernel)))
    }
    packed[key] = weights
    return weights
  }
}
