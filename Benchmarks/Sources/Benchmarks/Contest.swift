import Foundation
import PredictiveCoding

struct Timing {
  var seconds: [Double] = []
  var median: Double { seconds.sorted()[seconds.count / 2] }
  var least: Double { seconds.min() ?? .nan }
  /// The middle half lies this far apart, as a share of the median.
  var spread: Double {
    let sorted = seconds.sorted()
    return (sorted[sorted.count * 3 / 4] - sorted[sorted.count / 4]) / median
  }
}

/// One of our ways to make the step.
final class Contestant {
  let entry: Entry
  let trainer: Trainer
  let feed: Feed
  let multiplyAdds: Int
  var timing = Timing()

  init(_ entry: Entry, _ work: Workload, _ backend: CPU) throws {
    self.entry = entry
    trainer = try Trainer(
      work.model, rule: entry.rule, optimizer: work.optimizer, reduction: .sum, on: backend, seed: 1)
    feed = work.batch.feed(work.model.graph)
    multiplyAdds = try trainer.floorMultiplyAdds(batchSize: work.batch.count)
  }

  func step(_ count: Int, isCounted: Bool = true) throws {
    let clock = ContinuousClock()
    for _ in 0..<count {
      let start = clock.now
      try trainer.train(on: feed)
      if isCounted { timing.seconds.append((clock.now - start).seconds) }
    }
  }
}

/// A workload's contestants and peers, measured in turn.
struct Contest {
  let work: Workload
  let options: Options
  let backend: CPU
  private(set) var ours: [Contestant]
  private(set) var peers: [(name: String, library: Peer.Library, peer: Peer, timing: Timing)] = []

  init(_ work: Workload, _ options: Options, _ backend: CPU) throws {
    self.work = work
    self.options = options
    self.backend = backend
    ours = try work.entries.filter { options.only.isEmpty || $0.name.contains(options.only) }.map {
      try Contestant($0, work, backend)
    }
    guard let first = ours.first else { throw BenchmarkError("no step of \(work.name) is called \(options.only)") }
    for library in work.peers where options.python(library) != nil {
      for isChannelsLast in work.hasImages && library == .pytorch ? [false, true] : [false] {
        let peer = try Peer(
          library, options, at: try first.hand(over: work, isChannelsLast: isChannelsLast, options))
        peers.append((isChannelsLast ? "PyTorch, channels last" : library.name, library, peer, Timing()))
      }
    }
  }

  /// A few steps of each in turn, so that all see the same moods of the machine.
  mutating func measure() throws -> Outcome {
    // Same start, same step: the losses after one step of backprop must agree.
    for entry in peers where entry.library == .pytorch {
      _ = try entry.peer.steps(1)
      let theirs = try entry.peer.loss()
      let check = try Contestant(Entry(name: "check", rule: Backprop()), work, backend)
      try check.step(1)
      let mine = try check.trainer.network.meanLoss(on: check.feed) * Double(work.batch.count)
      guard abs(mine - theirs) < 1e-4 * abs(theirs) else {
        throw BenchmarkError("after one step our loss is \(mine), \(entry.name)'s \(theirs)")
      }
    }
    let rounds = options.rounds ?? work.measurement.rounds
    var peaks: [Double] = []
    for contestant in ours { try contestant.step(work.measurement.warmUp, isCounted: false) }
    for entry in peers { _ = try entry.peer.steps(work.measurement.warmUp) }
    for round in 0..<rounds {
      peaks.append(backend.peakGigaflops(seconds: 0.02))
      for contestant in ours { try contestant.step(work.measurement.steps) }
      for index in peers.indices {
        peers[index].timing.seconds += try peers[index].peer.steps(work.measurement.steps)
      }
      FileHandle.standardError.write(Data("\r\(work.title): round \(round + 1) of \(rounds) ".utf8))
    }
    FileHandle.standardError.write(Data("\n".utf8))
    return Outcome(self, peaks: peaks.sorted())
  }
}

/// What a contest came to: a line for each way to make the step.
struct Outcome: Encodable {
  struct Line: Encodable {
    var step: String
    var medianMilliseconds, leastMilliseconds, spread: Double
    /// Multiples of the floor, which is the multiply-adds over the peak: medians of both, and least time over highest peak.
    var gigaflop, floors, leastFloors: Double?
    /// Medians over the peers' medians.
    var ofPeers: [String: Double] = [:]
    /// What it should be, and whether it is; no verdict where the host gave less than all cores for half of the rounds.
    var target: String?
    var isReached: Bool?
  }

