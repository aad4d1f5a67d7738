#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What T steps of size h reach under fixed predictions, known before any run.
///
/// A message takes part in each step with the share h, so after T steps the part that crosses d relaxed vertices has
/// arrived with the factor c_d(T) = P[Binomial(T, h) ≥ d]. Where all paths have the same depth, the relative shortfall
/// ‖g_T − g‖ / ‖g‖ is exactly 1 − c_d.
///
/// ```swift
/// Certificate(steps: 100, rate: 0.2).shortfall(5)   // 1.0e-05
/// ```
public struct Certificate: Sendable, Hashable {
  /// T, the number of updates.
  public var steps: Int
  /// h, the size of each update, in (0, 1].
  public var rate: Double

  /// The certificate of a `FixedPredictions` of these settings.
  public init(steps: Int, rate: Double) {
    self.steps = steps
    self.rate = rate
  }

  /// c_d(T) = P[Binomial(T, h) ≥ d], to relative precision even where it is tiny.
  public func coefficient(_ depth: Int) -> Double {
    guard depth > 0 else { return 1 }
    guard depth <= steps else { return 0 }
    // Whichever tail has the smaller sum is summed; the other would lose digits to cancellation.
    if Double(depth) > Double(steps) * rate { return (depth...steps).reversed().reduce(0) { $0 + probability($1) } }
    return 1 - shortfall(depth)
  }

  /// 1 − c_d(T) = P[Binomial(T, h) < d], to relative precision even where it is tiny.
  public func shortfall(_ depth: Int) -> Double {
    guard depth > 0 else { return 0 }
    guard depth <= steps else { return 1 }
    if Double(depth) > Double(steps) * rate { return 1 - coefficient(depth) }
    return (0..<depth).reduce(0) { $0 + probability($1) }
  }

  /// The factor of a path under the time-reversed schedule, where T steps relax one block after the other: Π c_d(T).
  ///
  /// Later blocks have come to rest before an earlier one hears them, so factors multiply, and a long sequence needs no
  /// more steps than its deepest block: length 100 with h = 0.1 and T = 200 has shortfall 7e-8, and all at once 1.
  ///
  /// - Parameter depths: the relaxed vertices that the path crosses in each block (`Graph.timeReversedBlocks()`).
  public func coefficient(timeReversed depths: [Int]) -> Double { depths.reduce(1) { $0 * coefficient($1) } }

  /// 1 − Π c_d(T), to relative precision even where it is tiny: exactly the relative shortfall of a gradient whose paths
  /// all cross the same depths, and an upper bound of each path's share otherwise.
  ///
  /// - Parameter depths: as for `coefficient(timeReversed:)`.
  public func shortfall(timeReversed depths: [Int]) -> Double {
    -expm1(depths.reduce(0) { $0 + log1p(-shortfall($1)) })
  }

  /// P[Binomial(T, h) = k].
  private func probability(_ k: Int) -> Double {
    if rate >= 1 { return k == steps ? 1 : 0 }
    let (t, k) = (Double(steps), Double(k))
    let choose = logGamma(t + 1) - logGamma(k + 1) - logGamma(t - k + 1)
    return exp(choose + k * log(rate) + (t - k) * log1p(-rate))
  }
}

/// ln Γ(x) for x ≥ 1: log of the factorial product up to 20, Stirling's series above. (`lgamma` writes a global.)
private func logGamma(_ x: Double) -> Double {
  var x = x
  var product = 1.0
  while x < 20 {
    product *= x
    x += 1
  }
  let r = 1 / (x * x)
  let series = (1.0 / 12 - r * (1.0 / 360 - r * (1.0 / 1260 - r * (1.0 / 1680 - r / 1188)))) / x
  return (x - 0.5) * log(x) - x + 0.9189385332046727 + series - log(product)
}
