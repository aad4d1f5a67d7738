import PCKernels
import PCKernelsC
import PCPrimitives

// Elementwise functions, reductions, pooling, one-hot codes and foreign code.

extension Lowering {
  /// The lanes are one more axis, innermost, of stride 1 for batched buffers and 0 for others; so a whole value is usually
  /// one contiguous row.
  mutating func lower(_ function: Elementwise, _ extents: [Int], _ instruction: Instruction) {
    let result = operand(instruction.results[0])
    var operands = instruction.operands.map(operand)
    guard !extents.contains(0) else { return }
    // Of a product what stays comes first: see `Recurrence`.
    if function == .multiply, written.contains(operands[0].buffer), !written.contains(operands[1].buffer) {
      operands.swapAt(0, 1)
    }
    let hasLanes = result.isBatched
    // In the order of the result's memory, whatever that of its axes.
    let order = extents.indices.sorted { (-result.strides[$0], $0) < (-result.strides[$1], $1) }
    func strides(_ operand: Operand) -> [Int] {
      order.map { operand.strides[$0] } + (hasLanes ? [operand.isBatched ? 1 : 0] : [])
    }
    let axes = Lowering.axes(
      order.map { extents[$0] } + (hasLanes ? [lanes] : []), result: strides(result), x: operands.first.map(strides),
      y: operands.dropFirst().first.map(strides), z: operands.dropFirst(2).first.map(strides))
    // Operands that the function does not take are not read.
    let unused = pc_place(base: result.place.base, tile: result.place.tile, lane: 0)
    let places = operands.map(\.place) + Array(repeating: unused, count: 3)
    var limit: Float = 0
    if case .clip(let bound) = function { limit = Float(bound) }
    call(
      PC_KERNEL_ELEMENTWISE,
      pc_elementwise(
        operation: Int64(function.operation.rawValue), arity: Int64(operands.count),
        alpha: coefficient(instruction.alpha),
        beta: coefficient(instruction.beta), limit: limit, result: result.place, x: places[0], y: places[1],
        z: places[2], rank: Int64(axes.count), axes: array(axes)),
      kind(result, .together), reads: operands, writes: [result],
      run: elementRun(axes, result, operands))
  }

  private func elementRun(_ axes: [pc_axis], _ result: Operand, _ operands: [Operand]) -> ElementRun? {
    /// How many numbers there are, one for each element or for several neighbours; `nil` where they do not follow one another.
    func count(_ stride: KeyPath<pc_axis, Int64>) -> Int? {
      var count = 1
      for axis in axes.reversed() where axis[keyPath: stride] != 0 || count > 1 {
        guard axis[keyPath: stride] == count else { return nil }
        count *= Int(axis.count)
      }
      return count
    }
    func numbers(_ operand: Operand, _ count: Int) -> ElementRun.Numbers {
      ElementRun.Numbers(
        buffer: operand.buffer, start: operand.place.base - buffers[operand.buffer].base, count: count)
    }
    let all = axes.reduce(1) { $0 * Int($1.count) }
    let counts = zip(operands, [\pc_axis.x, \.y, \.z]).compactMap { count($1) }
    guard count(\.result) == all, counts.count == operands.count else { return nil }
    return ElementRun(result: numbers(result, all), operands: zip(operands, counts).map(numbers))
  }

  mutating func lower(
    _ reduction: Reduction, _ extents: [Int], _ reduced: [Bool], _ instruction: Instruction
  ) throws {
    let result = operand(instruction.results[0])
    let x = operand(instruction.operands[0])
    let kept = zip(extents, reduced).map { $1 ? 1 : $0 }
    guard !kept.contains(0) else { return }
    let inner = zip(extents, reduced).map { $1 ? $0 : 1 }
    let sums = x.isBatched && !result.isBatched
    if !sums && inner.allSatisfy({ $0 == 1 }) {
      // Of one number each reduction makes this number.
      lower(.identity, extents, instruction)
      return
    }
    let total = sums ? try summed(result, extents: kept, instruction) : nil
    let target = total?.partial ?? result
    let axes = Lowering.axes(kept, result: target.strides, x: x.strides)
    let reducedAxes = Lowering.axes(inner, result: inner.map { _ in 0 }, x: x.strides)
    call(
      PC_KERNEL_REDUCE,
      pc_reduce(
        reduction: Int64(reduction.code.rawValue), alpha: sums ? coefficient(1) : coefficient(instruction.alpha),
        beta: sums ? coefficient(0) : coefficient(instruction.beta), sums: sums, lanes: lanes([x, result]),
        result: target.place, x: x.place, rank: Int64(axes.count), axes: array(axes),
        reduced_rank: Int64(reducedAxes.count), reduced: array(reducedAxes)),
      sums ? .tile : kind(result, .alone), reads: [x], writes: [target])
    if let total { call(PC_KERNEL_COMBINE, total.combine, .together, reads: [], writes: [result]) }
  }

