/// y = a + b, with broadcasting; ∂y/∂a = ∂y/∂b = 1.
public struct Add: Operation {
  public let name = "add"
  public let operandCounts = 2...2
  /// Without settings; the operator `+` applies it.
  public init() {}

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape { try .broadcast(operands[0], operands[1]) }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term { emit.add(operands[0], operands[1]) }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? { point.message }
}

/// y = a − b, with broadcasting; ∂y/∂a = 1, ∂y/∂b = −1.
public struct Subtract: Operation {
  public let name = "subtract"
  public let operandCounts = 2...2
  /// Without settings; the operator `-` applies it.
  public init() {}

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape { try .broadcast(operands[0], operands[1]) }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term { emit.subtract(operands[0], operands[1]) }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    operand == 0 ? point.message : emit.scale(point.message, by: -1)
  }
}

/// y = a · b, element by element, with broadcasting; ∂y/∂a = b, ∂y/∂b = a.
public struct Multiply: Operation {
  public let name = "multiply"
  public let operandCounts = 2...2
  /// Without settings; the operator `*` applies it.
  public init() {}

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape { try .broadcast(operands[0], operands[1]) }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term { emit.multiply(operands[0], operands[1]) }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    emit.multiply(point.message, point.operands[1 - operand])
  }
}

/// y = a / b, with broadcasting; ∂y/∂a = 1/b, ∂y/∂b = −y/b.
public struct Divide: Operation {
  public let name = "divide"
  public let operandCounts = 2...2
  /// Without settings; the operator `/` applies it.
  public init() {}

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape { try .broadcast(operands[0], operands[1]) }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term { emit.divide(operands[0], operands[1]) }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let reciprocal = emit.map(.reciprocal, point.operands[1])
    guard operand == 1 else { return emit.multiply(point.message, reciprocal) }
    let slope = emit.combine(.multiply, point.result, reciprocal, alpha: .constant(-1))
    return emit.multiply(point.message, slope)
  }
}

/// y = scale · x + shift, for numbers that are no parameters; ∂y/∂x = scale.
public struct Affine: Operation {
  public let name = "affine"
  /// The factor of x.
  public var scale: Double
  /// What is added to every element.
  public var shift: Double

  /// By default the identity, though not a structural one.
  public init(scale: Double = 1, shift: Double = 0) {
    self.scale = scale
    self.shift = shift
  }

  public var attributes: String { "\(scale)·x + \(shift)" }

  public func shape(_ operands: [Shape]) -> Shape { operands[0] }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let scaled = emit.scale(operands[0], by: scale)
    guard shift != 0 else { return scaled }
    return emit.add(scaled, emit.constant(shift, [], isBatched: false))
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    scale == 0 ? nil : emit.scale(point.message, by: scale)
  }
}

extension Value {
  /// a + b, with NumPy's broadcasting; a vertex of its own outside of `GraphBuilder.vertex`, like all operators.
  public static func + (lhs: Value, rhs: Value) -> Value { lhs.graph.apply(Add(), to: [lhs, rhs], origin: "") }
  /// a − b, with NumPy's broadcasting.
  public static func - (lhs: Value, rhs: Value) -> Value { lhs.graph.apply(Subtract(), to: [lhs, rhs], origin: "") }
  /// a · b, element by element, with NumPy's broadcasting.
  public static func * (lhs: Value, rhs: Value) -> Value { lhs.graph.apply(Multiply(), to: [lhs, rhs], origin: "") }
  /// a / b, element by element, with NumPy's broadcasting.
  public static func / (lhs: Value, rhs: Value) -> Value { lhs.graph.apply(Divide(), to: [lhs, rhs], origin: "") }

  /// a + number, in every element.
  public static func + (lhs: Value, rhs: Double) -> Value { lhs.affine(1, rhs) }
  /// number + a, in every element.
  public static func + (lhs: Double, rhs: Value) -> Value { rhs.affine(1, lhs) }
  /// a − number, in every element.
  public static func - (lhs: Value, rhs: Double) -> Value { lhs.affine(1, -rhs) }
  /// number − a, in every element.
  public static func - (lhs: Double, rhs: Value) -> Value { rhs.affine(-1, lhs) }
  /// a · number, in every element.
  public static func * (lhs: Value, rhs: Double) -> Value { lhs.affine(rhs, 0) }
  /// number · a, in every element.
  public static func * (lhs: Double, rhs: Value) -> Value { rhs.affine(lhs, 0) }
  /// a / number, in every element.
  public static func / (lhs: Value, rhs: Double) -> Value { lhs.affine(1 / rhs, 0) }
  /// −a, in every element.
  public static prefix func - (value: Value) -> Value { value.affine(-1, 0) }

  private func affine(_ scale: Double, _ shift: Double) -> Value {
    graph.apply(Affine(scale: scale, shift: shift), to: [self], origin: "")
  }
}
