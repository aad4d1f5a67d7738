import PCKernels
import PCKernelsC
import PCPrimitives

/// A script as phases: what tiles can do on their own is one phase, however many passages it spans; what needs all tiles
/// is another. Weights are packed before a phase that reads them if they may have changed since the last time.
final class Plan {
  let calls: CArray<pc_call>
  let spans: CArray<pc_span>
  let phases: CArray<pc_phase>
  let blocks: CArray<pc_block>
  /// For each of `calls` what it does.
  let origins: [Profile.Call]
  /// Whether one thread does it all, there being too little between two meetings to share.
  let isAlone: Bool
  private let recurrences: [Recurrence]

  /// - Parameters:
  ///   - leastShared: the work that a phase must have on average for the threads to share it.
  ///   - sharesTile: whether there is one tile for several threads, who then share out the products of each section that
  ///     has enough of them.
  init(_ script: [Passage], calls: Calls, leastShared: Int, sharesTile: Bool, threads: Int) {
    var builder = PlanBuilder(
      calls: calls, script: script, leastInTile: sharesTile ? leastShared : nil, threads: threads)
    for passage in script where passage.count > 0 { builder.append(passage) }
    builder.closeBlock(repeating: 1)
    self.calls = CArray(builder.listed)
    origins = builder.origins
    recurrences = builder.recurrences
    spans = CArray(builder.spans)
    phases = CArray(builder.phases)
    blocks = CArray(builder.blocks)
    let meetings = builder.blocks.reduce(0) { $0 + $1.repeat * $1.count }
    let work = script.reduce(0.0) { sum, passage in
      sum + Double(passage.count) * Double(calls.sections[passage.section].reduce(0) { $0 + calls.calls[$1].work })
    }
    isAlone = work < Double(leastShared) * Double(max(meetings, 1))
  }

  /// For each of `calls`: how often a run of the script makes it.
  var repetitions: [Int] {
    var repetitions = Array(repeating: 0, count: calls.count)
    for block in blocks.elements {
      for phase in phases.elements[Int(block.first)..<Int(block.first + block.count)] {
        for span in spans.elements[Int(phase.first)..<Int(phase.first + phase.count)] {
          for call in Int(span.first)..<Int(span.first + span.count) {
            repetitions[call] += Int(block.repeat * span.repeat)
          }
        }
      }
    }
    return repetitions
  }
}

private struct PlanBuilder {
  let calls: Calls
  /// Multiply-adds that a call of a section must have for the threads to share its tile; `nil` where each has tiles of its own.
  let leastInTile: Int?
  /// The calls in the order of the spans, and what they do.
  var listed: [pc_call] = []
  var origins: [Profile.Call] = []
  var recurrences: [Recurrence] = []
  var spans: [pc_span] = []
  var phases: [pc_phase] = []
  var blocks: [pc_block] = []

  /// Where the open block begins.
  private var firstPhase = 0
  /// The open phase.
  private var open: [Span] = []
  private var openIsTogether = false
  /// What the open phase touches by calls that threads share, and by those of the first thread.
  private var openShared = Footprint()
  private var openAlone = Footprint()
  private var openHasWorkspace = false
  /// Of the last open span that threads share, if it is elementwise.
  private var openRegion: ElementRegion?
  private var openPacks: [Int] = []
  /// Packed weights that are up to date. None is at first: parameters may change between runs.
  private var fresh: Set<Int> = []

  /// Pieces of each thread's part of a long call, and multiply-adds or bytes from which on a call is long.
  private static let pieces = 8
  private static let leastInPieces = 1 << 22

  /// Packed weights that some rounds use, one after the other.
  private let reused: Set<Int>
  private let threads: Int

  /// The lanes in use where they are not the batch's; 0 where they are.
  private var live = 0
  /// What is known to be zeros before the next passage.
  private var zeros = Zeros()

  /// Calls in order, `repeat` times; see `pc_span` for the parts. Or one call that makes all repetitions.
  private struct Span {
    var calls: [Int]
    var repetitions = 1
    var parts = 1
    /// Whether only the first thread makes them.
    var isAlone = false
    var recurrence: Recurrence?
    /// Whether a group of tiles makes each call before the next.
    var isAbreast = false
    /// What of the calls must be made in repetitions that come before these.
    var early: [RangeSet<Int>] = []
  }

