extension Primitive {
  /// The extents that each operand's view runs over, in order.
  public var operandExtents: [[Int]] {
    switch self {
    case .elementwise(let function, let extents): Array(repeating: extents, count: function.arity)
    case .reduce(_, let extents, _): [extents]
    case .contract(let extents): [extents, extents]
    case .convolve(let c): [c.imageExtents, c.filterExtents] + (c.isScaled ? [c.messageExtents] : [])
    case .convolveInputGradient(let c): [c.messageExtents, c.filterExtents] + (c.isScaled ? [c.imageExtents] : [])
    case .convolveFilterGradient(let c): [c.imageExtents, c.messageExtents]
    case .maxPool(let p): [p.imageExtents]
    case .maxPoolGradient(let p): [p.messageExtents, p.messageExtents]
    case .oneHot(let extents, _): [extents]
    case .gather(let extents, let rows, let width): [extents, [rows, width]]
    case .gatherGradient(let extents, _, let width): [extents, extents + [width]]
    case .foreign(let f): f.operandCounts.map { [$0] }
    }
  }

  /// The extents that each result's view runs over, in order.
  public var resultExtents: [[Int]] {
    switch self {
    case .elementwise(_, let extents), .reduce(_, let extents, _), .contract(let extents): [extents]
    case .convolve(let c): [c.messageExtents]
    case .convolveInputGradient(let c): [c.imageExtents]
    case .convolveFilterGradient(let c): [c.filterExtents]
    case .maxPool(let p): [p.messageExtents, p.messageExtents]
    case .maxPoolGradient(let p): [p.imageExtents]
    case .oneHot(let extents, let classes): [extents + [classes]]
    case .gather(let extents, _, let width): [extents + [width]]
    case .gatherGradient(_, let rows, let width): [[rows, width]]
    case .foreign(let f): [[f.resultCount]]
    }
  }

  /// The extents of the first result's distinct elements: axes that are summed away count 1.
  public var denseResultExtents: [Int] {
    switch self {
    case .reduce(_, let extents, let reduced): zip(extents, reduced).map { $1 ? 1 : $0 }
    case .contract(let extents): Array(extents.dropLast()) + [1]
    default: resultExtents[0]
    }
  }

  /// Whether the primitive may sum its values over the examples into a result that is not batched.
  public var canSumOverExamples: Bool {
    switch self {
    case .reduce(.sum, _, _), .contract, .convolveFilterGradient, .gatherGradient: true
    default: false
    }
  }

  /// Multiply-adds of the primitive's matrix or convolution work for one example; 0 for everything else.
  public var multiplyAdds: Int {
    switch self {
    case .contract(let extents): extents.reduce(1, *)
    case .convolve(let c), .convolveInputGradient(let c), .convolveFilterGradient(let c): c.multiplyAdds
    default: 0
    }
  }

  /// What printouts and errors call it, such as `reduce sum`.
  public var name: String {
    switch self {
    case .elementwise(let function, _):
      String(String(describing: function).prefix { $0 != "(" })
    case .reduce(let reduction, _, _): "reduce \(reduction.rawValue)"
    case .contract: "contract"
    case .convolve: "convolve"
    case .convolveInputGradient: "convolve, input gradient"
    case .convolveFilterGradient: "convolve, filter gradient"
    case .maxPool: "max pool"
    case .maxPoolGradient: "max pool, gradient"
    case .oneHot: "one hot"
    case .gather: "gather"
    case .gatherGradient: "gather, gradient"
    case .foreign(let foreign): "foreign \(foreign.name)"
    }
  }
}

extension Convolution {
  /// [channels, rows, columns] of the image, for one example.
  public var imageExtents: [Int] { [inputChannels, input.rows, input.columns] }
  /// [output channels, input channels of a group, rows, columns] of the filters.
  public var filterExtents: [Int] { [outputChannels, inputChannels / groups, kernel.rows, kernel.columns] }
  /// [output channels, rows, columns] of the result, and so of the message that is pulled back.
  public var messageExtents: [Int] { [outputChannels, output.rows, output.columns] }

  /// Multiply-adds for one example; taps that fall outside of the image are not counted.
  public var multiplyAdds: Int {
    func taps(_ n: Int, _ out: Int, _ k: Int, _ s: Int, _ p: Int, _ d: Int) -> Int {
      var total = 0
      for o in 0..<out { for i in 0..<k where (0..<n).contains(o * s + i * d - p) { total += 1 } }
      return total
    }
    return outputChannels * (inputChannels / groups)
      * taps(input.rows, output.rows, kernel.rows, stride.rows, padding.rows, dilation.rows)
      * taps(input.columns, output.columns, kernel.columns, stride.columns, padding.columns, dilation.columns)
  }
}

extension Instruction {
  /// What multiplies the result of a scaled convolution.
  public var factor: View? {
    switch primitive {
    case .convolve(let c), .convolveInputGradient(let c): c.isScaled ? operands.last : nil
    default: nil
    }
  }
}

extension Pooling {
  /// [channels, rows, columns] of the image, for one example.
  public var imageExtents: [Int] { [channels, input.rows, input.columns] }
  /// [channels, rows, columns] of the result, and so of the message that is pulled back.
  public var messageExtents: [Int] { [channels, output.rows, output.columns] }
}

