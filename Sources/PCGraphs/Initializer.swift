/// How a parameter's first values are drawn.
///
/// `fanIn` and `fanOut` below are the connections into and out of one unit: for a weight [in, out] its two extents, for
/// a filter [out, in, rows, columns] in·rows·columns and out·rows·columns.
public enum Initializer: Sendable {
  /// Every element 0, as biases start.
  case zeros
  /// Every element this number.
  case constant(Double)
  /// Independent normal numbers; the second figure is the standard deviation, not the variance.
  case normal(mean: Double = 0, standardDeviation: Double)
  /// Independent numbers, uniform over the range.
  case uniform(ClosedRange<Double>)
  /// Uniform within ±√(6 / (fanIn + fanOut)) (Glorot and Bengio, AISTATS 2010): keeps variance both ways for tanh.
  case glorot
  /// Normal with variance 2 / fanIn (He et al., ICCV 2015): keeps variance through relu.
  case he
  /// A random orthogonal matrix times `gain`; the first axis against all others (Saxe et al., ICLR 2014).
  case orthogonal(gain: Double = 1)
  /// These values, in row-major order.
  case values([Double])
  /// A user's own: receives the extents and a source of uniform numbers in [0, 1), returns the values in row-major order.
  case custom(@Sendable (_ extents: [Int], _ uniform: () -> Double) -> [Double])
}
