import PCKernels
import PCKernelsC
import PCPrimitives

// Products summed over the examples: the gradients of weights.

extension Lowering {
  /// The sums over the examples of a section, by the last of their instructions: contractions that add to one result, one
  /// after the other, are one contraction over all that they sum over.
  ///
  /// A weight that is used at n steps of a sequence has n of them. Alone each would read and write the whole result for
  /// the few products of one step.
  func summedProducts(_ section: Section) -> [Int: [Int]] {
    var found: [Int: [Int]] = [:]
    /// By result, those that later ones may join.
    var open: [Int: [Int]] = [:]
    for (position, instruction) in section.instructions.enumerated() {
      let joins = isSummedProduct(instruction)
      let written = Set(instruction.results.map(\.buffer))
      let read = Set(instruction.operands.map(\.buffer))
      // What was put off to the last of a run must find its operands unchanged, and nobody must look at the sum before.
      for (result, run) in open {
        let isTouched = read.contains(result) || written.contains(result) && !joins
        let isStale = run.contains { section.instructions[$0].operands.contains { written.contains($0.buffer) } }
        if isTouched || isStale { open[result] = nil }
      }
      guard joins else { continue }
      let result = instruction.results[0].buffer
      if let run = open[result], let last = run.last {
        let before = section.instructions[last]
        if instruction.beta == .one, instruction.alpha == before.alpha, instruction.results == before.results,
          instruction.primitive == before.primitive
        {
          found[last] = nil
          open[result] = run + [position]
          found[position] = run + [position]
          continue
        }
      }
      open[result] = [position]
      found[position] = [position]
    }
    return found
  }

  func isSummedProduct(_ instruction: Instruction) -> Bool {
    guard case .contract(let extents) = instruction.primitive, !extents.dropLast().contains(0) else { return false }
    return !program.buffers[instruction.results[0].buffer].isBatched
      && instruction.operands.allSatisfy { program.buffers[$0.buffer].isBatched }
  }

  /// Tile by tile, the operands whose axis is contiguous in the result are transposed to supply the vectors, and the others
  /// are packed to supply the rows, each after the one before it in depth; then all tiles are contracted, each thread taking
  /// some rows. Long runs go in parts that stay in the cache.
  mutating func lowerSummedProducts(_ run: [Instruction]) throws {
    guard case .contract(let extents) = run[0].primitive else { return }
    let each = batchSize * (extents.last ?? 1)
    let most = max(1, Int(PC_OUTER_DEPTH) / max(each, 1))
    let parts = (run.count + most - 1) / most
    for part in 0..<parts {
      var instructions = Array(run[(run.count * part / parts)..<(run.count * (part + 1) / parts)])
      if part > 0 { instructions[0].beta = .one }
      try lowerOuter(extents, instructions)
    }
  }

  /// Whether wide blocks of the columns pay: for more than a few examples, where they add little padding.
  private func isWide(columns: Int) -> Bool {
    func padded(_ block: Int64) -> Int { (columns + Int(block) - 1) / Int(block) * Int(block) }
    let set = widest.pointee
    return set.wide_rows > 0 && batchSize > Int(PC_FEW) && padded(set.wide_block) * 16 <= padded(set.block) * 17
  }

  private mutating func lowerOuter(_ extents: [Int], _ run: [Instruction]) throws {
    let groupRank = extents.count - 3
    let result = operand(run[0].results[0])
    let (m, n, k) = (groupRank, groupRank + 1, groupRank + 2)
    let isVectorFirst = result.strides[m] == 1 && result.strides[n] != 1
    let rowAxis = isVectorFirst ? n : m
    let columnAxis = isVectorFirst ? m : n
    let groupExtents = Array(extents.prefix(groupRank))
    let (rows, columns, each) = (extents[rowAxis], extents[columnAxis], extents[k])
    if widest.pointee.has_matrix_unit, lanes == PC_THIRDS_DEPTH, result.strides[columnAxis] == 1,
      prefersMatrixUnit || rows >= Lowering.leastSummed && columns >= Lowering.leastSummed
    {
      try lowerOuterInThirds(
        run, axes: (rowAxis, columnAxis, k), groupExtents, rows: rows, columns: columns, each: each,
        isVectorFirst: isVectorFirst)
      return
    }
    let isWide = isWide(columns: columns)
    let block = Int(isWide ? widest.pointee.wide_block : widest.pointee.block)
    let height = isWide ? widest.pointee.wide_rows : widest.pointee.rows
    let depth = each * run.count
    let results = Lowering.offsets(groupExtents, strides: result.strides)
    let groups = results.count

    let isPacked = depth > 1
    let xSize = rows * depth * lanes
    let slab = (columns + block - 1) / block * block * lanes
    let blocks = try sharedWorkspace(.blocks, tiles * groups * depth * slab)
    let transposed = pc_place(base: blocks.base, tile: Int64(groups * depth * slab), lane: 0)
    let firstX = operand(run[0].operands[isVectorFirst ? 1 : 0])
    let xOffsets = Lowering.offsets(groupExtents, strides: firstX.strides)
    var x = firstX.place
    if isPacked {
      let panels = try sharedWorkspace(.panels, tiles * groups * xSize)
      x = pc_place(base: panels.base, tile: Int64(groups * xSize), lane: 0)
    }
    for (position, instruction) in run.enumerated() {
      if isPacked {
        packRows(
          instruction.operands[isVectorFirst ? 1 : 0], groupExtents, axes: (rowAxis, k), rows: rows, height: height,
          depth: (own: each, all: depth, before: position * each), to: x)
      }
      let y = operand(instruction.operands[isVectorFirst ? 0 : 1])
      let yOffsets = Lowering.offsets(groupExtents, strides: y.strides)
      call(
        PC_KERNEL_TRANSPOSE,
        pc_transpose(
          lanes: Int64(lanes), block: Int64(block), groups: Int64(groups),
          group: array(
            yOffsets.enumerated().map {
              pc_group(weights: 0, source: Int64($1), result: Int64(($0 * depth + position * each) * slab))
            }),
          columns: Int64(columns), depth: Int64(each), source: y.place, result: transposed,
          source_column: Int64(y.strides[columnAxis]), source_depth: Int64(y.strides[k]), result_depth: Int64(slab)),
        .tile, set: widest, reads: [y], writes: [])
    }
    call(
      PC_KERNEL_OUTER,
      pc_outer(
        alpha: coefficient(run[0].alpha), beta: coefficient(run[0].beta), lanes: Int64(lanes),
        batch: Int64(batchSize), groups: Int64(groups),
        group: array(
          results.enumerated().map {
            pc_group(
              weights: Int64(isPacked ? $0 * xSize : xOffsets[$0]), source: Int64($0 * depth * slab),
              result: Int64($1))
          }), rows: Int64(rows), height: height, columns: Int64(columns),
        depth: Int64(depth), x: x, y: transposed, packed: isPacked, x_row: Int64(firstX.strides[rowAxis]),
        y_depth: Int64(slab), result: result.place.base, result_row: Int64(result.strides[rowAxis]),
        result_column: Int64(result.strides[columnAxis])),
      .together, set: widest, reads: isPacked ? [] : [firstX], writes: [result])
  }

