import PCGraphs
import PCLayers

extension Model {
  /// The paper's recurrent network, which tells a name's language: one-hot letters, an RNN of tanh units, a linear readout
  /// at the last letter, squared error. Weights are normal with standard deviation 0.05, and so is the initial state,
  /// which is never trained; the recurrent bias starts at 0.
  ///
  /// Inputs `letters` [B, length] (indices below `letters`) and `language` [B]; for names of any length.
  public static func nameClassifier(letters: Int, languages: Int, hidden: Int = 256) -> Model {
    let weights = Initializer.normal(standardDeviation: 0.05)
    return Model(length: 8) { graph, length in
      let name = graph.labels("letters", classes: letters, shape: [.batch, .fixed(length)])
      let language = graph.labels("language", classes: languages)
      let start = graph.parameter("rnn.start", [1, hidden], weights, isTrainable: false)
      let last = RNN("rnn", hidden, initializer: weights)(name.oneHot(), initial: [start]).last[0]
      let readout = Dense("readout", languages, bias: false, initializer: weights)(last)
      graph.loss(.squaredError(readout, language))
    }
  }
}
