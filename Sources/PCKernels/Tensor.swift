/// Numbers on the host, in row-major order: what goes into a backend by name, and what comes out to be looked at.
///
/// Always Double, so that nothing is lost on the way from any backend.
public struct Tensor: Sendable, Hashable {
  /// Elements along each axis, the last axis varying fastest; [] for a single number.
  public var extents: [Int]
  /// The numbers; as many as the product of `extents`.
  public var values: [Double]

  /// Stops unless `values` has as many numbers as `extents` say.
  public init(_ extents: [Int], _ values: [Double]) {
    guard extents.reduce(1, *) == values.count else {
      fatalError("a tensor of extents \(extents) needs \(extents.reduce(1, *)) values, not \(values.count)")
    }
    self.extents = extents
    self.values = values
  }

  /// √Σx².
  public var norm: Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }

  /// The difference, element by element; stops unless the extents are equal.
  public static func - (lhs: Tensor, rhs: Tensor) -> Tensor {
    guard lhs.extents == rhs.extents else { fatalError("tensors of extents \(lhs.extents) and \(rhs.extents)") }
    return Tensor(lhs.extents, zip(lhs.values, rhs.values).map { $0 - $1 })
  }
}
