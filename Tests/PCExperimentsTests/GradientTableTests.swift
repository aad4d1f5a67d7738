import PredictiveCoding
import Testing

/// c_d(T) from the equations, one number for each vertex of a chain: m_i ← (1 − h) m_i + h m_{i−1}, all at once, from 0,
/// below a loss that sends 1. The vertex d steps from the loss then holds c_d(T).
private func coefficient(_ depth: Int, steps: Int, rate: Double) -> Double {
  var messages = [1.0] + Array(repeating: 0.0, count: depth)
  for _ in 0..<steps {
    let before = messages
    for i in messages.indices.dropFirst() { messages[i] = (1 - rate) * before[i] + rate * before[i - 1] }
  }
  return messages[depth]
}

struct GradientTableTests {
  private func table(
    _ model: NamedModel, hidden: [Int]? = nil, rule: NamedRule = .fixed, steps: Int, rate: Double, seed: UInt64 = 3,
    backend: NamedBackend = .reference
  ) throws -> GradientTable {
    var choices = Choices(rules: [rule])
    choices.model = model
    choices.hidden = hidden
    choices.steps = PerRule(steps)
    choices.rate = PerRule(rate)
    choices.batchSize = 4
    choices.seed = seed
    choices.backend = backend
    return try Experiment(Settings(choices)).gradientTable()
  }

  @Test(arguments: [0, 1, 2, 5, 20], [0.1, 0.2, 0.7, 1])
  func `in a chain the distance is one minus the share that arrived`(_ steps: Int, _ rate: Double) throws {
    let table = try table(.mlp, hidden: [7, 6, 5], steps: steps, rate: rate)
    let expected = ["hidden1": 3, "hidden2": 2, "hidden3": 1, "output": 0]
    #expect(table.rows.count == 8)
    for row in table.rows {
      let depth = try #require(expected[String(row.parameter.prefix { $0 != "." })])
      #expect(row.depths == [depth])
      let shortfall = 1 - coefficient(depth, steps: steps, rate: rate)
      for value in [row.bound, row.measured, row.exact] {
        let value = try #require(value)
        #expect(abs(value - shortfall) < 1e-12, "\(row) at T = \(steps), h = \(rate): expected \(shortfall)")
      }
    }
  }

  @Test(arguments: [1, 5, 20, 100])
  func `over several depths the bound holds and the exact value is measured`(_ steps: Int) throws {
    let table = try table(.branching, steps: steps, rate: 0.2)
    #expect(table.rows.contains { $0.depths.count > 1 })
    for row in table.rows + [table.total] {
      let (bound, measured, exact) = try (#require(row.bound), #require(row.measured), #require(row.exact))
      #expect(measured <= bound + 1e-13, "\(row) at T = \(steps)")
      #expect(abs(measured - exact) <= 1e-9 * exact + 1e-13, "\(row) at T = \(steps)")
    }
    // Parts of a gradient that point different ways add up to less than their lengths: the bound is none of the two.
    let encoder = try #require(table.rows.first { $0.parameter == "encoder.weight" })
    #expect((encoder.bound ?? 0) > 1.05 * (encoder.exact ?? 0))
  }

  @Test func `on the CPU the law holds as far as Float can tell`() throws {
    for row in try table(.cnn, steps: 20, rate: 0.2, backend: .cpu).rows {
      let (bound, measured) = try (#require(row.bound), #require(row.measured))
      #expect(abs(measured - bound) < 1e-5, "\(row)")
    }
  }

  @Test func `other rules are measured and have no law`() throws {
    let table = try table(.mlp, hidden: [6], rule: .standard, steps: 20, rate: 0.1)
    for row in table.rows {
      #expect(row.bound == nil && row.exact == nil)
      #expect((row.measured ?? 0) > 0.01 || row.depths == [0], "\(row)")
    }
  }

  @Test func `JSON has one object for each parameter and one for all`() throws {
    let lines = try table(.mlp, hidden: [6], steps: 3, rate: 0.5).jsonLines.map(\.description)
    #expect(lines.count == 5)
    #expect(
      lines[2] == #"{"parameter":"output.weight","depths":[0],"bound":0.0,"measured":0.0,"exact":0.0}"#)
    #expect(lines[4].hasPrefix(#"{"parameter":"all","depths":[0,1],"#))
  }
}
