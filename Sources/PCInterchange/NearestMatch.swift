/// The candidate most like what the user typed, or nil if none is close enough to be what was meant.
///
/// ```swift
/// nearestMatch(to: "cifar", in: ["digits", "mnist", "cifar10"])       // "cifar10"
/// nearestMatch(to: "imagenet", in: ["digits", "mnist", "cifar10"])    // nil
/// ```
///
/// Likeness is the least number of letters inserted, deleted, replaced or swapped with their neighbour (optimal string
/// alignment; Boytsov 2011, §2), capitals ignored.
/// Close enough is at most half the length of the longer word; of equally close candidates the first one wins.
public func nearestMatch(to name: String, in candidates: some Sequence<String>) -> String? {
  var best: (candidate: String, distance: Int)?
  for candidate in candidates {
    let distance = editDistance(Array(name.lowercased()), Array(candidate.lowercased()))
    if distance * 2 <= max(name.count, candidate.count), distance < best?.distance ?? .max {
      best = (candidate, distance)
    }
  }
  return best?.candidate
}

/// Time |a| |b|, three rows of the table in memory.
private func editDistance(_ a: [Character], _ b: [Character]) -> Int {
  var beforeLast: [Int] = []
  var last: [Int] = []
  var row = Array(0...b.count)
  for (i, x) in a.enumerated() {
    (beforeLast, last) = (last, row)
    row[0] = i + 1
    for (j, y) in b.enumerated() {
      row[j + 1] = min(last[j] + (x == y ? 0 : 1), row[j] + 1, last[j + 1] + 1)
      if i > 0, j > 0, x == b[j - 1], a[i - 1] == y { row[j + 1] = min(row[j + 1], beforeLast[j - 1] + 1) }
    }
  }
  return row[b.count]
}
