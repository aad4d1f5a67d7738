import PCKernels
import PCKernelsC
import PCPrimitives

// Contractions and convolutions.

extension Lowering {
  // MARK: Contract

  mutating func lowerContract(_ extents: [Int], _ instruction: Instruction) throws {
    let result = operand(instruction.results[0])
    let lhs = operand(instruction.operands[0])
    let rhs = operand(instruction.operands[1])
    let kept = Array(extents.dropLast())
    guard !kept.contains(0) else { return }
    switch (result.isBatched, lhs.isBatched, rhs.isBatched) {
    case (true, true, false): try lowerSharedWeights(extents, instruction, isWeightFirst: false)
    case (true, false, true): try lowerSharedWeights(extents, instruction, isWeightFirst: true)
    default: try lowerProducts(extents, instruction)
    }
  }

  /// One operand is the same for all examples: it supplies the rows of the micro-kernel, the other the vectors.
  private mutating func lowerSharedWeights(
    _ extents: [Int], _ instruction: Instruction, isWeightFirst: Bool, mayUseMatrixUnit: Bool = true
  ) throws {
    let groupRank = extents.count - 3
    let rowAxis = isWeightFirst ? groupRank : groupRank + 1
    let columnAxis = isWeightFirst ? groupRank + 1 : groupRank
    let depthAxis = groupRank + 2
    let weightView = instruction.operands[isWeightFirst ? 0 : 1]
    let source = operand(instruction.operands[isWeightFirst ? 1 : 0])
    let result = operand(instruction.results[0])
    let groupExtents = Array(extents.prefix(groupRank))
    let offsets = Lowering.offsets(groupExtents, strides: weightView.strides)
    let distinct = Array(Set(offsets)).sorted()
    let position = Dictionary(uniqueKeysWithValues: distinct.enumerated().map { ($1, $0) })
    // Of a single column, those of the tiles that a thread takes abreast go beside one another.
    let isVector = groupExtents.reduce(1, *) == 1 && extents[columnAxis] == 1
    let abreast = min(Int(PC_TILES_ABREAST), (tiles + threads - 1) / threads)
    let (rows, depth) = (extents[rowAxis], extents[depthAxis])
    let isInThirds = mayUseMatrixUnit && usesMatrixUnit(rows: rows, depth: depth)
    let height =
      isInThirds
      ? Int64(PC_THIRDS_ROWS) : panelHeight(columns: extents[columnAxis] == 1 ? abreast : extents[columnAxis])
    let weights =
      isInThirds
      ? try packThirds(
        weightView, offsets: distinct, rows: rows, row: weightView.strides[rowAxis], counts: [1, 1, 1, depth],
        strides: [0, 0, 0, weightView.strides[depthAxis]])
      : try pack(
        weightView, height: height, offsets: distinct, rows: rows, row: weightView.strides[rowAxis],
        counts: [1, 1, depth], strides: [0, 0, weightView.strides[depthAxis]])
    let sources = Lowering.offsets(groupExtents, strides: source.strides)
    let results = Lowering.offsets(groupExtents, strides: result.strides)
    let size = rows * depth
    let packedSize = isInThirds ? Lowering.thirdsCount(rows: rows, [1, 1, 1, depth]) : size
    if isInThirds {
      reserveScratch(Int(PC_THIRDS_SQUARES) * Lowering.thirdsCount(rows: 1, [1, 1, 1, depth]) / 2)
    }
    let groups = offsets.indices.map {
      pc_group(
        weights: Int64((position[offsets[$0]] ?? 0) * packedSize), source: Int64(sources[$0]),
        result: Int64(results[$0]))
    }
    let matrix = pc_matrix(
      alpha: coefficient(instruction.alpha), beta: coefficient(instruction.beta), lanes: Int64(lanes),
      groups: Int64(groups.count), group: array(groups), rows: Int64(rows), height: height,
      columns: Int64(extents[columnAxis]), depth: Int64(depth), weights: weights.memory.base,
      source: source.place, result: result.place, source_column: Int64(source.strides[columnAxis]),
      source_depth: Int64(source.strides[depthAxis]), result_row: Int64(result.strides[rowAxis]),
      result_column: Int64(result.strides[columnAxis]), bias: nil)
    let start = result.place.base - buffers[result.buffer].base + Int(groups[0].result)
    let isWideAbreast = height == set.pointee.wide_rows && extents[columnAxis] == 1 && lanes < set.pointee.wide_block
    let isBetterAbreast =
      isInThirds || isWideAbreast || vectors > 1 && size * distinct.count >= Lowering.leastAbreast
    let product =
      isVector && result.strides[rowAxis] == lanes
      ? ProductRun(
        result: ElementRun.Numbers(buffer: result.buffer, start: start, count: rows * lanes), rows: rows,
        byRows: isInThirds ? PC_KERNEL_MATRIX_THIRDS_BY_ROWS : PC_KERNEL_MATRIX_BY_ROWS) : nil
    call(
      isInThirds ? PC_KERNEL_MATRIX_THIRDS : PC_KERNEL_MATRIX, matrix, .tile, reads: [source], writes: [result],
      packs: weights.packs,
      abreast: isBetterAbreast ? .better : .possible, product: product)
    guard isVector else { return }
    try addAlternative {
      if $0.tiles == 1, $0.lanes == Int($0.set.pointee.width) {
        try $0.lowerOnce(
          instruction, weightView, source, result, rows: rows, depth: depth, axes: (rowAxis, depthAxis))
      } else if let product, size >= Lowering.leastForAll,
        $0.tiles * $0.lanes * depth <= Lowering.mostForAll
      {
        var matrix = matrix
        matrix.height = $0.panelHeight(columns: abreast)
        try $0.lowerOnceForAll(instruction, matrix, product, weightView, axes: (rowAxis, depthAxis), source, result)
      } else if isInThirds, $0.tiles * $0.lanes < Lowering.leastExamples {
        try $0.lowerSharedWeights(extents, instruction, isWeightFirst: isWeightFirst, mayUseMatrixUnit: false)
      }
    }
  }

