/// The closed vocabulary of tensor instructions: what a backend must be able to execute, and all that it must.
///
/// Every primitive is stated for one example. `extents` span its index space, and each operand's and result's `View`
/// has one stride for each extent (convolution, pooling, one-hot and gather say their own order of strides below). Nothing
/// here knows a scalar type, a batch or a machine.
public enum Primitive: Sendable, Hashable {
  /// `result[i…] = f(operand₀[i…], …)`; as many operands as `Elementwise.arity` says.
  case elementwise(Elementwise, extents: [Int])

  /// `result[i…] = reduction of operand[i…] over the axes where `reduced` is true`; the result's strides are 0 there.
  case reduce(Reduction, extents: [Int], reduced: [Bool])

  /// `result[g…, m, n] = Σ_k lhs[g…, m, k] · rhs[g…, n, k]`.
  ///
  /// `extents` is `groups + [m, n, k]` and every view has that many strides: 0 for n in `lhs`, for m in `rhs`, for k in
  /// the result. Transposition is a matter of strides, so matrix products and all their pullbacks are this one.
  case contract(extents: [Int])

  /// `result[o, y, x] = Σ_{c, i, j} filter[o, c, i, j] · image[c + group, y·stride + i·dilation − padding, …]`.
  ///
  /// Operands: image (strides: channel, row, column), filter (strides: output channel, input channel within the
  /// group, kernel row, kernel column). Result: strides channel, row, column. Outside of the image is 0.
  case convolve(Convolution)

  /// The transpose of `convolve` in the image. Operands: message (as the result of `convolve`), filter. Result: as the
  /// image.
  case convolveInputGradient(Convolution)

  /// The transpose of `convolve` in the filter. Operands: image, message. Result: as the filter; summed over the
  /// examples where it is not batched.
  case convolveFilterGradient(Convolution)

  /// Largest element of each window; the first wins a tie. Operand: image (channel, row, column). Results: values
  /// (channel, row, column) and, as indices, the winner's position `row · window columns + column` in the window.
  case maxPool(Pooling)

  /// The transpose of `maxPool` at the recorded winners. Operands: message, winners. Result: as the image; elements that
  /// won nowhere receive 0, elements that won several times the sum.
  case maxPoolGradient(Pooling)

  /// `result[i…, c] = 1 if operand[i…] == c else 0`; the operand is an index buffer. Operand: strides over `extents`;
  /// result: strides over `extents + [classes]`.
  case oneHot(extents: [Int], classes: Int)

  /// `result[i…, j] = table[index[i…], j]`; an index outside of 0 ..< `rows` gives zeros. Operands: the index buffer (strides
  /// over `extents`), the table (strides: row, column). Result: strides over `extents + [width]`.
  case gather(extents: [Int], rows: Int, width: Int)

  /// The transpose of `gather` in the table: `result[index[i…], j] += message[i…, j]`, from 0. Operands: the index buffer, the
  /// message (as the result of `gather`). Result: as the table; summed over the examples where it is not batched.
  case gatherGradient(extents: [Int], rows: Int, width: Int)

  /// A user's own code.
  case foreign(Foreign)
}

/// A function of up to three real arguments, applied element by element.
public enum Elementwise: Sendable, Hashable {
  /// 1, whatever is there: with `alpha` it fills.
  case one
  /// The function of that name: `reciprocal` 1/x, `log` natural, angles in radians; NaN outside of its domain.
  case identity, reciprocal, exp, log, sqrt, sin, cos, tan, tanh, sigmoid, absolute
  /// eˣ − 1 and log(1 + eˣ), to the last digits for small values too.
  case expMinusOne, softplus
  /// The probability that a standard normal number is below x: ½ erfc(−x/√2), to the last digits in both tails.
  case normalCumulative
  /// max(x, 0).
  case relu
  /// 1 where x > 0, else 0: the slope of `relu`, 0 at 0.
  case step
  /// 1 − x²: the slope of tanh at the value x = tanh(a).
  case oneMinusSquare
  /// 1 + x²: the slope of tan at the value x = tan(a).
  case onePlusSquare
  /// x(1 − x): the slope of the sigmoid at the value x = σ(a).
  case logisticSlope
  /// y(1 − x²), y · x(1 − x) and y where x > 0, else 0, of the operands x and y in that order: y pulled back through tanh,
  /// the sigmoid and relu.
  case timesOneMinusSquare, timesLogisticSlope, timesStep
  /// x held within ±limit.
  case clip(limit: Double)
  /// Of the operands x and y, in that order: x + y, x − y, x · y, x / y, the larger, the smaller.
  case add, subtract, multiply, divide, maximum, minimum
  /// 1 where x > y, else 0.
  case greater
  /// y where x ≠ 0, else z.
  case select

  /// How many operands the function takes, 0 to 3.
  public var arity: Int {
    switch self {
    case .one: 0
    case .identity, .reciprocal, .exp, .log, .sqrt, .sin, .cos, .tan, .tanh, .sigmoid, .absolute, .expMinusOne,
      .softplus, .normalCumulative, .relu, .step, .oneMinusSquare, .onePlusSquare, .logisticSlope, .clip:
      1
    case .timesOneMinusSquare, .timesLogisticSlope, .timesStep, .add, .subtract, .multiply, .divide, .maximum,
      .minimum,
      .greater:
      2
    case .select: 3
    }
  }
}

