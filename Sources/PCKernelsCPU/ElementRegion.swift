/// Elementwise calls that may be worked through part by part of their elements: element i of each depends on elements i of
/// the others alone. So all calls, and all their repetitions, can be done on some elements while those are in the
/// first-level cache.
struct ElementRegion {
  private struct Access {
    var numbers: ElementRun.Numbers
    var isWrite: Bool
  }

  private(set) var calls: [Int] = []
  private var count = 0
  private var hasRows = false
  private var accesses: [Int: [Access]] = [:]

  init() {}

  /// With what a product has just written, element by element.
  init(of product: ProductRun) {
    count = product.result.count
    accesses[product.result.buffer] = [Access(numbers: product.result, isWrite: true)]
  }

  /// Adds a call where the region stays one.
  mutating func add(_ index: Int, _ run: ElementRun) -> Bool {
    guard accesses.isEmpty || run.result.count == count else { return false }
    let new = [Access(numbers: run.result, isWrite: true)] + run.operands.map { Access(numbers: $0, isWrite: false) }
    for access in new {
      for other in (accesses[access.numbers.buffer] ?? []) + new where other.numbers.buffer == access.numbers.buffer {
        guard access.isWrite || other.isWrite else { continue }
        let (a, b) = (access.numbers, other.numbers)
        guard a == b || a.start + a.count <= b.start || b.start + b.count <= a.start else { return false }
      }
    }
    for access in new {
      let known = accesses[access.numbers.buffer]?.firstIndex { $0.numbers == access.numbers }
      if let known {
        if access.isWrite { accesses[access.numbers.buffer]?[known].isWrite = true }
      } else {
        accesses[access.numbers.buffer, default: []].append(access)
      }
    }
    count = run.result.count
    hasRows = hasRows || !run.isOneRow
    calls.append(index)
    return true
  }

  /// In how many parts the elements go, so that those of all buffers fit the first-level cache (32 KB, of which some is left
  /// to others), but not so small that calls would cost more than their work.
  var parts: Int {
    guard !hasRows else { return 1 }
    let streams = accesses.values.reduce(0) { $0 + $1.count }
    return max(1, count / max(256, 6144 / max(streams, 1)))
  }

  /// The calls of a repeated section in groups that do not touch what another writes, each group in order: whatever the
  /// order of the groups, and however their repetitions interleave, the result is the same.
  ///
  /// Calls other than elementwise ones may also share memory that is no buffer, and stay together.
  static func independentGroups(_ range: Range<Int>, _ calls: [Call]) -> [[Int]] {
    var groups: [(calls: [Int], reads: Set<Int>, writes: Set<Int>, isElementwise: Bool)] = []
    for index in range {
      let call = calls[index]
      var merged = ([index], call.reads, call.writes, call.run != nil)
      groups.removeAll { group in
        let isBound =
          !group.isElementwise && !merged.3 || !group.writes.isDisjoint(with: merged.1.union(merged.2))
          || !group.reads.isDisjoint(with: merged.2)
        if isBound {
          merged = (
            group.calls + merged.0, group.reads.union(merged.1), group.writes.union(merged.2),
            group.isElementwise && merged.3
          )
        }
        return isBound
      }
      groups.append(merged)
    }
    return groups.map { $0.calls.sorted() }.sorted { $0[0] < $1[0] }
  }
}
