import PCPrimitives

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The reference backend: Double, one plain loop for each primitive, one example after the other.
///
/// It is the oracle that every other backend is tested against. It is never tuned: what counts is that it can be
/// checked by reading it beside the definitions in `Primitive`.
public struct Reference: Backend {
  public let name = "reference"
  public var epsilon: Double { 0x1p-52 }

  /// The backend; it has no settings.
  public init() {}

  public func makeStorage(for buffer: Buffer) throws -> any Storage { ReferenceStorage(count: buffer.count) }

  public func byteCount(of program: Program, batchSize: Int) -> Int {
    program.buffers.reduce(0) { sum, buffer in
      sum + (buffer.isPersistent ? 0 : 8 * buffer.count * (buffer.isBatched ? batchSize : 1))
    }
  }

  public func compile(
    _ program: Program, batchSize: Int, bindings: [Int: any Storage]
  ) throws -> any Executable {
    let violations = program.violations()
    guard violations.isEmpty else { fatalError("a program that is not well formed: \(violations[0])") }
    return ReferenceExecutable(program: program, batchSize: batchSize, bindings: bindings)
  }
}

/// A flat array of doubles that buffers and bindings share by reference.
final class ReferenceStorage: Storage, @unchecked Sendable {
  let count: Int
  let values: UnsafeMutableBufferPointer<Double>

  init(count: Int) {
    self.count = count
    values = .allocate(capacity: max(count, 1))
    values.initialize(repeating: 0)
  }

  deinit { values.deallocate() }

  func upload(_ source: [Double]) {
    guard source.count == count else { fatalError("upload of \(source.count) numbers into a buffer of \(count)") }
    for (i, value) in source.enumerated() { values[i] = value }
  }

  func download() -> [Double] { Array(values.prefix(count)) }
}

final class ReferenceExecutable: Executable {
  let batchSize: Int
  private let program: Program
  private let memory: [ReferenceStorage]
  private var slots: [Double]

  init(program: Program, batchSize: Int, bindings: [Int: any Storage]) {
    self.program = program
    self.batchSize = batchSize
    slots = Array(repeating: 0, count: program.slots.count)
    memory = program.buffers.enumerated().map { index, buffer in
      if buffer.isPersistent {
        guard let storage = bindings[index] as? ReferenceStorage, storage.count == buffer.count else {
          fatalError("persistent buffer \(buffer.name) is not bound to storage of the reference backend of its size")
        }
        return storage
      }
      return ReferenceStorage(count: buffer.isBatched ? buffer.count * batchSize : buffer.count)
    }
  }

  var byteCount: Int {
    zip(program.buffers, memory).reduce(0) { $0 + ($1.0.isPersistent ? 0 : $1.1.count * 8) }
  }

  func setSlot(_ slot: Int, to value: Double) { slots[slot] = value }

  func upload(_ values: UnsafeBufferPointer<Float>, to buffer: Int) { copy(values, to: buffer) { Double($0) } }
  func upload(_ values: UnsafeBufferPointer<Double>, to buffer: Int) { copy(values, to: buffer) { $0 } }
  func upload(_ values: UnsafeBufferPointer<Int32>, to buffer: Int) { copy(values, to: buffer) { Double($0) } }

  private func copy<T>(_ values: UnsafeBufferPointer<T>, to buffer: Int, convert: (T) -> Double) {
    let target = memory[buffer]
    guard values.count == target.count else {
      fatalError(
        "upload of \(values.count) numbers into \(program.buffers[buffer].name), which holds \(target.count)")
    }
    for (i, value) in values.enumerated() { target.values[i] = convert(value) }
  }

  func download(_ buffer: Int) -> [Double] { memory[buffer].download() }

  func run(_ script: [Passage]) {
    for passage in script {
      for _ in 0..<passage.count {
        for instruction in program.sections[passage.section].instructions { execute(instruction) }
      }
    }
  }

  // MARK: One instruction

  private func value(_ scalar: Scalar) -> Double {
    switch scalar {
    case .constant(let value): value
    case .slot(let slot): slots[slot]
    }
  }

