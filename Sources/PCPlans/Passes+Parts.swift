import PCPrimitives

/// Passes for what unrolled graphs are full of: tensors whose parts are read one by one, and so are pulled back one by one.
extension Program {
  /// Adds a part where it belongs instead of padding it to the whole with zeros first.
  ///
  /// `p ← 0; p[part] ← x; y ← a·p + b·y` becomes `y ← b·y; y[part] ← a·x + y[part]`, where p is read nowhere else. The
  /// pullback of a slice is such a p: that of n slices of one value would take n times its memory, and n² time.
  ///
  /// - Parameter kept: buffers that are read from outside of the program.
  public mutating func addPartsInPlace(keeping kept: Set<Int>) {
    // Padded parts may be parts of padded parts.
    while addSomePartsInPlace(keeping: kept) {}
    for section in sections.indices { writeFirstParts(inSection: section) }
    dropUnusedBuffers(keeping: kept)
  }

  private mutating func addSomePartsInPlace(keeping kept: Set<Int>) -> Bool {
    let uses = places()
    var replacements: [Place: [Instruction]] = [:]
    for (buffer, places) in uses.enumerated() where places.count == 3 && !kept.contains(buffer) {
      let writers = places.filter { self[$0].results.contains { $0.buffer == buffer } }
      guard !buffers[buffer].isPersistent, writers.count == 2, let part = writers.last,
        isZero(self[writers[0]]),
        isWhole(self[writers[0]].results[0], extents: self[writers[0]].primitive.resultExtents[0]),
        let reader = places.first(where: { $0 != part && $0 != writers[0] }),
        replacements.keys.allSatisfy({ !places.contains($0) }),
        let added = self.added(part: part, reader: reader, uses: uses)
      else { continue }
      let whole = self[reader]
      let (target, extents) = (whole.results[0], whole.primitive.resultExtents[0])
      let rest = Instruction(
        .elementwise(.one, extents: extents), operands: [], results: [target], alpha: .zero, beta: whole.beta,
        label: whole.label)
      replacements[writers[0]] = []
      replacements[part] = []
      replacements[reader] = whole.beta == .one ? [added] : [rest, added]
    }
    for section in sections.indices {
      sections[section].instructions = sections[section].instructions.enumerated().flatMap {
        replacements[Place(section: section, position: $0)] ?? [$1]
      }
    }
    return !replacements.isEmpty
  }

  /// What adds the part that `part` writes to where `reader` adds the whole; `nil` where that would be another value.
  private func added(part: Place, reader: Place, uses: [[Place]]) -> Instruction? {
    let (written, whole) = (self[part], self[reader])
    guard case .elementwise(.identity, let partExtents) = written.primitive, written.beta == .zero,
      written.alpha == .one, case .elementwise(.identity, let extents) = whole.primitive,
      partExtents.count == extents.count, whole.operands[0].offset == 0, isWhole(whole.operands[0], extents: extents),
      part.section != reader.section || part.position < reader.position
    else { return nil }
    let (source, target) = (written.operands[0], whole.results[0])
    // The part must still be what it was when the whole is added.
    guard source.buffer != target.buffer, buffers[source.buffer].isBatched == buffers[target.buffer].isBatched,
      uses[source.buffer].allSatisfy({ place in
        guard self[place].results.contains(where: { $0.buffer == source.buffer }) else { return true }
        if part.section == reader.section {
          return place.section != part.section || !(part.position..<reader.position).contains(place.position)
        }
        // Between two sections anything may run; only what runs along with the part is known not to come later.
        return place.section == part.section && place.position < part.position
      }),
      let offset = compose(written.results[0], partExtents, within: whole.operands[0], extents, onto: target)
    else { return nil }
    var added = whole
    added.primitive = written.primitive
    added.operands = written.operands
    added.results[0].offset = offset
    added.beta = whole.beta == .zero ? .zero : .one
    return added
  }

