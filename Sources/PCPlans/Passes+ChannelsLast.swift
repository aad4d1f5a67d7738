import PCGraphs
import PCPrimitives

/// The pass that lays images out as convolutions read them.
extension Program {
  /// Keeps images [channel, row, column] as [row, column, channel] where convolutions take them in: the taps of a window's
  /// row are one piece then, which a backend would otherwise copy together for each convolution.
  ///
  /// What elementwise functions make of such an image, or an image of, is laid out alike, so that these too pass over
  /// neighbouring numbers. Where a dense layer makes an image, as a row of features, and steps work on it, the layer's
  /// weights are brought into the image's order once. An image that somebody takes as anything else stays as it is.
  ///
  /// - Parameters:
  ///   - script: the order in which the sections run.
  ///   - kept: buffers that are filled or read from outside of the program.
  public mutating func putChannelsLast(in script: [Passage], keeping kept: Set<Int>) {
    let convolutions = sections.flatMap(\.instructions).filter { instruction in
      switch instruction.primitive {
      case .convolve, .convolveInputGradient: true
      default: false
      }
    }
    guard !convolutions.isEmpty else { return }
    let images = images(in: script, keeping: kept)
    // Images that are to be laid out alike lead to a common one.
    var leader: [Int: Int] = [:]
    func common(_ buffer: Int) -> Int {
      var buffer = buffer
      while let next = leader[buffer] { buffer = next }
      return buffer
    }
    for instruction in sections.flatMap(\.instructions) {
      let alike = instruction.imagesAlike.filter { images[$0] != nil }
      for buffer in alike {
        let (one, other) = (common(buffer), common(alike.min() ?? buffer))
        if one != other { leader[one] = other }
      }
    }
    let moved = Set(convolutions.map { $0.operands[0].buffer }.filter { images[$0] != nil }.map(common))
    let extents = images.filter { moved.contains(common($0.key)) }

    orderWeights(for: extents, before: script)
    for section in sections.indices {
      for index in sections[section].instructions.indices {
        sections[section].instructions[index].putChannelsLast(extents)
      }
    }
  }

  private static let manyChannels = 32

  /// The extents of the buffers that the program takes for images, as wholes, of several channels, and for nothing else but
  /// rows that a product makes.
  private func images(in script: [Passage], keeping kept: Set<Int>) -> [Int: [Int]] {
    var images: [Int: [Int]] = [:]
    var others = kept.union(buffers.indices.filter { buffers[$0].isPersistent || !buffers[$0].isBatched })
    let inRounds = Set(script.filter { $0.count > 1 }.flatMap { touched(in: $0.section) })
    func note(_ instruction: Instruction, in section: Int) {
      let primitive = instruction.primitive
      func takesAnyLayout(_ operand: Int) -> Bool {
        switch primitive {
        case .elementwise, .convolveFilterGradient, .maxPool, .reduce: true
        case .convolve, .convolveInputGradient: operand != 1
        case .maxPoolGradient: operand == 0
        default: false
        }
      }
      let makesAnyLayout =
        switch primitive {
        case .elementwise, .convolve, .convolveInputGradient, .maxPool, .maxPoolGradient: true
        default: false
        }
      func note(_ view: View, _ extents: [Int], isAnyLayout: Bool) {
        // Elementwise functions have an axis of the batch, of extent 1.
        let image = Array(extents.suffix(3))
        if isAnyLayout, image.count == 3, image[0] > 1, extents.dropLast(3).allSatisfy({ $0 == 1 }),
          isWhole(view, extents: extents), images[view.buffer].map({ $0 == image }) ?? true
        {
          images[view.buffer] = image
        } else {
          others.insert(view.buffer)
        }
      }
      for (position, view) in instruction.operands.enumerated() {
        let extents = primitive.operandExtents[position]
        note(view, extents, isAnyLayout: takesAnyLayout(position))
        // Filter gradients go along columns, which many channels put far apart: an image that is used a few times stays theirs.
        if case .convolveFilterGradient = primitive, !inRounds.contains(view.buffer), extents[0] >= Self.manyChannels
        {
          others.insert(view.buffer)
        }
      }
      for (position, view) in instruction.results.enumerated() {
        let isRow = inRounds.contains(view.buffer) && madeByOrderedWeights(instruction, in: section, of: script)
        if !isRow { note(view, primitive.resultExtents[position], isAnyLayout: makesAnyLayout && position == 0) }
      }
    }
    for section in sections.indices {
      for instruction in sections[section].instructions { note(instruction, in: section) }
    }
    images = images.filter { !others.contains($0.key) }
    // A factor lies as what it multiplies.
    let factors = sections.flatMap(\.instructions).filter { $0.factor != nil }.map(\.imagesAlike)
    while let pair = factors.first(where: { pair in Set(pair.map { images[$0] != nil }).count > 1 }) {
      for buffer in pair { images[buffer] = nil }
    }
    return images
  }

