import PCPrimitives

/// The pass that lets buffers whose contents are needed at different times share memory.
extension Program {
  /// Gives buffers of one size the same memory where none is needed while another is: the pullbacks of one time step
  /// where those of the step before were, not beside them.
  ///
  /// A buffer is needed from the first instruction that touches it to the last. What is touched in a section that runs
  /// several times is needed while that section runs, since any of its rounds may read what an earlier one left; but not
  /// what each round makes anew for itself. Only
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

      init(_ buffer: Buffer) { (count, element) = (buffer.count, buffer.element) }
    }
    var places = Array(buffers.indices)
    /// Places by the last time at which they are needed, and those that are free, the latest last.
    var ending: [Int: [Int]] = [:]
    var free: [Kind: [Int]] = [:]
    var now = 0
    let order = buffers.indices.filter { isFree[$0] }.compactMap { buffer in spans[buffer].map { (buffer, $0) } }
    for (buffer, span) in order.sorted(by: { ($0.1.start, $0.0) < ($1.1.start, $1.0) }) {
      for place in (now..<span.start).flatMap({ ending.removeValue(forKey: $0) ?? [] }) {
        free[Kind(buffers[place]), default: []].append(place)
      }
      now = span.start
      let replaced = span.replaced.first { operand in
        isFree[operand] && ending[span.start]?.contains(places[operand]) == true
      }
      if let replaced {
        places[buffer] = places[replaced]
        ending[span.start]?.removeAll { $0 == places[replaced] }
      } else {
        // The place that was left last is the likeliest to be in the cache.
        places[buffer] = free[Kind(buffers[buffer])]?.popLast() ?? buffer
      }
      ending[span.end, default: []].append(places[buffer])
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
    let passages = script.filter { $0.count > 0 }
    /// In how many passages a buffer is touched.
    var touching: [Int: Int] = [:]
    for buffer in passages.flatMap({ touched(in: $0.section) }) { touching[buffer, default: 0] += 1 }
    for passage in passages {
      let instructions = sections[passage.section].instructions
      let last = time + instructions.count
      let perRound = passage.count == 1 ? [] : madeAnew(in: passage.section).filter { touching[$0] == 1 }
      for (position, instruction) in instructions.enumerated() {
        let written = instruction.beta == .zero ? instruction.results : []
        for view in instruction.operands + instruction.results {
          let isBrief = passage.count == 1 || perRound.contains(view.buffer)
          let range = isBrief ? (time + position)...(time + position) : time...last
          if spans[view.buffer] == nil {
            let isRead = instruction.operands.contains { $0.buffer == view.buffer }
            spans[view.buffer] = Span(
              start: range.lowerBound, end: range.upperBound,
              startsWritten: !isRead && written.contains { $0.buffer == view.buffer },
              replaced: isBrief ? replaceable(instruction) : [])
          }
          spans[view.buffer]?.end = range.upperBound
        }
      }
      time = last + 1
    }
    return spans
  }

  func touched(in section: Int) -> Set<Int> {
    Set(sections[section].instructions.flatMap { ($0.operands + $0.results).map(\.buffer) })
  }

  /// The buffers that a section replaces as a whole before it reads them.
  private func madeAnew(in section: Int) -> Set<Int> {
    var known: Set<Int> = []
    var anew: Set<Int> = []
    for instruction in sections[section].instructions {
      known.formUnion(instruction.operands.map(\.buffer))
      let extents = instruction.primitive.denseResultExtents
      for result in instruction.results {
        let replaces = instruction.beta == .zero && isPermutation(result, extents: extents)
        if known.insert(result.buffer).inserted, replaces { anew.insert(result.buffer) }
      }
    }
    return anew
  }

  /// The operands that an elementwise function reads just as it writes its result, and that are as large.
  private func replaceable(_ instruction: Instruction) -> [Int] {
    guard case .elementwise(_, let extents) = instruction.primitive, instruction.beta == .zero,
      let result = instruction.results.first, isPermutation(result, extents: extents)
    else { return [] }
    return instruction.operands.filter { operand in
      buffers[operand.buffer].count == buffers[result.buffer].count
        && buffers[operand.buffer].element == buffers[result.buffer].element
        && instruction.operands.allSatisfy { other in
          other.buffer != operand.buffer || other.offset == result.offset && other.isParallel(to: result, extents)
        }
    }.map(\.buffer)
  }

  private mutating func rename(_ place: (Int) -> Int) {
    for section in sections.indices {
      sections[section].instructions = sections[section].instructions.map {
        $0.renamingOperands(place).renamingResults(place)
      }
    }
  }
}

extension Instruction {
  /// The instruction with its operands in other buffers.
  func renamingOperands(_ buffer: (Int) -> Int) -> Instruction {
    var instruction = self
    for index in operands.indices { instruction.operands[index].buffer = buffer(operands[index].buffer) }
    return instruction
  }

  /// The instruction with its results in other buffers.
  func renamingResults(_ buffer: (Int) -> Int) -> Instruction {
    var instruction = self
    for index in results.indices { instruction.results[index].buffer = buffer(results[index].buffer) }
    return instruction
  }
}
