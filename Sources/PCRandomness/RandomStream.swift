/// Random numbers that depend on nothing but a seed, a path and a position.
///
/// ```swift
/// var weights = RandomStream(seed: 7, "parameters", "conv1.weight")
/// let initial = (0..<450).map { _ in 0.05 * weights.normal() }
///
/// let masks = RandomStream(seed: 7, "dropout", epoch, "block1")
/// let keep = masks.uniform(at: example) >= 0.1          // whichever thread asks, in whatever order
/// ```
///
/// Two streams with different seeds never share a block of numbers; two with one seed and different paths do with
/// probability 2⁻⁶⁴. A stream has 2⁶⁴ words. Every result is made of integer operations and of +, −, ×, ÷ and √ in
/// `Double`, so all platforms give the same bits.
///
/// **Layout.** Word i is half i mod 2 of the Philox block with the key `seed` and the counter ⌊i/2⌋ + 2⁶⁴·H, where H
/// is the path's 64-bit FNV-1a hash. The hash reads `s`, the UTF-8 bytes and a byte 255 (which UTF-8 never contains)
/// for a string, `i` and eight bytes in little-endian order for an integer, so different paths are different byte
/// strings.
public struct RandomStream: RandomNumberGenerator, Sendable {
  private let key: SIMD2<UInt32>
  private let pathHash: SIMD2<UInt32>
  private var cursor: UInt64 = 0
  /// The block of word `cursor` if `cursor` is odd: its other half went out last.
  private var block: SIMD4<UInt32> = .zero

  /// The stream of a seed and a path of strings and integers, at position 0.
  public init(seed: UInt64, _ path: any RandomStreamKey...) {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for component in path {
      component.forEachByte { hash = (hash ^ UInt64($0)) &* 0x0000_0100_0000_01B3 }
    }
    key = Self.halves(seed)
    pathHash = Self.halves(hash)
  }

  private static func halves(_ word: UInt64) -> SIMD2<UInt32> {
    SIMD2(UInt32(truncatingIfNeeded: word), UInt32(truncatingIfNeeded: word >> 32))
  }

  private func block(_ index: UInt64) -> SIMD4<UInt32> {
    Philox.block(counter: SIMD4(lowHalf: Self.halves(index), highHalf: pathHash), key: key)
  }
}

// MARK: - Words

extension RandomStream {
  /// The index of the word that `next()` returns. Set it to go on from anywhere.
  public var position: UInt64 {
    get { cursor }
    set {
      cursor = newValue
      block = self.block(cursor / 2)
    }
  }

  /// Word `index`, uniform over all 64-bit patterns; leaves the position alone.
  public subscript(index: UInt64) -> UInt64 {
    Self.word(index & 1, of: block(index / 2))
  }

  public mutating func next() -> UInt64 {
    if cursor & 1 == 0 { block = self.block(cursor / 2) }
    let word = Self.word(cursor & 1, of: block)
    cursor &+= 1
    return word
  }

  private static func word(_ half: UInt64, of block: SIMD4<UInt32>) -> UInt64 {
    let pair = half == 0 ? block.lowHalf : block.highHalf
    return UInt64(pair.x) | UInt64(pair.y) << 32
  }
}

// MARK: - Numbers

extension RandomStream {
  /// The next number uniform on [0, 1): a multiple of 2⁻⁵³.
  public mutating func uniform() -> Double { Self.uniform(next()) }

  /// The number uniform on [0, 1) that word `index` gives.
  public func uniform(at index: UInt64) -> Double { Self.uniform(self[index]) }

  /// The next number of the standard normal distribution; one word, about 27 ns, 10 of them for the word.
  ///
  /// The quantile of a uniform number, to 16 digits, rather than Box and Muller's pair of numbers: one word makes one
  /// number, so `normal(at:)` is the same function, and no platform's `cos` has a say. The largest magnitude is 8.2.
  public mutating func normal() -> Double { Self.normal(next()) }

  /// The number of the standard normal distribution that word `index` gives.
  public func normal(at index: UInt64) -> Double { Self.normal(self[index]) }

  /// The next integer uniform on 0 ..< `bound`, without bias.
  ///
  /// The high half of word × bound, drawn again in the 2⁶⁴ mod bound cases that would favour some results (D. Lemire,
  /// "Fast random integer generation in an interval", 2019). The standard library's `Int.random(in:using:)` is
  /// unbiased too but does not promise to stay the same function.
  public mutating func integer(below bound: Int) -> Int {
    guard bound > 0 else { fatalError("RandomStream.integer(below:) needs a positive bound, not \(bound).") }
    let bound = UInt64(bound)
    var product = next().multipliedFullWidth(by: bound)
    if product.low < bound {
      let reject = (0 &- bound) % bound
      while product.low < reject { product = next().multipliedFullWidth(by: bound) }
    }
    return Int(product.high)
  }

  /// The integers 0 ..< `count` in an order all of whose permutations are equally likely (Fisher and Yates).
  public mutating func shuffledIndices(_ count: Int) -> [Int] {
    guard count >= 0 else { fatalError("RandomStream.shuffledIndices needs a count, not \(count).") }
    var indices = Array(0..<count)
    for last in stride(from: count - 1, to: 0, by: -1) {
      indices.swapAt(last, integer(below: last + 1))
    }
    return indices
  }

  private static func uniform(_ word: UInt64) -> Double {
    Double(word >> 11) * 0x1p-53
  }

  /// Midpoints of 2⁵² equal intervals: never 0 or 1, symmetric about ½, exact in `Double`.
  private static func normal(_ word: UInt64) -> Double {
    normalQuantile((Double(word >> 12) + 0.5) * 0x1p-52)
  }
}

// MARK: - Paths

/// What a stream's path is made of: `String` and the integers.
public protocol RandomStreamKey {
  /// Feeds the bytes that tell this component from all others.
  func forEachByte(_ body: (UInt8) -> Void)
}

extension String: RandomStreamKey {
  public func forEachByte(_ body: (UInt8) -> Void) {
    body(UInt8(ascii: "s"))
    for byte in utf8 { body(byte) }
    body(255)
  }
}

extension RandomStreamKey where Self: FixedWidthInteger {
  public func forEachByte(_ body: (UInt8) -> Void) {
    let word = UInt64(truncatingIfNeeded: self)
    body(UInt8(ascii: "i"))
    for shift in stride(from: 0, to: 64, by: 8) { body(UInt8(truncatingIfNeeded: word >> UInt64(shift))) }
  }
}

extension Int: RandomStreamKey {}
extension Int32: RandomStreamKey {}
extension UInt64: RandomStreamKey {}
