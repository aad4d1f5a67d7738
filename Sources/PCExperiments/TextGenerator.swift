#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif
import PCDatasets
import PCGraphs
import PCKernels
import PCLearning
import PCModels
import PCRandomness

/// A net that predicts characters, as its checkpoint's notes describe it: what it takes to build it again.
public struct CharacterNet: Codable, Sendable, Hashable {
  /// The characters, by index.
  public var vocabulary: String
  /// Width of state and cell.
  public var hidden: Int
  /// `CharacterSetting`'s name.
  public var setting: String
  /// The rate before the readout.
  public var dropout: Double
  /// Characters of a window in training.
  public var window: Int

  /// The model.
  ///
  /// - Throws: a `CheckpointError` where there is none of this description.
  public func model() throws -> Model {
    guard let setting = CharacterSetting(rawValue: setting), (1...1_000_000).contains(hidden), window >= 1,
      dropout >= 0, dropout < 1, !vocabulary.isEmpty,
      Set(vocabulary.unicodeScalars).count == vocabulary.unicodeScalars.count
    else { throw CheckpointError("The checkpoint describes a net that cannot be built: \(self).") }
    return .characterLSTM(
      vocabulary: vocabulary.unicodeScalars.count, hidden: hidden, setting: setting, dropout: dropout, length: window)
  }

  /// The description in a checkpoint's notes.
  ///
  /// - Throws: a `CheckpointError` where there is none.
  public init(of checkpoint: Checkpoint) throws {
    struct Notes: Decodable { var net: CharacterNet }
    guard let notes: Notes = try? checkpoint.notes() else {
      throw CheckpointError("The checkpoint is not one of a net that predicts characters.")
    }
    self = notes.net
  }

  init(vocabulary: String, hidden: Int, setting: CharacterSetting, dropout: Double, window: Int) {
    self.vocabulary = vocabulary
    self.hidden = hidden
    self.setting = setting.rawValue
    self.dropout = dropout
    self.window = window
  }
}

/// Writes text with a net that predicts the next character.
///
/// ```swift
/// let generator = try TextGenerator(Checkpoint(path: "paper/lstm/fixed.safetensors"), on: CPU())
/// print(try generator.text(after: "ROMEO:", count: 200, temperature: 0.8, seed: 1))
/// ```
public struct TextGenerator {
  private let network: Network
  private let vocabulary: [Unicode.Scalar]
  private let setting: CharacterSetting
  private let window: Int

  /// The net of a checkpoint that `pcgraph reproduce lstm` wrote.
  ///
  /// - Throws: a `CheckpointError` where it is another model's.
  public init(_ checkpoint: Checkpoint, on backend: any Backend) throws {
    let net = try CharacterNet(of: checkpoint)
    let network = try Network(net.model(), on: backend, seed: 0)
    try network.restoreParameters(of: checkpoint)
    self.init(network, net)
  }

  init(_ network: Network, _ net: CharacterNet) {
    self.network = network
    vocabulary = Array(net.vocabulary.unicodeScalars)
    setting = CharacterSetting(rawValue: net.setting) ?? .modern
    window = net.window
  }

  /// A continuation of `prompt`, one character after the other, each drawn from what the net predicts.
  ///
  /// A net of the modern setting keeps its state from character to character, one of the paper's starts each window of its
  /// usual length anew and is shown that window.
  ///
  /// - Parameters:
  ///   - prompt: at least one character; all must be in the vocabulary.
  ///   - count: characters to write.
  ///   - temperature: 1 draws from the prediction, less prefers what is likely, 0 takes the likeliest. Scores of a net that
  ///     learned by squared error estimate the probabilities themselves, and those below 0 count as 0.
  ///   - seed: of the draws.
  ///   - each: receives each character as it is written.
  /// - Throws: a `SettingsError` about the prompt or the temperature.
  public func text(
    after prompt: String, count: Int, temperature: Double = 1, seed: UInt64, each: (Character) -> Void = { _ in }
  ) throws -> String {
    guard temperature >= 0, temperature.isFinite else {
      throw SettingsError("The temperature is \(temperature); it must be at least 0.")
    }
    guard count >= 0 else { throw SettingsError("The number of characters is \(count); it must be at least 0.") }
    var codes: [Int32] = []
    for scalar in prompt.unicodeScalars {
      guard let index = vocabulary.firstIndex(of: scalar) else {
        throw SettingsError("The prompt holds \"\(scalar)\", which the net has never seen; leave it out.")
      }
      codes.append(Int32(index))
    }
    guard !codes.isEmpty else { throw SettingsError("The prompt is empty; give the net at least one character.") }
    let random = RandomStream(seed: seed, "generate")
    var stream = FeedforwardStream(network)
    var read = 0
    var written = String.UnicodeScalarView()
    for number in 0..<count {
      if setting == .paper { read = max(0, codes.count - window) }
      var scores: ArraySlice<Double> = []
      while read < codes.count {
        let unread = Array(codes[read..<min(read + window, codes.count)])
        var feed = Feed(count: 1, ["characters": .integers(unread), "next": .integers(unread)])
        feed.length = unread.count
        feed.continuesStream = read > 0 && setting == .modern
        scores = try stream.outputs(of: feed).suffix(vocabulary.count)
        read += unread.count
      }
      let next = Self.draw(
        Array(scores), areLogits: setting == .modern, temperature, random.uniform(at: UInt64(number)))
      codes.append(Int32(next))
      written.append(vocabulary[next])
      each(Character(vocabulary[next]))
    }
    return String(written)
  }

  /// An index with probability ∝ exp(score / temperature), or ∝ max(score, 0)^(1 / temperature); `uniform` in [0, 1).
  package static func draw(_ scores: [Double], areLogits: Bool, _ temperature: Double, _ uniform: Double) -> Int {
    let logarithms = areLogits ? scores : scores.map { $0 > 0 ? log($0) : -.infinity }
    let largest = logarithms.max() ?? 0
    let best = logarithms.firstIndex(of: largest) ?? 0
    guard temperature > 0, largest > -.infinity else { return best }
    let weights = logarithms.map { exp(($0 - largest) / temperature) }
    var rest = uniform * weights.reduce(0, +)
    for (index, weight) in weights.enumerated() {
      if rest < weight { return index }
      rest -= weight
    }
    return best
  }
}
