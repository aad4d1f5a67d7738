// TensorBoard's event files: records of TFRecord's frame (length, checksum of the length, data, checksum of the data), each
// holding an `Event` in protobuf's wire format (https://protobuf.dev/programming-guides/encoding). The field numbers are
// those of TensorFlow's event.proto, summary.proto and tensor.proto.

import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// An event file that TensorBoard shows while it grows: curves, histograms and texts by tag and step.
///
/// ```swift
/// let events = try EventFileWriter(folder: "runs/seed-7")
/// try events.scalar("training/loss", 1.83, step: 100)
/// try events.histogram("messages/hidden", network.message, step: 100)
/// try events.text("sample", "To be, or not", step: 100)
/// // tensorboard --logdir runs
/// ```
///
/// Each record is on its way to the system, whole, when its call returns, so a run that is killed loses none; a crash of the
/// machine may take those since `flush`. Every writer has a file of its own, and TensorBoard reads those of a folder as
/// one run: a run that is resumed makes another writer for the same folder. The file is closed with the last reference.
public final class EventFileWriter: Sendable {
  /// The file: events.out.tfevents.⟨seconds since 1970⟩.⟨host⟩.⟨process⟩.⟨number⟩ in the folder.
  public let path: String
  private let descriptor: Mutex<CInt>

  /// A new file in `folder`, which is made if need be (the folder above it must exist).
  ///
  /// - Throws: `FileError` if the folder or the file cannot be made or written.
  public init(folder: String) throws(FileError) {
    if mkdir(folder, 0o777) != 0, errno != EEXIST { throw FileError(folder, .written) }
    let stem = "\(folder)/events.out.tfevents.\(time(nil)).\(Self.hostName).\(getpid())"
    var path = stem
    var file: CInt = -1
    for number in 0..<1000 {
      path = "\(stem).\(number)"
      file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0o666)
      if file >= 0 || errno != EEXIST { break }
    }
    guard file >= 0 else { throw FileError(path, .written) }
    self.path = path
    descriptor = Mutex(file)
    try append(EventRecord(wallTime: Self.now, content: .fileVersion))
  }

  deinit { _ = descriptor.withLock { close($0) } }

  /// A point of the curve `tag`. TensorBoard keeps it as a Float.
  public func scalar(_ tag: String, _ value: Double, step: Int) throws(FileError) {
    try append(EventRecord(wallTime: Self.now, step: step, content: .scalar(tag: tag, Float(value))))
  }

  /// The distribution of `values` at this step.
  ///
  /// A bucket is an eighth of the way from one power of two to the next; magnitudes below 2⁻⁴⁰ (1e-12) share one around
  /// zero. Values that are not finite are left out. Cost: linear in the number of values.
  public func histogram(_ tag: String, _ values: some Sequence<some BinaryFloatingPoint>, step: Int) throws(FileError)
  {
    let histogram = EventHistogram(values.lazy.map { Double($0) })
    try append(EventRecord(wallTime: Self.now, step: step, content: .histogram(tag: tag, histogram)))
  }

  /// A text of this step; TensorBoard reads Markdown.
  public func text(_ tag: String, _ text: String, step: Int) throws(FileError) {
    try append(EventRecord(wallTime: Self.now, step: step, content: .text(tag: tag, text)))
  }

  /// Waits until everything so far is on the disk.
  public func flush() throws(FileError) {
    guard descriptor.withLock({ fsync($0) }) == 0 else { throw FileError(path, .written) }
  }

  /// One record by one call, or nothing: where the disk is full, what got through of it is taken back, lest it hide
  /// all later records.
  private func append(_ event: EventRecord) throws(FileError) {
    let record = framed(event.bytes)
    let failure = descriptor.withLock { file -> FileError? in
      let end = lseek(file, 0, SEEK_END)
      do throws(FileError) {
        try writeAll(record, to: file, path)
        return nil
      } catch {
        if end >= 0 { _ = ftruncate(file, end) }
        return error
      }
    }
    if let failure { throw failure }
  }

  private static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  private static var hostName: String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "unknown" }
    let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    let text = String(decoding: bytes, as: UTF8.self).filter { $0 != "/" }
    return text.isEmpty ? "unknown" : text
  }
}

