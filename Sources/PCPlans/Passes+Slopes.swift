import PCPrimitives

/// The pass that averages messages where they are already multiplied by a slope.
extension Program {
  /// Lets a message that every reader multiplies by the same constant be kept multiplied.
  ///
  /// A step `m ← h·x + (1 − h) m`, with s·m for whoever reads m, becomes `p ← h·s·x + (1 − h) p`, with p for whoever reads
  /// s·m: linear, and equal but for rounding. Messages are mostly read like that, with s the slope of an activation function
  /// that stays as it is through all steps; so a vertex has one state instead of a state and a product of it, which each
  /// step would make anew, and the multiplication is part of the update.
  ///
  /// - Parameters:
  ///   - script: the order in which the sections run.
  ///   - kept: buffers that are filled or read from outside of the program.
  public mutating func averageBehindSlopes(in script: [Passage], keeping kept: Set<Int>) {
    for (position, passage) in script.enumerated() where passage.count > 1 && position > 0 {
      let accesses = places()
      for state in touched(in: passage.section).sorted() where !kept.contains(state) {
        guard let moved = behindSlope(state, accesses[state], of: passage.section, in: script, accesses, kept) else {
          continue
        }
        sections[script[position - 1].section].instructions += averageBehindSlope(moved)
      }
    }
    for section in sections.indices { sections[section].instructions.removeAll { $0.results.isEmpty } }
    dropUnusedBuffers(keeping: kept)
  }

  /// A state that is read through a slope alone.
  private struct Sloped {
    var state: Int
    var slope: View
    /// What is blended into the state and stays as it is.
    var constants: Set<Int> = []
    /// Instructions that blend something into the state, that multiply it by the slope, and that read a product.
    var blends: [Place] = []
    var products: [Place] = []
    var readers: [Place] = []
  }

  private func behindSlope(
    _ state: Int, _ places: [Place], of step: Int, in script: [Passage], _ accesses: [[Place]], _ kept: Set<Int>
  ) -> Sloped? {
    guard buffers[state].isBatched, !buffers[state].isPersistent else { return nil }
    var blends: [Place] = []
    var products: [Place] = []
    var slope: (view: View, extents: [Int])?
    for place in places {
      let instruction = self[place]
      guard case .elementwise(let function, let extents) = instruction.primitive, !instruction.results.isEmpty,
        (instruction.operands + instruction.results).allSatisfy({
          $0.buffer != state || isWhole($0, extents: extents)
        })
      else { return nil }
      let isWritten = instruction.results[0].buffer == state
      switch function {
      case .one where instruction.alpha == .zero && instruction.beta == .zero: continue
      case .identity where isWritten && instruction.operands[0].buffer != state && place.section == step:
        blends.append(place)
      case .multiply where !isWritten && instruction.alpha == .one && instruction.beta == .zero:
        guard let operand = instruction.operands.firstIndex(where: { $0.buffer == state }) else { return nil }
        let other = instruction.operands[1 - operand]
        if let slope, slope.view != other || slope.extents != extents { return nil }
        slope = (other, extents)
        products.append(place)
      default: return nil
      }
    }
    guard let slope, slope.view.buffer != state, products.contains(where: { $0.section == step }), !blends.isEmpty,
      blends.allSatisfy({ self[$0].primitive == .elementwise(.identity, extents: slope.extents) }),
      isConstant(slope.view.buffer, from: step, in: script, accesses)
    else { return nil }
    var readers: [Place] = []
    for product in products {
      let made = self[product].results[0]
      let others = accesses[made.buffer].filter { $0 != product }
      // Whoever reads the product must find the state as it was when the product was made.
      guard !kept.contains(made.buffer), buffers[made.buffer].isBatched, !buffers[made.buffer].isPersistent,
        isWhole(made, extents: slope.extents),
        others.allSatisfy({ reader in
          reader.section == product.section && reader.position > product.position
            && self[reader].results.allSatisfy { $0.buffer != made.buffer && $0.buffer != state }
            && !blends.contains {
              $0.section == reader.section && (product.position..<reader.position).contains($0.position)
            }
        })
      else { return nil }
      readers += others
    }
    let constants = blends.map { self[$0].operands[0].buffer }.filter {
      isConstant($0, from: step, in: script, accesses)
    }
    return Sloped(
      state: state, slope: slope.view, constants: Set(constants), blends: blends, products: products, readers: readers
    )
  }

  /// Whether a buffer holds the same from when a section begins until the script ends.
  private func isConstant(_ buffer: Int, from section: Int, in script: [Passage], _ accesses: [[Place]]) -> Bool {
    guard let first = script.firstIndex(where: { $0.section == section }) else { return false }
    let later = Set(script[first...].map(\.section))
    return accesses[buffer].allSatisfy { place in
      !later.contains(place.section) || self[place].results.allSatisfy { $0.buffer != buffer }
    }
  }

  /// - Returns: what the steps need to be made before them.
  private mutating func averageBehindSlope(_ sloped: Sloped) -> [Instruction] {
    var constants: [Instruction] = []
    for place in sloped.blends {
      var product = self[place]
      let extents = product.primitive.resultExtents[0]
      product.primitive = .elementwise(.multiply, extents: extents)
      product.operands.insert(sloped.slope, at: 0)
      if sloped.constants.contains(product.operands[1].buffer) {
        var made = buffers[sloped.state]
        made.name += ", constant part"
        buffers.append(made)
        let view = View(buffer: buffers.count - 1, strides: product.results[0].strides)
        constants.append(
          Instruction(product.primitive, operands: product.operands, results: [view], label: product.label))
        self[place].operands = [view]
      } else {
        self[place] = product
      }
    }
    var products: Set<Int> = []
    for place in sloped.products {
      products.insert(self[place].results[0].buffer)
      // What no longer has a result is taken out in the end: positions hold until then.
      (self[place].operands, self[place].results) = ([], [])
    }
    for place in sloped.readers {
      self[place] = self[place].renamingOperands { products.contains($0) ? sloped.state : $0 }
    }
    return constants
  }
}