  /// Rows and columns from which on a sum over the examples is worth putting its operands into thirds.
  private static let leastSummed = 24

  private mutating func lowerOuterInThirds(
    _ run: [Instruction], axes: (row: Int, column: Int, depth: Int), _ groupExtents: [Int], rows: Int, columns: Int,
    each: Int, isVectorFirst: Bool
  ) throws {
    let result = operand(run[0].results[0])
    let results = Lowering.offsets(groupExtents, strides: result.strides)
    let depth = each * run.count
    let blocks = tiles * depth
    func upTo(_ count: Int, _ whole: Int) -> Int { (count + whole - 1) / whole }
    let xSize = upTo(rows, Int(PC_THIRDS_ROWS)) * blocks * Int(PC_THIRDS_BLOCK)
    let ySize = upTo(columns, Int(PC_THIRDS_LANES)) * blocks * Int(PC_THIRDS_BLOCK) / 2
    let x = try sharedWorkspace(.panels, results.count * xSize)
    let y = try sharedWorkspace(.blocks, results.count * ySize)
    for (position, instruction) in run.enumerated() {
      for asColumns in [false, true] {
        let view = operand(instruction.operands[asColumns == isVectorFirst ? 0 : 1])
        let axis = asColumns ? axes.column : axes.row
        let offsets = Lowering.offsets(groupExtents, strides: view.strides)
        call(
          PC_KERNEL_EXAMPLES_THIRDS,
          pc_examples_thirds(
            groups: Int64(offsets.count),
            group: array(
              offsets.enumerated().map {
                pc_group(weights: 0, source: Int64($1), result: Int64($0 * (asColumns ? ySize : xSize)))
              }),
            rows: Int64(asColumns ? columns : rows), row: Int64(view.strides[axis]), depth: Int64(each),
            source_depth: Int64(view.strides[axes.depth]), all: Int64(depth), before: Int64(position * each),
            blocks: Int64(blocks), as_columns: asColumns, source: view.place, target: (asColumns ? y : x).base),
          .tile, set: widest, reads: [view], writes: [])
      }
    }
    call(
      PC_KERNEL_OUTER_THIRDS,
      pc_outer_thirds(
        alpha: coefficient(run[0].alpha), beta: coefficient(run[0].beta), groups: Int64(results.count),
        group: array(
          results.enumerated().map {
            pc_group(weights: Int64($0 * xSize), source: Int64($0 * ySize), result: Int64($1))
          }), rows: Int64(rows), columns: Int64(columns), blocks: Int64(blocks), x: x.base, y: y.base,
        result: result.place.base, result_row: Int64(result.strides[axes.row])),
      .together, set: widest, reads: [], writes: [result])
  }

  /// Packs a tile's rows of each group, as a part of a depth.
  private mutating func packRows(
    _ view: View, _ groupExtents: [Int], axes: (row: Int, depth: Int), rows: Int, height: Int64,
    depth: (own: Int, all: Int, before: Int), to packed: pc_place
  ) {
    let x = operand(view)
    for (g, offset) in Lowering.offsets(groupExtents, strides: x.strides).enumerated() {
      var (source, target) = (x.place, packed)
      source.base += offset
      target.base += g * rows * depth.all * lanes
      call(
        PC_KERNEL_PACK,
        pc_pack(
          source: source, target: target, rows: Int64(rows), height: height,
          row: Int64(x.strides[axes.row]), depth: Int64(depth.all * lanes), start: Int64(depth.before * lanes),
          count0: 1, count1: Int64(depth.own),
          count2: Int64(lanes), stride0: 0, stride1: Int64(x.strides[axes.depth]), stride2: 1),
        .tile, set: widest, reads: [x], writes: [])
    }
  }
}
