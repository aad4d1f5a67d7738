import PCKernels
import PCKernelsCPU
import PCPrimitives
import Testing

/// A section that fills values, and one that is repeated.
extension Values {
  fileprivate static func steps(batch: Int, width: Int, count: Int, seed: UInt64) -> Values {
    var values = Values(batch: batch, width: width, count: count, constants: [(width, true)], seed: seed)
    values.experiment.program.sections = [Section(name: "begin"), Section(name: "step")]
    values.section = 1
    values.addWeights(1)
    return values
  }

  fileprivate mutating func fill(_ value: Int, count: Int? = nil, alpha: Scalar = .zero, beta: Scalar = .zero) {
    experiment.append(
      Instruction(
        .elementwise(.one, extents: [count ?? width]), operands: [], results: [view(value)], alpha: alpha, beta: beta),
      section: 0)
  }

  fileprivate mutating func add(_ constant: View, into target: Int) {
    apply(.identity, [constant], into: target, beta: .one)
  }

  fileprivate mutating func addRandom(_ count: Int) {
    for value in buffers.indices where pick([true, true, false]) {
      fill(value, count: pick([width, width, width, width / 2]), alpha: pick([.zero, .zero, .zero, .one]))
    }
    for _ in 0..<count {
      let target = pick(Array(buffers.indices))
      let beta = pick([Scalar.zero, .slot(1), .one])
      if pick([true, false]) {
        multiply(pick(buffers.indices.filter { $0 != target }), into: target, beta: beta)
      } else {
        let function = pick([Elementwise.multiply, .identity, .add, .subtract, .timesOneMinusSquare, .tanh, .cos])
        let operands = (0..<function.arity).map { _ in pick(buffers.indices.map(view) + constants) }
        apply(function, operands, into: target, alpha: pick([.slot(1), .one, .zero]), beta: beta)
      }
    }
  }

  /// Of the repeated section's calls, without those that pack: how often each kind of operation was made, in all.
  fileprivate func made(_ script: [Passage]) throws -> [String: Int] {
    let executable = try CPU(threads: 1).compile(experiment.program, batchSize: experiment.batch, bindings: [:])
    let calls = try #require(executable.profile(script)).calls
    return calls.filter { $0.section == "step" && !$0.operation.hasSuffix("pack") }
      .reduce(into: [:]) { $0[$1.operation, default: 0] += $1.repetitions }
  }
}

/// Calls that would add nothing to zeros are left out. The oracles are the reference backend, which leaves nothing out, and the
/// number of steps that an error takes from layer to layer.
@Suite struct ZerosTests {
  /// Messages 0 … L − 1, each from the next by a product; the last receives an error in every step. It is there after one step, and
  /// l steps further down after l more.
  @Test(arguments: [2, 4, 5, 6, 50]) func anErrorTravelsALayerAStep(steps: Int) throws {
    let layers = 6
    var values = Values.steps(batch: 40, width: 9, count: layers + 1, seed: UInt64(steps))
    for layer in 0..<layers { values.fill(layer) }
    for layer in 0..<(layers - 1) {
      values.apply(.multiply, [values.view(layer + 1), values.constants[0]], into: layers)
      values.multiply(layers, into: layer, beta: .slot(1))
    }
    values.apply(.identity, [values.constants[0]], into: layers - 1, beta: .slot(1))
    let script = [Passage(section: 0), Passage(section: 1, count: steps)]
    _ = try values.observed(script, on: .portable, tolerance: 1e-5, "\(steps) steps")
    let products = (0..<(layers - 1)).map { max(0, steps + 1 - (layers - $0)) }.reduce(0, +)
    let made = try values.made(script)
    #expect(made["contract"] == products, "\(steps) steps: \(made)")
    #expect(made["identity"] == steps, "\(steps) steps: \(made)")
  }

  /// A product from value 0 into value 1, in 8 steps, beside an error that takes two steps through values 3, 4 and 5. Once nothing
  /// new is reached, all calls are made.
  @Test func whatMayBeNoZeroIsMade() throws {
    let cases: [(why: String, products: Int, build: (inout Values) -> Void)] = [
      ("Both are zeros, and stay so: left out until the error has arrived.", 5, { $0.fill(0) }),
      (
        "The source is no zero after the first step.", 7,
        {
          $0.fill(0)
          $0.add($0.constants[0], into: 0)
        }
      ),
      ("The source is ones.", 8, { $0.fill(0, alpha: .one) }),
      ("Only part of the source is filled.", 8, { $0.fill(0, count: 5) }),
      ("The source keeps what it was.", 8, { $0.fill(0, beta: .one) }),
      ("The source is not filled.", 8, { _ in }),
      (
        "The cosine of 0 is none.", 7,
        {
          $0.fill(0)
          $0.apply(.cos, [$0.view(6)], into: 0)
        }
      ),
      (
        "A sum of 0 and something is none.", 7,
        {
          $0.fill(0)
          $0.apply(.add, [$0.view(6), $0.constants[0]], into: 0)
        }
      ),
      (
        "A sum of zeros is 0.", 5,
        {
          $0.fill(0)
          $0.apply(.add, [$0.view(6), $0.view(6)], into: 0)
        }
      ),
    ]
    let script = [Passage(section: 0), Passage(section: 1, count: 8)]
    for (why, products, build) in cases {
      var values = Values.steps(batch: 40, width: 9, count: 7, seed: 1)
      for value in [1, 3, 4, 5, 6] { values.fill(value) }
      values.multiply(0, into: 1, beta: .slot(1))
      values.multiply(4, into: 3, beta: .slot(1))
      values.multiply(5, into: 4, beta: .slot(1))
      values.add(values.constants[0], into: 5)
      build(&values)
      _ = try values.observed(script, on: .portable, tolerance: 1e-5, why)
      #expect(try values.made(script)["contract"] == products + 6 + 7, "\(why)")
    }
  }

  /// Whatever the calls, and whatever was filled before them.
  @Test(arguments: supportedSets, [17, 33, 64]) func randomSteps(set: CPU.InstructionSet, batch: Int) throws {
    var spared = 0
    for seed in 0..<40 {
      var values = Values.steps(batch: batch, width: 13, count: 3 + seed % 6, seed: UInt64(1000 * batch + seed))
      values.addRandom(10)
      let steps = 1 + seed % 7
      let script = [Passage(section: 0), Passage(section: 1, count: steps)]
      let what = "seed \(seed), batch \(batch)"
      let observed = try values.observed(script, on: set, tolerance: 1e-4, what)
      // Single steps are made whole.
      let singles = [Passage(section: 0)] + Array(repeating: Passage(section: 1), count: steps)
      #expect(try values.observed(singles, on: set, tolerance: 1e-4, "\(what), step by step") == observed, "\(what)")
      let made = try values.made(script).values.reduce(0, +)
      spared += try steps * values.made([Passage(section: 1)]).values.reduce(0, +) - made
    }
    #expect(spared > 0, "batch \(batch): nothing was left out")
  }
}
