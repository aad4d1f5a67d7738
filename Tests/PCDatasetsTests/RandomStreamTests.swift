import PCRandomness
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite struct PhiloxTests {
  /// The known answers that Random123 publishes for philox4x32-10: zeros, ones, and the digits of π.
  @Test(
    arguments: [
      ([0, 0, 0, 0], [0, 0], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
      (
        [0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff], [0xffff_ffff, 0xffff_ffff],
        [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
      ),
      (
        [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0],
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
      ),
    ] as [([UInt32], [UInt32], [UInt32])])
  func knownAnswer(counter: [UInt32], key: [UInt32], expected: [UInt32]) {
    #expect(Philox.block(counter: SIMD4(counter), key: SIMD2(key)) == SIMD4(expected))
  }
}

@Suite struct RandomStreamTests {
  /// The documented layout, spelled out: FNV-1a of the path in the upper half of the counter.
  @Test func layoutIsTheDocumentedOne() {
    let seed: UInt64 = 0x0123_4567_89AB_CDEF
    let stream = RandomStream(seed: seed, "é", -2)
    let bytes: [UInt8] = [0x73, 0xC3, 0xA9, 0xFF, 0x69, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
    let hash = bytes.reduce(14_695_981_039_346_656_037) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
    for index: UInt64 in [0, 1, 2, 3, 0x1_0000_0000, .max] {
      let block = index / 2
      let answer = Philox.block(
        counter: SIMD4(
          UInt32(truncatingIfNeeded: block), UInt32(block >> 32), UInt32(truncatingIfNeeded: hash),
          UInt32(hash >> 32)),
        key: SIMD2(0x89AB_CDEF, 0x0123_4567))
      let word =
        index % 2 == 0 ? UInt64(answer[0]) | UInt64(answer[1]) << 32 : UInt64(answer[2]) | UInt64(answer[3]) << 32
      #expect(stream[index] == word, "index \(index)")
    }
  }

  @Test func randomAccessEqualsSequence() {
    var stream = RandomStream(seed: 3, "a")
    let fixed = stream
    for index: UInt64 in 0..<9 { #expect(stream.next() == fixed[index]) }
    for start: UInt64 in [4, 7, 1, 0, .max] {
      stream.position = start
      #expect(stream.next() == fixed[start], "start \(start)")
      #expect(stream.next() == fixed[start &+ 1], "start \(start)")
    }
    stream.position = 5
    #expect(stream.normal() == fixed.normal(at: 5))
    #expect(stream.uniform() == fixed.uniform(at: 6))
    #expect(stream.position == 7)
  }

  @Test func pathsAndSeedsSeparateStreams() {
    let first: [UInt64] = [
      RandomStream(seed: 0)[0], RandomStream(seed: 1)[0], RandomStream(seed: 0, "")[0], RandomStream(seed: 0, 0)[0],
      RandomStream(seed: 0, "", "")[0], RandomStream(seed: 0, "ab")[0], RandomStream(seed: 0, "a", "b")[0],
      RandomStream(seed: 0, "a", "i")[0], RandomStream(seed: 0, "a", 0)[0], RandomStream(seed: 0, 0, "a")[0],
      RandomStream(seed: 0, 1)[0], RandomStream(seed: 0, -1)[0], RandomStream(seed: 0, 256)[0],
    ]
    #expect(Set(first).count == first.count, "\(first)")
    #expect(RandomStream(seed: 0, Int32(-5))[0] == RandomStream(seed: 0, -5)[0])
  }

  /// Oracle: the C library's complementary error function, P(Z < x) = erfc(−x/√2)/2; the tolerance is that of
  /// recovering the word's probability from x, relative to the nearer tail.
  @Test func normalIsTheQuantileOfItsWord() {
    let stream = RandomStream(seed: 11, "normal")
    var worst = 0.0
    for index: UInt64 in 0..<100_000 {
      let p = (Double(stream[index] >> 12) + 0.5) * 0x1p-52
      let x = stream.normal(at: index)
      let tail = 0.5 * erfc(x.magnitude / 2.0.squareRoot())
      worst = max(worst, abs(tail / min(p, 1 - p) - 1))
      #expect((x < 0) == (p < 0.5))
    }
    #expect(worst < 3e-14, "seed 11: \(worst)")
  }

  /// 4·10⁶ draws: each moment within five of its standard errors, √(Var Zᵏ / n).
  @Test func normalMoments() {
    var stream = RandomStream(seed: 5, "moments")
    let n = 4_000_000
    var sums = [0.0, 0.0, 0.0, 0.0]
    for _ in 0..<n {
      let x = stream.normal()
      sums[0] += x
      sums[1] += x * x
      sums[2] += x * x * x
      sums[3] += x * x * x * x
    }
    for (sum, (mean, variance)) in zip(sums, [(0, 1), (1, 2), (0, 15), (3, 96)] as [(Double, Double)]) {
      #expect(abs(sum / Double(n) - mean) < 5 * (variance / Double(n)).squareRoot(), "seed 5: \(sum / Double(n))")
    }
  }

  @Test func uniformFillsTheUnitInterval() {
    var stream = RandomStream(seed: 6, "uniform")
    var counts = [Int](repeating: 0, count: 100)
    for _ in 0..<1_000_000 {
      let x = stream.uniform()
      #expect(x >= 0 && x < 1)
      counts[Int(x * 100)] += 1
    }
    // χ² of 99 degrees of freedom exceeds 176 with probability 3e-6.
    let chiSquared = counts.reduce(0.0) { $0 + (Double($1) - 10_000) * (Double($1) - 10_000) / 10_000 }
    #expect(chiSquared < 176, "seed 6: \(chiSquared)")
  }

  /// All 24 orders of four are equally likely: χ² of 23 degrees of freedom exceeds 68 with probability 3e-6.
  @Test func shuffleIsUnbiased() {
    var stream = RandomStream(seed: 8, "shuffle")
    var counts: [[Int]: Int] = [:]
    let n = 240_000
    for _ in 0..<n { counts[stream.shuffledIndices(4), default: 0] += 1 }
    #expect(counts.count == 24)
    let expected = Double(n) / 24
    let chiSquared = counts.values.reduce(0.0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
    #expect(chiSquared < 68, "seed 8: \(chiSquared)")
    #expect(stream.shuffledIndices(0) == [])
    #expect(stream.shuffledIndices(1) == [0])
  }

  /// Eight neighbouring words make the results 0, 0, 0, 1, 1, 1, 2, 2 below 3·2⁶¹ (the high part of word × bound), so
  /// without rejection the residues of 3 would be as frequent as 3 : 3 : 2. χ² of two degrees of freedom exceeds 25
  /// with probability 4e-6.
  @Test func largeBoundsAreUnbiased() {
    var stream = RandomStream(seed: 9, "bound")
    let bound = 3 << 61
    var counts = [0.0, 0.0, 0.0]
    for _ in 0..<30_000 {
      let x = stream.integer(below: bound)
      #expect(x >= 0 && x < bound)
      counts[x % 3] += 1
    }
    let chiSquared = counts.reduce(0) { $0 + ($1 - 10_000) * ($1 - 10_000) / 10_000 }
    #expect(chiSquared < 25, "seed 9: \(counts)")
    #expect(stream.integer(below: 1) == 0)
  }
}