  /// Where a part of `whole` begins once `whole` lies as `target` does; `nil` where it is no box of it.
  private func compose(
    _ part: View, _ partExtents: [Int], within whole: View, _ extents: [Int], onto target: View
  ) -> Int? {
    var (rest, offset) = (part.offset, target.offset)
    for axis in extents.indices where extents[axis] != 1 {
      let first = rest / whole.strides[axis]
      rest -= first * whole.strides[axis]
      offset += first * target.strides[axis]
      guard partExtents[axis] == 1 || part.strides[axis] == whole.strides[axis],
        first + partExtents[axis] <= extents[axis]
      else { return nil }
    }
    return rest == 0 ? offset : nil
  }

  /// After `y ← 0`, lets the first addition to a part of y overwrite it; where that covers y before anything reads it, the
  /// zeros go.
  private mutating func writeFirstParts(inSection section: Int) {
    var instructions = sections[section].instructions
    var removed = Set<Int>()
    /// For each buffer under way: the place of its zeros, and what was written since.
    var open: [Int: (zero: Int, written: [Bool], left: Int)] = [:]
    for (position, instruction) in instructions.enumerated() {
      for operand in instruction.operands { open[operand.buffer] = nil }
      guard instruction.results.count == 1 else {
        for result in instruction.results { open[result.buffer] = nil }
        continue
      }
      let result = instruction.results[0]
      let extents = instruction.primitive.resultExtents[0]
      if isZero(instruction), result.offset == 0, isWhole(result, extents: extents) {
        let count = buffers[result.buffer].count
        open[result.buffer] = (position, Array(repeating: false, count: count), count)
      } else if var state = open[result.buffer] {
        let elements = result.elements(instruction.primitive.denseResultExtents)
        guard instruction.beta == .one || instruction.beta == .zero, elements.allSatisfy({ !state.written[$0] })
        else {
          open[result.buffer] = nil
          continue
        }
        for element in elements { state.written[element] = true }
        state.left -= elements.count
        instructions[position].beta = .zero
        if state.left == 0 { removed.insert(state.zero) }
        open[result.buffer] = state.left == 0 ? nil : state
      }
    }
    sections[section].instructions = instructions.enumerated().filter { !removed.contains($0.offset) }.map(\.element)
  }

  /// Takes out instructions whose results nothing reads, in this program or (`kept`) outside of it.
  public mutating func dropUnread(keeping kept: Set<Int>) {
    var isRead = buffers.indices.map { buffers[$0].isPersistent || kept.contains($0) }
    // From what is kept back to what that needs; a loop may carry values from its end to its beginning, hence rounds.
    var found = true
    while found {
      found = false
      for section in sections.indices.reversed() {
        for instruction in sections[section].instructions.reversed()
        where instruction.results.contains(where: { isRead[$0.buffer] }) {
          for operand in instruction.operands where !isRead[operand.buffer] {
            isRead[operand.buffer] = true
            found = true
          }
        }
      }
    }
    for section in sections.indices {
      sections[section].instructions.removeAll { !$0.results.contains { isRead[$0.buffer] } }
    }
    dropUnusedBuffers(keeping: kept)
  }

  // MARK: Places

  /// An instruction of the program.
  struct Place: Hashable {
    var section: Int
    var position: Int
  }

  subscript(place: Place) -> Instruction {
    get { sections[place.section].instructions[place.position] }
    set { sections[place.section].instructions[place.position] = newValue }
  }

  /// For each buffer, the instructions that read or write it, section by section.
  func places() -> [[Place]] {
    var places: [[Place]] = Array(repeating: [], count: buffers.count)
    for (section, content) in sections.enumerated() {
      for (position, instruction) in content.instructions.enumerated() {
        for buffer in Set((instruction.operands + instruction.results).map(\.buffer)) {
          places[buffer].append(Place(section: section, position: position))
        }
      }
    }
    return places
  }

  /// Whether an instruction fills its result with zeros.
  private func isZero(_ instruction: Instruction) -> Bool {
    guard case .elementwise(.one, _) = instruction.primitive else { return false }
    return instruction.alpha == .zero && instruction.beta == .zero
  }
}

extension View {
  /// The numbers of the buffer that the view runs over, in row-major order.
  fileprivate func elements(_ extents: [Int]) -> [Int] {
    var elements = [offset]
    for (extent, stride) in zip(extents, strides) {
      if extent == 1 { continue }
      elements = elements.flatMap { element in (0..<extent).map { element + $0 * stride } }
    }
    return elements
  }
}