  /// A product that is made once, for all tiles with weights that each thread packs as it goes.
  private mutating func lowerOnceForAll(
    _ instruction: Instruction, _ matrix: pc_matrix, _ product: ProductRun, _ weights: View,
    axes: (row: Int, depth: Int), _ source: Operand, _ result: Operand
  ) throws {
    reserveScratch(max(Int(PC_PACKED_AT_ONCE), Int(matrix.height * matrix.depth)))
    let (rows, depth) = (Int(matrix.rows), Int(matrix.depth))
    let isByRows = weights.strides[axes.row] == 1
    let pieces = isByRows && Lowering.pieces * Lowering.depthOfPiece * tiles * lanes <= depth ? Lowering.pieces : 1
    var matrix = matrix
    var total: (partial: Operand, combine: pc_combine)?
    if pieces > 1 {
      let strides = [tiles == 1 ? 0 : Int(result.place.tile), result.strides[axes.row], 1]
      let whole = Operand(place: result.place, strides: strides, isBatched: true, buffer: result.buffer)
      let sum = try summed(whole, extents: [tiles, rows, lanes], instruction, parts: pieces)
      matrix.result = pc_place(base: sum.partial.place.base, tile: Int64(rows * lanes), lane: 1)
      (matrix.result_row, matrix.alpha, matrix.beta) = (Int64(lanes), coefficient(1), coefficient(0))
      total = sum
    }
    let sourceCount = tiles * lanes * depth / pieces
    let pack = pc_pack(
      source: operand(weights).place, target: pc_place(), rows: matrix.rows, height: matrix.height,
      row: Int64(weights.strides[axes.row]),
      depth: matrix.depth, start: 0, count0: 1, count1: 1, count2: matrix.depth, stride0: 0, stride1: 0,
      stride2: Int64(weights.strides[axes.depth]))
    call(
      PC_KERNEL_MATRIX_ONCE_FOR_ALL,
      pc_matrix_once_for_all(
        matrix: matrix, pack: pack, tiles: Int64(tiles),
        blocks: Int64((sourceCount - 1) / Lowering.mostInBlock + 1), pieces: Int64(pieces),
        piece_result: total?.partial.place.tile ?? 0, followers: pc_followers()),
      .together, reads: [source, operand(weights)], writes: [total?.partial ?? result],
      product: total == nil
        ? ProductRun(result: product.result, rows: rows, byRows: PC_KERNEL_MATRIX_ONCE_FOR_ALL) : nil)
    if let total {
      call(PC_KERNEL_COMBINE, total.combine, .together, reads: [total.partial], writes: [result])
    }
  }

