import PCPrimitives

/// The pass that lets an update take a gradient as it is made.
extension Program {
  /// A coefficient that is the product of two others.
  public struct SlotProduct: Sendable, Hashable {
    /// Positions in `Program.slots`.
    public var slot, first, second: Int
  }

  /// Adds a weight's gradient to the weight instead of keeping it: `g ← a · x yᵀ` in one section and `θ ← b · g + θ` in a later
  /// one become `θ ← a b · x yᵀ + θ` there, so that large weights go through memory once, not three times.
  ///
  /// Who runs the later section only if Σg², in `norm`, is finite still can: in place of g's part the sum receives Σx² + Σy². Where
  /// that is finite g is too, since |Σ xy|² ≤ Σx² Σy². It takes more examples than a batch has for this to cost
  /// more than it saves only where g is `leastRatio` times as large as what an example adds to it; other gradients stay.
  ///
  /// - Parameters:
  ///   - script: the order in which the sections run.
  ///   - norm: the number that receives Σg² over all gradients by contractions of each with itself, in a section before `update`.
  ///   - update: the section whose updates take gradients as they are made.
  ///   - kept: buffers that are read from outside of the program.
  /// - Returns: new coefficients, whose values are for who sets the others to set.
  public mutating func fuseUpdates(
    in script: [Passage], norm: Int, update: Int, keeping kept: Set<Int>
  ) -> [SlotProduct] {
    let order = Dictionary(script.enumerated().map { ($1.section, $0) }) { first, _ in first }
    let places = places()
    var products: [SlotProduct] = []
    var removed = Set<Place>()
    var replacements: [Place: [Instruction]] = [:]
    var factors: [Int] = []
    for (position, blend) in sections[update].instructions.enumerated() {
      let place = Place(section: update, position: position)
      guard case .elementwise(.identity, let extents) = blend.primitive, blend.beta == .one,
        case .slot(let rate) = blend.alpha
      else { continue }
      let (gradient, target) = (blend.operands[0], blend.results[0])
      let writers = places[gradient.buffer].filter { self[$0].results.contains { $0.buffer == gradient.buffer } }
      let readers = places[gradient.buffer].filter { !writers.contains($0) && $0 != place }
      guard !kept.contains(gradient.buffer), !buffers[gradient.buffer].isPersistent,
        buffers[target.buffer].isPersistent,
        gradient.offset == 0, gradient.isParallel(to: target, extents), isWhole(gradient, extents: extents),
        readers.count == 1, isSquare(self[readers[0]], of: gradient.buffer, into: norm),
        let scale = sharedScale(of: writers),
        writers.allSatisfy({ isMovable($0, order, places) })
      else { continue }
      let operands = Set(writers.flatMap { self[$0].operands.map(\.buffer) }).sorted()
      guard buffers[gradient.buffer].count >= Self.leastRatio * operands.reduce(0, { $0 + buffers[$1].count }) else {
        continue
      }
      let slot = makeSlot("\(slots[rate]) · \(slots[scale])")
      if !products.contains(where: { $0.slot == slot }) {
        products.append(SlotProduct(slot: slot, first: rate, second: scale))
      }
      replacements[place] = writers.map { writer in
        var moved = self[writer]
        moved.results[0].buffer = target.buffer
        moved.results[0].offset = target.offset
        (moved.alpha, moved.beta) = (.slot(slot), .one)
        return moved
      }
      removed.formUnion(writers + readers)
      factors += operands.filter { !factors.contains($0) }
    }
    guard !factors.isEmpty, let closing = places[norm].first?.section else { return [] }
    for section in sections.indices {
      sections[section].instructions = sections[section].instructions.enumerated().flatMap { position, instruction in
        let place = Place(section: section, position: position)
        return removed.contains(place) ? [] : replacements[place] ?? [instruction]
      }
    }
    appendSquares(of: factors, to: norm, inSection: closing)
    dropUnusedBuffers(keeping: kept)
    return products
  }

  /// How much larger a gradient is than what an example adds to it from which on a hundred and fifty examples do not
  /// cost more to look at than the gradient to write and read.
  private static let leastRatio = 48

  /// Whether an instruction adds Σ of a buffer's squares to a number.
  private func isSquare(_ instruction: Instruction, of buffer: Int, into norm: Int) -> Bool {
    guard case .contract = instruction.primitive else { return false }
    return instruction.results[0].buffer == norm && instruction.operands.allSatisfy { $0.buffer == buffer }
  }

  /// The coefficient of all writers, where they are products that make a sum one after the other.
  private func sharedScale(of writers: [Place]) -> Int? {
    guard let first = writers.first, case .slot(let scale) = self[first].alpha, self[first].beta == .zero else {
      return nil
    }
    let isSum = writers.allSatisfy { place in
      let instruction = self[place]
      guard case .contract = instruction.primitive else { return false }
      return instruction.alpha == .slot(scale) && (place == first || instruction.beta == .one)
        && instruction.results[0].offset == 0
        && instruction.primitive.denseResultExtents.reduce(1, *) == buffers[instruction.results[0].buffer].count
        && instruction.operands.allSatisfy { buffers[$0.buffer].isBatched }
    }
    return isSum ? scale : nil
  }

  /// Whether an instruction would find its operands unchanged in a section at the end.
  private func isMovable(_ place: Place, _ order: [Int: Int], _ places: [[Place]]) -> Bool {
    func time(_ place: Place) -> (Int, Int) { (order[place.section] ?? .max, place.position) }
    return self[place].operands.allSatisfy { operand in
      places[operand.buffer].allSatisfy { other in
        !self[other].results.contains { $0.buffer == operand.buffer } || time(other) < time(place)
      }
    }
  }

  /// Adds Σx² over the examples to `norm` for each of the buffers.
  private mutating func appendSquares(of factors: [Int], to norm: Int, inSection section: Int) {
    let each = buffers.count
    buffers.append(Buffer(name: "squares of an example", count: 1, isBatched: true))
    let label = sections[section].instructions.last?.label ?? ""
    for (index, buffer) in factors.enumerated() {
      let row = View(buffer: buffer, strides: [0, 0, 1])
      sections[section].instructions.append(
        Instruction(
          .contract(extents: [1, 1, buffers[buffer].count]), operands: [row, row],
          results: [View(buffer: each, strides: [0, 0, 0])], beta: index == 0 ? .zero : .one, label: label))
    }
    sections[section].instructions.append(
      Instruction(
        .reduce(.sum, extents: [1], reduced: [false]), operands: [View(buffer: each, strides: [0])],
        results: [View(buffer: norm, strides: [0])], beta: .one, label: label))
    let writers = sections[section].instructions.indices.filter { position in
      sections[section].instructions[position].results.contains { $0.buffer == norm }
    }
    if let first = writers.first { sections[section].instructions[first].beta = .zero }
  }

  private mutating func makeSlot(_ name: String) -> Int {
    if let known = slots.firstIndex(of: name) { return known }
    slots.append(name)
    return slots.count - 1
  }
}
