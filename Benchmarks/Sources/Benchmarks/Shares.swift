import Foundation
import PredictiveCoding

/// Where the time of one training step goes.
struct Shares {
  private struct Key: Hashable {
    var phase, vertex, operation: String
  }

  private struct Share {
    var calls = 0
    var threadSeconds = 0.0
    var gigaflop = 0.0
  }

  private let title: String
  private let profile: Profile
  private var shares: [Key: Share] = [:]

  init(_ contestant: Contestant, _ title: String) throws {
    self.title = title
    // The first step prepares what the others find ready.
    try contestant.step(3, isCounted: false)
    guard let profile = try contestant.trainer.profile(on: contestant.feed) else {
      throw BenchmarkError("the backend tells no profile")
    }
    self.profile = profile
    for (call, seconds) in zip(profile.calls, profile.threadSeconds) {
      let key = Key(phase: call.section, vertex: call.vertex, operation: call.operation)
      shares[key, default: Share()].calls += call.repetitions
      shares[key, default: Share()].threadSeconds += seconds
      shares[key, default: Share()].gigaflop += 2e-9 * Double(call.multiplyAdds * call.repetitions)
    }
  }

  /// The largest first, those below 1 % together; waiting is what is left of the run's time on all threads.
  var markdown: String {
    let whole = profile.seconds * Double(profile.threads)
    func text(_ x: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", x) }
    func row(_ key: Key, _ share: Share) -> String {
      let percent = text(100 * share.threadSeconds / whole, 1)
      let rate = share.gigaflop / share.threadSeconds * Double(profile.threads)
      return "| \(key.phase) | \(key.vertex) | \(key.operation) | \(share.calls) | \(percent) | "
        + "\(share.gigaflop > 0 ? text(rate, 0) : "") |"
    }
    let sorted = shares.sorted {
      ($1.value.threadSeconds, $0.key.operation) < ($0.value.threadSeconds, $1.key.operation)
    }
    let large = sorted.filter { $0.value.threadSeconds >= 0.01 * whole }
    var small = Share()
    for (_, share) in sorted.dropFirst(large.count) {
      small.calls += share.calls
      small.threadSeconds += share.threadSeconds
    }
    let waiting = Share(threadSeconds: whole - shares.values.reduce(0) { $0 + $1.threadSeconds })
    let rows =
      large.map { row($0.key, $0.value) } + [
        row(Key(phase: "", vertex: "", operation: "others"), small),
        row(Key(phase: "", vertex: "", operation: "waiting"), waiting),
      ]
    return """
      \(title): \(text(1e3 * profile.seconds, 2)) ms
      | phase | vertex | operation | calls | % | GFLOP/s |
      | --- | --- | --- | --- | --- | --- |
      \(rows.joined(separator: "\n"))

      """
  }
}