extension View {
  /// Whether every element of an index space is the same number through both views.
  public func isSame(as other: View, _ extents: [Int]) -> Bool {
    buffer == other.buffer && offset == other.offset && isParallel(to: other, extents)
  }

  /// Whether neighbours of an index space are as far apart through both views, wherever these begin.
  public func isParallel(to other: View, _ extents: [Int]) -> Bool {
    zip(extents, zip(strides, other.strides)).allSatisfy { $0 == 1 || $1.0 == $1.1 }
  }
}

extension Program {
  /// Whether a view runs over its whole buffer in order.
  package func isWhole(_ view: View, extents: [Int]) -> Bool {
    isWhole(view, axes: zip(extents, view.strides).reversed())
  }

  /// Whether a view meets every element of its buffer once, in whatever order.
  package func isPermutation(_ view: View, extents: [Int]) -> Bool {
    isWhole(view, axes: zip(extents, view.strides).sorted { $0.1 < $1.1 })
  }

  /// - Parameter axes: extent and stride of each, the innermost first.
  private func isWhole(_ view: View, axes: some Sequence<(Int, Int)>) -> Bool {
    var expected = 1
    for (extent, stride) in axes where extent != 1 {
      guard stride == expected else { return false }
      expected *= extent
    }
    return expected == buffers[view.buffer].count
  }
}

extension Program {
  /// Everything that is wrong with the program, a sentence each; empty for a well-formed one.
  ///
  /// A backend may take a well-formed program at its word: every view stays within its buffer, every operand is of
  /// the right kind, and no operand overlaps the result other than element for element.
  public func violations() -> [String] {
    var found: [String] = []
    for section in sections {
      for (position, instruction) in section.instructions.enumerated() {
        let place = "section \(section.name), instruction \(position) (\(instruction.primitive.name))"
        found += violations(of: instruction).map { "\(place): \($0)" }
      }
    }
    return found
  }

  private func violations(of instruction: Instruction) -> [String] {
    var found: [String] = []
    let primitive = instruction.primitive
    let operandExtents = primitive.operandExtents
    let resultExtents = primitive.resultExtents
    guard operandExtents.count == instruction.operands.count, resultExtents.count == instruction.results.count else {
      return ["takes \(operandExtents.count) operands and \(resultExtents.count) results"]
    }
    for (role, view, extents) in zip3("operand", instruction.operands, operandExtents)
      + zip3("result", instruction.results, resultExtents)
    {
      guard buffers.indices.contains(view.buffer) else {
        found.append("\(role) names buffer \(view.buffer), which does not exist")
        continue
      }
      let buffer = buffers[view.buffer]
      guard view.strides.count == extents.count else {
        found.append("\(role) \(buffer.name) has \(view.strides.count) strides for \(extents.count) extents")
        continue
      }
      guard !extents.contains(0) else { continue }
      var low = view.offset
      var high = view.offset
      for (extent, stride) in zip(extents, view.strides) {
        if stride < 0 { low += (extent - 1) * stride } else { high += (extent - 1) * stride }
      }
      if low < 0 || high >= buffer.count {
        found.append("\(role) \(buffer.name) reaches \(low)...\(high) of \(buffer.count) elements")
      }
    }
    for view in instruction.operands + instruction.results {
      if let buffer = buffers.indices.contains(view.buffer) ? buffers[view.buffer] : nil,
        buffer.isBatched, buffer.isPersistent
      {
        found.append("\(buffer.name) is both batched and persistent")
      }
    }
    guard found.isEmpty else { return found }
    if let factor = instruction.factor {
      let result = instruction.results[0]
      if !factor.isParallel(to: result, resultExtents[0]) {
        found.append(
          "multiplies \(buffers[result.buffer].name) by \(buffers[factor.buffer].name), which lies in another way")
      }
      if buffers[factor.buffer].isBatched != buffers[result.buffer].isBatched {
        found.append(
          "multiplies \(buffers[result.buffer].name) by \(buffers[factor.buffer].name): only one of them is batched")
      }
    }
    if case .convolveFilterGradient(let c) = primitive, c.isScaled { found.append("has no use for a factor") }
    let anyBatched = instruction.operands.contains { buffers[$0.buffer].isBatched }
    for result in instruction.results where anyBatched && !buffers[result.buffer].isBatched {
      if !primitive.canSumOverExamples {
        found.append("cannot sum over the examples into \(buffers[result.buffer].name)")
      }
    }
    for operand in instruction.operands {
      for result in instruction.results where result.buffer == operand.buffer {
        guard case .elementwise(_, let extents) = primitive, result.isSame(as: operand, extents) else {
          found.append("reads and writes \(buffers[result.buffer].name), but not element for element")
          continue
        }
      }
    }
    for scalar in [instruction.alpha, instruction.beta] {
      if case .slot(let slot) = scalar, !slots.indices.contains(slot) {
        found.append("reads coefficient \(slot), which does not exist")
      }
    }
    return found
  }

  private func zip3(_ role: String, _ views: [View], _ extents: [[Int]]) -> [(String, View, [Int])] {
    zip(views, extents).map { (role, $0, $1) }
  }
}
