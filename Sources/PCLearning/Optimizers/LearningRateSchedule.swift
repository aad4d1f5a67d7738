#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How the learning rate goes with the number of updates: a function of that number alone, so that a run that goes on from
/// a checkpoint needs no state for it.
public protocol LearningRateSchedule: Sendable {
  /// What multiplies the optimiser's learning rate in the update after `updates` updates.
  func factor(after updates: Int) -> Double

  /// Its settings in words; schedules of the same words are the same.
  var summary: String { get }
}

/// Multiplied by `factor` after every `interval` updates.
public struct StepDecay: LearningRateSchedule {
  /// Updates between two changes.
  public var interval: Int
  /// What each change multiplies by.
  public var factor: Double

  /// By default a tenth each time.
  public init(interval: Int, factor: Double = 0.1) {
    self.interval = max(interval, 1)
    self.factor = factor
  }

  public func factor(after updates: Int) -> Double { pow(factor, Double(updates / interval)) }
  public var summary: String { "step, × \(factor) every \(interval) updates" }
}

/// Half a period of a cosine from 1 to `floor`, where it stays (Loshchilov and Hutter, ICLR 2017, without restarts).
public struct CosineDecay: LearningRateSchedule {
  /// Updates until the floor.
  public var updates: Int
  /// The last factor.
  public var floor: Double

  /// By default down to 0.
  public init(updates: Int, floor: Double = 0) {
    self.updates = max(updates, 1)
    self.floor = floor
  }

  public func factor(after updates: Int) -> Double {
    let place = min(Double(updates) / Double(self.updates), 1)
    return floor + (1 - floor) * (1 + cos(.pi * place)) / 2
  }
  public var summary: String { "cosine to \(floor) over \(updates) updates" }
}

/// Up to 1 and down again, both along half a cosine (Smith and Topin, 2018): from 1/25 over the first 30 % of the updates,
/// then to 1/250,000, as PyTorch has it.
public struct OneCycle: LearningRateSchedule {
  /// Updates of the whole cycle.
  public var updates: Int
  /// The share of them in which the rate grows.
  public var growth: Double
  /// The first factor.
  public var start: Double
  /// The last factor.
  public var end: Double

  /// The defaults are PyTorch's.
  public init(updates: Int, growth: Double = 0.3, start: Double = 1 / 25, end: Double = 1 / 250_000) {
    self.updates = max(updates, 2)
    self.growth = growth
    self.start = start
    self.end = end
  }

  public func factor(after updates: Int) -> Double {
    let peak = growth * Double(self.updates) - 1
    let last = Double(self.updates - 1)
    let place = min(Double(updates), last)
    func between(_ from: Double, _ to: Double, _ share: Double) -> Double {
      to + (from - to) / 2 * (1 + cos(.pi * share))
    }
    return place <= peak ? between(start, 1, place / peak) : between(1, end, (place - peak) / (last - peak))
  }
  public var summary: String { "one cycle over \(updates) updates, growing for \(growth), from \(start) to \(end)" }
}

/// Grows linearly to 1 over the first updates (update k of n has k/n); what follows begins there.
public struct WarmUp: LearningRateSchedule {
  /// How many updates.
  public var updates: Int
  /// What follows, by default 1.
  public var next: (any LearningRateSchedule)?

  /// A warm-up of so many updates before another schedule.
  public init(updates: Int, then next: (any LearningRateSchedule)? = nil) {
    self.updates = max(updates, 1)
    self.next = next
  }

  public func factor(after updates: Int) -> Double {
    guard updates >= self.updates else { return Double(updates + 1) / Double(self.updates) }
    return next?.factor(after: updates - self.updates) ?? 1
  }
  public var summary: String { "warm-up over \(updates) updates" + (next.map { ", then \($0.summary)" } ?? "") }
}

/// A learning rate that falls where a loss no longer does: the one schedule that looks at the training, and so has a state, to
/// be kept with the run.
public struct Plateau: Sendable, Codable, Hashable {
  /// What each fall multiplies by.
  public var decay: Double
  /// So many losses in a row that are no better are borne; the next one lowers the rate.
  public var patience: Int
  /// A loss is better where it is below (1 − threshold) times the best one so far.
  public var threshold: Double
  /// What multiplies the optimiser's learning rate now.
  public private(set) var factor = 1.0
  private var best: Double?
  private var waited = 0

  /// The defaults are PyTorch's.
  public init(decay: Double = 0.1, patience: Int = 10, threshold: Double = 1e-4) {
    self.decay = decay
    self.patience = patience
    self.threshold = threshold
  }

  /// Takes the loss of one more epoch into account.
  public mutating func observe(_ loss: Double) {
    guard let known = best, loss >= known * (1 - threshold) else {
      best = loss
      waited = 0
      return
    }
    waited += 1
    guard waited > patience else { return }
    factor *= decay
    waited = 0
  }

  /// Its settings in words.
  public var summary: String { "plateau, × \(decay) after more than \(patience) epochs without a lower loss" }
}
