import PCPrimitives

/// Passes for what unrolled graphs are full of: parts of a tensor that are read one by one, and so are pulled back one by one.
extension Program {
  /// Adds a part where it belongs instead of padding it to the whole with zeros first.
  ///
  /// `p ← 0; p[part] ← x; y ← a·p + b·y` becomes `y ← b·y; y[part] ← a·x + y[part]`, where p is read nowhere else. The
  /// pullback of a slice is such a p: n slices of one value would take n times its memory, and n² time.
  ///
  /// - Parameter kept: buffers that are read from outside of the program.
  public mutating func addPartsInPlace(keeping kept: Set<Int>) {
    let uses = uses()
    for (buffer, places) in uses.enumerated() where places.count == 3 && !kept.contains(buffer) {
      guard !buffers[buffer].isPersistent else { continue }
      let writers = places.filter { self[$0].results.contains { $0.buffer == buffer } }
      guard writers.count == 2, let reader = places.first(where: { place in !writers.contains { $0 == place } }),
        let zero = writers.first(where: { isZero(self[$0]) }), let part = writers.last, part != zero,
        // Blends only, so that views can be composed.
        case .elementwise(.identity, let partExtents) = self[part].primitive, self[part].beta == .zero,
        case .elementwise(.identity, let extents) = self[reader].primitive, partExtents.count == extents.count,
        self[reader].operands[0].offset == 0, isWhole(self[reader].operands[0], extents: extents),
        self[part].alpha == .one, part.section != reader.section || part.position < reader.position
      else { continue }
      let (source, target) = (self[part].operands[0], self[reader].results[0])
      let isConstant = uses[source.buffer].allSatisfy { place in
        !self[place].results.contains { $0.buffer == source.buffer }
          || place.section == part.section && place.position < part.position
      }
      guard isConstant, target.buffer != source.buffer,
        let offset = compose(
          self[part].results[0], partExtents, within: self[reader].operands[0], extents, onto: target)
      else { continue }

      let whole = self[reader]
      var added = self[part]
      added.results[0] = View(buffer: target.buffer, offset: offset, strides: target.strides)
      added.alpha = whole.alpha
      added.beta = whole.beta == .zero ? .zero : .one
      added.label = whole.label
      let rest = Instruction(
        .elementwise(.one, extents: extents), operands: [], results: [target], alpha: .zero, beta: whole.beta,
        label: whole.label)
      replacements[reader, default: []] = whole.beta == .one ? [added] : [rest, added]
    }
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
}
