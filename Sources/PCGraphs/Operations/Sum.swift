/// The sum (or mean) over axes that do not hold the batch; they vanish, or stay with one element.
///
/// ∂y/∂x = 1 (or 1/n) for each of the n elements summed.
public struct Sum: Operation {
  /// The axes summed over; negative ones count from the end, and none may hold the batch.
  public var axes: [Int]
  /// Whether the sum is divided by the number of its terms.
  public var isMean: Bool
  /// Whether the axes stay with one element, so that the result broadcasts against the operand.
  public var keepsAxes: Bool

  /// By default a sum whose axes vanish.
  public init(axes: [Int], isMean: Bool = false, keepsAxes: Bool = false) {
    self.axes = axes
    self.isMean = isMean
    self.keepsAxes = keepsAxes
  }

  public var name: String { isMean ? "mean" : "sum" }
  public var attributes: String { "axes \(axes)" }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    var shape = operands[0]
    var positions = Set<Int>()
    for axis in axes {
      let position = try shape.position(of: axis)
      guard !shape.axes[position].isBatch else {
        throw ShapeError("the \(name) over the batch would couple the examples; losses sum over it by themselves")
      }
      positions.insert(position)
    }
    for position in positions { shape.axes[position] = 1 }
    if !keepsAxes { shape.axes = shape.axes.enumerated().filter { !positions.contains($0.offset) }.map(\.element) }
    return shape
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let x = operands[0]
    let positions = positions(in: x)
    var result = emit.reduce(.sum, x, axes: positions)
    if isMean { result = emit.scale(result, by: 1 / count(in: x)) }
    guard !keepsAxes else { return result }
    return emit.reshape(result, to: x.extents.indices.filter { !positions.contains($0) }.map { x.extents[$0] })
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let x = point.operands[0]
    let positions = positions(in: x)
    let kept = x.extents.indices.map { positions.contains($0) ? 1 : x.extents[$0] }
    var message = emit.reshape(point.message, to: kept)
    if isMean { message = emit.scale(message, by: 1 / count(in: x)) }
    return message.broadcast(to: x.extents)
  }

  private func positions(in x: Term) -> [Int] { x.positions(of: axes) }

  private func count(in x: Term) -> Double { Double(positions(in: x).reduce(1) { $0 * x.extents[$1] }) }
}

extension Value {
  /// The sum over `axes`, by default over all that do not hold the batch.
  public func sum(
    axes: [Int]? = nil, keepsAxes: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Value {
    graph.apply(Sum(axes: axes ?? featureAxes, keepsAxes: keepsAxes), to: [self], file: file, line: line)
  }

  /// The mean over `axes`, by default over all that do not hold the batch.
  public func mean(
    axes: [Int]? = nil, keepsAxes: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Value {
    graph.apply(
      Sum(axes: axes ?? featureAxes, isMean: true, keepsAxes: keepsAxes), to: [self], file: file, line: line)
  }

  private var featureAxes: [Int] { shape.axes.indices.filter { !shape.axes[$0].isBatch } }
}
