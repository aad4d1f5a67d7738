#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension Evaluation {
  /// exp of the mean loss of a label: for cross-entropy, among how many equally likely classes the net is at a loss on
  /// average; NaN where there are no labels.
  public var perplexity: Double { exp(lossPerLabel) }
}

/// How many rows have their label among the k highest scores; of equal scores the earlier one is the higher, so that k = 1
/// counts what accuracy counts.
///
/// - Parameters:
///   - scores: [rows, classes], row by row: a network's outputs.
///   - labels: the class of each row; their number must divide that of the scores.
///   - k: at least 1.
public func topHits(scores: [Double], labels: [Int32], k: Int) -> Int {
  guard !labels.isEmpty, scores.count % labels.count == 0 else {
    fatalError("topHits: \(scores.count) scores do not make rows for \(labels.count) labels.")
  }
  let classes = scores.count / labels.count
  return labels.indices.count { row in
    let own = scores[(row * classes)..<((row + 1) * classes)]
    let place = row * classes + Int(labels[row])
    guard own.indices.contains(place) else { return false }
    let above = own.indices.count { own[$0] > scores[place] || (own[$0] == scores[place] && $0 < place) }
    return above < k
  }
}