  /// Buffers that calls read and write.
  private struct Footprint {
    private var reads: Set<Int> = []
    private var writes: Set<Int> = []

    mutating func add(_ call: Call) {
      reads.formUnion(call.reads)
      writes.formUnion(call.writes)
    }

    /// Whether the call must wait for the others.
    func isTouched(by call: Call) -> Bool {
      !writes.isDisjoint(with: call.reads) || !writes.isDisjoint(with: call.writes)
        || !reads.isDisjoint(with: call.writes)
    }
  }

  init(calls: Calls, script: [Passage], leastInTile: Int?, threads: Int) {
    self.calls = calls
    self.threads = threads
    self.leastInTile = leastInTile
    reused = script.reduce(into: []) { reused, passage in
      guard passage.count > 1 else { return }
      for call in calls.rounds[passage.section]?.run ?? calls.sections[passage.section] {
        reused.formUnion(calls.calls[call].packs)
      }
    }
  }

  /// Whether the threads share the tile in this section.
  private func isShared(_ section: Range<Int>) -> Bool {
    guard let leastInTile else { return false }
    return section.contains { calls.calls[$0].origin.multiplyAdds >= leastInTile }
  }

  mutating func append(_ passage: Passage) {
    // A single round goes the same way, so that results do not depend on how rounds are divided into passages.
    if let rounds = calls.rounds[passage.section] {
      append(rounds, count: passage.count)
      zeros = Zeros()
      return
    }
    let section = calls.sections[passage.section]
    let isAllTiles = section.allSatisfy { calls.calls[$0].kind == .tile } && !isShared(section)
    let isOnce = passage.count == 1 && section.contains { calls.calls[$0].once != nil }
    if isAllTiles && !isOnce {
      guard !section.isEmpty else { return }
      appendTiles(section, count: passage.count)
    } else if passage.count == 1 {
      appendEach(section, isOnce: true)
    } else {
      packOnce(for: section)
      appendEach(section)
      closeBlock(repeating: passage.count)
      forgetZeros(section)
    }
    if passage.count == 1 { for call in section { _ = zeros.follow(calls.calls[call]) } }
  }

  private mutating func forgetZeros(_ made: some Sequence<Int>) {
    for call in made { zeros.forget(calls.calls[call].writes) }
  }

  /// Every round but the first finds weights as the round before left them; those that no round changes are packed once,
  /// before the first.
  private mutating func packOnce(for section: Range<Int>) {
    closePhase()
    for call in section { invalidate(calls.calls[call].writes) }
    let written = section.reduce(into: Set()) { $0.formUnion(calls.calls[$1].writes) }
    for pack in Set(section.flatMap { calls.calls[$0].packs }).subtracting(fresh).sorted()
    where calls.calls[calls.packing.lowerBound + pack].reads.isDisjoint(with: written) {
      fresh.insert(pack)
      openPacks.append(pack)
    }
    closeBlock(repeating: 1)
  }

  /// As many rounds at once as the lanes hold, then the rest of them.
  private mutating func append(_ rounds: Rounds, count: Int) {
    packOnce(for: rounds.run)
    appendEach(rounds.spread)
    closeBlock(repeating: 1)
    let (full, rest) = count.quotientAndRemainder(dividingBy: rounds.count)
    for (repetitions, inLanes) in [(full, rounds.count), (1, rest)] where repetitions * inLanes > 0 {
      live = inLanes * rounds.examples
      appendEach(rounds.run)
      closeBlock(repeating: repetitions)
    }
    appendEach(rounds.leave)
    closePhase()
    live = 0
  }

  /// - Parameter isOnce: whether the section runs once, so that weights need not be packed for its sake.
  private mutating func appendEach(_ section: Range<Int>, isOnce: Bool = false) {
    let isShared = isShared(section)
    var uses: [Int: Int] = [:]
    for call in section where isOnce {
      for pack in calls.calls[call].packs { uses[pack, default: 0] += 1 }
    }
    func isUsedOnce(_ pack: Int) -> Bool { uses[pack] == 1 && !fresh.contains(pack) && !reused.contains(pack) }
    func alternative(_ index: Int) -> Range<Int>? {
      isOnce && calls.calls[index].packs.allSatisfy(isUsedOnce) ? calls.calls[index].once : nil
    }
    var at = section.lowerBound
    while at < section.upperBound {
      if let once = alternative(at) {
        appendInOrder(once, isShared: leastInTile != nil)
        at += 1
      } else {
        let start = at
        repeat { at += 1 } while at < section.upperBound && alternative(at) == nil
        appendInOrder(start..<at, isShared: isShared)
      }
    }
  }

