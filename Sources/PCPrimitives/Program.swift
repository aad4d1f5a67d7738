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
  /// What profiles and errors call it; persistent buffers are known by it.
  public var name: String
  /// Numbers per example where `isBatched`, in all otherwise.
  public var count: Int
  /// Whether every example has numbers of its own.
  public var isBatched: Bool
  /// Real numbers or indices.
  public var element: Element
  /// Lives outside of the program, bound when it is compiled: parameters and the optimiser's state.
  public var isPersistent: Bool

  /// A buffer, by default of real numbers that belong to the program.
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
  /// Position in `Program.buffers`.
  public var buffer: Int
  /// Where the element (0, 0, …) lies.
  public var offset: Int
  /// For each axis of the index space, the distance between neighbours, in elements; may be 0 or negative.
  public var strides: [Int]

  /// A view that begins at the buffer's first number unless `offset` says otherwise.
  public init(buffer: Int, offset: Int = 0, strides: [Int]) {
    self.buffer = buffer
    self.offset = offset
    self.strides = strides
  }
}

/// A coefficient of an instruction: fixed when the program is made, or set before each run.
public enum Scalar: Sendable, Hashable {
  /// This number.
  case constant(Double)
  /// The value of `Program.slots[index]`.
  case slot(Int)

  /// The constant 0; as `beta` it says that the old content is not read.
  public static let zero = Scalar.constant(0)
  /// The constant 1.
  public static let one = Scalar.constant(1)
}

/// One step of a program: `result ← alpha · primitive(operands) + beta · result`.
///
/// With `beta` zero the old content of the result is not read, so it may be anything, NaN included. Where the result
/// is not batched and an operand is, the primitive's values are summed over the examples, in an order that depends
/// on the batch size alone. `maxPool` has a second result (positions); `alpha` and `beta` apply to the first.
public struct Instruction: Sendable {
  /// What is computed.
  public var primitive: Primitive
  /// What is read, one view for each of `Primitive.operandExtents`.
  public var operands: [View]
  /// What is written, one view for each of `Primitive.resultExtents`.
  public var results: [View]
  /// Multiplies the primitive's value.
  public var alpha: Scalar
  /// Multiplies the old content of the result.
  public var beta: Scalar
  /// The vertex that this instruction serves, for profiles and error messages.
  public var label: String

  /// An instruction; with the default coefficients it overwrites its result.
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
  /// What profiles and errors call it.
  public var name: String
  /// Run from first to last.
  public var instructions: [Instruction]

  /// A section, to be filled later or at once.
  public init(name: String, instructions: [Instruction] = []) {
    self.name = name
    self.instructions = instructions
  }
}

/// One line of a script: section `section` of the program, `count` times in a row.
public struct Passage: Sendable, Hashable {
  /// Position in `Program.sections`.
  public var section: Int
  /// How often it runs; 0 skips it.
  public var count: Int

  /// A section run once, or `count` times.
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
  /// All declared buffers; views and bindings name them by position.
  public var buffers: [Buffer]
  /// Names of the coefficients that can be set from outside; `Scalar.slot` names them by position.
  public var slots: [String]
  /// All sections; passages name them by position.
  public var sections: [Section]

  /// An empty program, or one of these parts; `violations()` says whether they fit.
  public init(buffers: [Buffer] = [], slots: [String] = [], sections: [Section] = []) {
    self.buffers = buffers
    self.slots = slots
    self.sections = sections
  }
}
