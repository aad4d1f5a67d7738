import PredictiveCoding
import Testing

/// Losses by one table: the message against finite differences of the value on Reference, CPU against Reference, and
/// values that a hand computes.
@Suite struct LossHarnessTests {
  struct Row: Sendable, CustomTestStringConvertible {
    var function: any LossFunction
    /// Of prediction and target, for one example.
    var extents: [Int]
    /// Where predictions lie, and targets.
    var predictions: ClosedRange<Float> = -2...2
    var targets: ClosedRange<Float> = -1...1
    var testDescription: String { "\(function.name) \(function) \(extents)" }
  }

  static let table: [Row] = [
    Row(function: SquaredError(), extents: [1, 3, 2]),
    Row(function: CrossEntropy(), extents: [1, 5], targets: 0...1),
    Row(function: CrossEntropy(), extents: [1, 2, 4], predictions: -30...30, targets: 0...1),
    Row(function: CrossEntropy(smoothing: 0.1), extents: [1, 5], targets: 0...1),
    Row(function: BinaryCrossEntropy(), extents: [1, 4], targets: 0...1),
    Row(function: BinaryCrossEntropy(), extents: [1, 2, 3], predictions: -40...40, targets: 0...1),
    Row(function: Huber(), extents: [1, 6]),
    Row(function: Huber(delta: 0.3), extents: [1, 2, 3]),
  ]

  /// Value and message of each example.
  private func results(
    _ row: Row, _ prediction: [Double], _ target: [Double], on backend: any Backend, batchSize: Int
  ) throws -> (values: [Double], message: [Double]) {
    let emit = Emitter()
    let section = emit.makeSection("loss")
    for stage in Stage.allCases { emit.sections[stage] = section }
    let terms = ["prediction", "target"].map { emit.makeTerm($0, row.extents, isBatched: true, stage: .step) }
    let value = row.function.value(prediction: terms[0], target: terms[1], emit)
    let message = emit.dense(row.function.message(prediction: terms[0], target: terms[1], emit))
    #expect(value.extents == [1])
    let executable = try backend.compile(emit.program, batchSize: batchSize, bindings: [:])
    for (term, numbers) in zip(terms, [prediction, target]) {
      numbers.withUnsafeBufferPointer { executable.upload($0, to: term.view.buffer) }
    }
    executable.run([Passage(section: section)])
    return (executable.download(value.view.buffer), executable.download(message.view.buffer))
  }

  @Test(arguments: table) func messageIsMinusTheSlope(row: Row) throws {
    var dice = Dice(seed: 21)
    let count = 2 * row.extents.reduce(1, *)
    let prediction = dice.reals(count, in: row.predictions)
    let target = dice.reals(count, in: row.targets)
    let message = try results(row, prediction, target, on: Reference(), batchSize: 2).message
    let step = 1e-6
    for k in 0..<count {
      func moved(_ by: Double) throws -> Double {
        var point = prediction
        point[k] += by
        return try results(row, point, target, on: Reference(), batchSize: 2).values.reduce(0, +)
      }
      let expected = -(try moved(step) - moved(-step)) / (2 * step)
      #expect(
        abs(message[k] - expected) <= 1e-7, "element \(k): expected \(expected), observed \(message[k]), seed 21")
    }
  }

  @Test(arguments: table) func cpuAgreesWithReference(row: Row) throws {
    for set in supportedSets {
      for batchSize in [1, 5, 33] {
        var dice = Dice(seed: 22)
        let count = batchSize * row.extents.reduce(1, *)
        let prediction = dice.reals(count, in: row.predictions)
        let target = dice.reals(count, in: row.targets)
        let cpu = try CPU(threads: 2, instructionSet: set)
        let observed = try results(row, prediction, target, on: cpu, batchSize: batchSize)
        let expected = try results(row, prediction, target, on: Reference(), batchSize: batchSize)
        let values = discrepancy(observed.values, expected.values) { 4e-6 * (1 + abs(expected.values[$0])) }
        let message = discrepancy(observed.message, expected.message) { _ in 4e-6 }
        #expect(values == nil, "\(set.rawValue), batch \(batchSize), values: \(values ?? ""), seed 22")
        #expect(message == nil, "\(set.rawValue), batch \(batchSize), message: \(message ?? ""), seed 22")
      }
    }
  }

  /// A confident logit costs what is left of certainty, and nothing overflows.
  @Test func extremeLogits() throws {
    let row = Row(function: BinaryCrossEntropy(), extents: [1, 1])
    let backends: [any Backend] = [Reference(), try CPU(threads: 1)]
    for backend in backends {
      #expect(try results(row, [200], [0], on: backend, batchSize: 1).values == [200])
      #expect(try results(row, [-200], [1], on: backend, batchSize: 1).values == [200])
      let small = try results(row, [20], [1], on: backend, batchSize: 1).values[0]
      #expect(abs(small / 2.0611536181902037e-9 - 1) < 1e-6)
    }
  }
}
