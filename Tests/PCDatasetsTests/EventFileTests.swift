import Foundation
import PCInterchange
import Testing

@Suite struct EventFileTests {
  /// Oracles: RFC 3720, appendix B.4, and the check value of the catalogue of parametrised CRC algorithms.
  @Test func checksumIsCastagnolis() {
    #expect(crc32c("123456789".utf8) == 0xE306_9283)
    #expect(crc32c([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(crc32c([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(crc32c([UInt8](0..<32)) == 0x46DD_794E)
    #expect(crc32c([]) == 0)
  }

  /// Oracle: tensorboard's own writer, byte by byte (Scripts/make-format-fixtures.py).
  @Test func recordsAreThoseOfTensorBoard() {
    let values = [-1000, -2, -2, -0.5, 0, -0.0, 1e-20, 0x1p-40, 1, 1.1, 1.125, 3]
    let contents: [(Int, EventRecord.Content)] = [
      (0, .fileVersion), (3, .scalar(tag: "loss", 1.5)), (1 << 40, .scalar(tag: "loss", 0)),
      (5, .histogram(tag: "messages", EventHistogram(values))), (6, .text(tag: "sample", "To be ✓")),
    ]
    let bytes = contents.flatMap { step, content in
      framed(EventRecord(wallTime: 1_700_000_000.5, step: step, content: content).bytes)
    }
    #expect(bytes == FormatFixtures.events)
  }

  /// Every number lies in its bucket: between the limits, and the counts add up.
  @Test func bucketsHoldTheirValues() {
    let extremes = [
      Double.greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude, 0x1p-40, -0x1p-40, 1, -1,
      1.875, 1.8749999, -1.875, .infinity, -.infinity, .nan,
    ]
    let histogram = EventHistogram(extremes)
    let finite = extremes.filter(\.isFinite)
    #expect(histogram.count == Double(finite.count))
    #expect(histogram.counts.reduce(0, +) == histogram.count)
    #expect(histogram.limits == histogram.limits.sorted() && Set(histogram.limits).count == histogram.limits.count)
    #expect(histogram.limits.count == histogram.counts.count && histogram.limits.allSatisfy(\.isFinite))
    for (index, count) in histogram.counts.enumerated() {
      let left = index == 0 ? -Double.infinity : histogram.limits[index - 1]
      let right = histogram.limits[index]
      // A value on an edge belongs to the bucket farther from zero.
      let inside = finite.filter {
        $0 < 0 ? left < $0 && $0 <= right : left <= $0 && $0 < right || $0 == .greatestFiniteMagnitude && right == $0
      }
      #expect(Double(inside.filter { abs($0) >= 0x1p-40 }.count) == count || left == -0x1p-40, "\(left) to \(right)")
    }
    let empty = EventHistogram([.nan])
    #expect(empty.count == 0 && empty.limits.isEmpty && empty.minimum == 0 && empty.maximum == 0)
  }

  /// The frames of a file, their checksums not looked at.
  private func recordSizes(_ bytes: [UInt8]) -> [Int] {
    var sizes: [Int] = []
    var rest = bytes[...]
    while rest.count >= 12 {
      let length = rest.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
      guard rest.count >= length + 16 else { break }
      sizes.append(length)
      rest = rest.dropFirst(length + 16)
    }
    #expect(rest.isEmpty)
    return sizes
  }

  @Test func recordsAreInTheFileAtOnce() throws {
    let folder = try TemporaryFolder()
    let events = try EventFileWriter(folder: folder.path + "/run")
    for count in 1...5 {
      #expect(recordSizes(try readFile(events.path)).count == count)
      try events.scalar("loss", 0.5, step: count)
    }
    try events.flush()
    let other = try EventFileWriter(folder: folder.path + "/run")
    #expect(other.path != events.path)
    let name = events.path.split(separator: "/").last.map(String.init) ?? ""
    #expect(name.hasPrefix("events.out.tfevents."))
    #expect(name.split(separator: ".").dropFirst(3).first.flatMap { Int($0) } != nil)
  }

