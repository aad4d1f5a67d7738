import PCGraphs
import PCLayers

/// How a net that predicts the next character is trained: what surrounds its LSTM.
public enum CharacterSetting: String, Codable, Sendable, CaseIterable {
  /// As in the paper: an untrained embedding as wide as the vocabulary, weights and a fixed initial state of standard
  /// deviation 0.05, biases 0, each window on its own, squared error on the one-hot character.
  case paper
  /// As one would today: a learned embedding, Glorot and orthogonal weights, a forget bias of 1, state carried from window
  /// to window, dropout before the readout, cross-entropy.
  ///
  /// One-hot characters through Glorot weights would reach the gates thirty times smaller than an embedding does, and the
  /// net would learn in two epochs what it now learns in one.
  case modern
}

extension Model {
  /// One LSTM that reads characters and predicts the next one at every step.
  ///
  /// Inputs `characters` and `next`, both [B, length] with indices below `vocabulary`; for windows of any length.
  ///
  /// - Parameters:
  ///   - vocabulary: how many characters there are.
  ///   - hidden: width of state and cell; the paper's.
  ///   - setting: what surrounds the LSTM.
  ///   - rate: of dropout before the readout, for `.modern` alone.
  ///   - length: the usual length of a window; the paper's.
  public static func characterLSTM(
    vocabulary: Int, hidden: Int = 1056, setting: CharacterSetting = .modern, dropout rate: Double = 0,
    length: Int = 50
  ) -> Model {
    Model(length: length) { graph, length in
      let characters = graph.labels("characters", classes: vocabulary, shape: [.batch, .fixed(length)])
      let next = graph.labels("next", classes: vocabulary, shape: [.batch, .fixed(length)])
      switch setting {
      case .paper:
        let weights = Initializer.normal(standardDeviation: 0.05)
        let start = ["hidden", "cell"].map {
          graph.parameter("lstm.start.\($0)", [1, hidden], weights, isTrainable: false)
        }
        let embedded = Embedding("embedding", width: vocabulary, isTrainable: false)(characters, .deterministic)
        let states = LSTM("lstm", hidden, initializer: weights)(embedded, initial: start).stacked()
        graph.loss(.squaredError(Dense("readout", vocabulary, initializer: weights)(states), next))
      case .modern:
        let embedded = Embedding("embedding", width: 128)(characters, .deterministic)
        var states = LSTM("lstm", hidden, forgetBias: 1)(embedded, isCarried: true).stacked()
        if rate > 0 { states = dropout(states, rate: rate) }
        graph.loss(.crossEntropy(Dense("readout", vocabulary)(states), next))
      }
    }
  }
}