  mutating func lower(_ p: Pooling, _ instruction: Instruction, isGradient: Bool) {
    let values = operand(isGradient ? instruction.operands[0] : instruction.results[0])
    let winners = operand(isGradient ? instruction.operands[1] : instruction.results[1])
    let image = operand(isGradient ? instruction.results[0] : instruction.operands[0])
    if !isGradient && winners.isBatched != values.isBatched {
      fatalError("max pool: values and positions must both be batched or neither")
    }
    let parameters = pc_pooling(
      alpha: coefficient(instruction.alpha), beta: coefficient(instruction.beta),
      lanes: lanes([values, winners, image]),
      channels: Int64(p.channels), rows: Int64(p.output.rows), columns: Int64(p.output.columns),
      image_rows: Int64(p.input.rows), image_columns: Int64(p.input.columns), window_rows: Int64(p.window.rows),
      window_columns: Int64(p.window.columns), stride_rows: Int64(p.stride.rows),
      stride_columns: Int64(p.stride.columns), padding_rows: Int64(p.padding.rows),
      padding_columns: Int64(p.padding.columns), values: values.place, winners: winners.place, image: image.place,
      values_channel: Int64(values.strides[0]), values_row: Int64(values.strides[1]),
      values_column: Int64(values.strides[2]), winners_channel: Int64(winners.strides[0]),
      winners_row: Int64(winners.strides[1]), winners_column: Int64(winners.strides[2]),
      image_channel: Int64(image.strides[0]), image_row: Int64(image.strides[1]),
      image_column: Int64(image.strides[2]))
    if isGradient {
      call(
        PC_KERNEL_MAX_POOL_GRADIENT, parameters, kind(image, .alone), reads: [values, winners], writes: [image])
    } else {
      call(PC_KERNEL_MAX_POOL, parameters, kind(values, .alone), reads: [image], writes: [values, winners])
    }
  }

  mutating func lowerOneHot(_ extents: [Int], _ classes: Int, _ instruction: Instruction) {
    guard !extents.contains(0) else { return }
    let result = operand(instruction.results[0])
    let x = operand(instruction.operands[0])
    let axes = Lowering.axes(extents, result: Array(result.strides.dropLast()), x: x.strides)
    call(
      PC_KERNEL_ONE_HOT,
      pc_one_hot(
        alpha: coefficient(instruction.alpha), beta: coefficient(instruction.beta), lanes: lanes([x, result]),
        classes: Int64(classes), class_stride: Int64(result.strides[extents.count]), result: result.place, x: x.place,
        rank: Int64(axes.count), axes: array(axes)),
      kind(result, .alone), reads: [x], writes: [result])
  }

  /// Rows of a table by index, or, where the table is the result, rows added to it.
  mutating func lowerGather(
    _ extents: [Int], _ rows: Int, _ width: Int, values: View, table: View, _ instruction: Instruction
  ) {
    let isGradient = instruction.results[0] == table
    let index = operand(instruction.operands[0])
    let values = operand(values)
    let table = operand(table)
    let axes = Lowering.axes(extents, result: Array(values.strides.dropLast()), x: index.strides)
    // Without an example in the table, all tiles add to it.
    let sums = isGradient && !table.isBatched && (index.isBatched || values.isBatched)
    let parameters = pc_gather(
      alpha: coefficient(instruction.alpha), beta: coefficient(instruction.beta),
      lanes: lanes([index, values, table]), sums: sums, tiles: sums ? Int64(tiles) : 1,
      batch: sums ? Int64(batchSize) : lanes([index, values, table]), rows: extents.contains(0) ? 0 : Int64(rows),
      width: Int64(width), indices: index.place, table: table.place, values: values.place,
      table_row: Int64(table.strides[0]), table_column: Int64(table.strides[1]),
      value_column: Int64(values.strides[extents.count]), rank: Int64(axes.count), axes: array(axes))
    if isGradient {
      call(PC_KERNEL_GATHER_GRADIENT, parameters, kind(table, .together), reads: [index, values], writes: [table])
    } else if !extents.contains(0) {
      call(PC_KERNEL_GATHER, parameters, kind(values, .alone), reads: [index, table], writes: [values])
    }
  }