  @Test func unwritableFoldersAreRefused() throws {
    let folder = try TemporaryFolder()
    let file = try folder.write("file", [])
    for path in [file, "\(folder.path)/no/such", "/proc/nowhere"] {
      let error = #expect(throws: FileError.self) { try EventFileWriter(folder: path) }
      #expect(error?.description.hasPrefix("\(path)") == true)
      #expect(error?.action == .written)
    }
  }
}

/// A Python that has the package tensorboard, if one is named.
private let tensorBoardPython = ProcessInfo.processInfo.environment["PC_TENSORBOARD_PYTHON"]

@Suite(
  .enabled(if: tensorBoardPython != nil, "set PC_TENSORBOARD_PYTHON to a Python that has the package tensorboard"))
struct TensorBoardTests {
  static let reader = """
    import json, sys
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    events = EventAccumulator(sys.argv[1], size_guidance={"histograms": 0, "scalars": 0, "tensors": 0})
    events.Reload()
    print(json.dumps({
      "scalars": {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]},
      "histograms": {tag: [[e.step, h.min, h.max, h.num, h.sum, h.sum_squares, list(h.bucket)]
        for e in events.Histograms(tag) for h in [e.histogram_value]] for tag in events.Tags()["histograms"]},
      "texts": {tag: [[e.step, e.tensor_proto.string_val[0].decode()] for e in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]},
      "plugins": {tag: events.SummaryMetadata(tag).plugin_data.plugin_name for tag in events.Tags()["tensors"]},
    }))
    """

  private struct Contents: Decodable {
    var scalars: [String: [[Double]]]
    var histograms: [String: [[HistogramField]]]
    var texts: [String: [[TextField]]]
    var plugins: [String: String]
  }

  private enum HistogramField: Decodable, Equatable {
    case number(Double)
    case numbers([Double])

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let number = try? container.decode(Double.self) {
        self = .number(number)
      } else {
        self = .numbers(try container.decode([Double].self))
      }
    }
  }

  private enum TextField: Decodable, Equatable {
    case step(Int)
    case text(String)

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let step = try? container.decode(Int.self) {
        self = .step(step)
      } else {
        self = .text(try container.decode(String.self))
      }
    }
  }

  /// Two writers for one folder, as a resumed run has, read by TensorBoard's own loader.
  @Test func tensorBoardReadsWhatIsWritten() throws {
    let folder = try TemporaryFolder()
    let python = try #require(tensorBoardPython)
    let first = try EventFileWriter(folder: folder.path)
    try first.scalar("loss", 1.5, step: 1)
    try first.scalar("loss", 0, step: 2)
    try first.scalar("accuracy", 0.25, step: 2)
    try first.histogram("messages/hidden", [Float(-2), 0, 0, 1, 3], step: 2)
    try first.text("sample", "To be,\nor not ✓", step: 2)
    let second = try EventFileWriter(folder: folder.path)
    try second.scalar("loss", -1, step: 3)
    try second.histogram("messages/hidden", [Double](), step: 3)
    try second.flush()

    let process = Process()
    process.executableURL = URL(fileURLWithPath: python)
    process.arguments = ["-c", Self.reader, folder.path]
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let contents = try JSONDecoder().decode(Contents.self, from: data)
    #expect(contents.scalars == ["loss": [[1, 1.5], [2, 0], [3, -1]], "accuracy": [[2, 0.25]]])
    #expect(contents.texts == ["sample": [[.step(2), .text("To be,\nor not ✓")]]])
    #expect(contents.plugins == ["sample": "text"])
    let histograms = try #require(contents.histograms["messages/hidden"])
    let full: [HistogramField] = [.number(2), .number(-2), .number(3), .number(5), .number(2), .number(14)]
    #expect(Array(histograms[0].prefix(6)) == full)
    #expect(histograms[0][6] == .numbers([1, 0, 2, 0, 1, 0, 1]))
    let none: [HistogramField] = [
      .number(3), .number(0), .number(0), .number(0), .number(0), .number(0), .numbers([]),
    ]
    #expect(histograms[1] == none)
  }
}
