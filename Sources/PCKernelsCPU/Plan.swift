import PCKernels
import PCKernelsC
import PCPrimitives

/// A script as phases: what tiles can do on their own is one phase, however many passages it spans; what needs all tiles
/// is another. Weights are packed before a phase that reads them if they may have changed since the last time.
final class Plan {
  let spans: CArray<pc_span>
  let phases: CArray<pc_phase>
  let blocks: CArray<pc_block>

  init(_ script: [Passage], calls: Calls) {
    var builder = PlanBuilder(calls: calls)
    for passage in script where passage.count > 0 { builder.append(passage) }
    builder.closeBlock(repeating: 1)
    spans = CArray(builder.spans)
    phases = CArray(builder.phases)
    blocks = CArray(builder.blocks)
  }
}

private struct PlanBuilder {
  let calls: Calls
  var spans: [pc_span] = []
  var phases: [pc_phase] = []
  var blocks: [pc_block] = []

  /// Where the open block begins.
  private var firstPhase = 0
  /// The open phase.
  private var open: [pc_span] = []
  private var openIsTogether = false
  private var openReads: Set<Int> = []
  private var openWrites: Set<Int> = []
  private var openPacks: [Int] = []
  /// Packed weights that are up to date. None is at first: parameters may change between runs.
  private var fresh: Set<Int> = []

  init(calls: Calls) { self.calls = calls }

  mutating func append(_ passage: Passage) {
    let section = calls.sections[passage.section]
    let isAllTiles = section.allSatisfy { calls.calls[$0].kind == .tile }
    if isAllTiles {
      guard !section.isEmpty else { return }
      appendTiles(section, count: passage.count)
    } else if passage.count == 1 {
      appendEach(section)
    } else {
      closePhase()
      // Every round but the first finds weights as the round before left them; those that no round changes are packed
      // once, before the first.
      for call in section { invalidate(calls.calls[call].writes) }
      let written = section.reduce(into: Set()) { $0.formUnion(calls.calls[$1].writes) }
      for pack in Set(section.flatMap { calls.calls[$0].packs }).subtracting(fresh).sorted()
      where calls.calls[calls.packing.lowerBound + pack].reads.isDisjoint(with: written) {
        fresh.insert(pack)
        openPacks.append(pack)
      }
      closeBlock(repeating: 1)
      appendEach(section)
      closeBlock(repeating: passage.count)
    }
  }

  private mutating func appendEach(_ section: Range<Int>) {
    var at = section.lowerBound
    while at < section.upperBound {
      if calls.calls[at].kind == .tile {
        let start = at
        while at < section.upperBound, calls.calls[at].kind == .tile { at += 1 }
        appendTiles(start..<at, count: 1)
      } else {
        appendTogether(at)
        at += 1
      }
    }
  }

  private mutating func appendTiles(_ range: Range<Int>, count: Int) {
    if openIsTogether { closePhase() }
    open.append(pc_span(first: Int64(range.lowerBound), count: Int64(range.count), repeat: Int64(count)))
    for call in range {
      for pack in calls.calls[call].packs where fresh.insert(pack).inserted { openPacks.append(pack) }
    }
  }

  /// Calls that do not touch one another's results share a phase.
  private mutating func appendTogether(_ index: Int) {
    let call = calls.calls[index]
    let isIndependent = openWrites.isDisjoint(with: call.reads.union(call.writes)) && openReads.isDisjoint(with: call.writes)
    if !openIsTogether || !isIndependent { closePhase() }
    openIsTogether = true
    openReads.formUnion(call.reads)
    openWrites.formUnion(call.writes)
    open.append(pc_span(first: Int64(index), count: 1, repeat: 1))
    invalidate(call.writes)
  }

  private mutating func invalidate(_ buffers: Set<Int>) {
    fresh = fresh.filter { calls.calls[calls.packing.lowerBound + $0].reads.isDisjoint(with: buffers) }
  }

  private mutating func closePhase() {
    if !openPacks.isEmpty {
      addPhase(
        together: true,
        openPacks.map { pc_span(first: Int64(calls.packing.lowerBound + $0), count: 1, repeat: 1) })
    }
    if !open.isEmpty { addPhase(together: openIsTogether, open) }
    open = []
    openIsTogether = false
    openReads = []
    openWrites = []
    openPacks = []
  }

  private mutating func addPhase(together: Bool, _ list: [pc_span]) {
    phases.append(pc_phase(together: together, first: Int64(spans.count), count: Int64(list.count)))
    spans += list
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
