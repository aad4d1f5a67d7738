import Foundation
import PredictiveCoding

/// What a training step costs against one quantity at a time: `scaling.csv` and a picture for each quantity.
struct Scaling {
  private struct Row {
    var quantity: String
    var value: Int
    var step: String
    var threads: Int
    var milliseconds, least, gigaflop: Double
  }

  private struct Sweep {
    var quantity: String
    var caption: String
    var values: [Int]
    var usesThreads = false
    var work: (Int) throws -> Workload
    var steps: (Int) -> Int = { _ in 100 }
  }

  private let options: Options
  private let backend: CPU
  /// The highest of the whole run, by threads.
  private var peaks: [Int: Double] = [:]

  init(_ options: Options, _ backend: CPU) {
    self.options = options
    self.backend = backend
  }

  private static func work(_ model: Model, _ batch: Examples) -> Workload {
    Workload(name: "", title: "", model: model, batch: batch, entries: [])
  }

  private static func sweeps() throws -> [Sweep] {
    let cnn = try Model.cnn(ImageTask(inputShape: [3, 32, 32], classes: 10))
    let paper = work(cnn, .images([3, 32, 32], 64))
    let images = Examples.images([1, 28, 28], 128)
    return [
      Sweep(
        quantity: "steps", caption: "the paper's CNN, batch 64", values: [1, 3, 10, 30, 100, 300, 1000],
        work: { _ in paper }, steps: { $0 }),
      Sweep(
        quantity: "depth", caption: "layers of 256, batch 128, T = 100", values: [1, 2, 4, 8, 16, 32, 64],
        work: { work(multilayer(Array(repeating: 256, count: $0)), images) }),
      Sweep(
        quantity: "width", caption: "four layers, batch 128, T = 100", values: [32, 64, 128, 256, 512, 1024, 2048],
        work: { work(multilayer(Array(repeating: $0, count: 4)), images) }),
      Sweep(
        quantity: "batch", caption: "784-512-512-10, T = 100", values: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
        work: { work(multilayer([512, 512]), .images([1, 28, 28], $0)) }),
      Sweep(
        quantity: "threads", caption: "the paper's CNN, batch 64, T = 100", values: [1, 2], usesThreads: true,
        work: { _ in paper }),
    ]
  }

  mutating func write(to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    var rows: [Row] = []
    for sweep in try Self.sweeps() {
      let measured = try measure(sweep)
      rows += measured
      let chart = LineChart(
        title: "A training step's cost against \(sweep.quantity): \(sweep.caption)",
        x: .init(sweep.quantity, scale: .logarithmic),
        y: .init("milliseconds, least of several", scale: .logarithmic),
        series: Self.names.map { name in
          LineChart.Series(
            name,
            points: measured.filter { $0.step == name }.map { LineChart.Point(Double($0.value), $0.least) })
        })
      try chart.svg.document.write(
        to: folder.appendingPathComponent("\(sweep.quantity).svg"), atomically: true, encoding: .utf8)
    }
    let lines = rows.map { row in
      "\(row.quantity),\(row.value),\(row.step),\(row.threads),"
        + [row.milliseconds, row.least, row.least * (peaks[row.threads] ?? .nan) * 1e-3 / row.gigaflop].map {
          String(format: "%.4f", $0)
        }.joined(separator: ",")
    }
    let text =
      (["quantity,value,step,threads,median_ms,min_ms,min_over_floor"] + lines).joined(separator: "\n") + "\n"
    try text.write(to: folder.appendingPathComponent("scaling.csv"), atomically: true, encoding: .utf8)
    print(text, terminator: "")
  }

  private static let names = ["stepwise", "closed form", "backprop"]

  private mutating func measure(_ sweep: Sweep) throws -> [Row] {
    var rows: [Row] = []
    for value in sweep.values {
      FileHandle.standardError.write(Data("\r\(sweep.quantity) \(value)      ".utf8))
      let steps = sweep.steps(value)
      let threads = sweep.usesThreads ? value : options.threads
      let backend = sweep.usesThreads ? try CPU(threads: value, instructionSet: options.isa) : backend
      let work = try sweep.work(value)
      let rules: [any Rule] = [
        FixedPredictions(steps: steps, rate: 0.2), FixedPredictions(steps: steps, rate: 0.2, solver: .closedForm),
        Backprop(),
      ]
      let contestants = try zip(Self.names, rules).map {
        try Contestant(Entry(name: $0, rule: $1), work, backend)
      }
      peaks[threads] = max(peaks[threads] ?? 0, backend.peakGigaflops())
      for contestant in contestants { try contestant.step(2, isCounted: false) }
      for _ in 0..<(options.rounds ?? 9) {
        for contestant in contestants { try contestant.step(1) }
      }
      for contestant in contestants {
        rows.append(
          Row(
            quantity: sweep.quantity, value: value, step: contestant.entry.name, threads: threads,
            milliseconds: contestant.timing.median * 1e3, least: contestant.timing.least * 1e3,
            gigaflop: 2e-9 * Double(contestant.multiplyAdds)))
      }
    }
    FileHandle.standardError.write(Data("\n".utf8))
    return rows
  }
}
