/// One axis of a shape: a fixed number of elements, or a multiple of the batch.
///
/// The batch size is a symbol, `B`, that is known only when a plan is made. An axis may hold it with fixed factors on
/// either side, `outer · B · inner`, as reshaping makes them; `outer` varies slowest.
public enum Axis: Sendable, Hashable, ExpressibleByIntegerLiteral, CustomStringConvertible {
  /// The same number of elements for every batch.
  case fixed(Int)
  /// `outer · B · inner` elements.
  case batch(outer: Int, inner: Int)

  /// The batch: one element for each example.
  public static let batch = Axis.batch(outer: 1, inner: 1)

  public init(integerLiteral value: Int) { self = .fixed(value) }

  /// Elements that the axis has for each example.
  public var extent: Int {
    switch self {
    case .fixed(let count): count
    case .batch(let outer, let inner): outer * inner
    }
  }

  /// Whether the number of elements depends on the batch.
  public var isBatch: Bool {
    if case .batch = self { true } else { false }
  }

  public var description: String {
    switch self {
    case .fixed(let count): "\(count)"
    case .batch(let outer, let inner): (outer == 1 ? "" : "\(outer)·") + "B" + (inner == 1 ? "" : "·\(inner)")
    }
  }
}

/// The axes of a value, at most one of which holds the batch.
///
/// ```swift
/// let images: Shape = [.batch, 3, 32, 32]   // prints [B, 3, 32, 32]
/// ```
public struct Shape: Sendable, Hashable, ExpressibleByArrayLiteral, CustomStringConvertible {
  /// From the one that varies slowest to the one that varies fastest.
  public var axes: [Axis]

  /// A shape of these axes; builders refuse axes without elements.
  public init(_ axes: [Axis]) { self.axes = axes }
  public init(arrayLiteral axes: Axis...) { self.axes = axes }

  /// A shape without a batch: what parameters have.
  public init(fixed extents: [Int]) { axes = extents.map(Axis.fixed) }

  /// The number of axes, the batch included.
  public var rank: Int { axes.count }

  /// The extents for one example; the batch axis counts its fixed factors, mostly 1.
  public var extents: [Int] { axes.map(\.extent) }

  /// Elements for one example.
  public var count: Int { extents.reduce(1, *) }

  /// Whether an axis holds the batch: whether each example has a value of its own.
  public var isBatched: Bool { axes.contains(where: \.isBatch) }

  /// Position of the axis that holds the batch.
  public var batchAxis: Int? { axes.firstIndex(where: \.isBatch) }

  public var description: String { "[" + axes.map(\.description).joined(separator: ", ") + "]" }
}

/// Why an operation does not accept its operands, in a sentence.
public struct ShapeError: Error, Sendable, Hashable, CustomStringConvertible {
  public var description: String
  /// A sentence without the names of the operands; the builder puts those in front.
  public init(_ description: String) { self.description = description }
}

extension Shape {
  /// NumPy's broadcasting: axes are aligned at the end; 1 stretches to anything, the batch meets only itself or 1.
  public static func broadcast(_ lhs: Shape, _ rhs: Shape) throws(ShapeError) -> Shape {
    let rank = max(lhs.rank, rhs.rank)
    var axes: [Axis] = []
    for position in 0..<rank {
      let left = position < rank - lhs.rank ? 1 : lhs.axes[position - (rank - lhs.rank)]
      let right = position < rank - rhs.rank ? 1 : rhs.axes[position - (rank - rhs.rank)]
      if left == right || right == 1 {
        axes.append(left)
      } else if left == 1 {
        axes.append(right)
      } else {
        throw ShapeError("shapes \(lhs) and \(rhs) do not broadcast: \(left) meets \(right)")
      }
    }
    let result = Shape(axes)
    guard axes.filter(\.isBatch).count <= 1 else {
      throw ShapeError("shapes \(lhs) and \(rhs) hold the batch on different axes")
    }
    return result
  }

  /// More elements than any machine holds; up to here products of extents stay far from overflow.
  static let largestExtent = 1 << 40

  /// Throws where an axis has no elements, the elements are too many, or the batch is held twice.
  func check() throws(ShapeError) {
    var total = 1
    for axis in axes {
      let factors: [Int]
      switch axis {
      case .fixed(let count): factors = [count]
      case .batch(let outer, let inner): factors = [outer, inner]
      }
      for factor in factors {
        guard factor > 0 else { throw ShapeError("every axis needs at least one element") }
        let (product, overflows) = total.multipliedReportingOverflow(by: factor)
        guard !overflows, product <= Self.largestExtent else {
          throw ShapeError("more than 2⁴⁰ elements for each example are too many")
        }
        total = product
      }
    }
    guard axes.filter(\.isBatch).count <= 1 else { throw ShapeError("only one axis can hold the batch") }
  }

  /// Throws unless it is that of images [B, channels, rows, columns].
  func checkImages() throws(ShapeError) {
    guard rank == 4, axes[0] == .batch else {
      throw ShapeError("images must have shape [B, channels, rows, columns]")
    }
  }

  /// The position of `axis`, where negative ones count from the end.
  func position(of axis: Int) throws(ShapeError) -> Int {
    let position = axis < 0 ? axis + rank : axis
    guard axes.indices.contains(position) else { throw ShapeError("shape \(self) has no axis \(axis)") }
    return position
  }
}