  /// A product that is made once, with weights as they lie; nothing where these are neighbours neither along the rows nor
  /// along the depth.
  private mutating func lowerOnce(
    _ instruction: Instruction, _ weights: View, _ source: Operand, _ result: Operand, rows: Int, depth: Int,
    axes: (row: Int, depth: Int)
  ) throws {
    let isByRows = weights.strides[axes.row] == 1
    guard isByRows || weights.strides[axes.depth] == 1 else { return }
    // Weights fill vectors of any width; along a short depth the sums within them would cost more than that saves.
    let width = Int(widest.pointee.width)
    let isByVectors = width == 2 * lanes && (isByRows ? rows >= width : depth >= 4 * width)
    if isByVectors && !isByRows { reserveScratch((depth + 32) * lanes) }
    let pieces = isByRows && rows * depth >= Lowering.leastInPieces ? Lowering.pieces : 1
    let resultStrides = [result.strides[axes.row], 1]
    let whole = Operand(place: result.place, strides: resultStrides, isBatched: true, buffer: result.buffer)
    let total = isByRows ? try summed(whole, extents: [rows, lanes], instruction, parts: pieces) : nil
    call(
      PC_KERNEL_MATRIX_ONCE,
      pc_matrix_once(
        alpha: coefficient(instruction.alpha), beta: coefficient(instruction.beta), lanes: Int64(lanes),
        rows: Int64(rows), depth: Int64(depth), weights: buffers[weights.buffer].base + weights.offset,
        weights_row: Int64(weights.strides[axes.row]), weights_depth: Int64(weights.strides[axes.depth]),
        pieces: Int64(pieces), piece_result: total?.partial.place.tile ?? 0,
        result: total?.partial.place.base ?? result.place.base, source: source.place.base,
        source_depth: Int64(source.strides[axes.depth]),
        result_row: Int64(isByRows ? lanes : result.strides[axes.row])),
      .tile, set: isByVectors ? widest : set, reads: [source, operand(weights)], writes: [total?.partial ?? result])
    if let total {
      call(PC_KERNEL_COMBINE, total.combine, .together, reads: [total.partial], writes: [result])
    }
  }

  /// Whether a product of shared weights goes in thirds: where there are enough rows for the source to be worth splitting, and enough
  /// lanes for what the unit loads to be used twice.
  private func usesMatrixUnit(rows: Int, depth: Int) -> Bool {
    let isWorthIt = lanes >= 2 * PC_THIRDS_LANES && rows >= Lowering.leastRows && depth >= PC_THIRDS_DEPTH
    return set.pointee.has_matrix_unit && lanes >= PC_THIRDS_LANES && (prefersMatrixUnit || isWorthIt)
  }

  private static let leastRows = 24
  /// Examples from which on weights that are used once are worth putting into thirds.
  private static let leastExamples = 512

  /// Everything else, lane by lane.
  private mutating func lowerProducts(_ extents: [Int], _ instruction: Instruction) throws {
    let result = operand(instruction.results[0])
    let x = operand(instruction.operands[0])
    let y = operand(instruction.operands[1])
    let kept = Array(extents.dropLast())
    let (depth, xDepth, yDepth) = (extents[kept.count], x.strides[kept.count], y.strides[kept.count])
    let sums = (x.isBatched || y.isBatched) && !result.isBatched
    let (shorter, longer) = (min(xDepth, yDepth), max(xDepth, yDepth))
    // A matrix whose rows are the depth, or two vectors: threads share the depth.
    let isInPieces =
      lanes([x, y, result]) == 1 && depth >= 64 && (shorter <= 1 && longer > 1 || kept.reduce(1, *) == 1)
      && extents.reduce(1, *) >= Lowering.leastInPieces
    let pieces = isInPieces ? Lowering.pieces : 1
    let total =
      sums || isInPieces ? try summed(result, extents: kept, instruction, parts: isInPieces ? pieces : nil) : nil
    let target = total?.partial ?? result
    // Neighbouring results are worked on together, so they belong to the innermost axis.
    let order = kept.indices.sorted { (target.strides[$0], $1) > (target.strides[$1], $0) }
    func ordered(_ numbers: [Int]) -> [Int] { order.map { numbers[$0] } }
    let axes = Lowering.axes(
      ordered(kept), result: ordered(target.strides), x: ordered(x.strides), y: ordered(y.strides))
    call(
      PC_KERNEL_PRODUCTS,
      pc_products(
        alpha: total != nil ? coefficient(1) : coefficient(instruction.alpha),
        beta: total != nil ? coefficient(0) : coefficient(instruction.beta), sums: sums,
        lanes: lanes([x, y, result]),
        result: target.place, x: x.place, y: y.place, rank: Int64(axes.count), axes: array(axes),
        depth: Int64(depth), x_depth: Int64(xDepth), y_depth: Int64(yDepth), pieces: Int64(pieces),
        piece_result: target.place.tile),
      sums ? .tile : kind(result, .together), reads: [x, y], writes: [target])
    if let total {
      call(PC_KERNEL_COMBINE, total.combine, .together, reads: isInPieces ? [target] : [], writes: [result])
    }
  }

  /// Threads that share a matrix take rows of it, in every product that reads it or writes it: they find in their caches what
  /// they left there. Where the rows are the depth, it goes in so many pieces for any number of threads.
  private static let pieces = 4
  /// Steps of the depth for each example from which on a piece's result is the smaller part.
  private static let depthOfPiece = 2
  /// Weights that are read faster once for several tiles than once for each, though the other tiles' numbers then push one's out of the
  /// second-level cache.
  private static let leastAbreast = 1 << 17
  /// Weights that are better packed by parts, since all of them would leave the caches before they are used: threads meet for it. The
  /// source of all tiles, or the block of its depth that is worked on, should fit the second-level cache beside the packed part while one
  /// part of the rows after the other is made of it.
  private static let leastForAll = 1 << 17
  private static let mostForAll = 1 << 17
  private static let mostInBlock = 1 << 16
  /// Multiply-adds of a product from which on pieces of its depth cost less than they save.
  private static let leastInPieces = 1 << 16

