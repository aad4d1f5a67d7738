import PredictiveCoding
import Testing

@Suite struct CertificateTests {
  /// The law by which messages spread, c_d(T + 1) = (1 − h) c_d(T) + h c_{d−1}(T), and alike for 1 − c: sums of positive
  /// numbers, so that even the tiniest keeps its digits.
  private static func byRecursion(steps: Int, rate: Double, depths: Int) -> (reached: [Double], missing: [Double]) {
    var reached = [1.0] + Array(repeating: 0, count: depths)
    var missing = [0.0] + Array(repeating: 1, count: depths)
    for _ in 0..<steps {
      for depth in stride(from: depths, to: 0, by: -1) {
        reached[depth] = (1 - rate) * reached[depth] + rate * reached[depth - 1]
        missing[depth] = (1 - rate) * missing[depth] + rate * missing[depth - 1]
      }
    }
    return (reached, missing)
  }

  @Test(arguments: [0, 1, 2, 3, 5, 20, 50, 100, 200, 1000], [0.001, 0.01, 0.1, 0.2, 0.5, 0.9, 0.999, 1])
  func coefficients(steps: Int, rate: Double) {
    let certificate = Certificate(steps: steps, rate: rate)
    let expected = Self.byRecursion(steps: steps, rate: rate, depths: 60)
    // Both ways round once a step.
    let tolerance = max(1e-12, 4e-15 * Double(steps))
    for depth in 0...60 {
      let here = "T = \(steps), h = \(rate), d = \(depth)"
      for (observed, exact) in [
        (certificate.coefficient(depth), expected.reached[depth]),
        (certificate.shortfall(depth), expected.missing[depth]),
      ] where exact > 1e-290 || exact == 0 {
        #expect(abs(observed - exact) <= tolerance * exact, "\(here): expected \(exact), observed \(observed)")
      }
    }
  }

  /// Rational arithmetic by hand.
  @Test func smallCases() {
    func compare(_ observed: [Double], _ expected: [Double]) {
      for (a, b) in zip(observed, expected) { #expect(abs(a - b) < 1e-14) }
    }
    let half = Certificate(steps: 3, rate: 0.5)
    compare((0...4).map(half.coefficient), [1, 0.875, 0.5, 0.125, 0])
    compare((0...4).map(half.shortfall), [0, 0.125, 0.5, 0.875, 1])
    let none = Certificate(steps: 0, rate: 0.3)
    #expect((0...2).map(none.coefficient) == [1, 0, 0])
    let whole = Certificate(steps: 4, rate: 1)
    #expect((0...5).map(whole.coefficient) == [1, 1, 1, 1, 1, 0])
  }

  /// Figures that the design states.
  @Test func statedFigures() {
    let paper = Certificate(steps: 200, rate: 0.1)
    #expect((paper.shortfall(3) * 1e8).rounded() == 19)
    #expect((Certificate(steps: 200, rate: 0.1).coefficient(30) * 1000).rounded() == 16)
    #expect((paper.shortfall(timeReversed: Array(repeating: 1, count: 100)) * 1e10).rounded() == 706)
    #expect(paper.shortfall(timeReversed: [1, 201]) == 1)
  }
}