  mutating func lower(_ foreign: Foreign, _ instruction: Instruction) {
    let result = operand(instruction.results[0])
    let operands = instruction.operands.map(operand)
    let body = ForeignCall(foreign: foreign, operands: operands, result: result)
    keepAlive(body)
    call(
      PC_KERNEL_FOREIGN,
      pc_foreign(
        alpha: coefficient(instruction.alpha), beta: coefficient(instruction.beta),
        function: { context, tile, live, alpha, beta in
          guard let context else { return }
          Unmanaged<ForeignCall>.fromOpaque(context).takeUnretainedValue()
            .run(tile: Int(tile), live: Int(live), alpha: alpha, beta: beta)
        }, context: Unmanaged.passUnretained(body).toOpaque()),
      kind(result, .alone), reads: operands, writes: [result])
  }
}

/// A user's code on the examples of a tile, one after the other.
private final class ForeignCall {
  private let foreign: Foreign
  private let operands: [Operand]
  private let result: Operand

  init(foreign: Foreign, operands: [Operand], result: Operand) {
    self.foreign = foreign
    self.operands = operands
    self.result = result
  }

  func run(tile: Int, live: Int, alpha: Float, beta: Float) {
    for example in 0..<(result.isBatched ? live : 1) {
      func start(_ operand: Operand) -> UnsafeMutablePointer<Float> {
        operand.place.base + tile * Int(operand.place.tile) + example * Int(operand.place.lane)
      }
      let arguments = zip(operands, foreign.operandCounts).map { operand, count in
        (0..<count).map { Double(start(operand)[$0 * operand.strides[0]]) }
      }
      let values = foreign.body(arguments)
      guard values.count == foreign.resultCount else {
        fatalError("\(foreign.name) returned \(values.count) numbers, not the \(foreign.resultCount) it declared")
      }
      let target = start(result)
      for (i, value) in values.enumerated() {
        let old = beta == 0 ? 0 : beta * target[i * result.strides[0]]
        target[i * result.strides[0]] = old + alpha * Float(value)
      }
    }
  }
}

extension Elementwise {
  fileprivate var operation: pc_operation {
    switch self {
    case .one: PC_ONE
    case .identity: PC_IDENTITY
    case .reciprocal: PC_RECIPROCAL
    case .exp: PC_EXP
    case .log: PC_LOG
    case .sqrt: PC_SQRT
    case .sin: PC_SIN
    case .cos: PC_COS
    case .tan: PC_TAN
    case .tanh: PC_TANH
    case .sigmoid: PC_SIGMOID
    case .absolute: PC_ABSOLUTE
    case .expMinusOne: PC_EXP_MINUS_ONE
    case .softplus: PC_SOFTPLUS
    case .normalCumulative: PC_NORMAL_CUMULATIVE
    case .relu: PC_RELU
    case .step: PC_STEP
    case .oneMinusSquare: PC_ONE_MINUS_SQUARE
    case .onePlusSquare: PC_ONE_PLUS_SQUARE
    case .logisticSlope: PC_LOGISTIC_SLOPE
    case .timesOneMinusSquare: PC_TIMES_ONE_MINUS_SQUARE
    case .timesStep: PC_TIMES_STEP
    case .timesLogisticSlope: PC_TIMES_LOGISTIC_SLOPE
    case .clip: PC_CLIP
    case .add: PC_ADD
    case .subtract: PC_SUBTRACT
    case .multiply: PC_MULTIPLY
    case .divide: PC_DIVIDE
    case .maximum: PC_MAXIMUM
    case .minimum: PC_MINIMUM
    case .greater: PC_GREATER
    case .select: PC_SELECT
    }
  }
}

extension Reduction {
  fileprivate var code: pc_reduction {
    switch self {
    case .sum: PC_SUM
    case .maximum: PC_MAXIMUM_OF
    case .logSumExp: PC_LOG_SUM_EXP
    }
  }
}