  /// Offsets of all indices of an index space, in row-major order.
  static func offsets(_ extents: [Int], strides: [Int]) -> [Int] {
    var offsets = [0]
    for (extent, stride) in zip(extents, strides) {
      offsets = offsets.flatMap { offset in (0..<extent).map { offset + $0 * stride } }
    }
    return offsets
  }

  // MARK: Convolution

  mutating func lowerConvolve(_ c: Convolution, _ instruction: Instruction) throws {
    let vertical = Direction(c, \.rows).forward
    let horizontal = Direction(c, \.columns).forward
    try lowerConvolution(
      c, instruction, vertical, horizontal, rows: c.outputChannels / c.groups, channels: c.inputChannels / c.groups,
      rowAxis: 0, channelAxis: 1)
  }

  mutating func lowerConvolveInputGradient(_ c: Convolution, _ instruction: Instruction) throws {
    let vertical = Direction(c, \.rows).backward
    let horizontal = Direction(c, \.columns).backward
    try lowerConvolution(
      c, instruction, vertical, horizontal, rows: c.inputChannels / c.groups, channels: c.outputChannels / c.groups,
      rowAxis: 1, channelAxis: 0)
  }

  /// - Parameters:
  ///   - rows: channels of the result within a group, which is axis `rowAxis` of the filter.
  ///   - channels: channels of the source within a group, axis `channelAxis`.
  private mutating func lowerConvolution(
    _ c: Convolution, _ instruction: Instruction, _ vertical: Direction.Pattern, _ horizontal: Direction.Pattern,
    rows: Int, channels: Int, rowAxis: Int, channelAxis: Int
  ) throws {
    var (vertical, horizontal) = (vertical, horizontal)
    var source = operand(instruction.operands[0])
    let filter = operand(instruction.operands[1])
    let result = operand(instruction.results[0])
    let factor = instruction.factor.map(operand)
    let filterView = instruction.operands[1]
    let runs = horizontal.runs
    let height = panelHeight(columns: runs.map(\.count).max() ?? 1)
    let isFast = result.isBatched && source.isBatched && !filter.isBatched
    if isFast,
      let phases = phasesForMatrixUnit(c, vertical: vertical, horizontal: horizontal, rows: rows, channels: channels)
    {
      try lowerConvolutionInThirds(
        c, instruction, phases.vertical, phases.horizontal, rows: rows, channels: channels, rowAxis: rowAxis,
        channelAxis: channelAxis)
      return
    }
    if isFast && rows * c.kernel.count >= 128 {
      source = try gatherChannels(source, instruction.primitive.operandExtents[0], horizontal)
    }
    // The innermost loop should be long; along a row of taps it also stays within a row of the image.
    let widest = horizontal.taps.map(\.count).max() ?? 0
    let channelsInnermost = channels > widest || source.strides[0] == lanes
    let depth = channels * c.kernel.count
    let groupStride = filter.strides[0] * (c.outputChannels / c.groups)

    // Steps of the weights: floats of the filter, or places in the packed depth.
    var (tapRow, tapColumn, channel) = (filter.strides[2], filter.strides[3], filter.strides[channelAxis])
    var weights = filter.place
    var weightsGroup = groupStride
    var packs: [Int] = []
    if isFast {
      (tapRow, tapColumn, channel) =
        channelsInnermost
        ? (c.kernel.columns * channels, channels, 1) : (channels * c.kernel.columns, 1, c.kernel.columns)
      let order = channelsInnermost ? [2, 3, channelAxis] : [2, channelAxis, 3]
      let filterExtents = [rows, channels, c.kernel.rows, c.kernel.columns]
      let counts = order.map { $0 == channelAxis ? channels : filterExtents[$0] }
      // Taps are packed in the order in which they are met, so that they follow one another.
      let (isFlippedRow, isFlippedColumn) = (vertical.tapStep < 0, horizontal.tapStep < 0)
      let first =
        (isFlippedRow ? (c.kernel.rows - 1) * filter.strides[2] : 0)
        + (isFlippedColumn ? (c.kernel.columns - 1) * filter.strides[3] : 0)
      let packed = try pack(
        filterView, height: height, offsets: (0..<c.groups).map { $0 * groupStride + first }, rows: rows,
        row: filter.strides[rowAxis],
        counts: counts,
        strides: order.map { axis in
          axis == 2 && isFlippedRow || axis == 3 && isFlippedColumn ? -filter.strides[axis] : filter.strides[axis]
        })
      if isFlippedRow { vertical.flip(c.kernel.rows) }
      if isFlippedColumn { horizontal.flip(c.kernel.columns) }
      weights = pc_place(base: packed.memory.base, tile: 0, lane: 0)
      weightsGroup = rows * depth
      packs = packed.packs
    }
    func taps(_ pattern: Direction.Pattern, _ weight: Int, _ stride: Int) -> [pc_taps] {
      pattern.taps.map {
        pc_taps(count: Int64($0.count), weight: Int64($0.tap * weight), source: Int64($0.position * stride))
      }
    }
    let columnTaps = taps(horizontal, tapColumn, source.strides[2])
    let columns = runs.flatMap { run in
      let next = run[min(1, run.count - 1)]
      return run.enumerated().map { position, column in
        pc_column(
          taps: columnTaps[column], result: Int64(column * result.strides[2]), alike: Int64(run.count - position),
          source_step: columnTaps[next].source - columnTaps[run[0]].source,
          result_step: Int64((next - run[0]) * result.strides[2]))
      }
    }
    call(
      isFast ? PC_KERNEL_CONVOLUTION : PC_KERNEL_CONVOLUTION_ANY,
      pc_convolution(
        alpha: coefficient(instruction.alpha), beta: coefficient(instruction.beta),
        lanes: lanes([source, filter, result]), groups: Int64(c.groups), rows: Int64(rows), panel_height: height,
        channels: Int64(channels), height: Int64(vertical.taps.count), width: Int64(horizontal.taps.count),
        vertical: array(taps(vertical, tapRow, source.strides[1])),
        columns: array(columns),
        vertical_weight: Int64(vertical.tapStep * tapRow),
        vertical_source: Int64(vertical.positionStep * source.strides[1]),
        horizontal_weight: Int64(horizontal.tapStep * tapColumn),
        horizontal_source: Int64(horizontal.positionStep * source.strides[2]), channel_weight: Int64(channel),
        channel_source: Int64(source.strides[0]), channels_innermost: channelsInnermost, depth: Int64(depth),
        weights: weights, source: source.place, result: result.place, weights_group: Int64(weightsGroup),
        weights_row: Int64(filter.strides[rowAxis]), source_group: Int64(channels * source.strides[0]),
        result_group: Int64(rows * result.strides[0]), result_channel: Int64(result.strides[0]),
        result_row: Int64(result.strides[1]), factor: factor?.place ?? pc_place(base: nil, tile: 0, lane: 0)),
      kind(result, .alone), reads: [source, filter] + [factor].compactMap { $0 }, writes: [result], packs: packs)
  }

