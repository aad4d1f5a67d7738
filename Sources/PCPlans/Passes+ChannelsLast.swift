import PCGraphs
import PCPrimitives

/// The pass that lays images out as convolutions read them.
extension Program {
  /// Keeps images [channel, row, column] as [row, column, channel] where convolutions take them in: the taps of a window's
  /// row are one piece then, which a backend would otherwise copy together for each convolution.
  ///
  /// What elementwise functions make of such an image, or an image of, is laid out alike, so that these too pass over
  /// neighbouring numbers. An image that somebody takes as anything else, such as a row of features, stays as it is.
  ///
  /// - Parameter kept: buffers that are filled or read from outside of the program.
  public mutating func putChannelsLast(keeping kept: Set<Int>) {
    let images = images(keeping: kept)
    // Images that are to be laid out alike lead to a common one.
    var leader: [Int: Int] = [:]
    func common(_ buffer: Int) -> Int {
      var buffer = buffer
      while let next = leader[buffer] { buffer = next }
      return buffer
    }
    var sources: Set<Int> = []
    for instruction in sections.flatMap(\.instructions) {
      switch instruction.primitive {
      case .convolve, .convolveInputGradient: sources.insert(instruction.operands[0].buffer)
      case .elementwise:
        let alike = Set((instruction.operands + instruction.results).map(\.buffer)).filter { images[$0] != nil }
        for buffer in alike.sorted() {
          let (one, other) = (common(buffer), common(alike.min() ?? buffer))
          if one != other { leader[one] = other }
        }
      default: break
      }
    }
    let moved = Set(sources.filter { images[$0] != nil }.map(common))

    func move(_ view: inout View) {
      guard let extents = images[view.buffer], moved.contains(common(view.buffer)) else { return }
      view.strides.replaceSubrange((view.strides.count - 3)..., with: [1, extents[2] * extents[0], extents[0]])
    }
    for section in sections.indices {
      for index in sections[section].instructions.indices {
        for position in sections[section].instructions[index].operands.indices {
          move(&sections[section].instructions[index].operands[position])
        }
        for position in sections[section].instructions[index].results.indices {
          move(&sections[section].instructions[index].results[position])
        }
      }
    }
  }

  /// The extents of the buffers that the program takes for images, as wholes, of several channels, and for nothing else.
  private func images(keeping kept: Set<Int>) -> [Int: [Int]] {
    var images: [Int: [Int]] = [:]
    var others = kept.union(buffers.indices.filter { buffers[$0].isPersistent || !buffers[$0].isBatched })
    for instruction in sections.flatMap(\.instructions) {
      let primitive = instruction.primitive
      func isAnyLayout(_ operand: Int) -> Bool {
        switch primitive {
        case .elementwise, .convolveFilterGradient, .maxPool, .reduce: true
        case .convolve, .convolveInputGradient, .maxPoolGradient: operand == 0
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
        note(view, primitive.operandExtents[position], isAnyLayout: isAnyLayout(position))
      }
      for (position, view) in instruction.results.enumerated() {
        note(view, primitive.resultExtents[position], isAnyLayout: makesAnyLayout && position == 0)
      }
    }
    return images.filter { !others.contains($0.key) }
  }
}
