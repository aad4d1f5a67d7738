import PCPrimitives

/// The pass that computes parts of the feedforward pass a second time, so that they need not be kept until then.
extension Program {
  /// Lets what comes after the feedforward pass read a fresh copy of what a segment of it computed, made where it is first
  /// needed; only what other segments read (the state that a segment starts from) is kept in between.
  ///
  /// (Chen et al., 2016, arXiv 1604.06174.) The numbers are the same, since the instructions are. The segment that ends the
  /// feedforward pass is not worth it, being needed at once.
  ///
  /// - Parameters:
  ///   - segments: for each segment its instructions of the section, in order; nothing but `section` holds any.
  ///   - section: where the feedforward pass is.
  ///   - end: how many instructions of the section belong to it.
  ///   - script: the order in which all sections run.
  ///   - kept: buffers that are read from outside of the program.
  mutating func recompute(
    _ segments: [[Int]], of section: Int, before end: Int, in script: [Passage], keeping kept: Set<Int>
  ) {
    let forward = sections[section].instructions
    let ordered = segments.sorted { ($0.first ?? 0) < ($1.first ?? 0) }
    var readers: [Int: Set<Int>] = [:]
    for (number, segment) in ordered.enumerated() {
      for position in segment {
        for operand in forward[position].operands { readers[operand.buffer, default: []].insert(number) }
      }
    }
    let later = later(section, from: end, in: script)
    let rewritten = Set(later.flatMap { self[$0].results.map(\.buffer) })

    var insertions: [(place: Place, copies: [Instruction])] = []
    for (number, segment) in ordered.dropLast().enumerated() {
      let written = Set(segment.flatMap { forward[$0].results.map(\.buffer) })
      let replaceable = written.filter { buffer in
        readers[buffer, default: []].isSubset(of: [number]) && !kept.contains(buffer) && !rewritten.contains(buffer)
      }
      guard let place = firstUse(of: replaceable, among: later, after: section, in: script) else { continue }
      var copies: [Int: Int] = [:]
      for buffer in replaceable.sorted() {
        copies[buffer] = buffers.count
        buffers.append(buffers[buffer])
        buffers[buffers.count - 1].name += ", again"
      }
      func copied(_ buffer: Int) -> Int { copies[buffer] ?? buffer }
      for other in later {
        sections[other.section].instructions[other.position] = self[other].renamingOperands(copied)
      }
      let again = segment.map { forward[$0] }.filter { $0.results.allSatisfy { copies[$0.buffer] != nil } }
        .map { $0.renamingOperands(copied).renamingResults(copied) }
      insertions.append((place, again))
    }
    // Later places first, so that earlier ones stay where they are; two at one place in the order in which they run.
    let sorted = insertions.enumerated().sorted {
      ($0.element.place.section, $0.element.place.position, $0.offset)
        > ($1.element.place.section, $1.element.place.position, $1.offset)
    }
    for (_, insertion) in sorted {
      sections[insertion.place.section].instructions.insert(
        contentsOf: insertion.copies, at: insertion.place.position)
    }
  }

  /// The instructions that run after the first `end` ones of `section`, in order.
  private func later(_ section: Int, from end: Int, in script: [Passage]) -> [Place] {
    let sections = script.map(\.section).drop { $0 != section }
    return sections.flatMap { other in
      (other == section ? end..<self.sections[other].instructions.count : self.sections[other].instructions.indices)
        .map { Place(section: other, position: $0) }
    }
  }

  /// Where to put what makes the buffers, so that it runs once, before the first instruction that reads one; `nil` where
  /// none does, or where that is at the feedforward pass's own end.
  private func firstUse(
    of replaced: Set<Int>, among later: [Place], after section: Int, in script: [Passage]
  ) -> Place? {
    guard
      let place = later.first(where: {
        self[$0].operands.contains { replaced.contains($0.buffer) }
      }), let index = script.firstIndex(where: { $0.section == place.section })
    else { return nil }
    guard script[index].count > 1 else { return place }
    // Before a repeated section is at the end of the one before it.
    let before = script[index - 1].section
    return before == section ? nil : Place(section: before, position: sections[before].instructions.count)
  }
}