  /// The phases of both directions, where a matrix unit makes this convolution faster; nil elsewhere.
  ///
  /// It takes 16 rows and 32 numbers of the depth at a time, filled with zeros, and taps outside the image count; and the image has to be
  /// put into thirds, which many uses of each number must pay for.
  private func phasesForMatrixUnit(
    _ c: Convolution, vertical: Direction.Pattern, horizontal: Direction.Pattern, rows: Int, channels: Int
  ) -> (vertical: Phases, horizontal: Phases)? {
    guard set.pointee.has_matrix_unit, lanes >= PC_THIRDS_LANES, channels.isMultiple(of: 2),
      c.kernel.rows <= PC_THIRDS_TAPS,
      prefersMatrixUnit || rows * c.kernel.count >= Lowering.leastUses * c.stride.rows * c.stride.columns
    else { return nil }
    let (down, across) = (Phases(vertical, kernel: c.kernel.rows), Phases(horizontal, kernel: c.kernel.columns))
    func upTo(_ count: Int, _ whole: Int) -> Int { (count + whole - 1) / whole * whole }
    func taken(_ line: Phases.Line) -> Int {
      let taps = line.phase.map { across.taps[$0].count } ?? 0
      return across.step == 1
        ? upTo(taps * channels, Int(PC_THIRDS_DEPTH)) : taps * upTo(channels, Int(PC_THIRDS_DEPTH))
    }
    let needed =
      rows * channels * vertical.taps.reduce(0) { $0 + $1.count } * horizontal.taps.reduce(0) { $0 + $1.count }
    let spent =
      upTo(rows, Int(PC_THIRDS_LANES)) * across.lines.reduce(0) { $0 + taken($1) }
      * down.lines.reduce(0) { $0 + ($1.phase.map { down.taps[$0].count } ?? 0) }
    return prefersMatrixUnit || 4 * spent <= 5 * needed ? (down, across) : nil
  }

  /// Uses of each number of an image from which on it is worth putting into thirds.
  private static let leastUses = 32