  /// - Parameter isShared: whether the threads share the one tile.
  private mutating func appendInOrder(_ range: Range<Int>, isShared: Bool) {
    var at = range.lowerBound
    while at < range.upperBound {
      let start = at
      while at < range.upperBound, calls.calls[at].kind == .tile, !isShared { at += 1 }
      if start < at {
        appendTiles(start..<at, count: 1)
      } else {
        appendTogether(at)
        at += 1
      }
    }
  }

  private mutating func appendTiles(_ range: Range<Int>, count: Int) {
    if openIsTogether { closePhase() }
    open += count == 1 ? spans(range) : repeatedSpans(range, count)
    for call in range {
      for pack in calls.calls[call].packs where fresh.insert(pack).inserted { openPacks.append(pack) }
    }
  }

  /// Neighbouring elementwise calls go part by part of their elements.
  private func spans(_ range: Range<Int>) -> [Span] {
    var spans: [Span] = []
    var region = ElementRegion()
    func close() {
      if !region.calls.isEmpty {
        spans.append(Span(calls: region.calls, parts: region.calls.count > 1 ? region.parts : 1))
      }
      region = ElementRegion()
    }
    for index in range {
      if let run = calls.calls[index].run, run.isOneRow {
        if region.add(index, run) { continue }
        close()
        if region.add(index, run) { continue }
      }
      close()
      spans.append(Span(calls: [index], isAbreast: calls.calls[index].abreast == .better))
    }
    close()
    return spans
  }

  /// What does not depend on other calls of the section does all its repetitions on its own; elementwise calls do them part
  /// by part of their elements, or in registers where they are a recurrence.
  private mutating func repeatedSpans(_ range: Range<Int>, _ count: Int) -> [Span] {
    ElementRegion.independentGroups(range, calls.calls).map { group in
      var region = ElementRegion()
      let isRegion = group.allSatisfy { index in calls.calls[index].run.map { region.add(index, $0) } ?? false }
      guard isRegion else {
        let early = earlyRepetitions(group, count)
        let isAbreast = group.contains { calls.calls[$0].abreast == .better }
        return Span(calls: group, repetitions: count - early.count, isAbreast: isAbreast, early: early)
      }
      forgetZeros(group)
      if let recurrence = Recurrence(group.map { calls.calls[$0] }, count, width: calls.width) {
        return Span(calls: group, recurrence: recurrence)
      }
      return Span(calls: group, repetitions: count, parts: region.parts)
    }
  }

  /// Repetitions in which some calls would add nothing to zeros, and what remains of them. From then on all calls are made.
  private mutating func earlyRepetitions(_ group: [Int], _ count: Int) -> [RangeSet<Int>] {
    var early: [RangeSet<Int>] = []
    while early.count < count {
      let before = zeros
      var made = RangeSet<Int>()
      for (position, call) in group.enumerated() where zeros.follow(calls.calls[call]) {
        made.insert(position, within: group)
      }
      if made == RangeSet(group.indices) || zeros == before {
        forgetZeros(group)
        break
      }
      early.append(made)
    }
    return early
  }

  /// Calls that do not touch one another's results share a phase, and so do small ones that follow one another: the first thread
  /// makes them all.
  private mutating func appendTogether(_ index: Int) {
    let call = calls.calls[index]
    // Calls that make one instruction hand over in memory that is no buffer.
    let hasWorkspace = call.kind == .tile && (call.reads.isEmpty || call.writes.isEmpty || call.writes.contains(-1))
    let isAlone = call.kind == .alone || call.kind == .tile && !call.sharesTiles || call.isSmall
    if !isAlone && joinRegion(index) { return }
    let isIndependent = !openShared.isTouched(by: call) && (isAlone || !openAlone.isTouched(by: call))
    if !openIsTogether || !isIndependent || hasWorkspace || openHasWorkspace { closePhase() }
    let stale = call.packs.filter { !fresh.contains($0) }
    if !stale.isEmpty {
      closePhase()
      fresh.formUnion(stale)
      openPacks += stale
    }
    openHasWorkspace = hasWorkspace
    openIsTogether = true
    if isAlone { openAlone.add(call) } else { openShared.add(call) }
    open.append(Span(calls: [index], isAlone: isAlone))
    var region = ElementRegion()
    openRegion = !isAlone && call.run.map { $0.isOneRow && region.add(index, $0) } ?? false ? region : nil
    invalidate(call.writes)
  }