  /// Computes the primitive densely into scratch memory, example by example, and then blends that into the result:
  /// so an operand may be the result itself.
  private func execute(_ instruction: Instruction) {
    let alpha = value(instruction.alpha)
    let beta = value(instruction.beta)
    let result = instruction.results[0]
    let extents = instruction.primitive.denseResultExtents
    let isResultBatched = program.buffers[result.buffer].isBatched
    let isAnyOperandBatched = instruction.operands.contains { program.buffers[$0.buffer].isBatched }
    var scratch = Array(repeating: 0.0, count: extents.reduce(1, *))

    func blend(example: Int) {
      let target = pointer(result, example: example)
      var next = 0
      forEachOffset(extents, [result.strides]) { offsets in
        let old = beta == 0 ? 0 : beta * target[offsets[0]]
        target[offsets[0]] = old + alpha * scratch[next]
        next += 1
      }
    }

    let examples = isResultBatched || isAnyOperandBatched ? batchSize : 1
    for example in 0..<examples {
      if isResultBatched { for i in scratch.indices { scratch[i] = 0 } }
      compute(instruction, example: example, into: &scratch)
      if let factor = instruction.factor {
        let numbers = pointer(factor, example: example)
        var next = 0
        forEachOffset(extents, [factor.strides]) { at in
          scratch[next] *= numbers[at[0]]
          next += 1
        }
      }
      if isResultBatched { blend(example: example) }
    }
    if !isResultBatched { blend(example: 0) }
  }

  private func pointer(_ view: View, example: Int) -> UnsafeMutablePointer<Double> {
    let buffer = program.buffers[view.buffer]
    guard let base = memory[view.buffer].values.baseAddress else { fatalError("a buffer without memory") }
    return base + view.offset + (buffer.isBatched ? example * buffer.count : 0)
  }

