import PredictiveCoding
import Testing

/// Losses and gradients against PyTorch's autograd in float64, on the same weights and images.
@Suite struct FixtureTests {
  @Test(arguments: Fixture.models) func referenceAgreesWithPyTorch(name: String) throws {
    let fixture: ModelFixture = try Fixture.read(name)
    let network = try fixture.network(on: Reference())
    #expect(network.graph.parameters.map(\.name).sorted() == fixture.parameters.map(\.name).sorted())
    for parameter in fixture.parameters {
      expectClose(
        network.parameter(parameter.name).values.reduce(0, +), parameter.sum, within: 1e-10,
        "\(name), sum of \(parameter.name)")
    }
    let rules: [any Rule] = [Backprop(), FixedPredictions(solver: .equilibrium)]
    for rule in rules {
      let run = try network.run(rule, on: fixture.feed, gradientOf: ["image"])
      run.runAll()
      expectClose(run.losses().reduce(0, +), fixture.totalLoss, within: 1e-12, "\(name), loss")
      let gradients = run.gradients()
      for parameter in fixture.parameters {
        compare(gradients[numbers: parameter.name], parameter, within: 1e-10, "\(name), \(rule.name)")
      }
      compare(run.gradient(ofInput: "image").values, fixture.input, within: 1e-10, "\(name), \(rule.name)")
    }
  }

  @Test(arguments: Fixture.models) func cpuAgreesWithReference(name: String) throws {
    let fixture: ModelFixture = try Fixture.read(name)
    let exact = try fixture.network(on: Reference()).gradients(Backprop(), on: fixture.feed)
    for set in CPU.InstructionSet.allCases where set.isSupported {
      let network = try fixture.network(on: CPU(threads: 2, instructionSet: set))
      let run = try network.run(Backprop(), on: fixture.feed)
      run.runAll()
      #expect(abs(run.losses().reduce(0, +) / fixture.totalLoss - 1) < 1e-5, "\(name), \(set.rawValue)")
      let gradients = run.gradients()
      for parameter in fixture.parameters {
        compare(gradients[numbers: parameter.name], parameter, within: 1e-5, "\(name), \(set.rawValue)")
        let one = Gradients(byParameter: gradients.byParameter.filter { $0.key == parameter.name })
        let other = Gradients(byParameter: exact.byParameter.filter { $0.key == parameter.name })
        let off = one.compared(with: other).relativeError
        #expect(off < 1e-5, "\(name), \(set.rawValue), \(parameter.name)")
      }
    }
  }

  /// Norm and entries, relative to the norm.
  private func compare(
    _ gradient: [Double], _ expected: ModelFixture.Array, within tolerance: Double, _ what: String
  ) {
    let norm = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
    #expect(abs(norm - expected.norm) <= tolerance * expected.norm, "\(what), norm of \(expected.name)")
    #expect(expected.entries.count > 1)
    for (position, value) in expected.entries {
      guard let k = Int(position), gradient.indices.contains(k) else {
        Issue.record("\(what), \(expected.name) has no element \(position)")
        continue
      }
      #expect(abs(gradient[k] - value) <= tolerance * expected.norm, "\(what), \(expected.name)[\(k)]")
    }
  }

  // MARK: How far T steps come

  /// The CNN (one depth for each parameter) and the branching net (several), T = 5, 20, 100 at the paper's rate, step
  /// by step at batch 4: what is missing is what the certificate says.
  @Test(arguments: ["cnn-digits-squared-error", "branching-digits-cross-entropy"], [5, 20, 100])
  func shortfall(name: String, steps: Int) throws {
    let fixture: ModelFixture = try Fixture.read(name)
    let backends: [any Backend] = [Reference(), try CPU(threads: 1)]
    for backend in backends {
      let network = try fixture.network(on: backend)
      let exact = try network.gradients(Backprop(), on: fixture.feed)
      let reached = try network.gradients(FixedPredictions(steps: steps, rate: 0.2), on: fixture.feed)
      let certificate = Certificate(steps: steps, rate: 0.2)
      let depths = 0...(network.graph.messageDepths().joined().max() ?? 0)
      let missing = try network.gradients(weightingDepthsBy: depths.map(certificate.shortfall), on: fixture.feed)
      let parts = try depths.map { depth in
        try network.gradients(weightingDepthsBy: depths.map { $0 == depth ? 1 : 0 }, on: fixture.feed)
      }
      let floor = backend.epsilon < 1e-10 ? 1e-13 : 1e-4
      var several = 0
      for parameter in network.graph.parameters {
        func norm(_ gradients: Gradients) -> Double { gradients[parameter.name]?.norm ?? .nan }
        let here = "\(name), \(backend.name), T = \(steps), \(parameter.name)"
        let difference = zip(exact[numbers: parameter.name], reached[numbers: parameter.name]).map { $0 - $1 }
        let measured = difference.reduce(0) { $0 + $1 * $1 }.squareRoot() / norm(exact)
        let present = network.graph.gradientDepths(ofValue: parameter.value)
        if present.count == 1, let depth = present.first {
          agree(measured, certificate.shortfall(depth), floor: floor, here)
        } else {
          several += 1
          let bound = depths.reduce(0) { $0 + certificate.shortfall($1) * norm(parts[$1]) } / norm(exact)
          #expect(measured <= bound * 1.001 + floor, "\(here), bound")
        }
        agree(measured, norm(missing) / norm(exact), floor: floor, here)
      }
      #expect((several > 0) == name.hasPrefix("branching"))
    }
  }

  /// Equal to two digits, or both below the floor of the arithmetic.
  private func agree(_ measured: Double, _ expected: Double, floor: Double, _ what: String) {
    let isClose = abs(measured - expected) <= 0.005 * expected || (measured < floor && expected < floor)
    #expect(isClose, "\(what): expected \(expected), measured \(measured)")
  }
}