  private mutating func lowerConvolutionInThirds(
    _ c: Convolution, _ instruction: Instruction, _ vertical: Phases, _ horizontal: Phases, rows: Int, channels: Int,
    rowAxis: Int, channelAxis: Int
  ) throws {
    let source = operand(instruction.operands[0])
    let result = operand(instruction.results[0])
    let factor = instruction.factor.map(operand)
    let filter = instruction.operands[1]
    let groupStride = filter.strides[0] * (c.outputChannels / c.groups)
    let isRowOneRun = horizontal.step == 1
    let (tapRow, tapColumn) = (vertical.tapStep * filter.strides[2], horizontal.tapStep * filter.strides[3])
    var packs: [Int] = []
    var weights: [pc_phase_weights] = []
    for down in vertical.taps {
      for across in horizontal.taps {
        guard let top = down.first, let left = across.first else {
          weights.append(pc_phase_weights(base: nil, group: 0))
          continue
        }
        let first = top * filter.strides[2] + left * filter.strides[3]
        let counts =
          isRowOneRun ? [down.count, 1, across.count, channels] : [down.count, across.count, 1, channels]
        let packed = try packThirds(
          filter, offsets: (0..<c.groups).map { $0 * groupStride + first }, rows: rows, row: filter.strides[rowAxis],
          counts: counts, strides: [tapRow, tapColumn, tapColumn, filter.strides[channelAxis]])
        packs += packed.packs
        weights.append(
          pc_phase_weights(base: packed.memory.base, group: Int64(Lowering.thirdsCount(rows: rows, counts))))
      }
    }
    let image = instruction.primitive.operandExtents[0]
    let positions = horizontal.lines.compactMap { line in
      line.phase.map { (line.first, line.first + (horizontal.taps[$0].count - 1) * horizontal.step) }
    }
    let left = max(0, -(positions.map(\.0).min() ?? 0))
    let paddedWidth = left + max(image[2], (positions.map(\.1).max() ?? 0) + 1)
    let ring = vertical.taps.reduce(1) { max($0, ($1.count - 1) * vertical.step + 1) }
    // A square's row of the ring, as the kernel cuts scratch memory: a pair of channels is 16 floats.
    let row = paddedWidth * (channels / 2) * Int(PC_THIRDS_LANES) + Int(PC_THIRDS_BLOCK) / 6
    reserveScratch(lanes / Int(PC_THIRDS_LANES) * 3 * ring * row)
    func lines(_ phases: Phases, _ stride: Int) -> [pc_line] {
      phases.lines.enumerated().map { position, line in
        pc_line(phase: Int64(line.phase ?? -1), first: Int64(line.first), result: Int64(position * stride))
      }
    }
    call(
      PC_KERNEL_CONVOLUTION_THIRDS,
      pc_convolution_thirds(
        alpha: coefficient(instruction.alpha), beta: coefficient(instruction.beta), lanes: Int64(lanes),
        groups: Int64(c.groups), rows: Int64(rows), channels: Int64(channels), height: Int64(vertical.lines.count),
        width: Int64(horizontal.lines.count), vertical: array(lines(vertical, result.strides[1])),
        horizontal: array(
          lines(horizontal, result.strides[2]).sorted { ($0.phase, $0.result) < ($1.phase, $1.result) }),
        horizontal_phases: Int64(horizontal.taps.count),
        vertical_taps: array(vertical.taps.map { Int64($0.count) }),
        horizontal_taps: array(horizontal.taps.map { Int64($0.count) }), vertical_step: Int64(vertical.step),
        horizontal_step: Int64(horizontal.step), is_row_one_run: isRowOneRun, image_height: Int64(image[1]),
        image_width: Int64(image[2]), ring: Int64(ring), left: Int64(left), padded_width: Int64(paddedWidth),
        weights: array(weights), source: source.place, result: result.place,
        factor: factor?.place ?? pc_place(base: nil, tile: 0, lane: 0),
        source_group: Int64(channels * source.strides[0]), source_channel: Int64(source.strides[0]),
        source_row: Int64(source.strides[1]), source_column: Int64(source.strides[2]),
        result_group: Int64(rows * result.strides[0]), result_channel: Int64(result.strides[0])),
      .tile, reads: [source] + [factor].compactMap { $0 }, writes: [result], packs: packs)
  }

  /// An image copied so that the channels of a pixel are neighbours, where that helps.
  ///
  /// A window of an image [channel][row][column] is as many pieces as it has channels, often a power of two apart: for
  /// 64 channels of 32 × 32 pixels all of them fall into the same few sets of the cache, and convolution takes twice
  /// as long. Where neighbouring taps meet neighbouring pixels, a row of the window becomes one piece besides, and the innermost
  /// loop as long. The copy pays where each number is used a hundred times or more.
  private mutating func gatherChannels(
    _ source: Operand, _ extents: [Int], _ horizontal: Direction.Pattern
  ) throws -> Operand {
    let count = extents.reduce(1, *)
    let isOnePiece = horizontal.positionStep == 1 && abs(horizontal.tapStep) == 1
    guard extents[0] > 1, isOnePiece || extents[0] >= 16 && 4 * count * lanes > 1 << 18, source.strides[0] > lanes
    else { return source }
    return try copied(source, extents, order: [1, 2, 0])
  }

