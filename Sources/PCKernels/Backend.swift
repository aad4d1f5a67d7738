import PCPrimitives

/// Executes programs: the one door between what is computed and where.
///
/// A backend chooses the scalar type, the memory layout and the threads. Nothing above this protocol touches device
/// memory: numbers go in by `upload` and come out by `download`.
public protocol Backend: Sendable {
  /// The name that the command line and reports use: `cpu`, `reference`.
  var name: String { get }

  /// The distance from 1 to the next real number.
  var epsilon: Double { get }

  /// Memory for a persistent buffer (a parameter, an optimiser's state), zero at first.
  func makeStorage(for buffer: Buffer) throws -> any Storage

  /// Bytes that the executable of `compile(_:batchSize:bindings:)` would allocate, persistent buffers excluded; allocates
  /// none of them, so that what does not fit can be refused beforehand.
  func byteCount(of program: Program, batchSize: Int) throws -> Int

  /// Prepares a program for batches of exactly `batchSize` examples: lays out memory and makes every call once, so
  /// that a run allocates nothing.
  ///
  /// `bindings` holds the storage of each persistent buffer, by its index in the program. Executables that bind one
  /// storage share it.
  func compile(_ program: Program, batchSize: Int, bindings: [Int: any Storage]) throws -> any Executable
}

extension Backend {
  /// The largest finite number that the backend holds: Float's or Double's.
  public var largestNumber: Double {
    epsilon > 0x1p-40 ? Double(Float.greatestFiniteMagnitude) : .greatestFiniteMagnitude
  }
}

/// Persistent numbers on a device.
public protocol Storage: AnyObject, Sendable {
  /// How many numbers there are.
  var count: Int { get }
  /// Copies `values` in, rounding to the backend's precision. `values.count` must be `count`.
  func upload(_ values: [Double])
  /// A copy of the numbers, exact in Double.
  func download() -> [Double]
}

/// A program ready to run. Use it from one thread at a time.
public protocol Executable: AnyObject {
  /// The number of examples that the program was compiled for.
  var batchSize: Int { get }

  /// Bytes that the executable allocated, persistent buffers excluded.
  var byteCount: Int { get }

  /// Sets the coefficient `Program.slots[slot]` for the runs that follow; 0 until set.
  func setSlot(_ slot: Int, to value: Double)

  /// Fills a buffer: `batchSize × count` numbers, example by example, for a batched one.
  func upload(_ values: UnsafeBufferPointer<Float>, to buffer: Int)
  /// Fills a buffer of real numbers, rounding to the backend's precision.
  func upload(_ values: UnsafeBufferPointer<Double>, to buffer: Int)
  /// Fills a buffer of indices.
  func upload(_ values: UnsafeBufferPointer<Int32>, to buffer: Int)

  /// The numbers of a buffer, example by example, for a batched one.
  func download(_ buffer: Int) -> [Double]

  /// Runs the sections of the script in order.
  func run(_ script: [Passage])

  /// The same, and says how long each call took; nil from a backend that does not tell. Taking the time lengthens the
  /// shortest calls by some 50 ns.
  func profile(_ script: [Passage]) -> Profile?
}

extension Executable {
  public func profile(_ script: [Passage]) -> Profile? {
    run(script)
    return nil
  }
}
