import PCPrimitives

/// The pass that lets buffers whose contents are needed at different times share memory.
extension Program {
  /// Gives buffers of one size the same memory where none is needed while another is: the pullbacks of one time step
  /// where those of the step before were, not beside them.
  ///
  /// A buffer is needed from the first instruction that touches it to the last. What is touched in a section that runs
  /// several times is needed while that section runs, since any of its rounds may read what an earlier one left. Only
  /// batched buffers take part: they are what grows with the batch and the length of a sequence, and weights that are
  /// packed for products must not change under the packing. An elementwise function may write over an operand that nothing
  /// needs any more.
  ///
  /// - Parameters:
  ///   - script: the order in which the sections run, always and completely: what is outside of it is left alone.
  ///   - kept: buffers that are filled or read from outside of the program.
  public mutating func shareMemory(in script: [Passage], keeping kept: Set<Int>) {
    let spans = spans(in: script)
    var isFree = buffers.indices.map { buffer in
      !kept.contains(buffer) && buffers[buffer].isBatched && !buffers[buffer].isPersistent
        && spans[buffer]?.startsWritten == true
    }
    let running = Set(script.map(\.section))
    for section in sections.indices where !running.contains(section) {
      for instruction in sections[section].instructions {
        for view in instruction.operands + instruction.results { isFree[view.buffer] = false }
      }
    }

    struct Kind: Hashable {
      var count: Int
      var element: Element
    }
    var places = Array(buffers.indices)
    /// Places that are taken, by the time from which they are free again, and those that are free, the latest last.
    var taken: [(end: Int, place: Int)] = []
    var free: [Kind: [Int]] = [:]
    let order = buffers.indices.filter { isFree[$0] }.compactMap { buffer in spans[buffer].map { (buffer, $0) } }
    for (buffer, span) in order.sorted(by: { ($0.1.start, $0.0) < ($1.1.start, $1.0) }) {
      if let operand = span.replaced.first(where: { isFree[$0] && spans[$0]?.end == span.start }),
        let index = taken.firstIndex(where: { $0.place == places[operand] })
      {
        places[buffer] = places[operand]
        taken[index].end = span.end
        taken.sort { $0.end > $1.end }
        continue
      }
      for index in taken.indices.reversed() where taken[index].end < span.start {
        let place = taken.remove(at: index).place
        free[Kind(count: buffers[place].count, element: buffers[place].element), default: []].append(place)
      }
      // The place that was left last is the likeliest to be in the cache.
      let place = free[Kind(count: buffers[buffer].count, element: buffers[buffer].element)]?.popLast() ?? buffer
      places[buffer] = place
      taken.append((span.end, place))
      taken.sort { $0.end > $1.end }
    }
    rename { places[$0] }
    for buffer in buffers.indices where places[buffer] != buffer { buffers[buffer].count = 0 }
  }

  /// The time for which a buffer is needed, in instructions of a script.
  private struct Span {
    var start: Int
    var end: Int
    /// Whether the first instruction that touches it replaces what was there.
    var startsWritten: Bool
    /// Operands of that instruction over which it may write.
    var replaced: [Int] = []
  }

  private func spans(in script: [Passage]) -> [Int: Span] {
    var spans: [Int: Span] = [:]
    var time = 0
    for passage in script where passage.count > 0 {
      let instructions = sections[passage.section].instructions
      let last = time + instructions.count
      for (position, instruction) in instructions.enumerated() {
        let range = passage.count == 1 ? (time + position)...(time + position) : time...last
        let written = instruction.beta == .zero ? instruction.results : []
        for view in instruction.operands + instruction.results {
          if spans[view.buffer] == nil {
            let isRead = instruction.operands.contains { $0.buffer == view.buffer }
            spans[view.buffer] = Span(
              start: range.lowerBound, end: range.upperBound,
              startsWritten: !isRead && written.contains { $0.buffer == view.buffer },
              replaced: passage.count == 1 ? replaceable(instruction) : [])
          }
          spans[view.buffer]?.end = range.upperBound
        }
      }
      time = last + 1
    }
    return spans
  }

  /// The operands that an elementwise function reads just as it writes its result, and that are as large.
  private func replaceable(_ instruction: Instruction) -> [Int] {
    guard case .elementwise(_, let extents) = instruction.primitive, instruction.beta == .zero,
      let result = instruction.results.first, isWhole(result, extents: extents)
    else { return [] }
    return instruction.operands.filter { operand in
      buffers[operand.buffer].count == buffers[result.buffer].count
        && buffers[operand.buffer].element == buffers[result.buffer].element
        && instruction.operands.allSatisfy { other in
          other.buffer != operand.buffer || other.isParallel(to: result, extents)
        }
    }.map(\.buffer)
  }

  private mutating func rename(_ place: (Int) -> Int) {
    for section in sections.indices {
      for position in sections[section].instructions.indices {
        var instruction = sections[section].instructions[position]
        for index in instruction.operands.indices {
          instruction.operands[index].buffer = place(instruction.operands[index].buffer)
        }
        for index in instruction.results.indices {
          instruction.results[index].buffer = place(instruction.results[index].buffer)
        }
        sections[section].instructions[position] = instruction
      }
    }
  }
}
