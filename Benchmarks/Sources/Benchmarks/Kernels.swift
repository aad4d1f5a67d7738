import Foundation
import PredictiveCoding

/// Our products and convolutions beside those of OpenBLAS and oneDNN, for the shapes that occur in the table's nets.
///
/// A turn is twenty products with the same weights, as the steps of inference make them: what a library or we do once for
/// the weights is shared by twenty.
struct Kernels {
  /// What is multiplied, with the batch that it is multiplied for.
  private enum Work {
    /// A batch of rows times a matrix: predictions, and messages.
    case product(batch: Int, depth: Int, rows: Int)
    /// Two batches of rows into the gradient of a matrix.
    case gradient(batch: Int, inputs: Int, outputs: Int)
    case convolution(batch: Int, Convolution)
    case inputGradient(batch: Int, Convolution)
    case filterGradient(batch: Int, Convolution)

    var batch: Int {
      switch self {
      case .product(let batch, _, _), .gradient(let batch, _, _), .convolution(let batch, _),
        .inputGradient(let batch, _), .filterGradient(let batch, _):
        batch
      }
    }

    var title: String {
      func image(_ c: Convolution) -> String {
        "\(c.inputChannels)→\(c.outputChannels) \(c.kernel.rows)×\(c.kernel.columns)"
          + (c.stride.rows > 1 ? " stride \(c.stride.rows)" : "") + " on \(c.input.rows)×\(c.input.columns)"
      }
      switch self {
      case .product(let batch, let depth, let rows): return "product \(batch) × \(depth) × \(rows)"
      case .gradient(let batch, let inputs, let outputs):
        return "weight gradient \(inputs) × \(outputs), \(batch) examples"
      case .convolution(let batch, let c): return "convolution \(image(c)), batch \(batch)"
      case .inputGradient(let batch, let c): return "its input gradient, \(image(c)), batch \(batch)"
      case .filterGradient(let batch, let c): return "its filter gradient, \(image(c)), batch \(batch)"
      }
    }

    /// For the peers, who know products as [m, k] × [k, n].
    func description(threads: Int) -> [String: Any] {
      var case_: [String: Any] = ["threads": threads, "batch": batch]
      func add(_ kind: String, _ c: Convolution) {
        case_["kind"] = kind
        case_["image"] = [batch, c.inputChannels, c.input.rows, c.input.columns]
        case_["filter"] = [c.outputChannels, c.inputChannels, c.kernel.rows, c.kernel.columns]
        case_["stride"] = c.stride.rows
        case_["padding"] = c.padding.rows
      }
      switch self {
      case .product(_, let depth, let rows):
        case_["kind"] = "product"
        case_["shape"] = [batch, depth, rows]
      case .gradient(_, let inputs, let outputs):
        case_["kind"] = "gradient"
        case_["shape"] = [inputs, batch, outputs]
      case .convolution(_, let c): add("convolution", c)
      case .inputGradient(_, let c): add("input gradient", c)
      case .filterGradient(_, let c): add("filter gradient", c)
      }
      return case_
    }
  }

  private static let convolutions: [(batch: Int, Convolution)] = [
    (64, Convolution(inputChannels: 3, outputChannels: 6, input: Extent(32, 32), kernel: Extent(5, 5))),
    (64, Convolution(inputChannels: 6, outputChannels: 16, input: Extent(14, 14), kernel: Extent(5, 5))),
    (
      32,
      Convolution(
        inputChannels: 64, outputChannels: 64, input: Extent(32, 32), kernel: Extent(3, 3), stride: Extent(2, 2),
        padding: Extent(1, 1))
    ),
    (
      32,
      Convolution(
        inputChannels: 64, outputChannels: 128, input: Extent(16, 16), kernel: Extent(3, 3), stride: Extent(2, 2),
        padding: Extent(1, 1))
    ),
    (
      32,
      Convolution(
        inputChannels: 16, outputChannels: 16, input: Extent(16, 16), kernel: Extent(3, 3), padding: Extent(1, 1))
    ),
  ]

  private static let works: [Work] =
    [
      (64, 200, 1600), (64, 150, 200), (128, 512, 512), (128, 256, 256), (64, 1056, 4224), (64, 4224, 1056),
      (1000, 512, 512),
    ]
    .map { .product(batch: $0.0, depth: $0.1, rows: $0.2) }
    + [(64, 1600, 200), (128, 512, 512), (3200, 1056, 4224)]
    .map { .gradient(batch: $0.0, inputs: $0.1, outputs: $0.2) }
    + convolutions.flatMap { batch, c -> [Work] in
      [.convolution(batch: batch, c), .inputGradient(batch: batch, c), .filterGradient(batch: batch, c)]
    }

  private let options: Options
  private let backend: CPU

  init(_ options: Options, _ backend: CPU) {
    self.options = options
    self.backend = backend
  }