  /// An image copied so that the columns of a row are neighbours, where the channels of a pixel are and columns lie a page apart or
  /// more: filter gradients go along columns.
  private mutating func gatherColumns(_ image: Operand, _ extents: [Int]) throws -> Operand {
    guard image.isBatched, image.strides[0] == lanes, 4 * image.strides[2] >= 4096 else { return image }
    return try copied(image, extents, order: [0, 1, 2])
  }

  /// A copy in a workspace, with the axes in this order, the last one's numbers being neighbours.
  private mutating func copied(_ source: Operand, _ extents: [Int], order: [Int]) throws -> Operand {
    let count = extents.reduce(1, *)
    let memory = try workspace(tiles * count * lanes)
    let place = pc_place(base: memory.base, tile: Int64(count * lanes), lane: 1)
    var strides = Array(repeating: lanes, count: extents.count)
    for (axis, inner) in zip(order, order.dropFirst()).reversed() { strides[axis] = strides[inner] * extents[inner] }
    let axes = Lowering.axes(
      order.map { extents[$0] } + [lanes], result: order.map { strides[$0] } + [1],
      x: order.map { source.strides[$0] } + [1])
    let copy = Operand(place: place, strides: strides, isBatched: true, buffer: source.buffer)
    call(
      PC_KERNEL_ELEMENTWISE,
      pc_elementwise(
        operation: Int64(PC_IDENTITY.rawValue), arity: 1, alpha: coefficient(1), beta: coefficient(0), limit: 0,
        result: place,
        x: source.place, y: source.place, z: source.place, rank: Int64(axes.count), axes: array(axes)),
      .tile, reads: [source], writes: [])
    return copy
  }

  mutating func lowerConvolveFilterGradient(_ c: Convolution, _ instruction: Instruction) throws {
    let image = try gatherColumns(operand(instruction.operands[0]), c.imageExtents)
    let message = try gatherColumns(operand(instruction.operands[1]), c.messageExtents)
    let result = operand(instruction.results[0])
    let sums = (image.isBatched || message.isBatched) && !result.isBatched
    let isFast = sums && image.isBatched && message.isBatched
    let total = sums ? try summed(result, extents: c.filterExtents, instruction) : nil
    let target = total?.partial ?? result
    let vertical = Direction(c, \.rows).filter
    let horizontal = Direction(c, \.columns).filter
    func taps(_ pattern: Direction.Pattern, _ axis: Int) -> [pc_taps] {
      pattern.taps.map {
        pc_taps(
          count: Int64($0.count), weight: Int64($0.tap * message.strides[axis]),
          source: Int64($0.position * image.strides[axis]))
      }
    }
    let (outputs, inputs) = (c.outputChannels / c.groups, c.inputChannels / c.groups)
    if isFast { reserveScratch(c.kernel.count * Int(set.pointee.scratch_per_tap)) }
    call(
      isFast ? PC_KERNEL_FILTER_GRADIENT : PC_KERNEL_FILTER_GRADIENT_ANY,
      pc_filter_gradient(
        alpha: sums ? coefficient(1) : coefficient(instruction.alpha),
        beta: sums ? coefficient(0) : coefficient(instruction.beta), sums: sums,
        lanes: lanes([image, message, result]),
        groups: Int64(c.groups), outputs: Int64(outputs), inputs: Int64(inputs), height: Int64(c.kernel.rows),
        width: Int64(c.kernel.columns), vertical: array(taps(vertical, 1)), horizontal: array(taps(horizontal, 2)),
        vertical_message: Int64(vertical.tapStep * message.strides[1]),
        vertical_image: Int64(vertical.positionStep * image.strides[1]),
        horizontal_message: Int64(horizontal.tapStep * message.strides[2]),
        horizontal_image: Int64(horizontal.positionStep * image.strides[2]), message: message.place,
        image: image.place, result: target.place, message_group: Int64(outputs * message.strides[0]),
        message_channel: Int64(message.strides[0]), image_group: Int64(inputs * image.strides[0]),
        image_channel: Int64(image.strides[0]), result_group: Int64(outputs * target.strides[0]),
        result_output: Int64(target.strides[0]), result_input: Int64(target.strides[1]),
        result_row: Int64(target.strides[2]), result_column: Int64(target.strides[3])),
      sums ? .tile : kind(result, .alone), reads: [image, message], writes: [target])
    if let total { call(PC_KERNEL_COMBINE, total.combine, .together, reads: [], writes: [result]) }
  }
}

