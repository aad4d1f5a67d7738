import PCKernels
import PCKernelsC

/// Products with what follows on their results.
extension Lowering {
  /// Elementwise functions whose last dependence is a product, and that match its result element by element, are made with it
  /// some rows at a time: a layer's bias, activation, error and slope find the product still in the first-level cache, and none
  /// of them passes over memory on its own.
  ///
  /// Each moves forward to the product, past calls that it does not depend on; what each computes stays the same.
  mutating func byRows(_ section: ArraySlice<Call>) -> [Call] {
    /// Products and what follows them, by the product's index.
    var groups: [Int: (region: ElementRegion, rows: Int)] = [:]
    /// Of a call that follows a product, the product; of any other the call itself.
    var leaders: [Int: Int] = [:]
    var writer: [Int: Int] = [:]
    var readers: [Int: [Int]] = [:]
    for (index, call) in zip(section.indices, section) {
      leaders[index] = index
      let accessed = call.reads.union(call.writes)
      if let run = call.run {
        let before = accessed.compactMap { writer[$0] } + call.writes.flatMap { readers[$0] ?? [] }
        if let leader = before.compactMap({ leaders[$0] }).max(), var group = groups[leader],
          run.matches(rows: group.rows), section[leader].reads.isDisjoint(with: call.writes),
          group.region.add(index, run)
        {
          leaders[index] = leader
          groups[leader] = group
        }
      } else if let product = call.product {
        groups[index] = (ElementRegion(of: product), product.rows)
      }
      for buffer in call.reads { readers[buffer, default: []].append(index) }
      for buffer in call.writes { (writer[buffer], readers[buffer]) = (index, []) }
    }
    return section.indices.compactMap { index in
      guard leaders[index] == index else { return nil }
      guard let group = groups[index], !group.region.calls.isEmpty else { return section[index] }
      return byRows(section[index], group.region.calls.map { section[$0] })
    }
  }

  /// Where a call adds a number to each row of the product before it, which the product can do as it stores them: these numbers.
  private func bias(_ call: Call, after product: Call) -> UnsafePointer<Float>? {
    let matrix = product.parameters.load(as: pc_matrix.self), addition = call.parameters.load(as: pc_elementwise.self)
    func isConstant(_ coefficient: Int64, _ value: Float) -> Bool { constants[value] == Int(coefficient) }
    guard lanes > Int(set.pointee.width), let run = call.run, let rows = product.product,
      addition.operation == PC_ADD.rawValue, run.result == rows.result, run.operands[0] == rows.result,
      run.operands[1].count == rows.rows, addition.y.lane == 0,
      [addition.alpha, matrix.alpha].allSatisfy({ isConstant($0, 1) }),
      [addition.beta, matrix.beta].allSatisfy({ isConstant($0, 0) })
    else { return nil }
    return UnsafePointer(addition.y.base)
  }

  private mutating func byRows(_ product: Call, _ others: [Call]) -> Call {
    var matrix = product.parameters.load(as: pc_matrix.self)
    matrix.bias = bias(others[0], after: product)
    let made = others.dropFirst(matrix.bias == nil ? 0 : 1)
    let followers = pc_followers(
      count: Int64(made.count),
      calls: array(made.map { pc_call(kernel: $0.kernel, parameters: $0.parameters, alone: false, abreast: false) }))
    func joined(_ call: Call, _ kernel: pc_kernel_name, _ parameters: UnsafeRawPointer) -> Call {
      var all = call
      all.kernel = pc_kernel_of(set, kernel)
      all.parameters = parameters
      all.product = nil
      for other in others {
        all.reads.formUnion(other.reads)
        all.writes.formUnion(other.writes)
        all.effects = all.effects.isEmpty || other.effects.isEmpty ? [] : all.effects + other.effects
        all.origin.operation += " + \(other.origin.operation)"
        all.origin.byteCount += other.origin.byteCount
      }
      return all
    }
    let kernel = product.product?.byRows ?? PC_KERNEL_MATRIX_BY_ROWS
    var all = joined(
      product, kernel,
      UnsafeRawPointer(array([pc_matrix_by_rows(matrix: array([matrix]), followers: followers)])))
    if let once = product.once {
      let isByRows = alternatives[once].allSatisfy { $0.product != nil }
      all.once = addAlternatives(
        isByRows
          ? alternatives[once].map { call in
            guard call.product?.byRows == PC_KERNEL_MATRIX_ONCE_FOR_ALL else {
              var own = call.parameters.load(as: pc_matrix.self)
              own.bias = matrix.bias
              let parameters = pc_matrix_by_rows(matrix: array([own]), followers: followers)
              return joined(call, PC_KERNEL_MATRIX_BY_ROWS, UnsafeRawPointer(array([parameters])))
            }
            var parameters = call.parameters.load(as: pc_matrix_once_for_all.self)
            (parameters.matrix.bias, parameters.followers) = (matrix.bias, followers)
            return joined(call, PC_KERNEL_MATRIX_ONCE_FOR_ALL, UnsafeRawPointer(array([parameters])))
          } : alternatives[once] + others)
    }
    return all
  }
}

extension ElementRun {
  /// Whether its outermost axis counts rows of equally many elements, or all of their elements.
  fileprivate func matches(rows: Int) -> Bool {
    operands.allSatisfy { [1, rows, result.count].contains($0.count) }
  }
}