  func run() throws {
    print("| products | ours, GFLOP/s | of the peak | OpenBLAS | oneDNN | best of them / ours |")
    print("|---|---|---|---|---|---|")
    for work in Self.works where options.only.isEmpty || work.title.contains(options.only) {
      print(try line(work))
      fflush(nil)
    }
  }

  private static let repetitions = 20

  private func line(_ work: Work) throws -> String {
    var program = Program(sections: [Section(name: "products")])
    let instruction = Self.instruction(work, &program)
    program.sections[0].instructions = [instruction]
    let executable = try backend.compile(program, batchSize: work.batch, bindings: [:])
    for (index, buffer) in program.buffers.enumerated() {
      let count = buffer.count * (buffer.isBatched ? work.batch : 1)
      let numbers = (0..<count).map { Float($0 % 13) * 0.01 }
      numbers.withUnsafeBufferPointer { executable.upload($0, to: index) }
    }
    let flop = 2e-9 * Double(instruction.primitive.multiplyAdds * work.batch * Self.repetitions)
    let script = [Passage(section: 0, count: Self.repetitions)]
    let isProduct = if case .product = work { true } else if case .gradient = work { true } else { false }
    var peers: [(Peer.Library, Peer, Timing)] = []
    for library in [Peer.Library.openblas, .onednn] where options.python(library) != nil {
      // OpenBLAS has no convolutions.
      guard isProduct || library == .onednn else { continue }
      var description = work.description(threads: options.threads)
      description["library"] = library.rawValue
      description["repetitions"] = Self.repetitions
      let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pc-kernels-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      try JSONSerialization.data(withJSONObject: description).write(to: folder.appendingPathComponent("case.json"))
      peers.append((library, try Peer(library, options, at: folder), Timing()))
    }
    var timing = Timing()
    var peak = 0.0
    for round in 0..<(options.rounds ?? 8) {
      peak = max(peak, backend.peakGigaflops(seconds: 0.02))
      let turns = flop > 4 ? 1 : 3
      for _ in 0..<turns {
        let clock = ContinuousClock()
        let start = clock.now
        executable.run(script)
        if round > 0 { timing.seconds.append((clock.now - start).seconds) }
      }
      for index in peers.indices {
        let seconds = try peers[index].1.steps(turns)
        if round > 0 { peers[index].2.seconds += seconds }
      }
    }
    func rate(_ timing: Timing) -> Double { flop / timing.median }
    func text(_ x: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", x) }
    let rates = Dictionary(uniqueKeysWithValues: peers.map { ($0.0, rate($0.2)) })
    let cells = [Peer.Library.openblas, .onednn].map { rates[$0].map { text($0, 0) } ?? "" }
    let best = rates.values.max().map { text($0 / rate(timing), 2) } ?? ""
    return
      "| \(work.title) | \(text(rate(timing), 0)) | \(text(rate(timing) / peak, 2)) | \(cells[0]) | \(cells[1]) | \(best) |"
  }

  private static func instruction(_ work: Work, _ program: inout Program) -> Instruction {
    func buffer(_ name: String, _ extents: [Int], isBatched: Bool = true) -> View {
      program.buffers.append(Buffer(name: name, count: extents.reduce(1, *), isBatched: isBatched))
      return View(buffer: program.buffers.count - 1, strides: Term.rowMajorStrides(extents))
    }
    func images(_ c: Convolution) -> (image: View, message: View, filter: View) {
      (
        buffer("image", [c.inputChannels, c.input.rows, c.input.columns]),
        buffer("message", [c.outputChannels, c.output.rows, c.output.columns]),
        buffer("filter", c.filterExtents, isBatched: false)
      )
    }
    switch work {
    case .product(_, let depth, let rows):
      let weights = View(
        buffer: buffer("weights", [depth, rows], isBatched: false).buffer, strides: [1, 0, rows])
      let source = View(buffer: buffer("source", [depth]).buffer, strides: [0, 0, 1])
      let result = View(buffer: buffer("result", [rows]).buffer, strides: [1, 0, 0])
      return Instruction(.contract(extents: [rows, 1, depth]), operands: [weights, source], results: [result])
    case .gradient(_, let inputs, let outputs):
      let source = View(buffer: buffer("source", [inputs]).buffer, strides: [1, 0, 0])
      let message = View(buffer: buffer("message", [outputs]).buffer, strides: [0, 1, 0])
      let result = View(
        buffer: buffer("gradient", [inputs, outputs], isBatched: false).buffer, strides: [outputs, 1, 0])
      return Instruction(.contract(extents: [inputs, outputs, 1]), operands: [source, message], results: [result])
    case .convolution(_, let c):
      let views = images(c)
      return Instruction(.convolve(c), operands: [views.image, views.filter], results: [views.message])
    case .inputGradient(_, let c):
      let views = images(c)
      return Instruction(.convolveInputGradient(c), operands: [views.message, views.filter], results: [views.image])
    case .filterGradient(_, let c):
      let views = images(c)
      return Instruction(.convolveFilterGradient(c), operands: [views.image, views.message], results: [views.filter])
    }
  }
}
