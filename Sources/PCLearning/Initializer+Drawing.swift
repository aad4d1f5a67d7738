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
  ///
  /// New vectors are freed of the older ones 32 at a time, so that the older ones come from memory once for all of these.
  private static func orthogonal(rows: Int, columns: Int, gain: Double, from source: inout RandomStream) -> [Double] {
    let (few, many) = (min(rows, columns), max(rows, columns))
    var vectors = (0..<few * many).map { _ in source.normal() }
    vectors.withUnsafeMutableBufferPointer { buffer in
      func free(_ vector: Int, of other: Int) {
        let (v, q) = (
          UnsafeMutableBufferPointer(rebasing: buffer[(vector * many)..<((vector + 1) * many)]),
          UnsafeBufferPointer(rebasing: buffer[(other * many)..<((other + 1) * many)])
        )
        let overlap = dot(UnsafeBufferPointer(v), q)
        for i in 0..<many { v[i] -= overlap * q[i] }
      }
      for start in stride(from: 0, to: few, by: 32) {
        let panel = start..<min(start + 32, few)
        for _ in 0..<2 {
          for other in 0..<start { for vector in panel { free(vector, of: other) } }
        }
        for vector in panel {
          for _ in 0..<2 { for other in start..<vector { free(vector, of: other) } }
          let own = UnsafeMutableBufferPointer(rebasing: buffer[(vector * many)..<((vector + 1) * many)])
          let norm = dot(UnsafeBufferPointer(own), UnsafeBufferPointer(own)).squareRoot()
          for i in 0..<many { own[i] /= norm }
        }
      }
    }
    return (0..<rows).flatMap { r in
      (0..<columns).map { c in gain * (rows <= columns ? vectors[r * many + c] : vectors[c * many + r]) }
    }
  }

  /// Σ aᵢ bᵢ in eight partial sums, which do not wait for one another.
  private static func dot(_ a: UnsafeBufferPointer<Double>, _ b: UnsafeBufferPointer<Double>) -> Double {
    var sums = SIMD8<Double>.zero
    let whole = a.count / 8 * 8
    for start in stride(from: 0, to: whole, by: 8) {
      let x = UnsafeRawBufferPointer(a).loadUnaligned(fromByteOffset: start * 8, as: SIMD8<Double>.self)
      sums += x * UnsafeRawBufferPointer(b).loadUnaligned(fromByteOffset: start * 8, as: SIMD8<Double>.self)
    }
    return (whole..<a.count).reduce(sums.sum()) { $0 + a[$1] * b[$1] }
  }
}
