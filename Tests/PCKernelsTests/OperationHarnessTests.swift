import Foundation
import PredictiveCoding
import Testing

/// All operations by one table: Reference against finite differences, CPU against Reference.
@Suite struct OperationHarnessTests {
  /// An operation without a row fails here.
  @Test func everyOperationHasARow() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../Sources/PCGraphs/Operations").standardizedFileURL
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    var declared: Set<String> = []
    for file in files where file.pathExtension == "swift" {
      let text = try String(contentsOf: file, encoding: .utf8)
      for match in text.matches(of: /struct (\w+)[^{\n]*:[^{\n]*\bOperation\b/) { declared.insert(String(match.1)) }
    }
    #expect(declared.count >= 15)
    #expect(declared == Set(OperationRow.table.map(\.type)))
    let functions = OperationRow.table.compactMap { ($0.operation as? Pointwise)?.function }
    #expect(Set(functions) == Set(Pointwise.Function.allCases))
  }

  /// The shape rule says what `forward` makes.
  @Test(arguments: OperationRow.table) func shapeRule(row: OperationRow) throws {
    let shape = try row.operation.shape(row.operands.map(\.shape))
    let trial = try OperationTrial(row, on: Reference(), batchSize: 2)
    #expect(trial.resultExtents == shape.extents, "\(row)")
    #expect(trial.resultIsBatched == shape.isBatched, "\(row)")
  }

  /// ⟨message, f(x + εd) − f(x − εd)⟩ / 2ε = ⟨Jᵀmessage, d⟩ for each operand, in Double.
  @Test(arguments: OperationRow.table) func referenceAgreesWithFiniteDifferences(row: OperationRow) throws {
    var dice = Dice(seed: 11)
    let trial = try OperationTrial(row, on: Reference(), batchSize: 3)
    let operands = row.numbers(batchSize: 3, using: &dice)
    _ = trial.value(operands)
    let message = dice.reals(trial.resultCount)
    let pullbacks = trial.pullBack(message)
    let step = 1e-6
    for (k, operand) in row.operands.enumerated() where operand.classes == nil && !operand.isMask {
      for _ in 0..<3 {
        let direction = dice.reals(operands[k].count)
        func moved(_ scale: Double) -> Double {
          var point = operands
          point[k] = zip(operands[k], direction).map { $0 + scale * $1 }
          return zip(trial.value(point), message).reduce(0) { $0 + $1.0 * $1.1 }
        }
        let expected = (moved(step) - moved(-step)) / (2 * step)
        let observed = zip(pullbacks[k] ?? direction.map { _ in 0 }, direction).reduce(0) { $0 + $1.0 * $1.1 }
        #expect(
          abs(observed - expected) <= 1e-8 * (1 + abs(expected) + Double(trial.resultCount)),
          "\(row), operand \(k): expected \(expected), observed \(observed), seed 11")
      }
    }
  }

  /// Float within rounding of Double: |difference| ≤ 4e-6 · (1 + the largest number of the tensor). Batches that fill no
  /// tile, one, and one and a bit.
  @Test(arguments: OperationRow.table) func cpuAgreesWithReference(row: OperationRow) throws {
    for set in supportedSets {
      for (batchSize, threads) in [(1, 1), (5, 2), (33, 2)] {
        var dice = Dice(seed: 12)
        let cpu = try OperationTrial(row, on: CPU(threads: threads, instructionSet: set), batchSize: batchSize)
        let reference = try OperationTrial(row, on: Reference(), batchSize: batchSize)
        let operands = row.numbers(batchSize: batchSize, using: &dice)
        let what = "\(row), \(set.rawValue), batch \(batchSize), seed 12"
        compare(cpu.value(operands), reference.value(operands), "\(what), value")
        let message = dice.reals(reference.resultCount)
        for (k, (observed, expected)) in zip(cpu.pullBack(message), reference.pullBack(message)).enumerated() {
          compare(observed ?? [], expected ?? [], "\(what), pullback to \(k)")
        }
      }
    }
  }

  private func compare(_ observed: [Double], _ expected: [Double], _ what: String) {
    let largest = expected.reduce(0) { max($0, abs($1)) }
    if let found = discrepancy(observed, expected, tolerance: { _ in 4e-6 * (1 + largest) }) {
      Issue.record("\(what): \(found)")
    }
  }

