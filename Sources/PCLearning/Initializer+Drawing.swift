import PCGraphs
import PCRandomness

extension Initializer {
  /// The values of a parameter of these extents, in row-major order.
  public func draw(_ extents: [Int], from source: RandomStream) -> [Double] {
    var source = source
    let count = extents.reduce(1, *)
    let (fanIn, fanOut) = Self.fans(extents)
    switch self {
    case .zeros: return Array(repeating: 0, count: count)
    case .constant(let value): return Array(repeating: value, count: count)
    case .normal(let mean, let deviation): return (0..<count).map { _ in mean + deviation * source.normal() }
    case .uniform(let range):
      return (0..<count).map { _ in range.lowerBound + (range.upperBound - range.lowerBound) * source.uniform() }
    case .glorot:
      let limit = (6 / Double(fanIn + fanOut)).squareRoot()
      return (0..<count).map { _ in limit * (2 * source.uniform() - 1) }
    case .he:
      let deviation = (2 / Double(fanIn)).squareRoot()
      return (0..<count).map { _ in deviation * source.normal() }
    case .orthogonal(let gain):
      let rows = extents.first ?? 1
      return Self.orthogonal(rows: rows, columns: count / max(rows, 1), gain: gain, from: &source)
    case .values(let values): return values
    case .custom(let make):
      return make(extents, { source.uniform() })
    }
  }

  /// Connections into and out of one unit: [in, out] for matrices, [out, in, kernel…] for filters, 1 by n for vectors.
  private static func fans(_ extents: [Int]) -> (Int, Int) {
    switch extents.count {
    case 0: (1, 1)
    case 1: (1, extents[0])
    case 2: (extents[0], extents[1])
    default: (extents.dropFirst().reduce(1, *), extents[0] * extents.dropFirst(2).reduce(1, *))
    }
  }

  /// Gram–Schmidt, applied twice for orthogonality to rounding, on the rows or columns, whichever are fewer.
  private static func orthogonal(rows: Int, columns: Int, gain: Double, from source: inout RandomStream) -> [Double] {
    let (few, many) = (min(rows, columns), max(rows, columns))
    var vectors: [[Double]] = []
    for _ in 0..<few {
      var vector = (0..<many).map { _ in source.normal() }
      for _ in 0..<2 {
        for other in vectors {
          let overlap = zip(vector, other).reduce(0) { $0 + $1.0 * $1.1 }
          for i in 0..<many { vector[i] -= overlap * other[i] }
        }
      }
      let norm = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
      vectors.append(vector.map { $0 / norm })
    }
    return (0..<rows).flatMap { r in
      (0..<columns).map { c in gain * (rows <= columns ? vectors[r][c] : vectors[c][r]) }
    }
  }
}
