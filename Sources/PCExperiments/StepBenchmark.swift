import PCGraphs
import PCKernels
import PCKernelsCPU
import PCLearning
import PCModels
import PCRandomness

import class Foundation.FileManager

/// Training steps of one rule, timed on random numbers, beside what this machine can do at best.
///
/// A step runs from a batch in memory to updated parameters. Its floor is the multiply-adds that it cannot do without
/// (`Trainer.floorMultiplyAdds(batchSize:)`) over the peak of all threads, measured before and after.
public struct StepBenchmark: Sendable {
  /// The rule, with its settings.
  public var rule: RuleSettings
  /// Examples in the batch.
  public var batchSize: Int
  /// Seconds of each step.
  public var seconds: [Double] = []
  /// Multiply-adds of the floor.
  public var floorMultiplyAdds: Int
  /// Bytes of parameters, optimiser and plan, as computed before any was taken.
  public var plannedBytes: Int
  /// What the process's resident memory grew by at most, from before the network was made; nil where the system does not
  /// say. Beside what was planned it holds the plan's own description and what drawing the parameters takes in passing.
  public var residentBytes: Int?
  /// What the machine can do.
  public var machine: Machine
  /// Where the time of one more step went; nil from a backend that does not tell.
  public var profile: Profile?

  /// What the threads together can do at best; both 0 on a backend that has no such figure.
  public struct Machine: Sendable {
    /// Threads that share the work.
    public var threads = 1
    /// 10⁹ floating-point operations in a second, a multiply-add being two.
    public var gigaflops = 0.0
    /// 10⁹ bytes read from a cache of 1 MB in a second.
    public var cacheGigabytesPerSecond = 0.0

    /// Measures it; takes some 0.2 s.
    init(_ backend: any Backend) {
      guard let cpu = backend as? CPU else { return }
      threads = cpu.threads
      gigaflops = cpu.peakGigaflops()
      cacheGigabytesPerSecond = Double(threads) * cpu.readGigabytesPerSecond(megabytes: 1, seconds: 0.05)
    }

    /// Seconds below which no call of this work can stay: its operations at the peak, or its bytes out of the cache, whichever
    /// takes longer.
    func leastSeconds(_ call: Profile.Call) -> Double {
      guard gigaflops > 0 else { return .nan }
      let once = max(
        2e-9 * Double(call.multiplyAdds) / gigaflops, 1e-9 * Double(call.byteCount) / cacheGigabytesPerSecond)
      return Double(call.repetitions) * once
    }
  }

  /// Makes `count` steps of the settings' first rule on a batch of random numbers, after two that prepare them, and as many more,
  /// at most 50, that are profiled: the fastest is kept. Reads no data but one's own, for their shape.
  ///
  /// - Throws: what making the model, the backend and the steps throws.
  public init(_ settings: Settings, count: Int) throws {
    rule = settings.rules[0]
    batchSize = settings.batchSize
    let model = try settings.makeModel(settings.dataTask().task)
    try rule.rule.check(model.graph)
    try settings.checkMemory(of: model.graph)
    let backend = try settings.makeBackend()
    let before = residentMemory()?.now
    let trainer = try settings.makeTrainer(model, rule, updates: .max, on: backend, seed: settings.seeds[0])
    try trainer.checkMemory(batchSize: batchSize, limit: settings.memoryLimit)
    plannedBytes = try trainer.byteCount(batchSize: batchSize)
    floorMultiplyAdds = try trainer.floorMultiplyAdds(batchSize: batchSize)
    let feed = Self.feed(model.graph, count: batchSize, seed: settings.seeds[0])
    for _ in 0..<2 { try trainer.train(on: feed) }
    if let before, let peak = residentMemory()?.peak { residentBytes = max(0, peak - before) }
    machine = Machine(backend)
    let clock = ContinuousClock()
    for _ in 0..<count {
      let start = clock.now
      try trainer.train(on: feed)
      seconds.append((clock.now - start).seconds)
    }
    let after = Machine(backend)
    machine.gigaflops = max(machine.gigaflops, after.gigaflops)
    machine.cacheGigabytesPerSecond = max(machine.cacheGigabytesPerSecond, after.cacheGigabytesPerSecond)
    for _ in 0..<min(count, 50) {
      guard let next = try trainer.profile(on: feed) else { break }
      if next.seconds < profile?.seconds ?? .infinity { profile = next }
    }
  }

