/// What the numbers of a buffer are.
public enum Element: String, Sendable, Hashable {
  /// Float on the CPU backend, Double on the reference backend.
  case real
  /// Integers: labels, tokens, positions of a maximum. Never relaxed, never differentiated.
  case index
}

/// The declaration of one block of numbers that a program reads or writes.
///
/// A batched buffer holds `count` numbers for every example; any other holds `count` numbers in all. How a backend
/// lays them out is its own business.
public struct Buffer: Sendable, Hashable {
  public var name: String
  /// Numbers per example where `isBatched`, in all otherwise.
  public var count: Int
  public var isBatched: Bool
  public var element: Element
  /// Lives outside of the program, bound when it is compiled: parameters and the optimiser's state.
  public var isPersistent: Bool

  public init(
    name: String, count: Int, isBatched: Bool, element: Element = .real, isPersistent: Bool = false
  ) {
    self.name = name
    self.count = count
    self.isBatched = isBatched
    self.element = element
    self.isPersistent = isPersistent
  }
}

/// A strided window on a buffer: element (i₀, i₁, …) of the instruction's index space is number
/// `offset + Σ strides[k]·i_k` of the buffer (of each example's part of it, where it is batched).
///
/// A stride of 0 broadcasts; transposition, slicing and reshaping are other strides and offsets, never copies.
public struct View: Sendable, Hashable {
  public var buffer: Int
  public var offset: Int
  public var strides: [Int]

  public init(buffer: Int, offset: Int = 0, strides: [Int]) {
    self.buffer = buffer
    self.offset = offset
    self.strides = strides
  }
}

/// A coefficient of an instruction: fixed when the program is made, or set before each run.
public enum Scalar: Sendable, Hashable {
  case constant(Double)
  /// The value of `Program.slots[index]`.
  case slot(Int)

  public static let zero = Scalar.constant(0)
  public static let one = Scalar.constant(1)
}

/// One step of a program: `result ← alpha · primitive(operands) + beta · result`.
///
/// With `beta` zero the old content of the result is not read, so it may be anything, NaN included. Where the result
/// is not batched and an operand is, the primitive's values are summed over the examples, in an order that depends
/// on the batch size alone. `maxPool` has a second result (positions); `alpha` and `beta` apply to the first.
public struct Instruction: Sendable {
  public var primitive: Primitive
  public var operands: [View]
  public var results: [View]
  public var alpha: Scalar
  public var beta: Scalar
  /// The vertex that this instruction serves, for profiles and error messages.
  public var label: String

  public init(
    _ primitive: Primitive, operands: [View], results: [View], alpha: Scalar = .one, beta: Scalar = .zero,
    label: String = ""
  ) {
    self.primitive = primitive
    self.operands = operands
    self.results = results
    self.alpha = alpha
    self.beta = beta
    self.label = label
  }
}

/// A run of instructions that is executed as a unit, once or many times.
public struct Section: Sendable {
  public var name: String
  public var instructions: [Instruction]

  public init(name: String, instructions: [Instruction] = []) {
    self.name = name
    self.instructions = instructions
  }
}

/// One line of a script: section `section` of the program, `count` times in a row.
public struct Passage: Sendable, Hashable {
  public var section: Int
  public var count: Int

  public init(section: Int, count: Int = 1) {
    self.section = section
    self.count = count
  }
}

/// Straight-line code over tensors: buffers, the coefficients that can be set from outside, and sections of
/// instructions. A *script* (a list of `Passage`s) says in which order and how often the sections run.
///
/// Programs are data. They know no scalar type and no batch size: a backend supplies both.
public struct Program: Sendable {
  public var buffers: [Buffer]
  public var slots: [String]
  public var sections: [Section]

  public init(buffers: [Buffer] = [], slots: [String] = [], sections: [Section] = []) {
    self.buffers = buffers
    self.slots = slots
    self.sections = sections
  }
}