// MARK: - Events

/// What one record holds.
package struct EventRecord {
  package enum Content {
    /// The mark of the format's second version, with which a file begins.
    case fileVersion
    case scalar(tag: String, Float)
    case histogram(tag: String, EventHistogram)
    case text(tag: String, String)
  }

  /// Seconds since 1970.
  package var wallTime: Double
  package var step = 0
  package var content: Content

  package init(wallTime: Double, step: Int = 0, content: Content) {
    self.wallTime = wallTime
    self.step = step
    self.content = content
  }

  /// The event as a message of protobuf.
  package var bytes: [UInt8] {
    var event = Message()
    event.double(1, wallTime)
    event.integer(2, step)
    switch content {
    case .fileVersion: event.string(3, "brain.Event:2")
    case .scalar(let tag, let value):
      event.summary(tag) { $0.float(2, value) }
    case .histogram(let tag, let histogram):
      event.summary(tag) { $0.message(5) { $0.histogram(histogram) } }
    case .text(let tag, let text):
      event.summary(tag) { value in
        value.message(8) { tensor in
          tensor.integer(1, 7)  // DT_STRING
          tensor.message(2) { shape in shape.message(2) { $0.integer(1, 1) } }
          tensor.string(8, text)
        }
        value.message(9) { metadata in metadata.message(1) { $0.string(1, "text") } }
      }
    }
    return event.bytes
  }
}

/// How many values lie in each of a row of buckets that grow with the distance from zero.
package struct EventHistogram {
  package var minimum = 0.0
  package var maximum = 0.0
  package var count = 0.0
  package var sum = 0.0
  package var sumOfSquares = 0.0
  /// The right ends of the buckets, increasing; each begins where the one before ends.
  package var limits: [Double] = []
  /// How many values each bucket has.
  package var counts: [Double] = []

  package init(_ values: some Sequence<Double>) {
    var buckets: [Int: Int] = [:]
    minimum = .infinity
    maximum = -.infinity
    for value in values where value.isFinite {
      minimum = min(minimum, value)
      maximum = max(maximum, value)
      count += 1
      sum += value
      sumOfSquares += value * value
      buckets[Self.bucket(value), default: 0] += 1
    }
    guard count > 0 else {
      (minimum, maximum) = (0, 0)
      return
    }
    for (bucket, members) in buckets.sorted(by: { $0.key < $1.key }) {
      let left = Self.leftEnd(bucket)
      // A gap is one empty bucket.
      if let last = limits.last, last < left {
        limits.append(left)
        counts.append(0)
      }
      limits.append(-Self.leftEnd(-bucket))
      counts.append(Double(members))
    }
  }

  /// 2⁻⁴⁰, below which magnitudes are in bucket 0.
  private static let smallestExponent = -40

  /// Bucket k > 0 holds the values from 2ᵉ (1 + j/8) up to the next such number, k = 8 (e + 40) + j + 1; bucket −k their
  /// negatives.
  private static func bucket(_ value: Double) -> Int {
    let magnitude = value.magnitude
    guard magnitude >= 0x1p-40 else { return 0 }
    let eighth = Int(magnitude.significandBitPattern >> 49)
    let bucket = 8 * (Int(magnitude.exponent) - smallestExponent) + eighth + 1
    return value < 0 ? -bucket : bucket
  }

  private static func leftEnd(_ bucket: Int) -> Double {
    guard bucket > 0 else { return -rightEnd(-bucket) }
    return edge(bucket - 1)
  }

  private static func rightEnd(_ bucket: Int) -> Double { edge(bucket) }

  /// 2ᵉ (1 + j/8) for 8 (e + 40) + j, but nothing infinite.
  private static func edge(_ index: Int) -> Double {
    let exponent = index / 8 + smallestExponent
    guard exponent <= Double.greatestFiniteMagnitude.exponent else { return .greatestFiniteMagnitude }
    return Double(sign: .plus, exponent: exponent, significand: 1 + Double(index % 8) / 8)
  }
}

