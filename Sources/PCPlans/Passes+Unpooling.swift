import PCGraphs
import PCPrimitives

/// The pass that keeps an average where it is small.
extension Program {
  /// Lets the message of a max-pooled vertex be averaged over the steps before it is put back to the positions of the
  /// maxima, rather than after.
  ///
  /// A step `y ← h·Sx + (1 − h) y`, where S puts numbers to positions that stay the same through all steps, becomes
  /// `z ← h·x + (1 − h) z`, and `y ← Sz` once after the steps: linear, and where windows do not overlap equal to the bit. z is
  /// a window's size smaller than y and, unlike y, often stays in the cache. It takes that no step reads y: the messages
  /// of a first convolution, which only its gradient needs.
  ///
  /// - Parameters:
  ///   - script: the order in which the sections run.
  ///   - kept: buffers that are filled or read from outside of the program.
  public mutating func averageBeforeUnpooling(in script: [Passage], keeping kept: Set<Int>) {
    for (position, passage) in script.enumerated() where passage.count > 1 {
      for index in sections[passage.section].instructions.indices {
        averageBeforeUnpooling(index, of: passage.section, before: script[(position + 1)...].map(\.section), kept)
      }
    }
  }

  private mutating func averageBeforeUnpooling(
    _ index: Int, of step: Int, before later: [Int], _ kept: Set<Int>
  ) {
    let unpool = sections[step].instructions[index]
    guard case .maxPoolGradient = unpool.primitive, unpool.beta != .zero else { return }
    let (x, winners, y) = (unpool.operands[0], unpool.operands[1], unpool.results[0])
    let extents = unpool.primitive.operandExtents[0]
    let isWholly = isWhole(y, extents: unpool.primitive.resultExtents[0]) && y.offset == 0
    guard isWholly, !kept.contains(y.buffer), !buffers[y.buffer].isPersistent, buffers[x.buffer].isBatched,
      buffers[y.buffer].isBatched
    else { return }
    // In the steps nothing else touches y, and nothing moves the positions.
    for (other, instruction) in sections[step].instructions.enumerated() where other != index {
      guard !instruction.touches(y.buffer), !instruction.results.contains(where: { $0.buffer == winners.buffer })
      else { return }
    }
    // Before them one instruction fills y with zeros; after them it is only read.
    var zero: (section: Int, index: Int)?
    for section in sections.indices where section != step {
      for (other, instruction) in sections[section].instructions.enumerated() where instruction.touches(y.buffer) {
        if later.contains(section) {
          guard !instruction.results.contains(where: { $0.buffer == y.buffer }) else { return }
        } else {
          guard zero == nil, instruction.alpha == .zero, instruction.beta == .zero, instruction.results.count == 1,
            case .elementwise(.one, _) = instruction.primitive
          else { return }
          zero = (section, other)
        }
      }
    }
    guard let zero,
      let reader = later.first(where: { section in
        sections[section].instructions.contains { $0.touches(y.buffer) }
      })
    else { return }

    var average = buffers[y.buffer]
    average.name += ", pooled"
    average.count = extents.reduce(1, *)
    buffers.append(average)
    let z = View(buffer: buffers.count - 1, strides: Term.rowMajorStrides(extents))
    sections[zero.section].instructions[zero.index].primitive = .elementwise(.one, extents: extents)
    sections[zero.section].instructions[zero.index].results = [z]
    sections[step].instructions[index] = Instruction(
      .elementwise(.identity, extents: extents), operands: [x], results: [z], alpha: unpool.alpha, beta: unpool.beta,
      label: unpool.label)
    sections[reader].instructions.insert(
      Instruction(unpool.primitive, operands: [z, winners], results: [y], label: unpool.label), at: 0)
  }
}