  /// Adds the primitive's value for one example to `sums`, which is dense and in row-major order.
  private func compute(_ instruction: Instruction, example: Int, into sums: inout [Double]) {
    let memory = instruction.operands.map { pointer($0, example: example) }
    let strides = instruction.operands.map(\.strides)
    var next = 0

    switch instruction.primitive {
    case .elementwise(let function, let extents):
      switch function.arity {
      case 0: for i in sums.indices { sums[i] += 1 }
      case 1:
        forEachOffset(extents, strides) { at in
          sums[next] += function(memory[0][at[0]], 0, 0)
          next += 1
        }
      case 2:
        forEachOffset(extents, strides) { at in
          sums[next] += function(memory[0][at[0]], memory[1][at[1]], 0)
          next += 1
        }
      default:
        forEachOffset(extents, strides) { at in
          sums[next] += function(memory[0][at[0]], memory[1][at[1]], memory[2][at[2]])
          next += 1
        }
      }

    case .reduce(let reduction, let extents, let reduced):
      let kept = zip(extents, reduced).map { $1 ? 1 : $0 }
      let inner = zip(extents, reduced).map { $1 ? $0 : 1 }
      forEachOffset(kept, strides) { start in
        let row = memory[0] + start[0]
        switch reduction {
        case .sum:
          forEachOffset(inner, strides) { sums[next] += row[$0[0]] }
        case .maximum, .logSumExp:
          var largest = -Double.infinity
          forEachOffset(inner, strides) { largest = max(largest, row[$0[0]]) }
          if reduction == .logSumExp && largest.isFinite {
            var total = 0.0
            forEachOffset(inner, strides) { total += Elementwise.exp(row[$0[0]] - largest, 0, 0) }
            largest += Elementwise.log(total, 0, 0)
          }
          sums[next] += largest
        }
        next += 1
      }

    case .contract(let extents):
      let depth = extents[extents.count - 1]
      let lhsStride = strides[0][extents.count - 1]
      let rhsStride = strides[1][extents.count - 1]
      forEachOffset(Array(extents.dropLast()), strides) { at in
        let lhs = memory[0] + at[0]
        let rhs = memory[1] + at[1]
        var total = 0.0
        for k in 0..<depth { total += lhs[k * lhsStride] * rhs[k * rhsStride] }
        sums[next] += total
        next += 1
      }

    case .convolve(let c):
      let (image, filter) = (strides[0], strides[1])
      forEachTap(c) { o, y, x, channel, row, column, k, i, j in
        sums[(o * c.output.rows + y) * c.output.columns + x] +=
          memory[0][channel * image[0] + row * image[1] + column * image[2]]
          * memory[1][o * filter[0] + k * filter[1] + i * filter[2] + j * filter[3]]
      }

    case .convolveInputGradient(let c):
      let (message, filter) = (strides[0], strides[1])
      forEachTap(c) { o, y, x, channel, row, column, k, i, j in
        sums[(channel * c.input.rows + row) * c.input.columns + column] +=
          memory[0][o * message[0] + y * message[1] + x * message[2]]
          * memory[1][o * filter[0] + k * filter[1] + i * filter[2] + j * filter[3]]
      }

    case .convolveFilterGradient(let c):
      let (image, message) = (strides[0], strides[1])
      forEachTap(c) { o, y, x, channel, row, column, k, i, j in
        sums[((o * c.inputChannels / c.groups + k) * c.kernel.rows + i) * c.kernel.columns + j] +=
          memory[0][channel * image[0] + row * image[1] + column * image[2]]
          * memory[1][o * message[0] + y * message[1] + x * message[2]]
      }

    case .maxPool(let p):
      let image = strides[0]
      let winners = pointer(instruction.results[1], example: example)
      forEachOffset(
        p.messageExtents,
        [
          [0, p.stride.rows, 0], [0, 0, p.stride.columns], [image[0], 0, 0],
          instruction.results[1].strides,
        ]
      ) { at in
        var best = -Double.infinity
        var winner = -1
        for i in 0..<p.window.rows {
          for j in 0..<p.window.columns {
            let row = at[0] + i - p.padding.rows
            let column = at[1] + j - p.padding.columns
            guard row >= 0, row < p.input.rows, column >= 0, column < p.input.columns else { continue }
            let candidate = memory[0][at[2] + row * image[1] + column * image[2]]
            if winner < 0 || candidate > best || candidate.isNaN {
              (best, winner) = (candidate, i * p.window.columns + j)
            }
          }
        }
        winners[at[3]] = Double(max(winner, 0))
        sums[next] += best
        next += 1
      }

    case .maxPoolGradient(let p):
      let image = [p.input.count, p.input.columns, 1]
      forEachOffset(
        p.messageExtents,
        [
          strides[0], strides[1], [image[0], 0, 0], [0, p.stride.rows, 0],
          [0, 0, p.stride.columns],
        ]
      ) { at in
        let winner = Int(memory[1][at[1]])
        let row = at[3] + winner / p.window.columns - p.padding.rows
        let column = at[4] + winner % p.window.columns - p.padding.columns
        sums[at[2] + row * image[1] + column * image[2]] += memory[0][at[0]]
      }

    case .oneHot(let extents, let classes):
      forEachOffset(extents, strides) { at in
        let label = Int(memory[0][at[0]])
        if (0..<classes).contains(label) { sums[next * classes + label] += 1 }
        next += 1
      }

    case .gather(let extents, let rows, let width):
      let table = strides[1]
      forEachOffset(extents, [strides[0]]) { at in
        let row = Int(memory[0][at[0]])
        for j in 0..<width {
          if (0..<rows).contains(row) { sums[next] += memory[1][row * table[0] + j * table[1]] }
          next += 1
        }
      }

    case .gatherGradient(let extents, let rows, let width):
      let message = strides[1]
      forEachOffset(extents, [strides[0], Array(message.dropLast())]) { at in
        let row = Int(memory[0][at[0]])
        guard (0..<rows).contains(row) else { return }
        for j in 0..<width { sums[row * width + j] += memory[1][at[1] + j * message[extents.count]] }
      }

    case .foreign(let foreign):
      let arguments = foreign.operandCounts.enumerated().map { k, count in
        (0..<count).map { memory[k][$0 * strides[k][0]] }
      }
      let result = foreign.body(arguments)
      guard result.count == foreign.resultCount else {
        fatalError("\(foreign.name) returned \(result.count) numbers, not the \(foreign.resultCount) it declared")
      }
      for (i, value) in result.enumerated() { sums[i] += value }
    }
  }