  /// An elementwise call goes with the one before it, part by part of their elements, where both work on the same numbers.
  private mutating func joinRegion(_ index: Int) -> Bool {
    let call = calls.calls[index]
    guard openIsTogether, var region = openRegion, let run = call.run, run.isOneRow, let last = open.indices.last,
      open[last].calls.contains(where: { calls.calls[$0].touchesNumbers(of: call) }), region.add(index, run)
    else { return false }
    var others = Footprint()
    for other in open[..<last].flatMap(\.calls) { others.add(calls.calls[other]) }
    guard !others.isTouched(by: call) else { return false }
    open[last].calls.append(index)
    open[last].parts = region.parts
    openRegion = region
    openShared.add(call)
    invalidate(call.writes)
    return true
  }

  private mutating func invalidate(_ buffers: Set<Int>) {
    fresh = fresh.filter { calls.calls[calls.packing.lowerBound + $0].reads.isDisjoint(with: buffers) }
  }

  private mutating func closePhase() {
    if !openPacks.isEmpty {
      addPhase(
        together: true,
        openPacks.map { Span(calls: [calls.packing.lowerBound + $0]) })
    }
    if !open.isEmpty { addPhase(together: openIsTogether, open) }
    open = []
    openIsTogether = false
    openHasWorkspace = false
    openRegion = nil
    (openShared, openAlone) = (Footprint(), Footprint())
    openPacks = []
  }

  private mutating func addPhase(together: Bool, _ list: [Span]) {
    let firstSpan = spans.count
    for span in list {
      let first = listed.count
      if let recurrence = span.recurrence {
        recurrences.append(recurrence)
        listed.append(recurrence.call(calls.recurrence))
        origins.append(recurrence.origin)
      } else {
        listed += span.calls.map { calls.pointer($0, isAlone: span.isAlone) }
        origins += span.calls.map { calls.calls[$0].origin }
      }
      func append(_ calls: Range<Int>, repetitions: Int, parts: Int) {
        spans.append(
          pc_span(
            first: Int64(calls.lowerBound), count: Int64(calls.count), repeat: Int64(repetitions),
            parts: Int64(together ? 1 : parts), abreast: span.isAbreast))
      }
      for range in span.early.flatMap(\.ranges) {
        append((first + range.lowerBound)..<(first + range.upperBound), repetitions: 1, parts: 1)
      }
      guard span.repetitions > 0 else { continue }
      append(first..<listed.count, repetitions: span.repetitions, parts: span.parts)
    }
    let mostPieces = max(1, ((1 << Int(PC_UNIT_BITS)) - 1) / (threads * max(1, spans.count - firstSpan)))
    phases.append(
      pc_phase(
        together: together, abreast: list.contains(where: \.isAbreast) ? Int64(PC_TILES_ABREAST) : 1,
        pieces: together ? Int64(min(list.map(pieces).max() ?? 1, mostPieces)) : 1, live: Int64(live),
        first: Int64(firstSpan), count: Int64(spans.count - firstSpan)))
  }

  /// Pieces of each thread's part of what all share: so many that the elements of a region stay in the first-level cache, or, of a long
  /// call, that who is done first can help the others.
  private func pieces(_ span: Span) -> Int {
    if span.isAlone { return 1 }
    if span.parts > 1 { return (span.parts + threads - 1) / threads }
    return span.calls.contains { calls.calls[$0].work >= PlanBuilder.leastInPieces } ? PlanBuilder.pieces : 1
  }

  mutating func closeBlock(repeating count: Int) {
    closePhase()
    if phases.count > firstPhase {
      blocks.append(
        pc_block(first: Int64(firstPhase), count: Int64(phases.count - firstPhase), repeat: Int64(count)))
    }
    firstPhase = phases.count
  }
}