  /// Of a product that makes one row of features, a whole buffer: the operand that holds the weights, and their axis that
  /// counts the features.
  private func rowWeights(_ instruction: Instruction) -> (operand: Int, axis: Int)? {
    guard case .contract(let extents) = instruction.primitive else { return nil }
    let made = instruction.primitive.denseResultExtents
    guard isWhole(instruction.results[0], extents: made), let axis = made.firstIndex(where: { $0 != 1 }),
      made[axis] == made.reduce(1, *)
    else { return nil }
    let operand = instruction.operands.firstIndex { !buffers[$0.buffer].isBatched && $0.strides[axis] != 0 }
    // Features and depth must be all that the weights have.
    guard let operand, isPermutation(instruction.operands[operand], extents: extents) else { return nil }
    return (operand, axis)
  }

  /// Whether a row may be made in another order, its weights being a parameter that nothing writes before.
  private func madeByOrderedWeights(_ instruction: Instruction, in section: Int, of script: [Passage]) -> Bool {
    guard let weights = rowWeights(instruction), let last = script.lastIndex(where: { $0.section == section }) else {
      return false
    }
    let buffer = instruction.operands[weights.operand].buffer
    return buffers[buffer].isPersistent
      && script[...last].allSatisfy { passage in
        sections[passage.section].instructions.allSatisfy { $0.results.allSatisfy { $0.buffer != buffer } }
      }
  }

  /// Lets the products that make rows of these images have weights in the order of the rows, copied when the script begins.
  private mutating func orderWeights(for images: [Int: [Int]], before script: [Passage]) {
    guard let first = script.first(where: { $0.count > 0 })?.section else { return }
    struct Order: Hashable {
      var weights: View
      var image: [Int]
    }
    var copies: [Order: Int] = [:]
    var copying: [Instruction] = []
    for section in sections.indices {
      for index in sections[section].instructions.indices {
        let product = sections[section].instructions[index]
        guard let image = images[product.results[0].buffer], let (operand, axis) = rowWeights(product) else {
          continue
        }
        let weights = product.operands[operand]
        let depth = weights.strides.count - 1
        let count = product.primitive.operandExtents[operand][depth]
        let (feature, step) = (weights.strides[axis], weights.strides[depth])
        // Features [row, column, channel], and the depth where it was: within a feature, or around all.
        var extents = [image[1], image[2], image[0]]
        var strides = [image[2] * feature, feature, image[1] * image[2] * feature]
        extents.insert(count, at: step < feature ? 3 : 0)
        strides.insert(step, at: step < feature ? 3 : 0)
        let order = Order(weights: weights, image: image)
        let copy = copies[order] ?? buffers.count
        if copies[order] == nil {
          copies[order] = copy
          let name = "\(buffers[weights.buffer].name), channels last"
          buffers.append(Buffer(name: name, count: buffers[weights.buffer].count, isBatched: false))
          copying.append(
            Instruction(
              .elementwise(.identity, extents: extents),
              operands: [View(buffer: weights.buffer, offset: weights.offset, strides: strides)],
              results: [View(buffer: copy, strides: Term.rowMajorStrides(extents))], label: product.label))
        }
        sections[section].instructions[index].operands[operand].buffer = copy
      }
    }
    sections[first].instructions.insert(contentsOf: copying, at: 0)
  }
}

extension Instruction {
  /// Buffers that had better be laid out alike, if they are images.
  fileprivate var imagesAlike: Set<Int> {
    switch primitive {
    case .elementwise: Set((operands + results).map(\.buffer))
    case .convolve, .convolveInputGradient: Set(factor.map { [$0.buffer, results[0].buffer] } ?? [])
    default: []
    }
  }

  /// - Parameter images: [channels, rows, columns], by buffer.
  fileprivate mutating func putChannelsLast(_ images: [Int: [Int]]) {
    func move(_ view: inout View) {
      // A row of features stays one.
      guard let extents = images[view.buffer], view.strides.count >= 3 else { return }
      view.strides.replaceSubrange((view.strides.count - 3)..., with: [1, extents[2] * extents[0], extents[0]])
    }
    if case .contract = primitive { return }
    for position in operands.indices { move(&operands[position]) }
    for position in results.indices { move(&results[position]) }
  }
}
