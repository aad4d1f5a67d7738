import PCGraphs
import PCPrimitives

/// The pass that lays out what only convolutions read as they read it.
extension Program {
  /// Lets elementwise functions write an image [channel, row, column] that only convolutions take in as
  /// [row, column, channel]: the taps of a window's row are one piece then, which a backend would otherwise copy together.
  ///
  /// - Parameter kept: buffers that are filled or read from outside of the program.
  public mutating func putChannelsLast(keeping kept: Set<Int>) {
    struct Image {
      var extents: [Int]
      var isRead = false
    }
    var images: [Int: Image] = [:]
    var others = kept
    for section in sections {
      for instruction in section.instructions {
        for (view, extents) in zip(instruction.results, instruction.primitive.resultExtents) {
          // Elementwise functions have an axis of the batch, of extent 1.
          let image = Array(extents.suffix(3))
          guard case .elementwise = instruction.primitive, image.count == 3, image[0] > 1,
            extents.dropLast(3).allSatisfy({ $0 == 1 }), isWhole(view, extents: extents),
            images[view.buffer].map({ $0.extents == image }) ?? true
          else {
            others.insert(view.buffer)
            continue
          }
          images[view.buffer] = images[view.buffer] ?? Image(extents: image)
        }
        for (position, view) in instruction.operands.enumerated() {
          let extents = instruction.primitive.operandExtents[position]
          let isSource =
            switch instruction.primitive {
            case .convolve, .convolveInputGradient: position == 0
            default: false
            }
          guard isSource, isWhole(view, extents: extents), images[view.buffer]?.extents == extents else {
            others.insert(view.buffer)
            continue
          }
          images[view.buffer]?.isRead = true
        }
      }
    }
    let moved = images.filter { $0.value.isRead && !others.contains($0.key) && !buffers[$0.key].isPersistent }
    for section in sections.indices {
      for index in sections[section].instructions.indices {
        func move(_ view: inout View) {
          guard let extents = moved[view.buffer]?.extents else { return }
          view.strides.replaceSubrange((view.strides.count - 3)..., with: [1, extents[2] * extents[0], extents[0]])
        }
        for position in sections[section].instructions[index].operands.indices {
          move(&sections[section].instructions[index].operands[position])
        }
        for position in sections[section].instructions[index].results.indices {
          move(&sections[section].instructions[index].results[position])
        }
      }
    }
  }
}
