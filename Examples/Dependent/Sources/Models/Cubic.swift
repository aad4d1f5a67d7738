import Graphs
import PredictiveCoding

public let cubic = Model { graph in
  let image = graph.input("image", [.batch, 1, 8, 8])
  let hidden = Dense("hidden", 32, activation: .tanh)(flatten(image))
  let gated = graph.vertex("gated") { graph.apply(Cube(), to: [hidden]) + hidden }
  graph.loss(.crossEntropy(Dense("output", 10)(gated), graph.labels("label", classes: 10)))
}