  /// Uniform numbers in [−1, 1) and labels in turn.
  private static func feed(_ graph: Graph, count: Int, seed: UInt64) -> Feed {
    var random = RandomStream(seed: seed, "benchmark")
    var arrays: [String: Feed.Numbers] = [:]
    for input in graph.inputs {
      let numbers = count * graph.values[input.value].shape.count
      arrays[input.name] =
        input.classes.map { classes in .integers((0..<numbers).map { Int32($0 % classes) }) }
        ?? .floats((0..<numbers).map { _ in Float(random.uniform() * 2 - 1) })
    }
    return Feed(count: count, arrays)
  }

  /// Seconds that the floor takes; NaN where there is no peak to divide by.
  public var floorSeconds: Double {
    machine.gigaflops > 0 ? 2e-9 * Double(floorMultiplyAdds) / machine.gigaflops : .nan
  }
}

// MARK: - Table and JSON

extension StepBenchmark {
  private static func milliseconds(_ seconds: Double) -> String {
    seconds.isFinite ? NumberText.significant(seconds * 1000) : "–"
  }

  /// The steps in one line of figures.
  public var table: ResultTable {
    let times = Statistics(seconds)
    return ResultTable(
      ["rule", "median ms", "least ms", "floor ms", "least × floor", "planned MB", "resident MB"],
      rows: [
        [
          rule.summary, Self.milliseconds(times.median), Self.milliseconds(times.minimum),
          Self.milliseconds(floorSeconds),
          floorSeconds.isFinite && floorSeconds > 0 ? NumberText.fixed(times.minimum / floorSeconds, places: 2) : "–",
          NumberText.significant(Double(plannedBytes) / 1e6),
          residentBytes.map { NumberText.significant(Double($0) / 1e6) } ?? "–",
        ]
      ])
  }

  /// What one vertex has to do in one phase, its calls of one operation taken together.
  package struct Line: Sendable {
    package var phase: String
    package var vertex: String
    package var operation: String
    package var repetitions: Int
    package var multiplyAdds = 0
    package var byteCount = 0
    package var leastSeconds = 0.0
    /// Of all threads together, over the number of threads.
    package var seconds = 0.0
  }

  /// The plan in the order in which it runs; empty without a profile.
  package var lines: [Line] {
    guard let profile else { return [] }
    var lines: [Line] = []
    var places: [[String]: Int] = [:]
    for (call, seconds) in zip(profile.calls, profile.threadSeconds) {
      let key = [call.section, call.vertex, call.operation]
      let place = places[key] ?? lines.count
      if place == lines.count {
        places[key] = place
        lines.append(
          Line(phase: call.section, vertex: call.vertex, operation: call.operation, repetitions: call.repetitions))
      }
      lines[place].multiplyAdds += call.repetitions * call.multiplyAdds
      lines[place].byteCount += call.repetitions * call.byteCount
      lines[place].leastSeconds += machine.leastSeconds(call)
      lines[place].seconds += seconds / Double(profile.threads)
    }
    return lines
  }

  /// The plan for people: what each vertex's calls cost in a step, all repetitions together.
  public var planTable: ResultTable {
    let lines = lines
    let all = lines.reduce(0) { $0 + $1.seconds }
    return ResultTable(
      [
        .init("phase", .left), .init("vertex", .left), .init("operation", .left), .init("times", .right),
        .init("MFLOP", .decimal), .init("MB", .decimal), .init("least ms", .decimal), .init("ms", .decimal),
        .init("share %", .decimal),
      ],
      rows: lines.map { line in
        [
          line.phase, line.vertex.isEmpty ? "–" : line.vertex, line.operation, "\(line.repetitions)",
          line.multiplyAdds == 0 ? "–" : NumberText.significant(2e-6 * Double(line.multiplyAdds)),
          line.byteCount == 0 ? "–" : NumberText.significant(1e-6 * Double(line.byteCount)),
          Self.milliseconds(line.leastSeconds), Self.milliseconds(line.seconds),
          all > 0 ? NumberText.fixed(100 * line.seconds / all, places: 1) : "–",
        ]
      })
  }

