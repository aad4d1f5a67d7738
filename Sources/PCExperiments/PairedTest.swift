#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Whether two treatments of the same subjects differ: here two rules with the same seeds.
///
/// Two answers, since each has a weakness. Student's test takes the differences for normal; the sign-flip test takes
/// nothing but that a difference is as likely as its negative where the treatments are alike, but with n pairs its p-value
/// cannot be below 2 / 2ⁿ: 0.0625 for five.
package struct PairedTest: Sendable, Hashable {
  /// One for each pair.
  package var differences: [Double]
  /// Their mean.
  package var mean: Double
  /// Student's t of the mean, infinite where all differences are equal and not 0.
  package var t: Double
  /// Two-sided, by Student's distribution with n − 1 degrees of freedom.
  package var p: Double
  /// The interval that holds the true mean with 95 % confidence, by Student's distribution.
  package var interval: ClosedRange<Double>
  /// Two-sided, the share of the 2ⁿ choices of signs whose sum is at least as far from 0.
  package var exactP: Double

  /// nil for fewer than two pairs, or for differences that are not finite. Cost: 2ⁿ sums for up to 20 pairs; with more
  /// the exact p-value is NaN.
  package init?(_ differences: [Double]) {
    guard differences.count > 1, differences.allSatisfy(\.isFinite) else { return nil }
    let n = differences.count
    let sample = Statistics(differences)
    self.differences = differences
    mean = sample.mean
    let error = sample.deviation / Double(n).squareRoot()
    t = error > 0 ? mean / error : mean == 0 ? 0 : .infinity
    p = 1 - Self.central(t.magnitude, n - 1)
    let reach = error * Self.quantile95(n - 1)
    interval = (mean - reach)...(mean + reach)
    guard n <= 20 else {
      exactP = .nan
      return
    }
    let observed = differences.reduce(0, +).magnitude
    // Sums in another order may differ in their last digits.
    let slack = 1e-12 * differences.reduce(0) { $0 + $1.magnitude }
    let count = (0..<(1 << n)).count { signs in
      let sum = differences.enumerated().reduce(0) { $0 + (signs >> $1.offset & 1 == 0 ? $1.element : -$1.element) }
      return sum.magnitude >= observed - slack
    }
    exactP = Double(count) / Double(1 << n)
  }

  /// P[|t| ≤ x] under Student's distribution: the finite series in θ = atan(x/√ν) (Abramowitz and Stegun, 26.7.3 and 4).
  package static func central(_ x: Double, _ degrees: Int) -> Double {
    guard x.isFinite else { return 1 }
    let angle = atan(x / Double(degrees).squareRoot())
    let (sine, cosine) = (sin(angle), cos(angle))
    if degrees == 1 { return 2 * angle / .pi }
    // The terms' powers of the cosine are 1, 3, … or 0, 2, … up to ν − 2.
    let isOdd = degrees % 2 == 1
    var term = isOdd ? cosine : 1
    var sum = term
    var power = isOdd ? 3 : 2
    while power <= degrees - 2 {
      term *= cosine * cosine * Double(power - 1) / Double(power)
      sum += term
      power += 2
    }
    return isOdd ? 2 / .pi * (angle + sine * sum) : sine * sum
  }

  /// The x with P[|t| ≤ x] = 0.95, by bisection.
  package static func quantile95(_ degrees: Int) -> Double {
    // 12.7 for one degree is the largest.
    var (low, high) = (0.0, 13.0)
    while high - low > 1e-12 {
      let middle = (low + high) / 2
      if central(middle, degrees) < 0.95 { low = middle } else { high = middle }
    }
    return (low + high) / 2
  }
}

extension PairedTest {
  /// Whether the two differ, in two sentences; `unit` multiplies the differences: 100 for percentage points.
  package func sentence(scale: Double = 1, unit: String = "") -> String {
    func text(_ value: Double) -> String { NumberText.fixed(scale * value, places: 2) }
    func probability(_ value: Double) -> String { NumberText.significant(value, digits: 2) }
    let verdict =
      p >= 0.05
      ? "which is no difference that \(differences.count) pairs could tell from chance" : "a difference beyond chance"
    return
      "The mean difference is \(text(mean))\(unit), 95 % interval \(text(interval.lowerBound)) to "
      + "\(text(interval.upperBound))\(unit), \(verdict): p = \(probability(p)) (paired t), \(probability(exactP)) (sign flips)."
  }

  package var json: JSON {
    .object([
      ("differences", .array(differences.map { .number($0) })), ("mean", .number(mean)), ("t", .number(t)),
      ("p", .number(p)), ("interval95", .array([.number(interval.lowerBound), .number(interval.upperBound)])),
      ("signFlipP", .number(exactP)),
    ])
  }
}