  var title: String
  var instructionSet: String
  var threads: Int
  /// The median of the rounds', and the highest.
  var peakGigaflops, highestPeakGigaflops: Double
  var lines: [Line] = []

  fileprivate init(_ contest: Contest, peaks: [Double]) {
    title = contest.work.title
    instructionSet = contest.backend.instructionSet.rawValue
    threads = contest.options.threads
    peakGigaflops = peaks[peaks.count / 2]
    highestPeakGigaflops = peaks.last ?? .nan
    // PyTorch counts in whichever memory format is faster.
    var rivals: [Peer.Library: Double] = [:]
    for entry in contest.peers {
      rivals[entry.library] = min(rivals[entry.library] ?? .infinity, entry.timing.median)
    }
    for contestant in contest.ours {
      let gigaflop = 2e-9 * Double(contestant.multiplyAdds)
      var line = Line(contestant.entry.name, contestant.timing)
      line.gigaflop = gigaflop
      line.floors = contestant.timing.median * peakGigaflops / gigaflop
      line.leastFloors = contestant.timing.least * highestPeakGigaflops / gigaflop
      for (library, median) in rivals { line.ofPeers[library.name] = contestant.timing.median / median }
      line.judge(contestant.entry, contest.work)
      if peakGigaflops < 0.8 * highestPeakGigaflops { line.isReached = nil }
      lines.append(line)
    }
    for entry in contest.peers { lines.append(Line(entry.name, entry.timing)) }
  }

  var markdown: String {
    func text(_ x: Double?, _ digits: Int = 2) -> String { x.map { String(format: "%.\(digits)f", $0) } ?? "" }
    let rivals = Set(lines.flatMap(\.ofPeers.keys)).sorted()
    let head =
      ["step", "median ms", "min ms", "spread", "GFLOP", "× floor", "(min)"] + rivals.map { "× \($0)" } + [
        "target", "",
      ]
    var rows = [head, head.map { _ in "---" }]
    for line in lines {
      rows.append(
        [
          line.step, text(line.medianMilliseconds), text(line.leastMilliseconds), text(line.spread),
          text(line.gigaflop, 3), text(line.floors), text(line.leastFloors),
        ] + rivals.map { text(line.ofPeers[$0]) }
          + [
            line.target ?? "",
            line.isReached.map { $0 ? "reached" : "missed" } ?? (line.target == nil ? "" : "host busy"),
          ])
    }
    let heading =
      "\(title); \(instructionSet), \(text(peakGigaflops, 0)) GFLOP/s (at most \(text(highestPeakGigaflops, 0))) on \(threads) threads"
    return "\(heading)\n" + rows.map { "| " + $0.joined(separator: " | ") + " |" }.joined(separator: "\n") + "\n"
  }
}

extension Outcome.Line {
  fileprivate init(_ step: String, _ timing: Timing) {
    self.step = step
    medianMilliseconds = timing.median * 1e3
    leastMilliseconds = timing.least * 1e3
    spread = timing.spread
  }

  /// A multiple of a peer and one of the floor may conflict on a host; 1.25 floors (standard predictive coding: 1.15) are
  /// enough then.
  fileprivate mutating func judge(_ entry: Entry, _ work: Workload) {
    var targets: [String] = []
    var verdicts: [Bool] = []
    let floors = floors ?? .infinity
    if let most = entry.mostFloors {
      targets.append("≤ \(most) × floor")
      verdicts.append(floors <= most)
    }
    if var most = entry.mostOfPyTorch, let ratio = ofPeers[Peer.Library.pytorch.name] {
      if let rule = entry.rule as? FixedPredictions, rule.solver == .closedForm, work.hasSeveralDepths {
        // One backward pass for each distinct depth that remains.
        most *= Double(rule.choice(for: work.model.graph).passes)
      }
      targets.append("≤ \(String(format: "%.3g", most)) × PyTorch")
      verdicts.append(ratio <= most || floors <= 1.25)
    }
    for (library, least) in entry.leastFasterThan {
      guard let ratio = ofPeers[library.name] else { continue }
      targets.append("≤ \(String(format: "%.2f", 1 / least)) × \(library.name)")
      verdicts.append(ratio <= 1 / least || floors <= 1.15)
    }
    guard !targets.isEmpty else { return }
    target = targets.joined(separator: ", ")
    isReached = verdicts.allSatisfy { $0 }
  }
}