  /// Every product of a convolution: output channel, row, column; input channel, row, column; and the filter's channel
  /// within its group, row, column.
  private func forEachTap(_ c: Convolution, _ body: (Int, Int, Int, Int, Int, Int, Int, Int, Int) -> Void) {
    let inputsPerGroup = c.inputChannels / c.groups
    let outputsPerGroup = c.outputChannels / c.groups
    for o in 0..<c.outputChannels {
      for y in 0..<c.output.rows {
        for i in 0..<c.kernel.rows {
          let row = y * c.stride.rows + i * c.dilation.rows - c.padding.rows
          guard row >= 0, row < c.input.rows else { continue }
          for x in 0..<c.output.columns {
            for j in 0..<c.kernel.columns {
              let column = x * c.stride.columns + j * c.dilation.columns - c.padding.columns
              guard column >= 0, column < c.input.columns else { continue }
              for k in 0..<inputsPerGroup {
                body(o, y, x, o / outputsPerGroup * inputsPerGroup + k, row, column, k, i, j)
              }
            }
          }
        }
      }
    }
  }
}

/// Visits the index space in row-major order, with the offset that each list of strides gives for the index.
private func forEachOffset(_ extents: [Int], _ strides: [[Int]], _ body: (UnsafeMutablePointer<Int>) -> Void) {
  guard !extents.contains(0) else { return }
  withUnsafeTemporaryAllocation(of: Int.self, capacity: extents.count + strides.count) { memory in
    guard let index = memory.baseAddress else { return }
    let offsets = index + extents.count
    for i in memory.indices { memory[i] = 0 }
    while true {
      body(offsets)
      var axis = extents.count - 1
      while axis >= 0 {
        index[axis] += 1
        for (k, stride) in strides.enumerated() { offsets[k] += stride[axis] }
        if index[axis] < extents[axis] { break }
        for (k, stride) in strides.enumerated() { offsets[k] -= stride[axis] * extents[axis] }
        index[axis] = 0
        axis -= 1
      }
      if axis < 0 { return }
    }
  }
}

extension Elementwise {
  /// The function's value in Double; arguments beyond its arity are ignored.
  package func callAsFunction(_ x: Double, _ y: Double, _ z: Double) -> Double {
    switch self {
    case .one: 1
    case .identity: x
    case .reciprocal: 1 / x
    case .exp: libExp(x)
    case .log: libLog(x)
    case .sqrt: x.squareRoot()
    case .sin: libSin(x)
    case .cos: libCos(x)
    case .tan: libTan(x)
    case .tanh: libTanh(x)
    case .sigmoid: 1 / (1 + libExp(-x))
    case .absolute: abs(x)
    case .expMinusOne: libExpm1(x)
    case .softplus: max(x, 0) + libLog1p(libExp(-abs(x)))
    case .normalCumulative: libErfc(-x * 0.5.squareRoot()) / 2
    case .relu: x > 0 || x.isNaN ? x : 0
    case .step: x > 0 ? 1 : 0
    case .oneMinusSquare: 1 - x * x
    case .onePlusSquare: 1 + x * x
    case .logisticSlope: x * (1 - x)
    case .timesOneMinusSquare: y * (1 - x * x)
    case .timesStep: x > 0 ? y : 0
    case .timesLogisticSlope: y * (x * (1 - x))
    case .clip(let limit): x.isNaN ? x : min(max(x, -limit), limit)
    case .add: x + y
    case .subtract: x - y
    case .multiply: x * y
    case .divide: x / y
    case .maximum: max(x, y)
    case .minimum: min(x, y)
    case .greater: x > y ? 1 : 0
    case .select: x != 0 ? y : z
    }
  }
}

// Inside `Elementwise` the names of its cases shadow the C library's functions.
private func libExp(_ x: Double) -> Double { exp(x) }
private func libLog(_ x: Double) -> Double { log(x) }
private func libSin(_ x: Double) -> Double { sin(x) }
private func libCos(_ x: Double) -> Double { cos(x) }
private func libTan(_ x: Double) -> Double { tan(x) }
private func libTanh(_ x: Double) -> Double { tanh(x) }
private func libExpm1(_ x: Double) -> Double { expm1(x) }
private func libLog1p(_ x: Double) -> Double { log1p(x) }
private func libErfc(_ x: Double) -> Double { erfc(x) }