/// One direction of a convolution: where tap i of position o meets the image, at o · stride + i · dilation − padding.
///
/// Whichever of the three (position of the result, of the image, tap) is held fixed, the pairs of the other two form an
/// arithmetic progression.
private struct Direction {
  /// The pairs for each value of what is held fixed. In every pair list, `tap` is the first of the one and `position`
  /// the first of the other, and the steps are common to all lists.
  struct Pattern {
    var taps: [(count: Int, tap: Int, position: Int)]
    var tapStep: Int
    var positionStep: Int

    /// What is held fixed in runs with the same taps, whose positions and own numbers step evenly.
    var runs: [[Int]] {
      var runs: [[Int]] = []
      var last: [[Int]: Int] = [:]
      for (index, entry) in taps.enumerated() {
        let alike = [entry.count, entry.tap]
        if let known = last[alike] {
          let run = runs[known]
          let (before, next) = (run[run.count - 1], run[min(1, run.count - 1)])
          let isEven =
            run.count == 1
            || index - before == next - run[0]
              && entry.position - taps[before].position == taps[next].position - taps[run[0]].position
          if isEven {
            runs[known].append(index)
            continue
          }
        }
        last[alike] = runs.count
        runs.append([index])
      }
      return runs
    }

    /// Counts the taps from the last one of the kernel.
    mutating func flip(_ kernel: Int) {
      taps = taps.map { ($0.count, kernel - 1 - $0.tap, $0.position) }
      tapStep = -tapStep
    }
  }

  let input, output, kernel, stride, padding, dilation: Int

  init(_ c: Convolution, _ direction: KeyPath<Extent, Int>) {
    input = c.input[keyPath: direction]
    output = c.output[keyPath: direction]
    kernel = c.kernel[keyPath: direction]
    stride = c.stride[keyPath: direction]
    padding = c.padding[keyPath: direction]
    dilation = c.dilation[keyPath: direction]
  }

  private func imagePosition(_ o: Int, _ i: Int) -> Int { o * stride + i * dilation - padding }

  /// For each position of the result: taps and image positions.
  var forward: Pattern {
    Pattern(
      taps: (0..<output).map { o in
        let taps = (0..<kernel).filter { (0..<input).contains(imagePosition(o, $0)) }
        return (taps.count, taps.first ?? 0, taps.first.map { imagePosition(o, $0) } ?? 0)
      }, tapStep: 1, positionStep: dilation)
  }

  /// For each position of the image: taps, last first, and result positions.
  var backward: Pattern {
    func resultPosition(_ at: Int, _ i: Int) -> Int? {
      let room = at + padding - i * dilation
      guard room >= 0, room.isMultiple(of: stride), room / stride < output else { return nil }
      return room / stride
    }
    // Taps that meet one image position are those whose distance i · dilation is the same modulo the stride.
    let common = greatestCommonDivisor(stride, dilation)
    return Pattern(
      taps: (0..<input).map { at in
        let taps = (0..<kernel).filter { resultPosition(at, $0) != nil }
        return (taps.count, taps.last ?? kernel - 1, taps.last.flatMap { resultPosition(at, $0) } ?? 0)
      }, tapStep: -stride / common, positionStep: dilation / common)
  }

  /// For each tap: result positions (as `tap`) and image positions.
  var filter: Pattern {
    Pattern(
      taps: (0..<kernel).map { i in
        let positions = (0..<output).filter { (0..<input).contains(imagePosition($0, i)) }
        return (positions.count, positions.first ?? 0, positions.first.map { imagePosition($0, i) } ?? 0)
      }, tapStep: 1, positionStep: stride)
  }
}

/// A direction by phases: positions that meet the same taps, were the image surrounded by enough zeros.
private struct Phases {
  /// Where the first tap of its phase meets the image, perhaps outside of it; no phase where no tap meets it.
  struct Line {
    var phase: Int?
    var first: Int
  }

  /// Of each phase, in the order in which they meet the image.
  var taps: [[Int]]
  var tapStep: Int
  /// Positions of the image from one tap to the next.
  var step: Int
  var lines: [Line]

  init(_ pattern: Direction.Pattern, kernel: Int) {
    let distance = abs(pattern.tapStep)
    let taps = (0..<distance).map { phase in
      let ascending = Array(stride(from: phase, to: kernel, by: distance))
      return pattern.tapStep < 0 ? Array(ascending.reversed()) : ascending
    }
    self.taps = taps
    (tapStep, step) = (pattern.tapStep, pattern.positionStep)
    lines = pattern.taps.map { line in
      let phase = line.tap % distance
      guard line.count > 0, let before = taps[phase].firstIndex(of: line.tap) else {
        return Line(phase: nil, first: 0)
      }
      return Line(phase: phase, first: line.position - before * pattern.positionStep)
    }
  }
}

private func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : greatestCommonDivisor(b, a % b) }
