/// How often examples of each class were taken for each class.
///
/// ```swift
/// var matrix = ConfusionMatrix(labels: ["cat", "dog"])
/// matrix.add(label: 0, prediction: 0)
/// matrix.add(label: 0, prediction: 1, count: 3)
/// matrix.counts              // [[1, 3], [0, 0]]
/// matrix.accuracy            // 0.25
/// ```
public struct ConfusionMatrix: Sendable, Equatable {
  /// The classes' names.
  public let labels: [String]
  /// `counts[i][j]`: how many examples of class i were taken for class j.
  public private(set) var counts: [[Int]]

  /// No examples yet of at least one class.
  public init(labels: [String]) {
    guard !labels.isEmpty else { fatalError("A ConfusionMatrix needs at least one class.") }
    self.labels = labels
    counts = Array(repeating: Array(repeating: 0, count: labels.count), count: labels.count)
  }

  /// Counts examples of class `label` that were taken for class `prediction`.
  public mutating func add(label: Int, prediction: Int, count: Int = 1) {
    guard labels.indices.contains(label), labels.indices.contains(prediction), count >= 0 else {
      fatalError(
        "ConfusionMatrix.add: \(count) examples of class \(label) taken for \(prediction) do not belong among "
          + "\(labels.count) classes.")
    }
    counts[label][prediction] += count
  }

  /// Counts examples that are taken for the class of the highest score, the first of several.
  ///
  /// - Parameters:
  ///   - scores: [examples, classes], row by row: a network's outputs.
  ///   - labels: the class of each example.
  public mutating func add(scores: [Float], labels: [Int32]) {
    let classes = self.labels.count
    guard scores.count == labels.count * classes else {
      fatalError(
        "ConfusionMatrix.add: \(labels.count) examples of \(classes) classes have \(labels.count * classes) scores, "
          + "not \(scores.count).")
    }
    for (row, label) in labels.enumerated() {
      let own = scores[row * classes..<(row + 1) * classes]
      let best = own.indices.max { own[$0] < own[$1] } ?? own.startIndex
      add(label: Int(label), prediction: best - own.startIndex)
    }
  }
}

// MARK: - Measures

extension ConfusionMatrix {
  /// The number of examples.
  public var total: Int { counts.reduce(0) { $0 + $1.reduce(0, +) } }

  /// The share of all examples that were taken for what they are; nil without examples.
  public var accuracy: Double? { share(labels.indices.reduce(0) { $0 + counts[$1][$1] }, of: total) }

  /// For each class the share of its examples that were taken for it; nil where it has none.
  public var recall: [Double?] { labels.indices.map { share(counts[$0][$0], of: counts[$0].reduce(0, +)) } }

  /// For each class the share of the examples taken for it that are of it; nil where none was.
  public var precision: [Double?] {
    labels.indices.map { index in share(counts[index][index], of: counts.reduce(0) { $0 + $1[index] }) }
  }

  /// The mean of the recalls that there are: the accuracy if all classes were equally frequent; nil without examples.
  public var balancedAccuracy: Double? {
    let known = recall.compactMap { $0 }
    return known.isEmpty ? nil : known.reduce(0, +) / Double(known.count)
  }

  private func share(_ part: Int, of whole: Int) -> Double? { whole == 0 ? nil : Double(part) / Double(whole) }
}

// MARK: - Output

extension ConfusionMatrix {
  /// A table with a header: a line for each class, a column for each class that it was taken for.
  public var csv: String {
    let header = ["label"] + labels
    let lines = [header] + zip(labels, counts).map { label, row in [label] + row.map(String.init) }
    return lines.map { $0.map(DataTable.quoted).joined(separator: ",") + "\n" }.joined()
  }

  /// Labels, counts and measures.
  package var json: JSON {
    .object([
      ("labels", .array(labels.map(JSON.string))),
      ("counts", .array(counts.map { .array($0.map { .integer($0) }) })),
      ("accuracy", .number(accuracy)),
      ("balancedAccuracy", .number(balancedAccuracy)),
      ("recall", .array(recall.map(JSON.number))),
      ("precision", .array(precision.map(JSON.number))),
    ])
  }

  /// The matrix as a heat map: a row for each class, whose shades are the shares of that class's examples.
  public func picture(title: String) -> HeatMap {
    HeatMap(title: title, rowTitle: "label", columnTitle: "prediction", labels: labels, counts: counts)
  }
}