  /// What the columns of `planTable` mean, and what the calls do not explain.
  public var planLegend: String {
    guard let profile else { return "This backend does not tell how long its calls take." }
    let calls = lines.reduce(0) { $0 + $1.seconds }
    var text = """
      All repetitions in one step, on \(profile.threads) thread\(profile.threads == 1 ? "" : "s"). least: operations at the \
      peak of \(NumberText.significant(machine.gigaflops)) GFLOP/s, or bytes out of a cache of 1 MB at \
      \(NumberText.significant(machine.cacheGigabytesPerSecond)) GB/s, whichever takes longer. ms: thread time over the \
      number of threads. The calls take \(Self.milliseconds(calls)) of the step's \
      \(Self.milliseconds(profile.seconds)) ms; in the rest threads wait for each other.
      """
    if profile.omitted > 0 { text += " \(profile.omitted) calls found no room and are not counted." }
    return text
  }

  /// The figures, and one object for each line of the plan if it is asked for.
  package func jsonLines(withPlan: Bool) -> [JSON] {
    let times = Statistics(seconds)
    let plan: [JSON] = lines.map { line in
      .object([
        ("phase", .string(line.phase)), ("vertex", .string(line.vertex)), ("operation", .string(line.operation)),
        ("repetitions", .integer(line.repetitions)), ("flop", .integer(2 * line.multiplyAdds)),
        ("bytes", .integer(line.byteCount)), ("leastSeconds", .number(line.leastSeconds)),
        ("seconds", .number(line.seconds)),
      ])
    }
    return (withPlan ? plan : []) + [
      .object([
        ("rule", .string(rule.name.rawValue)), ("batchSize", .integer(batchSize)), ("steps", .integer(seconds.count)),
        ("medianSeconds", .number(times.median)), ("leastSeconds", .number(times.minimum)),
        ("floorSeconds", .number(floorSeconds)), ("floorFlop", .integer(2 * floorMultiplyAdds)),
        ("plannedBytes", .integer(plannedBytes)), ("residentBytes", residentBytes.map { .integer($0) } ?? .null),
        ("threads", .integer(machine.threads)), ("gigaflops", .number(machine.gigaflops)),
        ("cacheGigabytesPerSecond", .number(machine.cacheGigabytesPerSecond)),
      ])
    ]
  }
}

// MARK: - Trace

extension Profile {
  /// The run in the Trace Event Format, which Chrome's tracing page and Perfetto open: a row for each thread, a bar for each
  /// call, named by vertex and operation; microseconds.
  package var trace: JSON {
    let names: [JSON] = (0..<threads).map { thread in
      .object([
        ("name", .string("thread_name")), ("ph", .string("M")), ("pid", .integer(1)), ("tid", .integer(thread)),
        ("args", .object([("name", .string("thread \(thread)"))])),
      ])
    }
    let bars: [JSON] = events.map { event in
      let call = calls[event.call]
      return .object([
        ("name", .string(call.vertex.isEmpty ? call.operation : "\(call.vertex): \(call.operation)")),
        ("cat", .string(call.section)), ("ph", .string("X")), ("pid", .integer(1)), ("tid", .integer(event.thread)),
        ("ts", .number(event.start * 1e6)), ("dur", .number(event.seconds * 1e6)),
        (
          "args",
          .object([
            ("tile", event.tile.map { .integer($0) } ?? .null), ("flop", .integer(2 * call.multiplyAdds)),
            ("bytes", .integer(call.byteCount)),
          ])
        ),
      ])
    }
    return .object([("displayTimeUnit", .string("ms")), ("traceEvents", .array(names + bars))])
  }
}

// MARK: - Memory

/// Bytes of this process in memory, and the most there ever were; nil where the system does not say.
private func residentMemory() -> (now: Int, peak: Int)? {
  guard let data = FileManager.default.contents(atPath: "/proc/self/status") else { return nil }
  func bytes(_ name: String) -> Int? {
    String(decoding: data, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("\(name):") }
      .flatMap { line in line.split { !$0.isNumber }.first.flatMap { Int($0) } }.map { $0 * 1024 }
  }
  guard let now = bytes("VmRSS"), let peak = bytes("VmHWM") else { return nil }
  return (now, peak)
}