// MARK: - Protobuf

/// A message: fields, each a key (number and wire type) and a value. Zero is what a missing field means and is left out,
/// as protobuf's own writers do.
private struct Message {
  var bytes: [UInt8] = []

  private enum WireType: UInt64 { case varint = 0, eightBytes = 1, counted = 2, fourBytes = 5 }

  private mutating func key(_ field: UInt64, _ type: WireType) { varint(field << 3 | type.rawValue) }

  /// Seven bits a byte, the least significant first; the eighth says that more follow.
  private mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  mutating func integer(_ field: UInt64, _ value: Int) {
    guard value != 0 else { return }
    key(field, .varint)
    varint(UInt64(bitPattern: Int64(value)))
  }

  mutating func double(_ field: UInt64, _ value: Double) {
    guard value.bitPattern != 0 else { return }
    key(field, .eightBytes)
    appendLittleEndian(CollectionOfOne(value.bitPattern), to: &bytes)
  }

  /// Written even where it is 0: it belongs to a choice of fields, whose presence says which one it is.
  mutating func float(_ field: UInt64, _ value: Float) {
    key(field, .fourBytes)
    appendLittleEndian(CollectionOfOne(value.bitPattern), to: &bytes)
  }

  mutating func doubles(_ field: UInt64, _ values: [Double]) {
    guard !values.isEmpty else { return }
    key(field, .counted)
    varint(UInt64(8 * values.count))
    appendLittleEndian(values.map(\.bitPattern), to: &bytes)
  }

  mutating func string(_ field: UInt64, _ text: String) {
    key(field, .counted)
    varint(UInt64(text.utf8.count))
    bytes += text.utf8
  }

  mutating func message(_ field: UInt64, _ fill: (inout Message) -> Void) {
    var inner = Message()
    fill(&inner)
    key(field, .counted)
    varint(UInt64(inner.bytes.count))
    bytes += inner.bytes
  }

  /// An event's summary of one value.
  mutating func summary(_ tag: String, _ fill: (inout Message) -> Void) {
    message(5) { summary in
      summary.message(1) { value in
        value.string(1, tag)
        fill(&value)
      }
    }
  }

  mutating func histogram(_ histogram: EventHistogram) {
    double(1, histogram.minimum)
    double(2, histogram.maximum)
    double(3, histogram.count)
    double(4, histogram.sum)
    double(5, histogram.sumOfSquares)
    doubles(6, histogram.limits)
    doubles(7, histogram.counts)
  }
}

// MARK: - Records

/// The data in TFRecord's frame.
package func framed(_ data: [UInt8]) -> [UInt8] {
  var length: [UInt8] = []
  appendLittleEndian(CollectionOfOne(UInt64(data.count)), to: &length)
  var record = length
  appendLittleEndian(CollectionOfOne(maskedCRC32C(length)), to: &record)
  record += data
  appendLittleEndian(CollectionOfOne(maskedCRC32C(data)), to: &record)
  return record
}

/// The checksum turned by 15 bits, plus a constant: TFRecord does so lest the checksum of data that hold checksums be weak.
private func maskedCRC32C(_ bytes: [UInt8]) -> UInt32 {
  let crc = crc32c(bytes)
  return (crc >> 15 | crc << 17) &+ 0xA282_EAD8
}

/// Castagnoli's cyclic redundancy check (RFC 3720, appendix B.4): reflected polynomial 0x82F63B78, start and end inverted.
package func crc32c(_ bytes: some Sequence<UInt8>) -> UInt32 {
  ~bytes.reduce(UInt32.max) { crc, byte in crcTable[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] ^ crc >> 8 }
}

private let crcTable: [UInt32] = (0..<256).map { byte in
  (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0x82F6_3B78 }
}
