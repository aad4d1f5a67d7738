import PCPrimitives

/// Passes that rewrite a finished program and keep its meaning.
extension Program {
  /// Lets an instruction write straight to where its value is blended to.
  ///
  /// `x ← f(…); y ← a·x + b·y` becomes `y ← a·f(…) + b·y`, where x is read nowhere else: so the update of a message,
  /// `m ← (1 − h) m + h·Jᵀm`, is the epilogue of the last matrix product or convolution of its pullback. Of a convolution
  /// `y ← a·s·x + b·y` becomes one as well.
  ///
  /// - Parameter kept: buffers that are read from outside of the program.
  public mutating func fuseBlends(keeping kept: Set<Int>) {
    var uses = uses
    for section in sections.indices {
      var instructions = sections[section].instructions
      var removed = Set<Int>()
      for (position, blend) in instructions.enumerated() {
        guard case .elementwise(let function, let extents) = blend.primitive,
          function == .identity || function == .multiply,
          let operand = blend.operands.firstIndex(where: { operand in
            uses[operand.buffer] == 2
              && instructions[..<position].contains { $0.results.contains { $0.buffer == operand.buffer } }
          })
        else { continue }
        let source = blend.operands[operand]
        let target = blend.results[0]
        let factor = function == .multiply ? blend.operands[1 - operand] : nil
        guard !buffers[source.buffer].isPersistent, !kept.contains(source.buffer),
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
          var fused = factor.map({ scaled(made, by: $0, like: source, extents) }) ?? made,
          fused.operands.allSatisfy({ $0.buffer != target.buffer })
        else { continue }
        // Either the blend comes to where x is made or, where others want the old y, x is made where the blend is.
        let between = ((maker + 1)..<position).filter { !removed.contains($0) }.map { instructions[$0] }
        let isEarly = between.allSatisfy { other in
          !other.touches(target.buffer) && other.results.allSatisfy { $0.buffer != factor?.buffer }
        }
        guard isEarly || between.allSatisfy({ other in other.results.allSatisfy { !made.touches($0.buffer) } })
        else { continue }
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

  /// Makes a product just before its only reader, an elementwise function, that a backend may then apply while the product's
  /// rows are at hand.
  ///
  /// - Parameters:
  ///   - script: the order in which the sections run; only what runs several times is worth it.
  ///   - kept: buffers that are read from outside of the program.
  public mutating func bringProductsToReaders(in script: [Passage], keeping kept: Set<Int>) {
    let uses = uses
    for section in Set(script.filter { $0.count > 1 }.map(\.section)) {
      var instructions = sections[section].instructions
      // From the last on, so that none is passed over when others move.
      for position in instructions.indices.reversed() {
        let product = instructions[position]
        guard case .contract = product.primitive else { continue }
        let made = product.results[0].buffer
        guard uses[made] == 2, !kept.contains(made),
          let reader = instructions[(position + 1)...].firstIndex(where: { $0.touches(made) }),
          case .elementwise = instructions[reader].primitive,
          instructions[position..<reader].dropFirst().allSatisfy({ other in
            other.results.allSatisfy { !product.touches($0.buffer) }
          })
        else { continue }
        instructions.remove(at: position)
        instructions.insert(product, at: reader - 1)
      }
      sections[section].instructions = instructions
    }
  }

  /// A convolution whose result is multiplied by what lies as it does; `nil` of anything else.
  ///
  /// - Parameter result: the convolution's result, as the index space of `factor` sees it.
  private func scaled(_ made: Instruction, by factor: View, like result: View, _ extents: [Int]) -> Instruction? {
    guard factor.isParallel(to: result, extents), buffers[factor.buffer].isBatched == buffers[result.buffer].isBatched
    else { return nil }
    var scaled = made
    switch made.primitive {
    case .convolve(var geometry) where !geometry.isScaled:
      geometry.isScaled = true
      scaled.primitive = .convolve(geometry)
    case .convolveInputGradient(var geometry) where !geometry.isScaled:
      geometry.isScaled = true
      scaled.primitive = .convolveInputGradient(geometry)
    default: return nil
    }
    scaled.operands.append(View(buffer: factor.buffer, offset: factor.offset, strides: made.results[0].strides))
    return scaled
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
