import PCPrimitives

/// Passes that rewrite a finished program and keep its meaning.
extension Program {
  /// Lets an instruction write straight to where its value is blended to.
  ///
  /// `x ← f(…); y ← a·x + b·y` becomes `y ← a·f(…) + b·y`, where x is read nowhere else: so the update of a message,
  /// `m ← (1 − h) m + h·Jᵀm`, is the epilogue of the last matrix product or convolution of its pullback.
  ///
  /// - Parameter kept: buffers that are read from outside of the program.
  public mutating func fuseBlends(keeping kept: Set<Int>) {
    var uses = uses
    for section in sections.indices {
      var instructions = sections[section].instructions
      var removed = Set<Int>()
      for (position, blend) in instructions.enumerated() {
        guard case .elementwise(.identity, let extents) = blend.primitive else { continue }
        let source = blend.operands[0]
        let target = blend.results[0]
        guard uses[source.buffer] == 2, !buffers[source.buffer].isPersistent, !kept.contains(source.buffer),
          buffers[source.buffer].isBatched == buffers[target.buffer].isBatched,
          source.isParallel(to: target, extents), source.offset == 0,
          isWhole(source, extents: extents),
          let maker = instructions[..<position].lastIndex(where: {
            $0.results.contains { $0.buffer == source.buffer }
          }),
          !removed.contains(maker)
        else { continue }
        let made = instructions[maker]
        guard made.results.count == 1, made.alpha == .one, made.beta == .zero, made.results[0].offset == 0,
          made.primitive.denseResultExtents.reduce(1, *) == buffers[source.buffer].count,
          made.operands.allSatisfy({ $0.buffer != target.buffer })
        else { continue }
        // Either the blend comes to where x is made or, where others want the old y, x is made where the blend is.
        let between = ((maker + 1)..<position).filter { !removed.contains($0) }.map { instructions[$0] }
        let isEarly = between.allSatisfy { !$0.touches(target.buffer) }
        guard isEarly || between.allSatisfy({ other in other.results.allSatisfy { !made.touches($0.buffer) } })
        else { continue }
        var fused = made
        fused.results[0].buffer = target.buffer
        fused.results[0].offset = target.offset
        fused.alpha = blend.alpha
        fused.beta = blend.beta
        instructions[isEarly ? maker : position] = fused
        removed.insert(isEarly ? position : maker)
        uses[source.buffer] = 0
      }
      sections[section].instructions = instructions.enumerated().filter { !removed.contains($0.offset) }.map(
        \.element)
    }
    dropUnusedBuffers(keeping: kept)
  }

  /// Pulls a message back through tanh, the sigmoid or relu in one instruction, where the slope is made for it alone.
  ///
  /// `s ← 1 − x²; y ← a·s·m + b·y` becomes `y ← a·m(1 − x²) + b·y`, where s is read nowhere else.
  ///
  /// - Parameter kept: buffers that are read from outside of the program.
  public mutating func fuseSlopes(keeping kept: Set<Int>) {
    let uses = uses
    for section in sections.indices {
      var instructions = sections[section].instructions
      var removed = Set<Int>()
      for (position, product) in instructions.enumerated() {
        guard case .elementwise(.multiply, let extents) = product.primitive else { continue }
        for (index, slope) in product.operands.enumerated() {
          guard uses[slope.buffer] == 2, !buffers[slope.buffer].isPersistent, !kept.contains(slope.buffer),
            isWhole(slope, extents: extents),
            let maker = instructions[..<position].lastIndex(where: { $0.results[0].buffer == slope.buffer }),
            case .elementwise(let function, extents) = instructions[maker].primitive,
            isWhole(instructions[maker].results[0], extents: extents),
            let fused = function.timesOperand, instructions[maker].alpha == .one, instructions[maker].beta == .zero
          else { continue }
          let value = instructions[maker].operands[0]
          // The value must still be what it was when the slope was made.
          guard buffers[value.buffer].isBatched == buffers[slope.buffer].isBatched,
            instructions[(maker + 1)...position].allSatisfy({ other in
              other.results.allSatisfy { $0.buffer != value.buffer }
            })
          else { continue }
          instructions[position].primitive = .elementwise(fused, extents: extents)
          instructions[position].operands = [value, product.operands[1 - index]]
          removed.insert(maker)
          break
        }
      }
      sections[section].instructions = instructions.enumerated().filter { !removed.contains($0.offset) }.map(
        \.element)
    }
    dropUnusedBuffers(keeping: kept)
  }

  /// For each buffer, how many views there are of it.
  private var uses: [Int] {
    var uses = Array(repeating: 0, count: buffers.count)
    for section in sections {
      for instruction in section.instructions {
        for view in instruction.operands + instruction.results { uses[view.buffer] += 1 }
      }
    }
    return uses
  }

  /// Takes the elements of buffers that nothing reads or writes any more; their numbers stay.
  mutating func dropUnusedBuffers(keeping kept: Set<Int>) {
    var isUsed = buffers.indices.map { buffers[$0].isPersistent || kept.contains($0) }
    for section in sections {
      for instruction in section.instructions {
        for view in instruction.operands + instruction.results { isUsed[view.buffer] = true }
      }
    }
    for buffer in buffers.indices where !isUsed[buffer] { buffers[buffer].count = 0 }
  }

  /// In each section, moves sums over the examples behind the instructions that work example by example.
  ///
  /// A backend runs consecutive instructions of the second kind on one tile of examples after the other, and needs all
  /// tiles to meet before a sum: so they should meet once.
  public mutating func gatherSumsOverExamples() {
    for section in sections.indices {
      var early: [Instruction] = []
      var late: [Instruction] = []
      var lateReads = Set<Int>()
      var lateWrites = Set<Int>()
      for instruction in sections[section].instructions {
        let reads = instruction.operands.map(\.buffer)
        let writes = instruction.results.map(\.buffer)
        let isFree =
          buffers[writes[0]].isBatched && reads.allSatisfy { !lateWrites.contains($0) }
          && writes.allSatisfy { !lateReads.contains($0) && !lateWrites.contains($0) }
        if isFree || late.isEmpty && buffers[writes[0]].isBatched {
          early.append(instruction)
        } else {
          late.append(instruction)
          lateReads.formUnion(reads)
          lateWrites.formUnion(writes)
        }
      }
      sections[section].instructions = early + late
    }
  }
}

extension Instruction {
  /// Whether it reads or writes the buffer.
  func touches(_ buffer: Int) -> Bool { (operands + results).contains { $0.buffer == buffer } }
}

extension Elementwise {
  /// The function that multiplies another operand by this one, if there is one.
  fileprivate var timesOperand: Elementwise? {
    switch self {
    case .oneMinusSquare: .timesOneMinusSquare
    case .logisticSlope: .timesLogisticSlope
    case .step: .timesStep
    default: nil
    }
  }
}