  // MARK: Points at which differences say nothing

  static let backends: [any Backend] =
    [Reference()] + supportedSets.compactMap { try? CPU(threads: 1, instructionSet: $0) }

  /// The slope of relu is 0 at 0.
  @Test func reluIsFlatAtZero() throws {
    for backend in Self.backends {
      let trial = try OperationTrial(OperationRow(Pointwise(.relu), [.batch, 4]), on: backend, batchSize: 1)
      #expect(trial.value([[0, -0.0, 2, -1]]) == [0, 0, 2, 0])
      #expect(trial.pullBack([5, 6, 7, 8]) == [[0, 0, 7, 0]])
    }
  }

  /// Of equal elements the first wins; one that wins several windows collects all their messages.
  @Test func maximumGoesToTheFirst() throws {
    for backend in Self.backends {
      let ties = try OperationTrial(OperationRow(MaxPool(window: 2), [.batch, 1, 2, 4]), on: backend, batchSize: 1)
      #expect(ties.value([[3, 3, 1, 2, 3, 3, 2, 2]]) == [3, 2])
      #expect(ties.pullBack([5, 7]) == [[5, 0, 0, 7, 0, 0, 0, 0]])
      let shared = try OperationTrial(
        OperationRow(MaxPool(window: 2, stride: 1), [.batch, 1, 3, 3]), on: backend, batchSize: 1)
      #expect(shared.value([[0, 0, 0, 0, 9, 0, 0, 0, 0]]) == [9, 9, 9, 9])
      #expect(shared.pullBack([1, 2, 3, 4]) == [[0, 0, 0, 0, 10, 0, 0, 0, 0]])
    }
  }

  /// Of two equal operands the first gets the message; of equal elements along an axis the first; a clipped number's
  /// slope is 1 at the ends of its range; |x| is flat at 0, and leaky relu has its lower slope there.
  @Test func tiesAndKinks() throws {
    for backend in Self.backends {
      for kind in Extremum.Kind.allCases {
        let two = try OperationTrial(
          OperationRow(Extremum(kind), [.batch, 3], [.batch, 3]), on: backend, batchSize: 1)
        #expect(two.value([[1, 2, 3], [1, 3, 2]]) == (kind == .maximum ? [1, 3, 3] : [1, 2, 2]))
        let first = kind == .maximum ? [5.0, 0, 7] : [5, 6, 0]
        let second = kind == .maximum ? [0.0, 6, 0] : [0, 0, 7]
        #expect(two.pullBack([5, 6, 7]) == [first, second])
      }
      let largest = try OperationTrial(
        OperationRow(Largest(axes: [1, 2]), [.batch, 2, 3]), on: backend, batchSize: 1)
      #expect(largest.value([[1, 4, 2, 4, 4, 0]]) == [4])
      #expect(largest.pullBack([3]) == [[0, 3, 0, 0, 0, 0]])
      let held = try OperationTrial(OperationRow(Clip(to: -1...2), [.batch, 4]), on: backend, batchSize: 1)
      #expect(held.value([[-1, 2, 3, -4]]) == [-1, 2, 2, -1])
      #expect(held.pullBack([5, 6, 7, 8]) == [[5, 6, 0, 0]])
      let size = try OperationTrial(OperationRow(Pointwise(.abs), [.batch, 3]), on: backend, batchSize: 1)
      #expect(size.value([[0, -2, 3]]) == [0, 2, 3])
      #expect(size.pullBack([5, 6, 7]) == [[0, -6, 7]])
      let leaky = try OperationTrial(OperationRow(LeakyReLU(slope: 0.25), [.batch, 2]), on: backend, batchSize: 1)
      #expect(leaky.value([[0, -4]]) == [0, -1])
      #expect(leaky.pullBack([4, 8]) == [[1, 2]])
    }
  }

  /// Whole powers of 0 and of negative numbers.
  @Test func powersOfNumbersThatAreNotPositive() throws {
    for backend in Self.backends {
      let cube = try OperationTrial(OperationRow(Power(3), [.batch, 3]), on: backend, batchSize: 1)
      #expect(cube.value([[-2, 0, 3]]) == [-8, 0, 27])
      #expect(cube.pullBack([1, 1, 1]) == [[12, 0, 27]])
    }
  }
}
