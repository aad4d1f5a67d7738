import PCKernels
import PCKernelsCPU
import PCPrimitives
import Testing

/// Products with elementwise functions around them, in random order: some may follow a product row by row, others must wait.
extension Values {
  fileprivate static func layers(batch: Int, width: Int, count: Int, seed: UInt64) -> Values {
    // For each row, for all rows.
    var layers = Values(
      batch: batch, width: width, count: count, constants: [(width, false), (1, false)], seed: seed)
    layers.addWeights(2)
    return layers
  }

  fileprivate var bias: View { constants[0] }

  /// The second half of a value from the first half of another.
  fileprivate mutating func shift(_ source: Int, into target: Int) {
    let half = width / 2
    guard half > 0 else { return }
    experiment.append(
      Instruction(
        .elementwise(.tanh, extents: [half]), operands: [View(buffer: buffers[source], strides: [1])],
        results: [View(buffer: buffers[target], offset: width - half, strides: [1])], alpha: .one, beta: .one))
  }

  fileprivate mutating func addRandom(_ count: Int) {
    for _ in 0..<count {
      let target = pick(Array(buffers.indices))
      let beta = pick([Scalar.zero, .slot(1), .one])
      switch Int.random(in: 0..<8, using: &dice) {
      case 0, 1, 2:
        let source = pick(buffers.indices.filter { $0 != target })
        multiply(source, into: target, beta: beta, transposed: pick([true, false]), by: pick([0, 1]))
      case 3: shift(pick(buffers.indices.filter { $0 != target }), into: target)
      case 4: apply(.tanh, [view(pick(Array(buffers.indices)))], into: target, beta: beta)
      default:
        let function = pick([Elementwise.add, .subtract, .multiply, .timesOneMinusSquare])
        let others = buffers.indices.map(view) + constants
        apply(function, [view(pick(Array(buffers.indices))), pick(others)], into: target, beta: beta)
      }
    }
  }

  /// Operations of the calls that the section became.
  fileprivate func operations() throws -> [String] {
    let executable = try CPU(threads: 1).compile(experiment.program, batchSize: experiment.batch, bindings: [:])
    return try #require(executable.profile(experiment.script)).calls.map(\.operation).filter { !$0.hasSuffix("pack") }
  }
}

/// What follows a product row by row. The oracle is the reference backend, which makes one instruction after the other.
@Suite struct RowsTests {
  @Test(arguments: supportedSets, [2, 9, 16, 17, 33, 64]) func randomLayers(set: CPU.InstructionSet, batch: Int)
    throws
  {
    for seed in 0..<24 {
      // Rows that fill one panel or less, several, and several groups of panels.
      let width = [1, 5, 6, 7, 13, 24, 25, 50, 51, 97, 130][seed % 11]
      var layers = Values.layers(batch: batch, width: width, count: 2 + seed % 5, seed: UInt64(100 * batch + seed))
      layers.addRandom(12)
      let passage = Passage(section: 0, count: [1, 3][seed % 2])
      _ = try layers.observed(
        [passage], on: set, tolerance: 1e-4, "seed \(seed), batch \(batch), width \(width)")
    }
  }

  /// Large weights that are used once are packed by parts, for all tiles; used again, they are packed before. The bits are the same
  /// where the depth does not go in pieces, where each is larger than the results of the batch, and no matrix unit takes what is packed before.
  @Test(arguments: supportedSets, [9, 17, 33, 70]) func largeWeightsUsedOnce(set: CPU.InstructionSet, batch: Int)
    throws
  {
    // Weights as they lie that fill the packed part several times, and a rest of rows.
    var layers = Values.layers(batch: batch, width: 371, count: 5, seed: UInt64(batch))
    layers.multiply(0, into: 1)
    layers.apply(.add, [layers.view(1), layers.bias], into: 1)
    layers.apply(.tanh, [layers.view(1)], into: 2)
    layers.multiply(2, into: 3, transposed: true)
    layers.apply(.multiply, [layers.view(3), layers.view(0)], into: 4)
    let (once, twice) = (Passage(section: 0), Passage(section: 0, count: 2))
    let observed = try layers.observed([once], on: set, tolerance: 1e-5, "batch \(batch)")
    let again = try layers.observed([twice], on: set, tolerance: 1e-5, "batch \(batch), twice")
    #expect(batch <= 32 || set == .amx || again == observed, "batch \(batch)")
    for (passage, packs) in [(once, 0), (twice, 2)] {
      let executable = try CPU(threads: 2, instructionSet: set).compile(
        layers.experiment.program, batchSize: batch, bindings: [:])
      let profile = try #require(executable.profile([passage]))
      #expect(profile.calls.filter { $0.operation.hasSuffix("pack") }.count == packs, "batch \(batch)")
    }
  }

  /// A layer of standard predictive coding: bias, activation, error and slope in the product's visit.
  @Test func aLayerIsOneCall() throws {
    var layers = Values.layers(batch: 64, width: 40, count: 5, seed: 1)
    layers.multiply(0, into: 1)
    layers.apply(.add, [layers.view(1), layers.bias], into: 1)
    layers.apply(.tanh, [layers.view(1)], into: 2)
    layers.apply(.subtract, [layers.view(4), layers.view(2)], into: 3)
    layers.apply(.timesOneMinusSquare, [layers.view(2), layers.view(3)], into: 3)
    #expect(try layers.operations() == ["contract + add + tanh + subtract + timesOneMinusSquare"])
  }

  @Test func whatMustWaitDoes() throws {
    let cases: [(why: String, build: (inout Values) -> Void, calls: [String])] = [
      (
        "The product reads what the function overwrites: other rows still need it.",
        {
          $0.multiply(0, into: 1)
          $0.apply(.add, [$0.view(1), $0.view(0)], into: 0)
        }, ["contract", "add"]
      ),
      (
        "Between the two, another product makes what the function reads: it follows that one.",
        {
          $0.multiply(0, into: 1)
          $0.multiply(0, into: 2)
          $0.apply(.add, [$0.view(1), $0.view(2)], into: 3)
        }, ["contract", "contract + add"]
      ),
      (
        "Between the two, another product reads what the function overwrites.",
        {
          $0.multiply(0, into: 1)
          $0.multiply(1, into: 2)
          $0.apply(.tanh, [$0.view(1)], into: 1)
        }, ["contract", "contract", "tanh"]
      ),
      (
        "Elements of one row depend on another row's.",
        {
          $0.multiply(0, into: 1)
          $0.shift(1, into: 2)
          $0.apply(.tanh, [$0.view(1)], into: 3)
        }, ["contract + tanh", "tanh"]
      ),
      (
        "Nothing of it is the product's.",
        {
          $0.multiply(0, into: 1)
          $0.apply(.tanh, [$0.view(2)], into: 3)
        }, ["contract", "tanh"]
      ),
    ]
    for (why, build, calls) in cases {
      var layers = Values.layers(batch: 64, width: 40, count: 5, seed: 1)
      build(&layers)
      #expect(try layers.operations() == calls, "\(why)")
    }
  }
}