/// How `Primitive.reduce` makes one number of many.
public enum Reduction: String, Sendable, Hashable {
  /// Σ x, or the largest x.
  case sum, maximum
  /// log Σ exp(x), computed from the largest element so that it never overflows.
  case logSumExp
}

/// The geometry of a two-dimensional convolution (cross-correlation, as the field uses the word).
public struct Convolution: Sendable, Hashable {
  /// Channels c of the image; a multiple of `groups`.
  public var inputChannels: Int
  /// Channels o of the result, one filter each; a multiple of `groups`.
  public var outputChannels: Int
  /// Rows and columns of the image.
  public var input: Extent
  /// Rows and columns of a filter.
  public var kernel: Extent
  /// Pixels of the image from one result to the next, down and to the right.
  public var stride: Extent
  /// Zeros added on each side.
  public var padding: Extent
  /// Pixels from one tap of the kernel to the next; 1 for a kernel without gaps.
  public var dilation: Extent
  /// Channels are cut into this many groups that do not see one another.
  public var groups: Int
  /// Whether a third operand, laid out as the result is, multiplies it element by element: the slope that a message is
  /// pulled back through. Not of filter gradients.
  public var isScaled: Bool

  /// A geometry whose defaults are the plain convolution; sizes are not checked here (see `Program.violations()`).
  public init(
    inputChannels: Int, outputChannels: Int, input: Extent, kernel: Extent, stride: Extent = Extent(1, 1),
    padding: Extent = Extent(0, 0), dilation: Extent = Extent(1, 1), groups: Int = 1, isScaled: Bool = false
  ) {
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.input = input
    self.kernel = kernel
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = groups
    self.isScaled = isScaled
  }

  /// Rows and columns of the result.
  public var output: Extent {
    func size(_ n: Int, _ k: Int, _ s: Int, _ p: Int, _ d: Int) -> Int {
      let room = n + 2 * p - d * (k - 1) - 1
      return room < 0 ? 0 : room / s + 1
    }
    return Extent(
      size(input.rows, kernel.rows, stride.rows, padding.rows, dilation.rows),
      size(input.columns, kernel.columns, stride.columns, padding.columns, dilation.columns))
  }
}

/// The geometry of two-dimensional pooling. Padding never wins.
public struct Pooling: Sendable, Hashable {
  /// Channels, each pooled on its own.
  public var channels: Int
  /// Rows and columns of the image.
  public var input: Extent
  /// Rows and columns of a window.
  public var window: Extent
  /// Pixels from one window to the next.
  public var stride: Extent
  /// Rows and columns added on each side; they never win.
  public var padding: Extent

  /// A geometry; sizes are not checked here.
  public init(channels: Int, input: Extent, window: Extent, stride: Extent, padding: Extent = Extent(0, 0)) {
    self.channels = channels
    self.input = input
    self.window = window
    self.stride = stride
    self.padding = padding
  }

  /// Rows and columns of the result: ⌊(n + 2 · padding − window) / stride⌋ + 1, or 0 where no window fits.
  public var output: Extent {
    func size(_ n: Int, _ k: Int, _ s: Int, _ p: Int) -> Int {
      let room = n + 2 * p - k
      return room < 0 ? 0 : room / s + 1
    }
    return Extent(
      size(input.rows, window.rows, stride.rows, padding.rows),
      size(input.columns, window.columns, stride.columns, padding.columns))
  }
}

/// Rows and columns.
public struct Extent: Sendable, Hashable {
  /// Vertical extent or distance, the first of the two.
  public var rows: Int
  /// Horizontal extent or distance.
  public var columns: Int

  /// Rows first, as in a shape.
  public init(_ rows: Int, _ columns: Int) {
    self.rows = rows
    self.columns = columns
  }

  /// rows · columns.
  public var count: Int { rows * columns }
}

/// A user's own code as an instruction: one example at a time, in Double on every backend.
public struct Foreign: Sendable, Hashable {
  /// What printouts and errors call it; two instructions of one name may run different code.
  public var name: String
  /// Elements of each operand; the view of each has one stride.
  public var operandCounts: [Int]
  /// Numbers that `body` must return.
  public var resultCount: Int
  private let code: Code

  private final class Code: Sendable {
    let body: @Sendable ([[Double]]) -> [Double]
    init(_ body: @escaping @Sendable ([[Double]]) -> [Double]) { self.body = body }
  }

  /// An instruction that runs `body`.
  ///
  /// - Parameters:
  ///   - name: what printouts and errors call it.
  ///   - operandCounts: numbers of each operand.
  ///   - resultCount: numbers of the result.
  ///   - body: reads the operands of one example and returns its result, `resultCount` numbers.
  public init(
    name: String, operandCounts: [Int], resultCount: Int, body: @escaping @Sendable ([[Double]]) -> [Double]
  ) {
    self.name = name
    self.operandCounts = operandCounts
    self.resultCount = resultCount
    code = Code(body)
  }

  /// The code: the operands of one example in, its result out.
  public var body: @Sendable ([[Double]]) -> [Double] { code.body }

  /// Two foreign instructions are the same if they run the same code on the same sizes.
  public static func == (lhs: Foreign, rhs: Foreign) -> Bool {
    lhs.code === rhs.code && lhs.operandCounts == rhs.operandCounts && lhs.resultCount == rhs.resultCount
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(code)) }
}
